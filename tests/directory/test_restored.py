"""The directory restored from an old backup: nothing is signed or served before its members gave back what it lost."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from cordee.checkpoint import open_checkpoint
from cordee.errors import LogBehind, StorageFull
from cordee.runtime.database import Database
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import channel
from cordee.signing import Signed
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.files import write_new
from directory.holdings import LogKeys
from directory.maintenance import next_authority, next_log_key, save
from directory.store import migrations, table_of
from directory.store.roster import RestorationRow
from tests.directory.town import Node, Town, refused
from tests.flushing import Flushed
from tests.transfers import Story


def put_back(town: Town, backup: Path) -> None:
    """The database of the backup in the place of the present one, as the office would do it."""
    for each in town.folder.glob("directory.db*"):
        each.unlink()
    shutil.copy(backup / "directory.db", town.folder / "directory.db")


async def give(town: Town, *parts: pb.GiveBackRequest, root: bytes | None = None) -> pb.GiveBackResponse:
    async def all_of() -> AsyncIterator[pb.GiveBackRequest]:
        for part in parts:
            yield part

    async with channel(town.listening.front, root=root or town.ca) as line:
        stub: Any = directory_pb2_grpc.RecoveryStub(line)
        with reaching("directory"):
            answer: pb.GiveBackResponse = await stub.GiveBack(all_of(), timeout=10)
    return answer


def start(town: Town, first: int, note: str | None = None) -> pb.GiveBackRequest:
    return pb.GiveBackRequest(
        start=pb.GiveBackStart(checkpoint=note or town.network.checkpoint(town.clock.now()), first=first)
    )


def entries(given: Iterable[v1.Entry]) -> list[pb.GiveBackRequest]:
    return [pb.GiveBackRequest(entry=each) for each in given]


def card(node: Node, signed: Signed | None = None) -> pb.GiveBackRequest:
    given = pb.GivenCard(card=(signed or node.keys.card).to_message(), profile=node.keys.profile)
    return pb.GiveBackRequest(card=given)


class Loss:
    """Paris joined before the backup, Marseille after it; then the backup was put in the place of the database."""

    def __init__(self, tmp_path: Path) -> None:
        self.town = Town.make(tmp_path / "directory")
        self.backup = tmp_path / "backup"

    async def happen(self) -> None:
        async with self.town.open():
            await self.town.found()
            self.paris = await self.town.join("Paris")
            save(self.town.folder, self.backup, with_keys=False)
            self.marseille = await self.town.join("Marseille")
            self.log = list(self.town.network.entries)
        put_back(self.town, self.backup)


@pytest.fixture
async def loss(tmp_path: Path) -> Loss:
    made = Loss(tmp_path)
    await made.happen()
    return made


def test_the_record_of_what_was_signed_is_in_no_backup(tmp_path: Path) -> None:
    loss = Loss(tmp_path)
    asyncio.run(loss.happen())
    assert sorted(path.name for path in loss.backup.iterdir()) == ["directory.db", "founding.json"]


def test_the_founding_is_the_last_file_of_a_saved_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = Loss(tmp_path)
    asyncio.run(loss.happen())
    flushed = Flushed(monkeypatch)
    whole: list[set[str]] = []
    link = os.link

    def named(source: Path, target: Path, **options: Any) -> None:
        if Path(target).name == "founding.json":
            beside = Path(target).parent
            assert (beside / "directory.db").stat().st_size > 0, "SQLite synchronises it by itself"
            whole.append({each.name for each in beside.iterdir() if flushed.whole(each)})
        link(source, target, **options)

    monkeypatch.setattr(os, "link", named)
    save(loss.town.folder, tmp_path / "another", with_keys=True)
    assert whole, "it is given its name"
    assert whole[0] >= {"log.key", "ca.key", "server.key"}, "all else lasts by then"


@pytest.mark.parametrize("fails", ["directory.db", "log.key", "founding.json"])
def test_a_copy_that_finds_no_room_is_gone_and_the_same_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    loss = Loss(tmp_path)
    asyncio.run(loss.happen())
    target = tmp_path / "another"

    def full(*arguments: Any, **_: Any) -> None:
        if Path(arguments[0] if fails != "directory.db" else target / fails).name == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_new(*arguments)

    with monkeypatch.context() as while_it_is_full:
        name = "directory.maintenance." + ("mark_copy" if fails == "directory.db" else "write_new")
        while_it_is_full.setattr(name, full)
        with pytest.raises((OSError, StorageFull)):
            save(loss.town.folder, target, with_keys=True)
    assert list(target.iterdir()) == []
    assert save(loss.town.folder, target, with_keys=True)[-1] == "founding.json"


async def test_nothing_is_signed_or_served_below_what_was_signed(loss: Loss) -> None:
    town = loss.town
    async with town.open() as directory:
        assert directory.rosters.behind
        with refused("DIRECTORY_BEHIND"):
            _ = directory.rosters.checkpoint
        with refused("DIRECTORY_BEHIND"):
            await loss.paris.heard()
        with refused("DIRECTORY_BEHIND"):  # also whom its old cards do not know
            await loss.marseille.heard()
        with refused("DIRECTORY_BEHIND"):
            await town.administer(
                "ListJoinRequests", pb.ListJoinRequestsRequest(command=town.command(v1.ListJoinRequests()))
            )
        with refused("DIRECTORY_BEHIND"):
            await town.found()
    assert '"size": 3' in (town.folder / "last-signed").read_text()


async def test_what_a_member_holds_brings_back_the_log_and_the_cards(loss: Loss) -> None:
    town = loss.town
    async with town.open() as directory:
        given = await give(town, start(town, 2), *entries(loss.log[2:]), card(loss.paris), card(loss.marseille))
        assert (given.entries, given.cards) == (1, 1)
        assert directory.rosters.roster == town.network.roster
        for each in (loss.paris, loss.marseille):
            assert await each.heard() == []
        again = await give(town, start(town, 3), card(loss.paris), card(loss.marseille))
        assert (again.entries, again.cards) == (0, 0)
        await town.join("Lyon")
    async with town.open() as directory:
        assert directory.rosters.roster == town.network.roster


async def test_a_giver_who_begins_earlier_than_needed_is_taken_as_well(loss: Loss) -> None:
    async with loss.town.open() as directory:
        assert (await give(loss.town, start(loss.town, 0), *entries(loss.log))).entries == 1
        assert directory.rosters.size == 3


@pytest.mark.parametrize(
    ("what", "reasons"),
    [
        ("a note by another key", ("CHECKPOINT_REFUSED",)),
        ("an older note", ("DIRECTORY_BEHIND",)),
        ("an entry that was altered", ("ENTRY_REFUSED",)),
        ("an entry that is missing", ("INVALID_INPUT",)),
        ("entries that begin too late", ("INVALID_INPUT",)),
        ("other entries than were signed", ("ROSTER_FORKED",)),
        ("no start", ("INVALID_INPUT",)),
        ("nothing", ("INVALID_INPUT",)),
    ],
)
async def test_what_was_not_signed_here_brings_nothing_back(loss: Loss, what: str, reasons: tuple[str, ...]) -> None:
    town, log = loss.town, loss.log
    altered = v1.Entry.FromString(log[2].SerializeToString())
    altered.signatures[0].ed25519_signature = bytes(64)
    now = town.clock.now()
    other = replace(town.network, directory=town.network.administrators[0]).checkpoint(now)
    note = town.network.checkpoint(now)
    network = town.network
    del network.entries[2:]
    network.roster, network.tree = network_of(log[:2])
    forged = network.append(network.signed_entry(network.admission(network.new_member("Nulle part"))))
    parts = {
        "a note by another key": [start(town, 2, other), *entries(log[2:])],
        "an older note": [start(town, 2, network.checkpoint(size=2))],
        "an entry that was altered": [start(town, 2, note), *entries([altered])],
        "an entry that is missing": [start(town, 2, note)],
        "entries that begin too late": [start(town, 3, note)],
        "other entries than were signed": [start(town, 2, note), *entries([forged])],
        "no start": entries(log[2:]),
        "nothing": [],
    }[what]
    async with town.open() as directory:
        with refused(*reasons):
            await give(town, *parts)
        assert directory.rosters.behind
        assert directory.rosters.size == 2


async def test_the_keys_of_the_network_may_have_changed_since_the_backup(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        save(town.folder, tmp_path / "backup", with_keys=False)
        public = next_log_key(town.folder, town.network.random)
        await town.append(town.network._govern(v1.DirectoryKeyRotated, key=public.to_message()))
        town.network.now = town.clock.now()
        certificate = next_authority(town.folder, town.clock.now())
        await town.append(town.network.rotate_authority(certificate, overlap=timedelta(0)))
        town.move(timedelta(minutes=1))
        assert town.directory.authority.certificates() == [certificate]
        town.directory.authority.root()
        note = town.directory.rosters.checkpoint
    put_back(town, tmp_path / "backup")
    assert set(LogKeys(town.folder).held()) == {public}, "the key that the backup's log names is erased"
    async with town.open() as directory:
        given = await give(town, start(town, 1, note), *entries(town.network.entries[1:]), root=certificate)
        assert given.entries == 2
        open_checkpoint(directory.rosters.checkpoint, public, directory.rosters.roster.origin)


async def test_more_cards_than_members_are_not_read(loss: Loss) -> None:
    town = loss.town
    async with town.open():
        with refused("INVALID_INPUT"):
            await give(town, start(town, 2), *entries(loss.log[2:]), *[card(loss.paris)] * 3)


async def test_a_directory_that_was_never_restored_takes_no_cards(town: Town) -> None:
    paris = await town.join("Paris")
    newer = town.card(paris.keys, number=2)
    assert (await give(town, start(town, 2), card(paris, newer))).cards == 0
    assert (await give(town, start(town, 0), card(paris, newer))).cards == 0


async def test_only_the_members_own_and_newer_card_is_taken_back(loss: Loss) -> None:
    town = loss.town
    async with town.open():
        await give(town, start(town, 2), *entries(loss.log[2:]))
        forged = town.card(loss.marseille.keys, number=5, member=loss.paris.keys.id)
        assert (await give(town, start(town, 3), card(loss.paris, forged))).cards == 0
        newer = town.card(loss.paris.keys, number=2)
        assert (await give(town, start(town, 3), card(loss.paris, newer))).cards == 1
        assert (await give(town, start(town, 3), card(loss.paris))).cards == 0


async def test_what_is_numbered_after_a_restore_is_above_what_anybody_has_kept(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        paris, marseille = await town.join("Paris"), await town.join("Marseille")
        save(town.folder, tmp_path / "backup", with_keys=False)
        story = story_of(town, paris, marseille)
        await paris.submit(story.make_offer())
        cursor = (await marseille.heard())[-1].sequence
        assert cursor
        revision = await paris.publish(town.card(paris.keys, number=2), paris.keys.profile)
    put_back(town, tmp_path / "backup")
    town.move(timedelta(minutes=1))
    async with town.open() as directory:
        assert not directory.rosters.behind, "no entry was lost"
        story = story_of(town, paris, marseille)
        await paris.submit(story.make_offer())  # before Marseille has listened again
        assert [event.sequence > cursor for event in await marseille.heard(cursor)] == [True]
        assert await cards_after(marseille, revision) == [], "what it had seen is not shown again, nor older ones"
        assert await paris.publish(town.card(paris.keys, number=2), paris.keys.profile) > revision
        assert len(await cards_after(marseille, revision)) == 1


async def test_a_checkpoint_comes_with_the_newest_restore(loss: Loss) -> None:
    async def told() -> int:
        with reaching("directory"):
            answer = await loss.paris.roster.GetCheckpoint(pb.GetCheckpointRequest(), timeout=10)
        return int(answer.restored.ToMicroseconds())

    async with loss.town.open() as directory:
        await give(loss.town, start(loss.town, 2), *entries(loss.log[2:]))
        assert directory.restorations.last is not None
        assert await told() == int(directory.restorations.last.at.timestamp() * 1_000_000)


async def test_each_stream_begins_with_the_newest_restore(loss: Loss) -> None:
    town = loss.town

    async def told() -> list[pb.DirectoryRestored]:
        heard = await loss.paris.heard(hints=True)
        return [each.directory_restored for each in heard if each.WhichOneof("kind") == "directory_restored"]

    async with town.open():
        await give(town, start(town, 2), *entries(loss.log[2:]))
        first = await told()
        assert len(first) == 1
        assert first[0].HasField("since"), "the copy says when it was made"
    put_back(town, loss.backup)
    async with town.open():
        await give(town, start(town, 2), *entries(loss.log[2:]))
        second = await told()
    assert second[0].restored.ToNanoseconds() >= first[0].restored.ToNanoseconds()


async def test_a_database_without_the_record_of_what_was_signed_signs_nothing(town: Town) -> None:
    log = list(town.network.entries)
    (town.folder / "last-signed").unlink()
    made = Town(folder=town.folder, clock=town.clock, network=town.network)
    async with made.open() as directory:
        assert directory.rosters.behind
        with pytest.raises(LogBehind):
            await directory.rosters.bring_back([])
        assert await directory.rosters.bring_back([], longest=True) == 0
        assert directory.rosters.size == len(log)


async def test_another_log_than_was_signed_stops_the_directory(loss: Loss) -> None:
    (loss.town.folder / "last-signed").write_text('{"size": 2, "root": "%s"}' % ("00" * 32))
    with pytest.raises(LogBehind):
        async with loss.town.open():
            pass


def test_an_older_database_is_brought_up_to_date(tmp_path: Path) -> None:
    with Database(tmp_path / "d.db", MetaData()):
        pass
    with Database(tmp_path / "d.db", MetaData(), migrations=[migrations._restoration]):
        pass
    with sqlite3.connect(tmp_path / "d.db") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(restoration)")]
    assert columns == [column.name for column in table_of(RestorationRow).c]
    assert migrations._restoration in migrations.MIGRATIONS


async def cards_after(node: Node, revision: int) -> list[int]:
    asked = pb.ListCardsRequest(after_revision=revision)
    with reaching("directory"):
        return [each.revision async for each in node.roster.ListCards(asked, timeout=10)]


def network_of(log: list[v1.Entry]) -> Any:
    from cordee.entries import entry_leaf
    from cordee.log import MerkleTree
    from cordee.roster import replay

    return replay(log), MerkleTree(entry_leaf(each) for each in log)


def story_of(town: Town, sender: Node, recipient: Node) -> Story:
    town.network.now = town.clock.now()
    story = Story.between(town.network, sender.keys.name, recipient.keys.name)
    story.now = town.clock.now()
    return story


async def test_nobody_who_gives_nothing_keeps_those_out_who_do(loss: Loss) -> None:
    """Strangers who open calls and say nothing, and somebody from another address who shows a checkpoint and stops."""
    town, asked = loss.town, asyncio.Event()

    async def silence() -> AsyncIterator[pb.GiveBackRequest]:
        await asyncio.Event().wait()
        yield pb.GiveBackRequest()

    async def half() -> AsyncIterator[pb.GiveBackRequest]:
        yield start(town, 2)
        asked.set()
        await asyncio.Event().wait()

    async with town.open() as directory, channel(town.listening.front, root=town.ca) as line:
        stub: Any = directory_pb2_grpc.RecoveryStub(line)
        calls = [stub.GiveBack(silence(), timeout=60) for _ in range(8)]
        stopped = [asyncio.create_task(directory.recovery.take(half(), giver="elsewhere")) for _ in range(3)]
        await asyncio.wait_for(asked.wait(), 10)
        assert (await give(town, start(town, 2), *entries(loss.log[2:]))).entries == 1
        for call in (*calls, *stopped):
            call.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)
