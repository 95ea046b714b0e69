"""Our statements on their way to the broker: kept before they are sent, sent until they are taken."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from cordee.runtime.logs import logger
from sqlalchemy import Connection

from cordee.errors import (
    CardExpired,
    ClockSkew,
    Conflict,
    CordeeError,
    IntegrityFailure,
    InvalidInput,
    NotAMember,
    QuotaExceeded,
    Refused,
    RosterStale,
    TooManyRequests,
    Unreachable,
)
from cordee.ids import TransferId
from cordee.statements import redate, time_of
from cordee.transfer import Kind
from node import journal, transfer_store
from node.directory_client import DirectoryClient
from node.house import House
from node.listening import Listener
from node.transfer_store import Waiting

__all__ = ["Outbox"]

log = logger("node.outbox")

_SKEW = timedelta(minutes=5)
_PAUSE = 2.0
_AT_ONCE = 12  # the directory lets a member have two dozen calls open, the event stream among them
_LONGEST_PAUSE = 60.0
# Steps that can be taken back when the broker says no for good.
_GIVEN_UP = frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.REFUSAL, Kind.SHIPMENT})


class Outbox:
    """Sends what waits, oldest first for each transfer, until the broker has answered for each."""

    def __init__(self, house: House, client: DirectoryClient, listener: Listener) -> None:
        self._house = house
        self._client = client
        self._listener = listener
        self._places = asyncio.Semaphore(_AT_ONCE)
        self.refusal: CordeeError | None = None  # the last answer that keeps something waiting, for the doctor

    async def run(self) -> None:
        """Until cancelled."""
        pause = _PAUSE
        while True:
            self._house.changes.post.clear()
            if await self.flush():
                pause = _PAUSE
                await self._house.changes.post.wait()
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._house.changes.post.wait(), timeout=pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def flush(self) -> bool:
        """Send what waits now. False where something still waits."""
        waiting = await self._house.db.read(transfer_store.waiting)
        by_transfer: dict[TransferId, list[Waiting]] = {}
        for each in waiting:
            by_transfer.setdefault(each.transfer, []).append(each)
        results = await asyncio.gather(*(self._send_all(queue) for queue in by_transfer.values()))
        return all(results)

    async def _send_all(self, queue: list[Waiting]) -> bool:
        async with self._places:
            for each in queue:
                if not await self._send(each):
                    return False
        return True

    async def _send(self, waiting: Waiting) -> bool:
        house = self._house
        house.crashpoints.reach(f"node.outbox.{waiting.kind}.before_submit")
        try:
            await self._client.submit(waiting.signed)
        except ClockSkew as skew:
            return await self._redate(waiting, skew)
        except (Unreachable, NotAMember, CardExpired, RosterStale, QuotaExceeded, TooManyRequests) as wait:
            self.refusal = wait
            log.info("outbox.waits", transfer=waiting.transfer.short, kind=str(waiting.kind), reason=wait.reason)
            return False
        except Conflict:
            # The transfer moved on without us: ask the broker what happened, then follow it.
            await self._drop(waiting, None)
            return True
        except (InvalidInput, IntegrityFailure, Refused) as refused:
            self.refusal = refused
            if waiting.kind not in _GIVEN_UP:
                return False  # a receipt or an erasure is a fact: it waits until the broker can take it
            await self._drop(waiting, refused)
            return True
        except CordeeError as unexpected:
            self.refusal = unexpected
            log.warning(
                "outbox.waits", transfer=waiting.transfer.short, kind=str(waiting.kind), reason=unexpected.reason
            )
            return False
        self.refusal = None
        house.crashpoints.reach(f"node.outbox.{waiting.kind}.after_submit")

        def taken(tx: Connection) -> None:
            transfer_store.mark_taken(tx, waiting.transfer, waiting.kind)

        await house.db.write(taken)
        house.changes.tell(waiting.transfer)
        return True

    async def _redate(self, waiting: Waiting, skew: ClockSkew) -> bool:
        """The broker took nothing: it would have known the statement. Sign it again with the present time."""
        house = self._house
        now = house.clock.now()
        if abs(now - time_of(waiting.signed)) <= _SKEW:
            self.refusal = skew  # not the statement is old: this machine's clock is wrong
            return False
        fresh = redate(waiting.signed, key=house.keys.identity, now=now)

        def keep(tx: Connection) -> None:
            transfer_store.replace_statement(tx, waiting.transfer, waiting.kind, fresh)

        await house.db.write(keep)
        return await self._send(Waiting(waiting.transfer, waiting.kind, fresh, waiting.position))

    async def _drop(self, waiting: Waiting, refused: CordeeError | None) -> None:
        now = self._house.clock.now()

        def drop(tx: Connection) -> None:
            transfer_store.forget_waiting(tx, waiting.transfer, [waiting.kind])
            journal.append(
                tx,
                now=now,
                actor="node",
                action=f"statement.{waiting.kind}",
                subject=waiting.transfer.hex(),
                outcome=refused.reason if refused else "overtaken",
            )

        await self._house.db.write(drop)
        await self._listener.reconcile(waiting.transfer, dropped=waiting.kind, refused=refused)
