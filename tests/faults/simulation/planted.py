"""Defects that somebody might make, to see that the simulation finds them: `--plant NAME`."""

from __future__ import annotations

import asyncio
from typing import Any

from directory import transfers as brokered
from node import transfer_store
from node.fetching import Fetching
from node.identity import Identity
from node.joining import IDENTITY
from node.outbox import Outbox
from node.secrets import put_secret

__all__ = ["PLANTS", "plant"]


def _repeats_refused() -> None:
    """The broker takes the same statement, sent again after a lost answer, for another one."""
    brokered.state_of_taken = lambda *_: None  # type: ignore[assignment]


def _key_first() -> None:
    """The recipient destroys the one-time key as soon as it fetches, and only then imports and signs the receipt."""
    usual = Fetching._attempt

    async def erasing(self: Any, job: Any, chain: Any) -> bool:
        now = self._house.clock.now()
        await self._house.db.write(lambda tx: transfer_store.set_fields(tx, job.id, now=now, sealed_one_time_seed=None))
        return await usual(self, job, chain)

    Fetching._attempt = erasing  # type: ignore[method-assign]


def _no_retry() -> None:
    """A statement whose answer was lost is not sent again."""
    usual = Outbox._try

    async def once(self: Any, transfer: Any) -> bool:
        await usual(self, transfer)
        return True

    Outbox._try = once  # type: ignore[method-assign]
    Outbox.run = _run_once  # type: ignore[method-assign]


async def _run_once(self: Any) -> None:
    """As `Outbox.run`, but for those that were tried already."""
    tried: set[Any] = set()
    post = self._house.changes.post
    while True:
        post.clear()
        for transfer in self._house.db.look(transfer_store.waiting):
            kind = self._house.db.look(lambda tx, transfer=transfer: transfer_store.next_waiting(tx, transfer)).kind
            if (transfer, kind) not in tried:
                tried.add((transfer, kind))
                self._under_way[transfer] = asyncio.create_task(self._work(transfer))
        await post.wait()


def _new_key_at_once() -> None:
    """The new identity key takes the place of the old one before the log has it."""
    usual = Identity._begin

    def begin(self: Any, tx: Any, roster: Any) -> Any:
        made = usual(self, tx, roster)
        put_secret(tx, self._house.vault, IDENTITY, made.seed)
        return made

    Identity._begin = begin  # type: ignore[method-assign]


def _key_unsettled() -> None:
    """Statements leave under the old identity key while a new one waits for its place in the log."""

    async def at_once(self: Any) -> None:
        pass

    Outbox._with_settled_key = at_once  # type: ignore[method-assign]


def _no_resumption() -> None:
    """A change of the identity key that was cut off is not finished."""

    async def never(self: Any) -> None:
        pass

    Identity.resume = never  # type: ignore[method-assign]


PLANTS = {
    "repeats-refused": _repeats_refused,
    "key-first": _key_first,
    "no-retry": _no_retry,
    "new-key-at-once": _new_key_at_once,
    "key-unsettled": _key_unsettled,
    "no-resumption": _no_resumption,
}


def plant(name: str) -> None:
    """Put it there, in this process."""
    PLANTS[name]()
