from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee import content
from cordee.errors import InvalidInput, NotFound, OffsetBeyondEnd, Refused, TooLarge, Unreachable
from cordee.ids import MemberId, TransferId
from cordee.runtime.contract import BEGINNING
from cordee.runtime.crashpoint import registered
from cordee.runtime.mailbox import MailboxServicer, MailboxStore
from cordee.runtime.mailbox_wire import add_mailbox
from cordee.runtime.rpc_errors import reaching
from cordee.v1 import mailbox_pb2, mailbox_pb2_grpc
from tests.flushing import Flushed

TRANSFER = TransferId(bytes(range(16)))
CHUNK = 1_048_576
CONTENT = random.Random(7).randbytes(5 * CHUNK + 1234)


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailboxStore]:
    opened = MailboxStore(tmp_path / "mailboxes")
    yield opened
    opened.close()


async def pieces(data: bytes, size: int = CHUNK) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def anything(_: int) -> int:
    """A policy that allows everything."""
    return sys.maxsize


async def always() -> bool:
    """A policy that lets everybody read, as long as somebody writes."""
    return True


def limit(size: int) -> Any:
    async def allow(new_size: int) -> int:
        if new_size > size:
            raise TooLarge(what="shipment", size=new_size, limit=size)
        return size

    return allow


async def put(store: MailboxStore, data: bytes, offset: int = 0, allow: Any = anything) -> int:
    return await store.append(TRANSFER, offset, pieces(data), allow=allow)


async def get(store: MailboxStore, offset: int = 0) -> bytes:
    return b"".join([piece async for piece in store.read(TRANSFER, offset, allow=always)])


def on_disk(store: MailboxStore) -> bytes:
    return (store._folder / TRANSFER.hex()).read_bytes()


async def test_what_is_put_is_got(store: MailboxStore) -> None:
    assert await put(store, CONTENT) == len(CONTENT)
    assert await get(store) == CONTENT
    assert await get(store, CHUNK + 7) == CONTENT[CHUNK + 7 :]
    assert await get(store, len(CONTENT)) == b""
    assert await store.size(TRANSFER) == len(CONTENT)


async def test_pieces_have_half_a_mebibyte(store: MailboxStore) -> None:
    await put(store, CONTENT)
    assert [len(piece) async for piece in store.read(TRANSFER, 0, allow=always)] == [CHUNK] * 5 + [1234]


async def test_files_are_their_owners_only(store: MailboxStore) -> None:
    await put(store, b"x")
    assert store._folder.stat().st_mode & 0o777 == 0o700
    assert (store._folder / TRANSFER.hex()).stat().st_mode & 0o777 == 0o600


PUTS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 4000), st.integers(100, 3000)), min_size=1, max_size=6)


@given(puts=PUTS)
@settings(max_examples=40, deadline=None)
def test_any_way_of_putting_gives_the_same_file(
    puts: list[tuple[int, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = CONTENT[:20_000]

    async def run() -> None:
        store = MailboxStore(tmp_path_factory.mktemp("m") / "m")
        held = 0
        for back, forward, size in puts:
            offset = max(0, held - back)
            sent = content[offset : offset + forward]
            expected = max(held, offset + len(sent))
            held = await store.append(TRANSFER, offset, pieces(sent, size), allow=anything)
            assert held == expected
            assert on_disk(store) == content[:held]
        store.close()

    asyncio.run(run())


async def test_bytes_that_are_held_are_never_overwritten(store: MailboxStore) -> None:
    await put(store, b"first bytes")
    assert await put(store, b"OTHER BYTES and more") == 20
    assert on_disk(store) == b"first bytes and more"


async def test_a_gap_is_refused_and_makes_no_file(store: MailboxStore) -> None:
    with pytest.raises(OffsetBeyondEnd) as refused:
        await put(store, b"x", offset=1)
    assert refused.value.facts == {"held": "0", "offset": "1"}
    assert store.names() == frozenset()
    await put(store, b"abc")
    with pytest.raises(OffsetBeyondEnd) as refused:
        await put(store, b"x", offset=4)
    assert refused.value.facts["held"] == "3"
    assert on_disk(store) == b"abc"
    with pytest.raises(OffsetBeyondEnd):
        await get(store, 4)


async def test_what_is_over_the_limit_is_refused_before_it_is_written(store: MailboxStore) -> None:
    with pytest.raises(TooLarge):
        await put(store, CONTENT, allow=limit(4 * CHUNK))
    assert on_disk(store) == CONTENT[: 4 * CHUNK]
    with pytest.raises(TooLarge):
        await put(store, b"x", offset=5 * CHUNK, allow=limit(4 * CHUNK))


async def test_a_transfer_that_may_not_be_written_gets_no_file(store: MailboxStore) -> None:
    async def never(_: int) -> int:
        raise Refused

    with pytest.raises(Refused):
        await put(store, b"x", allow=never)
    assert store.names() == frozenset()


async def test_a_policy_is_asked_at_the_start_and_again_once_a_second(
    store: MailboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def allow(new_size: int) -> int:
        asked.append(new_size)
        if len(asked) == 4:
            raise Refused
        return sys.maxsize

    assert await put(store, CONTENT, allow=allow) == len(CONTENT)
    assert asked == [0]
    monkeypatch.setattr("cordee.runtime.mailbox._ASK_EVERY", 0.0)
    await store.erase(TRANSFER)
    with pytest.raises(Refused):  # suspended meanwhile, say
        await put(store, CONTENT + CONTENT, allow=allow)
    assert asked[1:] == [0, CHUNK, 2 * CHUNK]
    assert on_disk(store) == CONTENT[:CHUNK]


async def test_a_policy_is_asked_before_the_size_it_allowed_is_passed(store: MailboxStore) -> None:
    asked: list[int] = []

    async def grows(new_size: int) -> int:
        asked.append(new_size)
        return new_size + CHUNK

    assert await put(store, CONTENT, allow=grows) == len(CONTENT)
    assert asked == [0, 2 * CHUNK, 4 * CHUNK, len(CONTENT)]


async def test_a_connection_that_breaks_leaves_what_had_come(store: MailboxStore) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        for start in range(0, 5 * CHUNK, CHUNK):
            yield CONTENT[start : start + CHUNK]
        raise Unreachable(peer="sender")

    with pytest.raises(Unreachable):
        await store.append(TRANSFER, 0, breaks(), allow=anything)
    held = await store.size(TRANSFER)
    assert held == 5 * CHUNK
    assert await put(store, CONTENT[held:], offset=held) == len(CONTENT)
    assert on_disk(store) == CONTENT


async def test_two_connections_of_one_sender_do_not_harm_each_other(store: MailboxStore) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        async for piece in pieces(CONTENT, 50_000):
            await asyncio.sleep(0.001)
            yield piece

    sizes = await asyncio.gather(
        store.append(TRANSFER, 0, slowly(), allow=anything),
        store.append(TRANSFER, 0, slowly(), allow=anything),
        put(store, CONTENT),
    )
    assert list(sizes) == [len(CONTENT)] * 3
    assert on_disk(store) == CONTENT


async def test_the_size_told_is_what_was_acknowledged(store: MailboxStore) -> None:
    told = []

    async def watched() -> AsyncIterator[bytes]:
        async for piece in pieces(CONTENT):
            yield piece
            told.append(await store.size(TRANSFER))

    await store.append(TRANSFER, 0, watched(), allow=anything)
    assert set(told) == {0}
    assert await store.size(TRANSFER) == len(CONTENT)


async def test_an_erased_transfer_is_gone(store: MailboxStore) -> None:
    await put(store, b"x")
    assert store.names() == {TRANSFER}
    await store.erase(TRANSFER)
    await store.erase(TRANSFER)
    assert store.names() == frozenset()
    assert await store.size(TRANSFER) == 0
    with pytest.raises(NotFound):
        await get(store)


async def test_erasing_during_an_upload_leaves_nothing_and_acknowledges_nothing(store: MailboxStore) -> None:
    async def erased_meanwhile() -> AsyncIterator[bytes]:
        for number in range(8):
            yield CONTENT[number * 1000 : number * 1000 + 1000]
            if number == 5:
                await store.erase(TRANSFER)

    with pytest.raises(NotFound):
        await store.append(TRANSFER, 0, erased_meanwhile(), allow=anything)
    assert store.names() == frozenset()


async def test_a_name_is_made_of_the_id_alone(store: MailboxStore) -> None:
    with pytest.raises(InvalidInput):
        await store.append(b"../../../passwd", 0, pieces(b"x"), allow=anything)  # type: ignore[arg-type]
    await store.append(TransferId(b"../../etc/passwd"), 0, pieces(b"x"), allow=anything)
    assert [path.name for path in store._folder.iterdir()] == [b"../../etc/passwd".hex()]


async def test_strange_files_are_not_transfers(store: MailboxStore) -> None:
    (store._folder / "lost+found").mkdir()
    assert store.names() == frozenset()


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from cordee.errors import StorageFull
from cordee.ids import TransferId
from cordee.runtime.mailbox import MailboxStore

async def chunks(count):
    for _ in range(count):
        yield bytes(100_000)

async def anything(size):
    return sys.maxsize

async def main():
    store = MailboxStore(Path(sys.argv[1]))
    transfer = TransferId(bytes(16))
    assert await store.append(transfer, 0, chunks(3), allow=anything) == 300_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (850_000, 850_000))
    try:
        await store.append(transfer, 300_000, chunks(9), allow=anything)
    except StorageFull:
        print("full", await store.size(transfer), (Path(sys.argv[1]) / transfer.hex()).stat().st_size)

asyncio.run(main())
"""


def test_a_full_disk_has_its_own_reason_and_takes_nothing_away(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path / "m")], capture_output=True, text=True)
    assert ended.stdout.split() == ["full", "300000", "300000"], ended.stderr


CRASH = """
import asyncio, sys
from pathlib import Path
from cordee.ids import TransferId
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.mailbox import MailboxStore

async def chunks():
    for _ in range(8):
        yield bytes(range(250)) * 400

async def anything(size):
    return sys.maxsize

async def main():
    store = MailboxStore(Path(sys.argv[1]), crashpoints=Crashpoints.from_environment())
    print(await store.append(TransferId(bytes(16)), 0, chunks(), allow=anything), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["mailbox.put.before_fsync", "mailbox.put.after_fsync"])
async def test_after_a_crash_the_sender_goes_on_from_the_size_held(tmp_path: Path, point: str) -> None:
    assert point in registered()
    folder, transfer, content = tmp_path / "m", TransferId(bytes(16)), bytes(range(250)) * 400 * 8
    crashed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CRASH, str(folder)],
        env=os.environ | {"CORDEE_CRASH_AT": point},
        capture_output=True,
        text=True,
    )
    assert crashed.returncode == -signal.SIGKILL
    assert crashed.stdout == ""  # nothing was acknowledged
    store = MailboxStore(folder)
    held = await store.size(transfer)
    assert content.startswith((folder / transfer.hex()).read_bytes())
    assert await store.append(transfer, held, pieces(content[held:]), allow=anything) == len(content)
    assert b"".join([piece async for piece in store.read(transfer, 0, allow=always)]) == content
    store.close()


class OneSender:
    """A policy: member 1 may write up to a limit, member 2 may read."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.told: list[tuple[TransferId, bool]] = []

    async def may_write(self, caller: MemberId, transfer_id: TransferId, new_size: int) -> int:
        if caller[0] != 1:
            raise Refused
        allowed: int = await limit(self.size)(new_size)
        return allowed

    async def may_read(self, caller: MemberId, transfer_id: TransferId) -> bool:
        if caller[0] != 2:
            raise Refused
        return True

    async def may_stat(self, caller: MemberId, transfer_id: TransferId) -> None:
        if caller[0] not in (1, 2):
            raise Refused

    def under_way(self, transfer_id: TransferId, *, anew: bool) -> None:
        self.told.append((transfer_id, anew))


async def hosted(hosting: Any, store: MailboxStore, size: int = 10 * CHUNK, policy: OneSender | None = None) -> int:
    server = hosting.server()
    server.add(
        mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"],
        add_mailbox,
        MailboxServicer(store, policy or OneSender(size)),
    )
    port: int = await hosting.start(server)
    return port


def requests(data: bytes, offset: int = 0) -> list[mailbox_pb2.PutRequest]:
    made = [mailbox_pb2.PutRequest(transfer_id=TRANSFER, offset=offset)]
    made += [mailbox_pb2.PutRequest(data=data[start : start + CHUNK]) for start in range(0, len(data), CHUNK)]
    return made


async def test_over_the_wire_the_sender_puts_and_the_recipient_gets(
    hosting: Any, network: Any, store: MailboxStore
) -> None:
    port = await hosted(hosting, store)
    async with network.enrol(1).channel(port) as sends, network.enrol(2).channel(port) as receives:
        sender, recipient = mailbox_pb2_grpc.MailboxStub(sends), mailbox_pb2_grpc.MailboxStub(receives)
        assert (await sender.Put(iter(requests(CONTENT[:CHUNK])))).size == CHUNK
        assert (await sender.Stat(mailbox_pb2.StatRequest(transfer_id=TRANSFER))).size == CHUNK
        assert (await sender.Put(iter(requests(CONTENT[CHUNK:], CHUNK)))).size == len(CONTENT)
        with pytest.raises(Refused), reaching("directory"):
            await sender.Get(mailbox_pb2.GetRequest(transfer_id=TRANSFER)).read()
        with pytest.raises(Refused), reaching("directory"):
            await recipient.Put(iter(requests(b"x")))
        request = mailbox_pb2.GetRequest(transfer_id=TRANSFER, offset=9)
        assert b"".join([answer.data async for answer in recipient.Get(request)]) == CONTENT[9:]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ([], InvalidInput),
        ([mailbox_pb2.PutRequest(data=b"x")], InvalidInput),
        ([*requests(b"x"), mailbox_pb2.PutRequest(transfer_id=TRANSFER, data=b"y")], InvalidInput),
        ([*requests(b"x"), mailbox_pb2.PutRequest(offset=1, data=b"y")], InvalidInput),
        ([*requests(b"x"), mailbox_pb2.PutRequest(begins=b"x", data=b"y")], InvalidInput),
        (requests(b"x", 5), OffsetBeyondEnd),
        (requests(bytes(CHUNK), 0) + requests(bytes(9 * CHUNK + 1))[1:], TooLarge),
    ],
    ids=["nothing", "no transfer", "transfer twice", "offset twice", "beginning twice", "gap", "too large"],
)
async def test_over_the_wire_a_wrong_upload_is_refused(
    hosting: Any, network: Any, store: MailboxStore, sent: list[Any], error: type[Exception]
) -> None:
    port = await hosted(hosting, store)
    async with network.enrol(1).channel(port) as channel:
        with pytest.raises(error), reaching("directory"):
            await mailbox_pb2_grpc.MailboxStub(channel).Put(iter(sent))


async def test_over_the_wire_a_sender_that_vanishes_can_go_on(hosting: Any, network: Any, store: MailboxStore) -> None:
    port = await hosted(hosting, store)
    async with network.enrol(1).channel(port) as channel:
        stub = mailbox_pb2_grpc.MailboxStub(channel)
        call = stub.Put()
        for request in requests(CONTENT)[:6]:
            await call.write(request)
        while not (store._folder / TRANSFER.hex()).exists() or not on_disk(store):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.005)
        call.cancel()
        await asyncio.sleep(0.1)
        held = (await stub.Stat(mailbox_pb2.StatRequest(transfer_id=TRANSFER))).size
        assert held >= 3 * CHUNK  # of five, two may still be under way
        assert (await stub.Put(iter(requests(CONTENT[held:], held)))).size == len(CONTENT)
    assert on_disk(store) == CONTENT


async def test_what_is_put_anew_replaces_what_was_there(store: MailboxStore) -> None:
    await put(store, CONTENT)
    other = CONTENT[::-1][:CHUNK]
    assert await store.append(TRANSFER, 0, pieces(other), allow=anything, anew=True) == CHUNK
    assert await get(store) == other
    assert await store.size(TRANSFER) == CHUNK


async def test_who_still_appends_to_what_was_replaced_hears_of_it_and_changes_nothing(store: MailboxStore) -> None:
    begun, replaced = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(CHUNK)
        begun.set()
        await replaced.wait()
        yield bytes(CHUNK)

    stale = asyncio.create_task(store.append(TRANSFER, 0, slowly(), allow=anything))
    await begun.wait()
    await store.append(TRANSFER, 0, pieces(CONTENT), allow=anything, anew=True)
    replaced.set()
    with pytest.raises(NotFound):
        await stale
    assert await get(store) == CONTENT
    assert await store.size(TRANSFER) == len(CONTENT)


OTHER = random.Random(8).randbytes(2 * CHUNK)
"""Another packing."""


async def test_what_is_held_is_told_with_its_first_bytes(store: MailboxStore) -> None:
    assert BEGINNING == content.HEADER_SIZE
    assert await store.held(TRANSFER) == (0, b"")
    await put(store, CONTENT[:50])
    assert await store.held(TRANSFER) == (50, CONTENT[:50])
    await put(store, CONTENT[50:], offset=50)
    assert await store.held(TRANSFER) == (len(CONTENT), CONTENT[:BEGINNING])
    await store.append(TRANSFER, 0, pieces(OTHER), allow=anything, anew=True)
    assert await store.held(TRANSFER) == (len(OTHER), OTHER[:BEGINNING])


async def test_of_what_is_not_on_disk_yet_nothing_is_told(store: MailboxStore) -> None:
    told = []

    async def watched() -> AsyncIterator[bytes]:
        async for piece in pieces(CONTENT):
            yield piece
            told.append(await store.held(TRANSFER))

    await store.append(TRANSFER, 0, watched(), allow=anything)
    assert set(told) == {(0, b"")}


@pytest.mark.parametrize("offset", [0, 40, len(CONTENT)])
async def test_to_another_packing_nothing_is_appended(store: MailboxStore, offset: int) -> None:
    await put(store, CONTENT)
    with pytest.raises(OffsetBeyondEnd) as refused:
        await store.append(TRANSFER, offset, pieces(OTHER), allow=anything, begins=OTHER[:BEGINNING])
    assert refused.value.facts["held"] == "0"
    assert on_disk(store) == CONTENT


@pytest.mark.parametrize("size", [0, 40, BEGINNING, CHUNK])
async def test_what_begins_as_it_should_is_gone_on_with(store: MailboxStore, size: int) -> None:
    await put(store, OTHER[:size])
    done = await store.append(TRANSFER, size, pieces(OTHER[size:]), allow=anything, begins=OTHER[:BEGINNING])
    assert done == len(OTHER)
    assert on_disk(store) == OTHER


async def test_over_the_wire_it_is_told_which_packing_is_held(hosting: Any, network: Any, store: MailboxStore) -> None:
    port = await hosted(hosting, store)
    await put(store, CONTENT)
    async with network.enrol(1).channel(port) as channel:
        stub = mailbox_pb2_grpc.MailboxStub(channel)
        told = await stub.Stat(mailbox_pb2.StatRequest(transfer_id=TRANSFER))
        assert (told.size, told.begins) == (len(CONTENT), CONTENT[:BEGINNING])
        first = mailbox_pb2.PutRequest(transfer_id=TRANSFER, offset=CHUNK, begins=OTHER[:BEGINNING], data=b"x")
        with pytest.raises(OffsetBeyondEnd), reaching("directory"):
            await stub.Put(iter([first]))


async def test_a_file_is_handed_over_whole_or_erased(store: MailboxStore, tmp_path: Path) -> None:
    there = tmp_path / "spool"
    for size, begins in ((len(CONTENT) + 1, CONTENT[:56]), (len(CONTENT), b"\0" * 56)):
        await put(store, CONTENT)
        assert not await store.hand_over(TRANSFER, there, size=size, begins=begins)
        assert not there.exists()
        assert await store.size(TRANSFER) == 0
    assert not await store.hand_over(TRANSFER, there, size=0, begins=b"")
    await put(store, CONTENT)
    assert await store.hand_over(TRANSFER, there, size=len(CONTENT), begins=CONTENT[:56])
    assert there.read_bytes() == CONTENT
    assert await store.size(TRANSFER) == 0


async def test_what_is_dropped_is_gone_also_for_who_still_writes(store: MailboxStore) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield CONTENT[:CHUNK]
        begun.set()
        await goes_on.wait()
        yield CONTENT[CHUNK:]

    writing = asyncio.create_task(store.append(TRANSFER, 0, slowly(), allow=anything))
    await begun.wait()
    assert store.names() == {TRANSFER}
    store.drop(TRANSFER)
    store.drop(TRANSFER)
    goes_on.set()
    with pytest.raises(NotFound):
        await writing
    assert store.names() == frozenset()
    assert await store.size(TRANSFER) == 0


async def test_what_is_acknowledged_was_flushed_before(store: MailboxStore, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = Flushed(monkeypatch)
    assert await put(store, CONTENT) == len(CONTENT)
    assert flushed.whole(store._folder / TRANSFER.hex())
    assert flushed.whole(store._folder)
