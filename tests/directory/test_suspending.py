"""What a suspension does at the directory: streams hear of it with the entry itself, TLS sessions are over."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc

from cordee.checkpoint import open_checkpoint
from cordee.members import MemberState
from cordee.runtime.rpc_errors import reaching
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory import transfers
from directory.events import Growth
from tests.builders import Network
from tests.directory.town import ORIGIN, Node, Town, refused
from tests.tls_sessions import plain_context, resuming_channel, shake_hands
from tests.transfers import Story

# ---- the hint ----


async def test_the_hint_brings_the_entry_itself_and_a_checkpoint_that_covers_it(town: Town) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    call = paris.events.Watch(pb.WatchRequest(), timeout=20)
    assert (await call.read()).WhichOneof("kind") == "stream_ready"
    entry = town.network.suspend(marseille.keys)
    await town.append(entry)
    grown = (await call.read()).roster_grown
    assert (grown.start, list(grown.entries)) == (3, [entry])
    checkpoint = open_checkpoint(grown.checkpoint, town.network.roster.directory_key, ORIGIN)
    assert (checkpoint.size, checkpoint.root) == (4, town.network.tree.root())
    assert grown.card_revision == town.directory.cards.revision == 2
    call.cancel()


def growth(network: Network, size: int, *, entries: int = 1) -> Growth:
    return Growth(f"checkpoint {size}", size, tuple(network.entries[size - entries : size]), card_revision=size)


def test_a_member_that_was_not_told_yet_is_told_everything_since() -> None:
    network = Network.found()
    for name in ("a", "b", "c"):
        network.admit(name)
    both = growth(network, 3).after(growth(network, 2)).hint.roster_grown
    assert (both.checkpoint, both.start, list(both.entries)) == ("checkpoint 3", 1, network.entries[1:3])
    hourly = growth(network, 3, entries=0).after(growth(network, 3)).hint.roster_grown
    assert (hourly.start, list(hourly.entries), hourly.card_revision) == (2, network.entries[2:3], 3)


def test_where_one_is_missing_in_between_or_there_is_too_much_it_is_to_be_asked_for() -> None:
    network = Network.found()
    for number in range(20):
        network.admit(f"m{number}")
    gap = growth(network, 4).after(growth(network, 2)).hint.roster_grown
    assert (gap.checkpoint, gap.start, list(gap.entries)) == ("checkpoint 4", 4, [])
    much = growth(network, 2)
    for size in range(3, 22):
        much = growth(network, size).after(much)
    assert much.hint.ByteSize() < 256 * 1024
    assert much.hint.roster_grown.start + len(much.hint.roster_grown.entries) == 21
    assert growth(network, 21, entries=20).hint.roster_grown.start == 21


# ---- TLS ----


def handshake_of(node: Node, folder: Path) -> ssl.SSLContext:
    return plain_context(node.town.ca, node.transport, node.certificate, folder)


async def test_a_suspension_ends_the_tls_sessions_from_before(town: Town, tmp_path: Path) -> None:
    paris = await town.join("Paris")
    context, port = handshake_of(paris, tmp_path), int(town.listening.members.rpartition(":")[2])
    resumed, session = await shake_hands(port, context)
    assert not resumed
    resumed, session = await shake_hands(port, context, session)
    assert resumed, "what is tested here does happen"
    await town.append(town.network.suspend(paris.keys))
    resumed, session = await shake_hands(port, context, session)
    assert not resumed, "the ticket from before counts for nothing"
    resumed, _ = await shake_hands(port, context, session)
    assert resumed, "TLS itself does not know of members: each call is refused, see below"


async def test_a_suspended_member_is_refused_on_every_kind_of_connection(town: Town) -> None:
    paris = await town.join("Paris")
    cache = cygrpc.SSLSessionCacheLRU(4)

    def connect() -> grpc.aio.Channel:
        return resuming_channel(town.listening.members, town.ca, paris.transport, paris.certificate, cache=cache)

    async def ask(line: grpc.aio.Channel) -> None:
        stub: Any = directory_pb2_grpc.RosterStub(line)
        with reaching("directory"):
            await stub.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5)

    async with connect() as open_before:
        await ask(open_before)
        await town.append(town.network.suspend(paris.keys))
        for _ in range(2):  # a new session, then one that is resumed
            with refused("MEMBER_IS_SUSPENDED"):
                await ask(open_before)
            async with connect() as line:
                with refused("MEMBER_IS_SUSPENDED"):
                    await ask(line)
        await town.append(town.network.reinstate(paris.keys))
        await ask(open_before)


@pytest.mark.parametrize("kind", [v1.MemberSuspended, v1.MemberRemoved])
async def test_only_what_ends_a_standing_ends_sessions(town: Town, tmp_path: Path, kind: type[Any]) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    context, port = handshake_of(paris, tmp_path), int(town.listening.members.rpartition(":")[2])
    _, session = await shake_hands(port, context)
    await town.join("Lille")
    resumed, session = await shake_hands(port, context, session)
    assert resumed, "an admission disturbs nobody"
    network = town.network
    await town.append(network.suspend(marseille.keys) if kind is v1.MemberSuspended else network.remove(marseille.keys))
    resumed, _ = await shake_hands(port, context, session)
    assert not resumed


async def test_a_step_that_was_read_before_a_suspension_is_not_written_after_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = await town.join("Paris"), await town.join("Marseille")
    story = Story.between(town.network, "Paris", "Marseille")
    story.now = town.clock.now()
    offer = story.offer().statements[-1]
    directory, read = town.directory, town.directory.broker._parse

    def suspended_meanwhile(*arguments: Any) -> Any:
        statement = read(*arguments)
        town.network.suspend(marseille.keys)
        monkeypatch.setattr(directory.rosters, "_roster", town.network.roster)
        return statement

    monkeypatch.setattr(directory.broker, "_parse", suspended_meanwhile)
    with refused("MEMBER_IS_SUSPENDED"):
        await paris.submit(offer)
    assert town.network.member(marseille.keys).state is MemberState.SUSPENDED, "the statement was read before"
    assert await directory.db.read(lambda tx: transfers.find(tx, story.parties.transfer_id)) is None
