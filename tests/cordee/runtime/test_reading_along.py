"""Reading a mailbox's file while somebody still appends to it."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import NotFound, Refused, Unreachable
from cordee.runtime import mailbox
from cordee.runtime.bulk import BLOCK
from cordee.runtime.mailbox import MailboxStore
from cordee.v1 import mailbox_pb2, mailbox_pb2_grpc
from tests.cordee.runtime.test_mailbox import CHUNK, TRANSFER, OneSender, always, anything, hosted, pieces

CONTENT = random.Random(8).randbytes(3 * BLOCK + 1234)
SOON = 10.0  # seconds, on a slow machine too


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailboxStore]:
    opened = MailboxStore(tmp_path / "mailboxes")
    yield opened
    opened.close()


class Upload:
    """An upload that goes as far as the test says."""

    def __init__(self, store: MailboxStore, *, offset: int = 0, anew: bool = False) -> None:
        self._coming: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.task = asyncio.create_task(
            store.append(TRANSFER, offset, self._chunks(), allow=anything, anew=anew),
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._coming.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            self._coming.put_nowait(data[start : start + CHUNK])

    def breaks(self) -> None:
        self._coming.put_nowait(Unreachable(peer="sender"))

    async def ends(self) -> int:
        self._coming.put_nowait(None)
        return await asyncio.wait_for(self.task, SOON)


class Reading:
    """A reader at work."""

    def __init__(self, store: MailboxStore, offset: int = 0, allow: Callable[[], Awaitable[bool]] = always) -> None:
        self.got = b""
        self.task = asyncio.create_task(self._read(store, offset, allow))

    async def _read(self, store: MailboxStore, offset: int, allow: Callable[[], Awaitable[bool]]) -> None:
        async for piece in store.read(TRANSFER, offset, allow=allow):
            self.got += piece

    async def has(self, size: int) -> None:
        """Wait until so many bytes have come."""
        await until(lambda: len(self.got) >= size or self.task.done())
        assert len(self.got) == size

    async def ends(self) -> bytes:
        await asyncio.wait_for(self.task, SOON)
        return self.got


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not found():  # noqa: ASYNC110 - threads write and read
            await asyncio.sleep(0.005)


async def begun(store: MailboxStore, size: int, **options: Any) -> Upload:
    """An upload that has brought so many bytes of the content."""
    upload = Upload(store, **options)
    upload.send(CONTENT[:size])
    path = store._folder / TRANSFER.hex()
    await until(lambda: path.exists() and path.stat().st_size == size)
    return upload


@pytest.mark.parametrize("offset", [0, 1, 4096, BLOCK - 1, BLOCK + 7, 2 * BLOCK])
async def test_two_readers_follow_an_upload_to_its_end(store: MailboxStore, offset: int) -> None:
    upload = await begun(store, 2 * BLOCK)
    one, other = Reading(store, offset), Reading(store, 0)
    await one.has(2 * BLOCK - offset)
    await other.has(2 * BLOCK)
    assert not upload.task.done(), "all of it was read while it was being written"
    upload.send(CONTENT[2 * BLOCK :])
    assert await upload.ends() == len(CONTENT)
    assert await one.ends() == CONTENT[offset:]
    assert await other.ends() == CONTENT


async def test_a_reader_gets_each_block_as_soon_as_it_is_there(store: MailboxStore) -> None:
    upload = await begun(store, BLOCK)
    reader = Reading(store)
    for end in (BLOCK, 2 * BLOCK, 3 * BLOCK):
        await reader.has(end)
        upload.send(CONTENT[end : end + BLOCK] if end < 3 * BLOCK else b"")
    upload.send(CONTENT[3 * BLOCK :])
    await upload.ends()
    assert await reader.ends() == CONTENT


async def test_a_reader_ends_when_the_last_of_two_writers_ends(store: MailboxStore) -> None:
    first = await begun(store, BLOCK)
    second = Upload(store, offset=BLOCK)
    second.send(CONTENT[BLOCK : 2 * BLOCK])
    reader = Reading(store)
    await reader.has(2 * BLOCK)
    await first.ends()
    second.send(CONTENT[2 * BLOCK : 3 * BLOCK])
    await reader.has(3 * BLOCK)
    assert not reader.task.done()
    second.send(CONTENT[3 * BLOCK :])
    await second.ends()
    assert await reader.ends() == CONTENT


async def test_a_reader_ends_with_what_had_come_when_the_writers_connection_breaks(store: MailboxStore) -> None:
    upload = await begun(store, BLOCK)
    reader = Reading(store)
    await reader.has(BLOCK)
    upload.send(CONTENT[BLOCK : BLOCK + CHUNK])
    upload.breaks()
    with pytest.raises(Unreachable):
        await upload.task
    assert await reader.ends() == CONTENT[: BLOCK + CHUNK]


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_reader_ends_when_the_writers_call_is_cancelled_however_often(store: MailboxStore, times: int) -> None:
    upload = await begun(store, BLOCK)
    reader = Reading(store)
    await reader.has(BLOCK)
    for _ in range(times):
        upload.task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await upload.task
    assert await reader.ends() == CONTENT[:BLOCK]
    assert store._growing == {}
    assert await store.size(TRANSFER) == BLOCK


@pytest.mark.parametrize("read", [0, BLOCK], ids=["at its start", "at its end"])
async def test_a_reader_hears_that_the_file_was_erased(store: MailboxStore, read: int) -> None:
    upload = await begun(store, 2 * BLOCK)
    reader = Reading(store, read)
    await reader.has(2 * BLOCK - read)
    await store.erase(TRANSFER)
    with pytest.raises(NotFound):
        await reader.ends()
    assert not upload.task.done(), "its sender may be silent for long"
    with pytest.raises(NotFound):
        await upload.ends()


async def test_a_reader_hears_that_the_file_was_replaced_and_never_sees_a_byte_of_the_other(
    store: MailboxStore,
) -> None:
    stale = await begun(store, BLOCK)
    reader = Reading(store)
    await reader.has(BLOCK)
    fresh = Upload(store, anew=True)
    fresh.send(CONTENT[::-1])
    with pytest.raises(NotFound):
        await reader.ends()
    assert reader.got == CONTENT[:BLOCK]
    again = Reading(store)
    await fresh.ends()
    with pytest.raises(NotFound):
        await stale.ends()
    assert await again.ends() == CONTENT[::-1]


async def test_while_it_waits_the_policy_is_asked_time_and_again_and_may_end_it(
    store: MailboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "_ASK_EVERY", 0.1)
    asked: list[float] = []

    async def three_times() -> bool:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) > 3:
            raise Refused
        return True

    upload = await begun(store, BLOCK)
    reader = Reading(store, allow=three_times)
    with pytest.raises(Refused):
        await reader.ends()
    assert len(asked) == 4
    assert asked[-1] - asked[0] > 0.25, "not more often than that"
    await upload.ends()


async def test_where_nothing_more_may_come_nobody_is_waited_for(
    store: MailboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is dead, and the sender has sent the rest over another: all of it is here, and shipped."""
    monkeypatch.setattr(mailbox, "_ASK_EVERY", 0.05)
    shipped = False

    async def until_it_is_shipped() -> bool:
        return not shipped

    dead = await begun(store, BLOCK)
    along = Reading(store, allow=until_it_is_shipped)
    await store.append(TRANSFER, BLOCK, pieces(CONTENT[BLOCK:]), allow=anything)
    await along.has(3 * BLOCK)  # whole blocks: more may come
    shipped = True
    assert await along.ends() == CONTENT
    assert await Reading(store, 5, allow=until_it_is_shipped).ends() == CONTENT[5:]
    assert not dead.task.done()
    await dead.ends()


async def test_a_reader_that_goes_away_leaves_nothing_open_and_holds_nobody_up(store: MailboxStore) -> None:
    upload = await begun(store, BLOCK)
    before = len(os.listdir("/proc/self/fd"))
    waits, between = Reading(store), store.read(TRANSFER, 0, allow=always)
    await waits.has(BLOCK)
    assert await anext(between) == CONTENT[:CHUNK]
    waits.task.cancel()
    await asyncio.gather(waits.task, return_exceptions=True)
    await between.aclose()  # type: ignore[attr-defined]
    await until(lambda: len(os.listdir("/proc/self/fd")) == before)
    upload.send(CONTENT[BLOCK:])
    assert await upload.ends() == len(CONTENT)
    assert store._growing == {}


async def told(store: MailboxStore, data: bytes, *, offset: int = 0) -> int:
    """How often a reader would have been told of an upload."""
    times: list[None] = []
    await store.append(TRANSFER, offset, pieces(data), allow=anything, under_way=lambda: times.append(None))
    return len(times)


async def test_an_upload_that_is_large_and_slow_is_told_once(
    store: MailboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "_SLOW", 0.0)
    monkeypatch.setattr(mailbox, "_LARGE", BLOCK)
    assert await told(store, CONTENT) == 1


async def test_it_is_told_no_sooner_than_it_is_slow(store: MailboxStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_SLOW", 0.2)
    monkeypatch.setattr(mailbox, "_LARGE", BLOCK)
    clock = asyncio.get_running_loop().time
    start, heard = clock(), []

    async def slowly() -> AsyncIterator[bytes]:
        async for piece in pieces(CONTENT):
            await asyncio.sleep(0.06)
            yield piece

    await store.append(TRANSFER, 0, slowly(), allow=anything, under_way=lambda: heard.append(clock() - start))
    assert len(heard) == 1
    assert heard[0] >= 0.2


async def test_of_an_upload_that_is_large_and_quick_nobody_is_told(
    store: MailboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (mailbox._LARGE, mailbox._SLOW) == (4 * 1024 * 1024, 2.0)
    monkeypatch.setattr(mailbox, "_SLOW", 60.0)  # quick, on a slow machine too
    assert await told(store, CONTENT + CONTENT) == 0


async def test_of_a_rest_that_is_small_nobody_is_told(store: MailboxStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_SLOW", 0.0)
    monkeypatch.setattr(mailbox, "_LARGE", 2 * BLOCK)
    assert await told(store, CONTENT[: 2 * BLOCK - 1]) == 0
    assert await told(store, CONTENT[2 * BLOCK - 1 :], offset=2 * BLOCK - 1) == 0
    assert await store.size(TRANSFER) == len(CONTENT)


@pytest.mark.parametrize("anew", [False, True])
async def test_over_the_wire_a_recipient_reads_along_and_its_going_away_holds_nobody_up(
    hosting: Any, network: Any, store: MailboxStore, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    monkeypatch.setattr(mailbox, "_SLOW", 0.0)
    monkeypatch.setattr(mailbox, "_LARGE", BLOCK)
    policy = OneSender(sys.maxsize)
    port = await hosted(hosting, store, policy=policy)
    async with network.enrol(1).channel(port) as sends, network.enrol(2).channel(port) as receives:
        sender, recipient = mailbox_pb2_grpc.MailboxStub(sends), mailbox_pb2_grpc.MailboxStub(receives)
        put = sender.Put()
        await put.write(mailbox_pb2.PutRequest(transfer_id=TRANSFER, anew=anew))
        for start in range(0, 2 * BLOCK, CHUNK):
            await put.write(mailbox_pb2.PutRequest(data=CONTENT[start : start + CHUNK]))
        await until(lambda: bool(policy.told))
        stays, goes = (recipient.Get(mailbox_pb2.GetRequest(transfer_id=TRANSFER)) for _ in range(2))
        answers, got = aiter(stays), b""
        while len(got) < 2 * BLOCK:
            got += (await asyncio.wait_for(anext(answers), SOON)).data
            await asyncio.wait_for(goes.read(), SOON)
        goes.cancel()
        await put.write(mailbox_pb2.PutRequest(data=CONTENT[2 * BLOCK : 2 * BLOCK + CHUNK]))
        await put.write(mailbox_pb2.PutRequest(data=CONTENT[2 * BLOCK + CHUNK : 3 * BLOCK]))
        await put.write(mailbox_pb2.PutRequest(data=CONTENT[3 * BLOCK :]))
        await put.done_writing()
        assert (await asyncio.wait_for(put, SOON)).size == len(CONTENT)
        got += b"".join([answer.data async for answer in answers])
    assert got == CONTENT
    assert policy.told == [(TRANSFER, anew)]
    await until(lambda: store._growing == {})
