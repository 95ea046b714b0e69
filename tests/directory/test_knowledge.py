"""Who knows how much of the log: nodes say it signed, the directory keeps the newest, administrators ask."""

from __future__ import annotations

import sqlite3
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from cordee.runtime.database import Database
from cordee.runtime.rpc_errors import reaching
from cordee.signing import Signed, SigningKey
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administrator.stopwatch import in_words, read_node, silent, stopwatch
from directory.store.migrations import MIGRATIONS, directory_database
from tests.directory.town import Node, Town, refused

HOUR = timedelta(hours=1)


def held(node: Node, *, key: SigningKey | None = None, **changes: Any) -> Signed:
    """What a node says that it holds: by default, all there is."""
    network = node.town.network
    size = int(changes.get("size", len(network.entries)))
    body = v1.HeldCheckpoint(
        network=changes.get("network", network.roster.network),
        member=changes.get("member", node.keys.id),
        size=size,
        root=changes.get("root") or network.tree.root(min(size, network.tree.size)),
        time=timestamp_of(node.town.clock.now() + changes.get("late", timedelta(0))),
    )
    return (key or node.keys.identity).sign(body)


async def tell(node: Node, signed: Signed) -> None:
    with reaching("directory"):
        request = pb.TellHeldCheckpointRequest(held=signed.to_message())
        await node.roster.TellHeldCheckpoint(request, timeout=10)


async def told(town: Town, **fields: Any) -> dict[bytes, pb.ListHeldCheckpointsResponse]:
    command = town.command(v1.ListHeldCheckpoints(**fields))
    async with town.front() as line:
        stub: Any = directory_pb2_grpc.AdministrationStub(line)
        with reaching("directory"):
            call = stub.ListHeldCheckpoints(pb.ListHeldCheckpointsRequest(command=command), timeout=10)
            return {each.member: each async for each in call}


def known(town: Town, answers: dict[bytes, pb.ListHeldCheckpointsResponse]) -> dict[Any, Any]:
    root_at = town.network.tree.root
    nodes = [read_node(each, town.network.roster, root_at=root_at, now=town.clock.now()) for each in answers.values()]
    return {each.member: each for each in nodes}


async def test_the_newest_word_of_each_node_is_kept_and_told_to_administrators(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    await tell(paris, held(paris, size=2))
    await tell(marseille, held(marseille))
    town.move(HOUR)
    await tell(paris, held(paris))
    nodes = known(town, await told(town))
    assert {name: nodes[town.nodes[name].keys.id].size for name in town.nodes} == {"Paris": 3, "Marseille": 3}
    assert nodes[paris.keys.id].heard == town.clock.now()
    assert nodes[marseille.keys.id].heard == town.clock.now() - HOUR
    since = timestamp_of(town.clock.now())
    assert set(await told(town, heard_after=since)) == {bytes(paris.keys.id)}


async def test_a_word_that_was_overtaken_does_not_undo_the_newer_one(town: Town) -> None:
    paris = await town.join("Paris")
    await tell(paris, held(paris))
    await tell(paris, held(paris, size=1))
    assert known(town, await told(town))[paris.keys.id].size == 2


async def test_what_a_node_cannot_hold_or_did_not_sign_is_refused(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    for signed, reason in (
        (held(paris, key=marseille.keys.identity), "BAD_SIGNATURE"),
        (held(marseille), "WRONG_PARTY"),
        (held(paris, network=b"n" * 32), "WRONG_NETWORK"),
        (held(paris, late=timedelta(minutes=6)), "CLOCK_SKEW"),
        (held(paris, size=4), "ROSTER_BEHIND"),
        (held(paris, size=0, root=b"r" * 32), "ROSTER_FORKED"),
        (held(paris, root=b"r" * 32), "ROSTER_FORKED"),
        (paris.keys.identity.sign(v1.ReadLog(start=1)), "MALFORMED_STATEMENT"),
    ):
        with refused(reason):
            await tell(paris, signed)
    assert await told(town) == {}


async def test_nobody_but_an_administrator_is_told(town: Town) -> None:
    paris = await town.join("Paris")
    command = v1.ListHeldCheckpoints(
        network=town.network.roster.network, time=timestamp_of(town.clock.now()), nonce=bytes(16)
    )
    async with town.front() as line:
        stub: Any = directory_pb2_grpc.AdministrationStub(line)
        request = pb.ListHeldCheckpointsRequest(command=paris.keys.identity.sign(command).to_message())
        with refused("NOT_AN_ADMINISTRATOR"), reaching("directory"):
            async for _ in stub.ListHeldCheckpoints(request, timeout=10):
                raise AssertionError("somebody who is no administrator was told")


async def test_a_suspended_node_is_not_heard_and_a_removed_one_is_forgotten(town: Town) -> None:
    paris = await town.join("Paris")
    await tell(paris, held(paris))
    await town.append(town.network.suspend(paris.keys))
    with refused("MEMBER_IS_SUSPENDED"):
        await tell(paris, held(paris))
    assert known(town, await told(town))[paris.keys.id].size == 2
    await town.append(town.network.remove(paris.keys))
    assert await told(town) == {}


async def test_the_stopwatch_counts_active_members_and_names_who_does_not_know(town: Town) -> None:
    paris, marseille, lille = [await town.join(name) for name in ("Paris", "Marseille", "Lille")]
    for each in (paris, lille):
        await tell(each, held(each))
    town.move(3 * HOUR)
    await town.append(town.network.suspend(lille.keys))
    listening = marseille.events.Watch(pb.WatchRequest(), timeout=20)
    await anext(aiter(listening))
    nodes, roster, now = known(town, await told(town)), town.network.roster, town.clock.now()
    before = stopwatch(nodes, roster, size=5)
    assert (before.nodes, before.know, before.reached) == (2, (), False)
    assert [each.member for each in before.not_yet] == [marseille.keys.id, paris.keys.id]
    assert in_words(before.not_yet[0]) == ("{who}: connected, has not answered yet", {})
    heard = nodes[paris.keys.id].heard
    assert now - heard >= 3 * HOUR
    message, facts = in_words(before.not_yet[1], zone=UTC)
    assert message == "{who}: not heard of since {day}, {at}"
    assert facts == {"day": heard.date().isoformat(), "at": f"{heard:%H:%M}"}
    assert [each.member for each in silent(nodes, roster, now=now)] == [paris.keys.id]
    await tell(marseille, held(marseille))
    after = stopwatch(known(town, await told(town)), roster, size=5)
    assert ([each.member for each in after.know], after.reached) == ([marseille.keys.id], True)
    listening.cancel()


async def test_the_directory_cannot_say_it_in_a_nodes_place(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    await tell(paris, held(paris))
    (answer,) = (await told(town)).values()
    root_at, now = town.network.tree.root, town.clock.now()
    forged = pb.ListHeldCheckpointsResponse()
    for change, reason in (
        (lambda: forged.held.CopyFrom(held(paris, key=town.network.directory).to_message()), "BAD_SIGNATURE"),
        (lambda: setattr(forged, "member", bytes(marseille.keys.id)), "WRONG_PARTY"),
        (lambda: forged.held.CopyFrom(held(paris, late=HOUR).to_message()), "CLOCK_SKEW"),
        (lambda: forged.held.CopyFrom(held(paris, network=b"n" * 32).to_message()), "WRONG_NETWORK"),
    ):
        forged.CopyFrom(answer)
        change()
        with refused(reason):
            read_node(forged, town.network.roster, root_at=root_at, now=now)


async def test_a_node_that_was_shown_another_log_is_found_out(town: Town) -> None:
    paris = await town.join("Paris")
    await tell(paris, held(paris))
    (answer,) = (await told(town)).values()
    with refused("ROSTER_FORKED"):
        read_node(answer, town.network.roster, root_at=lambda size: b"r" * 32, now=town.clock.now())


async def test_what_nodes_said_is_still_known_after_a_restart(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        paris = await town.join("Paris")
        await tell(paris, held(paris))
    async with town.open():
        assert known(town, await told(town))[paris.keys.id].size == 2


def test_a_database_from_before_learns_to_keep_it(tmp_path: Path) -> None:
    """The migration makes the very table that a new database has."""

    def told(path: Path) -> tuple[list[Any], list[Any]]:
        with sqlite3.connect(path) as db:
            columns = db.execute("SELECT name, type, \"notnull\", pk FROM pragma_table_info('held_checkpoint')")
            indexes = db.execute("SELECT name, \"unique\", origin FROM pragma_index_list('held_checkpoint')")
            found = columns.fetchall(), sorted(indexes.fetchall())
        db.close()
        return found

    with directory_database(tmp_path / "new.db"):
        pass
    migration = next(each for each in MIGRATIONS if each.__name__ == "_who_knows")
    with Database(tmp_path / "old.db", MetaData()) as old:
        old.write_sync(migration)
    assert told(tmp_path / "old.db") == told(tmp_path / "new.db")
    assert len(told(tmp_path / "new.db")[0]) == 4
