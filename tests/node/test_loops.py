"""Every part of a node that runs as long as the node does meets what nobody foresaw, once, in the midst of its work.

Either it notes that and goes on, or the whole node ends with the error, so that whatever watches it starts it again. No
part ends by itself while the others seem well.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cordee.runtime.ballast import Ballast
from cordee.runtime.database import Database
from cordee.transfer import State
from node.app import Mail, Node, serve
from node.arrivals import Arrivals
from node.authorities import Trust
from node.comparing import Comparing
from node.directory_client import DirectoryClient
from node.joining import DATABASE
from node.mailing import Server
from node.notices import Notices
from node.practice.partner import Manner, Partner
from node.prefetching import Prefetching
from node.restored import Announcement, await_announcement
from node.store.migrations import node_database
from node.upkeep import Upkeep
from node.vault import FILE, Vault
from node.worker import Worker
from tests.neighbours import PASSPHRASE, Neighbour, eventually, neighbourhood

Seam = tuple[type, str]
"""Where a part of the node asks another one to do its work."""

LIVE: dict[str, Seam] = {
    "listening": (Arrivals, "hear"),
    "outbox": (DirectoryClient, "submit"),
    "worker": (Worker, "_step"),
    "upkeep": (Comparing, "look_at_times"),
    "trust": (Trust, "look"),
    "acknowledging": (DirectoryClient, "tell_held"),
    "notices": (Notices, "look"),
}
AT_REST = {"prefetching"}
"""It waits to be ended; each of its tasks may fail alone."""
END_THE_NODE: dict[str, Seam] = {
    "scrubbing": (Upkeep, "scrub"),
    "ballast": (Ballast, "keep"),
    "watching over the database": (Database, "check"),
    "announcement": (Announcement, "_announce"),
}
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
UNFORESEEN = RuntimeError("what nobody foresaw")


class Trip:
    """A seam that raises, the first time or the first few times, and then does what it always did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seam: Seam, error: Exception, *, times: int = 1) -> None:
        self.calls = 0
        owner, name = seam
        original = getattr(owner, name)
        trip = self

        def tripped(itself: Any, *arguments: Any, **options: Any) -> Any:
            trip.calls += 1
            if trip.calls <= times:
                raise error
            return original(itself, *arguments, **options)

        async def tripped_later(itself: Any, *arguments: Any, **options: Any) -> Any:
            return await tripped(itself, *arguments, **options)

        monkeypatch.setattr(owner, name, tripped_later if inspect.iscoroutinefunction(original) else tripped)


def running(node: Node) -> list[str]:
    return [each.get_name() for each in node.loops if not each.done()]


async def _offer(sender: Neighbour, recipient: Neighbour) -> Any:
    record = await sender.case()
    return await sender.offer(record, recipient, await sender.act(record, recipient))


async def _nothing(paris: Neighbour, marseille: Neighbour) -> None:
    """It comes round by itself."""


async def _two_offers_come(paris: Neighbour, marseille: Neighbour) -> None:
    for transfer in (await _offer(marseille, paris), await _offer(marseille, paris)):
        await paris.reaches(transfer, State.OFFERED)


async def _an_offer_goes(paris: Neighbour, marseille: Neighbour) -> None:
    await marseille.reaches(await _offer(paris, marseille), State.OFFERED)


async def _a_case_is_handed_over(paris: Neighbour, marseille: Neighbour) -> None:
    transfer = await _offer(paris, marseille)
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await marseille.reaches(transfer, State.RECEIVED)


async def _an_hour_goes_by(paris: Neighbour, marseille: Neighbour) -> None:
    paris.street.clock.advance(timedelta(hours=1))
    paris.here.house.roster.news.set()


KICKS: dict[str, Callable[[Neighbour, Neighbour], Awaitable[None]]] = {
    "listening": _two_offers_come,
    "outbox": _an_offer_goes,
    "worker": _a_case_is_handed_over,
    "acknowledging": _an_hour_goes_by,
}


@pytest.mark.parametrize("error", [UNFORESEEN, FULL], ids=["unforeseen", "full"])
async def test_a_part_that_meets_what_nobody_foresaw_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (_, (paris, marseille)):
        node = await paris.start(mail=Mail(Server("127.0.0.1", 1, "cordee@example.org")))
        await marseille.start()
        every = set(running(node))
        assert every == LIVE.keys() | END_THE_NODE.keys() | AT_REST, "a part is on no list"
        for part in LIVE:
            trip = Trip(monkeypatch, LIVE[part], error, times=2 if part == "listening" else 1)
            await KICKS.get(part, _nothing)(paris, marseille)
            await eventually(lambda trip=trip: trip.calls >= 2, seconds=60, what=f"{part} goes on")
            assert set(running(node)) == every, part
            assert set(running(marseille.here)) >= every - {"notices"}, part


@pytest.mark.parametrize("part", END_THE_NODE)
async def test_a_part_that_cannot_go_on_ends_the_node_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    async with neighbourhood(tmp_path, "Paris", start=False) as (street, (paris,)):
        vault = Vault.open(paris.folder / FILE, PASSPHRASE)
        if part == "announcement":
            with node_database(paris.folder / DATABASE) as db:
                db.write_sync(lambda tx: await_announcement(tx, vault, random=os.urandom))
        Trip(monkeypatch, END_THE_NODE[part], UNFORESEEN, times=1000)  # the directory beside it has such parts too
        with pytest.raises(RuntimeError, match="nobody foresaw"):
            async with asyncio.timeout(60):
                await serve(paris.folder, vault=vault, clock=street.clock, ready=lambda facts: None)


async def test_an_upload_that_could_not_be_fetched_along_is_fetched_along_at_the_next_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await marseille.case()
        act = await marseille.act(record, paris)
        transfer = await marseille.offer(record, paris, act, hold=True)
        await paris.reaches(transfer, State.OFFERED)
        await paris.here.receiving.accept(paris.person, transfer)
        await paris.reaches(transfer, State.ACCEPTED)
        trip = Trip(monkeypatch, (Prefetching, "_fetch"), UNFORESEEN)
        prefetching = paris.here.listener._prefetching
        for calls in (1, 2):
            await prefetching.begin(transfer, anew=False)
            await eventually(lambda: not prefetching._running, what="its end")
            assert trip.calls == calls


async def test_a_partner_of_the_practice_network_does_not_fall_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0

    async def read(_: object) -> list[object]:
        nonlocal reads
        reads += 1
        if reads == 1:
            raise UNFORESEEN
        return []

    monkeypatch.setattr("node.practice.partner._LOOKS", 0.0)
    partner = Partner(cast(Node, SimpleNamespace(db=SimpleNamespace(read=read))), Manner())
    running = asyncio.create_task(partner.run())
    await eventually(lambda: reads > 1, what="the next look")
    running.cancel()
