"""Who is told of an upload under way, and who may read what waits before it is shipped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordee.runtime import mailbox
from cordee.runtime.bulk import BLOCK
from cordee.runtime.rpc_errors import reaching
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import mailbox_pb2
from directory.mailbox_policy import TransferMailboxPolicy
from tests.directory.test_broker import CIPHERTEXT, Play
from tests.directory.town import Node, Town, refused
from tests.transfers import Story

SOON = 10.0  # seconds, on a slow machine too
LARGE = random.Random(3).randbytes(2 * BLOCK)
CHUNK = 1_048_576


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@pytest.fixture
async def play(town: Town) -> Play:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    return Play(town, paris, marseille)


@pytest.fixture
def everything_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_SLOW", 0.0)
    monkeypatch.setattr(mailbox, "_LARGE", 2 * CHUNK)


class Ear:
    """A member's stream: what has come on it so far, without what the roster's growth says."""

    def __init__(self, node: Node) -> None:
        self.ready = asyncio.Event()
        self.heard: list[pb.Event] = []
        self._task = asyncio.create_task(self._listen(node))

    async def _listen(self, node: Node) -> None:
        async for event in node.events.Watch(pb.WatchRequest(cursor=0)):
            kind = event.WhichOneof("kind")
            if kind == "stream_ready":
                self.ready.set()
            elif kind not in ("roster_grown", "card_published"):
                self.heard.append(event)

    @property
    def hints(self) -> list[tuple[bytes, bool]]:
        growing = [event for event in self.heard if event.WhichOneof("kind") == "mailbox_growing"]
        assert not any(event.sequence for event in growing), "a hint moves no cursor"
        return [(event.mailbox_growing.transfer_id, event.mailbox_growing.anew) for event in growing]

    async def has(self, count: int) -> None:
        """Wait until so many hints have come."""
        async with asyncio.timeout(SOON):
            while len(self.hints) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def close(self) -> None:
        self._task.cancel()


async def listening(*nodes: Node) -> list[Ear]:
    ears = [Ear(node) for node in nodes]
    for ear in ears:
        await asyncio.wait_for(ear.ready.wait(), SOON)
    return ears


class Upload:
    """An upload that goes as far as the test says."""

    def __init__(self, node: Node, transfer: bytes, *, offset: int = 0, anew: bool = False) -> None:
        self.call = node.mailbox.Put(timeout=30)
        self._first = mailbox_pb2.PutRequest(transfer_id=transfer, offset=offset, anew=anew)

    async def send(self, data: bytes) -> None:
        await self.call.write(self._first)
        for start in range(0, len(data), CHUNK):
            await self.call.write(mailbox_pb2.PutRequest(data=data[start : start + CHUNK]))

    async def ends(self) -> int:
        await self.call.done_writing()
        with reaching("directory"):
            return int((await asyncio.wait_for(self.call, SOON)).size)


async def accepted(play: Play) -> Play:
    """A transfer of a large content, accepted."""
    await play.step("offer", size_bound=3 * BLOCK)
    await play.step("accept")
    return play


@pytest.mark.usefixtures("everything_is_slow")
async def test_the_recipient_alone_is_told_of_its_own_transfer_and_nothing_of_it_is_kept(play: Play) -> None:
    await accepted(play)
    other = Play(play.town, play.marseille, play.paris)
    other.story = Story.between(play.town.network, "Marseille", "Paris")
    await accepted(other)
    lyon = await play.town.join("Lyon")
    ears = paris, marseille, stranger = await listening(play.paris, play.marseille, lyon)
    for each, anew in ((play, True), (play, False), (other, False)):
        upload = Upload(each.paris, each.id, anew=anew)
        await upload.send(LARGE)
        assert await upload.ends() == len(LARGE)
    await paris.has(1)
    await marseille.has(2)
    assert marseille.hints == [(play.id, True), (play.id, False)]
    assert paris.hints == [(other.id, False)]
    assert stranger.hints == []
    for ear in ears:
        ear.close()
    (again,) = await listening(play.marseille)
    await asyncio.sleep(0.1)
    assert again.hints == []
    assert {event.WhichOneof("kind") for event in again.heard} == {"statement"}
    again.close()


@pytest.mark.usefixtures("everything_is_slow")
async def test_whoever_does_not_listen_misses_it_and_the_upload_does_not_mind(play: Play) -> None:
    await accepted(play)
    upload = Upload(play.paris, play.id, anew=True)
    await upload.send(LARGE)
    assert await upload.ends() == len(LARGE)
    (marseille,) = await listening(play.marseille)
    await asyncio.sleep(0.1)
    assert marseille.hints == []
    marseille.close()


async def test_of_two_hints_that_wait_the_newer_says_all_and_anew_is_not_forgotten(play: Play) -> None:
    events, id_ = play.town.directory.events, play.story.parties.transfer_id
    member = play.marseille.keys.id
    stream = events.watch(member, 0)
    assert (await anext(stream)).WhichOneof("kind") == "stream_ready"
    for anew in (False, True, False):
        events.mailbox_growing(member, id_, anew=anew)
    events.mailbox_growing(play.paris.keys.id, id_, anew=True)  # it does not listen
    hint = (await asyncio.wait_for(anext(stream), SOON)).mailbox_growing
    assert (hint.transfer_id, hint.anew) == (id_, True)
    events.mailbox_growing(member, id_, anew=False)
    hint = (await asyncio.wait_for(anext(stream), SOON)).mailbox_growing
    assert (hint.transfer_id, hint.anew) == (id_, False), "it was told once, and once only"
    await stream.aclose()


async def test_what_waits_is_read_by_the_recipient_alone_from_the_acceptance_to_the_receipt(play: Play) -> None:
    lyon = await play.town.join("Lyon")

    async def nobody_else() -> None:
        with refused("WRONG_PARTY"):
            await play.paris.get(play.id)
        with refused("NOT_FOUND"):
            await lyon.get(play.id)

    await play.step("offer")
    with refused("NOT_IN_THIS_STATE"):
        await play.marseille.get(play.id)
    await play.step("accept")
    await play.paris.put(play.id, CIPHERTEXT[:1000])
    assert await play.marseille.get(play.id) == CIPHERTEXT[:1000]
    await nobody_else()
    await play.paris.put(play.id, CIPHERTEXT[1000:], offset=1000)
    await play.submit(play.sign("ship"))
    assert await play.marseille.get(play.id) == CIPHERTEXT
    await nobody_else()
    await play.step("receive")
    with refused("NOT_IN_THIS_STATE", "NOT_FOUND"):
        await play.marseille.get(play.id)


class Download:
    """A recipient that reads along."""

    def __init__(self, node: Node, transfer: bytes) -> None:
        self.got = b""
        self.task = asyncio.create_task(self._read(node, transfer))

    async def _read(self, node: Node, transfer: bytes) -> None:
        with reaching("directory"):
            answers: AsyncIterator[Any] = node.mailbox.Get(mailbox_pb2.GetRequest(transfer_id=transfer), timeout=30)
            async for answer in answers:
                self.got += answer.data

    async def has(self, size: int) -> None:
        async with asyncio.timeout(SOON):
            while len(self.got) < size and not self.task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def ends(self) -> None:
        await asyncio.wait_for(self.task, SOON)


async def under_way(play: Play, size: int) -> None:
    """Wait until an upload has brought so many bytes."""
    store, id_ = play.town.directory.mailbox, play.story.parties.transfer_id
    path = store._folder / id_.hex()
    async with asyncio.timeout(SOON):
        while id_ not in store._growing or path.stat().st_size < size:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def along(play: Play) -> tuple[Upload, Download]:
    """An upload that has come to its middle, and a download that follows it."""
    await accepted(play)
    upload = Upload(play.paris, play.id)
    await upload.send(LARGE[:BLOCK])
    await under_way(play, BLOCK)
    download = Download(play.marseille, play.id)
    await download.has(BLOCK)
    assert download.got == LARGE[:BLOCK]
    return upload, download


async def test_a_suspended_members_download_stops(play: Play) -> None:
    _, download = await along(play)
    await play.town.append(play.town.network.suspend(play.marseille.keys))
    with refused("MEMBER_IS_SUSPENDED", "NOT_A_MEMBER", "UNREACHABLE"):  # its connection may be ended first
        await download.ends()
    assert download.got == LARGE[:BLOCK]


async def test_a_download_from_a_member_that_was_suspended_stops_too(play: Play) -> None:
    _, download = await along(play)
    policy = TransferMailboxPolicy(play.town.directory.broker)
    recipient, id_ = play.marseille.keys.id, play.story.parties.transfer_id
    assert await policy.may_read(recipient, id_)
    await play.town.append(play.town.network.suspend(play.paris.keys))
    with refused("MEMBER_IS_SUSPENDED"):
        await policy.may_read(recipient, id_)
    await asyncio.wait({download.task}, timeout=SOON)  # refused, or at its end because the upload was ended
    assert download.task.done()
    assert download.got == LARGE[:BLOCK]


async def test_a_download_stops_when_the_transfer_is_withdrawn(play: Play) -> None:
    _, download = await along(play)
    await play.step("withdraw")
    with refused("NOT_IN_THIS_STATE", "NOT_FOUND", "TRANSFER_OVER"):
        await download.ends()


async def test_once_it_is_shipped_a_download_ends_also_where_an_old_upload_never_did(play: Play) -> None:
    await play.step("offer")
    await play.step("accept")
    dead = Upload(play.paris, play.id)
    await dead.send(CIPHERTEXT[:1000])
    await under_way(play, 0)
    download = Download(play.marseille, play.id)
    await play.step("ship")
    await download.ends()
    assert download.got == CIPHERTEXT
    assert not dead.call.done()
    dead.call.cancel()
