"""A recipient reads along with a slow upload: what comes before the shipment, and whatever may happen to it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import SplitView
from cordee.ids import TransferId
from cordee.runtime import mailbox
from cordee.runtime.bulk import BLOCK
from cordee.runtime.mailbox import MailboxStore
from cordee.transfer import State
from directory.broker import Broker
from node import transfer_store
from node.chain import Chain
from node.directory_client import DirectoryClient
from node.feed import Feed
from node.joining import DATABASE
from node.prefetching import Prefetching
from node.store.migrations import node_database
from tests.journeys import one_file
from tests.journeys.aftermath import nothing_is_left
from tests.neighbours import Neighbour, Street, eventually, neighbourhood

FILE = os.urandom(5 * BLOCK)
HELD_UP = 3 * BLOCK  # bytes


class SlowLine:
    """The sender's uploads stop at some byte until they may go on. The recipient's downloads are written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goes_on = asyncio.Event()
        self.hints: list[bool] = []  # `anew` of each
        self.read_from: list[int] = []  # offsets
        put, get, begin = DirectoryClient.put, DirectoryClient.get, Prefetching.begin

        async def slow_put(
            client: DirectoryClient, transfer: TransferId, *, offset: int, pieces: AsyncIterator[bytes], **options: Any
        ) -> int:
            async def through() -> AsyncIterator[bytes]:
                sent = offset
                async for piece in pieces:
                    if sent >= HELD_UP:
                        await self.goes_on.wait()
                    yield piece
                    sent += len(piece)

            return await put(client, transfer, offset=offset, pieces=through(), **options)

        def noted_get(client: DirectoryClient, transfer: TransferId, *, offset: int) -> Any:
            self.read_from.append(offset)
            return get(client, transfer, offset=offset)

        async def noted_begin(prefetching: Prefetching, transfer: TransferId, *, anew: bool) -> None:
            self.hints.append(anew)
            await begin(prefetching, transfer, anew=anew)

        monkeypatch.setattr(DirectoryClient, "put", slow_put)
        monkeypatch.setattr(DirectoryClient, "get", noted_get)
        monkeypatch.setattr(Prefetching, "begin", noted_begin)
        monkeypatch.setattr(mailbox, "_LARGE", 2 * BLOCK)
        monkeypatch.setattr(mailbox, "_SLOW", 0.0)


@pytest.fixture
async def line(monkeypatch: pytest.MonkeyPatch) -> SlowLine:
    return SlowLine(monkeypatch)


async def accepted(paris: Neighbour, marseille: Neighbour) -> tuple[str, TransferId]:
    return await one_file.accepted(paris, marseille, FILE)


def spool_of(neighbour: Neighbour, transfer: TransferId) -> bytes | None:
    path = neighbour.folder / "spool" / f"{transfer.hex()}.in"
    return path.read_bytes() if path.exists() else None


def waiting(street: Street, transfer: TransferId) -> bytes:
    path = street.town.folder / "mailbox" / transfer.hex()
    return path.read_bytes() if path.exists() else b""


async def read_along(street: Street, marseille: Neighbour, transfer: TransferId) -> bytes:
    """Wait until as much has come as was uploaded; that."""

    def all_of_it() -> bytes | None:
        there, here = waiting(street, transfer), spool_of(marseille, transfer)
        return here if len(there) >= HELD_UP and here == there[:HELD_UP] else None

    here: bytes = await eventually(all_of_it, what="reading along")
    assert await marseille.state(transfer) is State.ACCEPTED
    return here


def prefetching_of(neighbour: Neighbour) -> Prefetching:
    return neighbour.here.listener._prefetching


def at_rest(neighbour: Neighbour) -> bool:
    return not prefetching_of(neighbour)._running


async def arrives(paris: Neighbour, marseille: Neighbour, case_id: str, transfer: TransferId, street: Street) -> None:
    await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
    assert at_rest(marseille)


async def test_what_is_uploaded_lies_with_the_recipient_before_the_shipment(tmp_path: Path, line: SlowLine) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        case_id, transfer = await accepted(paris, marseille)
        await read_along(street, marseille, transfer)
        assert marseille.here.house.changes.progress[transfer] >= 2 * BLOCK, "people see it come"
        line.goes_on.set()
        await arrives(paris, marseille, case_id, transfer, street)
        first, *others = line.read_from
        assert first == 0
        assert all(offset >= HELD_UP for offset in others), "no byte came twice"


async def test_what_a_packing_that_was_cut_off_had_brought_is_fetched_anew_and_imported_once(
    tmp_path: Path, line: SlowLine
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        case_id, transfer = await accepted(paris, marseille)
        before = await read_along(street, marseille, transfer)
        await paris.stop()
        await eventually(lambda: at_rest(marseille), what="the end of reading along")
        await packing_cut_off(paris, transfer)
        await paris.start()
        await eventually(lambda: not waiting(street, transfer).startswith(before[:BLOCK]), what="another upload")
        assert await read_along(street, marseille, transfer) != before
        assert line.hints == [True, True]
        line.goes_on.set()
        await arrives(paris, marseille, case_id, transfer, street)


async def packing_cut_off(paris: Neighbour, transfer: TransferId) -> None:
    """As if the node had died before it was written down that all is packed."""
    fields = {"sealed_content_key": None, "ciphertext_header": None, "manifest_digest": None}
    now = paris.street.clock.now()
    with node_database(paris.folder / DATABASE) as db:
        await db.write(lambda tx: transfer_store.set_fields(tx, transfer, now=now, **fields))


async def test_where_the_hint_was_lost_and_another_upload_lies_in_the_spool_it_is_fetched_from_the_start(
    tmp_path: Path, line: SlowLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = Broker.upload_under_way
    monkeypatch.setattr(Broker, "upload_under_way", lambda self, id_, *, anew: under_way(self, id_, anew=False))
    other = os.urandom(2 * BLOCK)
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        record = await paris.case()
        case_id = record["meta"]["case_id"]
        attached = [await paris.attach(case_id, FILE)]
        act = await paris.act(record, marseille, attachments=attached)
        transfer = await paris.offer(record, marseille, act, attachments=attached)
        await marseille.reaches(transfer, State.OFFERED)
        marseille.here.house.spool(transfer, outgoing=False).write_bytes(other)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await eventually(lambda: len(spool_of(marseille, transfer) or b"") == HELD_UP, what="reading along")
        assert (spool_of(marseille, transfer) or b"").startswith(other), "two uploads in one file"
        line.goes_on.set()
        await arrives(paris, marseille, case_id, transfer, street)
        assert line.hints == [False]
        assert line.read_from[0] == 2 * BLOCK
        assert line.read_from[-1] == 0


async def test_a_directory_that_sends_more_than_was_announced_is_cut_off_and_no_more_than_that_is_kept(
    tmp_path: Path, line: SlowLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    async def far_too_much(self: MailboxStore, *_: Any, **__: Any) -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):  # far more than the bound, and not the whole disk where nobody cuts it off
            sent += 400_001
            yield bytes(400_001)

    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        with monkeypatch.context() as lying:
            lying.setattr(MailboxStore, "read", far_too_much)
            case_id, transfer = await accepted(paris, marseille)
            house = marseille.here.house
            bound = await house.db.read(lambda tx: Chain.read(house, tx, transfer).offer.size_bound)
            await eventually(lambda: line.read_from and at_rest(marseille), what="the end of it")
        assert sent > bound
        assert 0 < len(spool_of(marseille, transfer) or b"") <= bound
        assert await marseille.state(transfer) is State.ACCEPTED
        line.goes_on.set()
        await arrives(paris, marseille, case_id, transfer, street)


async def test_a_withdrawal_meanwhile_leaves_neither_a_file_nor_a_task(tmp_path: Path, line: SlowLine) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        _, transfer = await accepted(paris, marseille)
        await read_along(street, marseille, transfer)
        await paris.here.sending.withdraw(paris.person, transfer)
        await marseille.reaches(transfer, State.WITHDRAWN)
        await eventually(lambda: at_rest(marseille), seconds=10, what="the end of the task")
        assert spool_of(marseille, transfer) is None
        assert transfer not in marseille.here.house.changes.progress
        line.goes_on.set()
        await nothing_is_left(street, transfer, paris, marseille)


async def test_a_withdrawal_that_is_heard_before_the_file_is_made_leaves_none_either(
    tmp_path: Path, line: SlowLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_make_it, pieces_of = threading.Event(), threading.Event(), Feed._pieces

    def late(self: Feed) -> Iterator[bytes]:
        begun.set()
        may_make_it.wait(20)
        yield from pieces_of(self)

    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        monkeypatch.setattr(Feed, "_pieces", late)
        _, transfer = await accepted(paris, marseille)
        await eventually(begun.is_set, what="reading along")
        await paris.here.sending.withdraw(paris.person, transfer)
        await marseille.reaches(transfer, State.WITHDRAWN)
        await asyncio.sleep(0.2)  # the file is unlinked a moment after that is written down
        may_make_it.set()
        await eventually(lambda: at_rest(marseille), seconds=10, what="the end of the task")
        assert spool_of(marseille, transfer) is None
        line.goes_on.set()


async def test_while_there_is_an_alarm_nothing_is_fetched(tmp_path: Path, line: SlowLine) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        await eventually(lambda: marseille.here.listener.caught_up.is_set(), what="listening")
        record = await paris.case()
        attached = [await paris.attach(record["meta"]["case_id"], FILE)]
        act = await paris.act(record, marseille, attachments=attached)
        transfer = await paris.offer(record, marseille, act, attachments=attached, hold=True)
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.ACCEPTED)
        await marseille.here.roster.raise_alarm(SplitView(problem="for this test"), shown="")
        await paris.here.sending.ship(paris.person, transfer)  # not before: what was begun would wait for its end
        await eventually(lambda: line.hints, what="the hint")
        await eventually(lambda: at_rest(marseille), what="no task")
        assert line.read_from == []
        assert spool_of(marseille, transfer) is None
        line.goes_on.set()


async def test_when_the_node_stops_it_ends_and_goes_on_from_there_after_the_next_start(
    tmp_path: Path, line: SlowLine
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        case_id, transfer = await accepted(paris, marseille)
        kept = await read_along(street, marseille, transfer)
        prefetching = prefetching_of(marseille)
        await asyncio.wait_for(marseille.stop(), 10)
        assert prefetching._running == {}
        assert not [each for each in threading.enumerate() if each.name.startswith("prefetching")]
        assert spool_of(marseille, transfer) == kept
        line.goes_on.set()
        await paris.reaches(transfer, State.SHIPPED)
        await marseille.start()
        await arrives(paris, marseille, case_id, transfer, street)
        assert line.read_from == [0, HELD_UP]


async def test_two_hints_at_once_are_one_task_that_ends(tmp_path: Path, line: SlowLine) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        case_id, transfer = await accepted(paris, marseille)
        await read_along(street, marseille, transfer)
        prefetching = prefetching_of(marseille)
        await prefetching.stop(transfer)
        await prefetching.begin(transfer, anew=False)  # ended before its first step
        await prefetching.begin(transfer, anew=True)
        await read_along(street, marseille, transfer)
        line.goes_on.set()
        await arrives(paris, marseille, case_id, transfer, street)


async def test_whoever_ends_it_waits_for_its_thread_also_where_two_do(
    tmp_path: Path, line: SlowLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces_of, ended = Feed._pieces, threading.Event()

    def ends_slowly(self: Feed) -> Iterator[bytes]:
        try:
            yield from pieces_of(self)
        finally:
            time.sleep(0.5)
            ended.set()

    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        monkeypatch.setattr(Feed, "_pieces", ends_slowly)
        case_id, transfer = await accepted(paris, marseille)
        await read_along(street, marseille, transfer)
        prefetching = prefetching_of(marseille)
        first = asyncio.create_task(prefetching.stop(transfer))
        await asyncio.sleep(0.1)
        await prefetching.stop(transfer)
        assert ended.is_set()
        await first
        line.goes_on.set()
        await arrives(paris, marseille, case_id, transfer, street)
