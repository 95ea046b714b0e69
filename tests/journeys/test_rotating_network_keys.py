"""The keys of the network itself change under running nodes: the log's, and the CA's. Real TLS, real nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.checkpoint import open_checkpoint
from cordee.members import authority_digest
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import certificates_in, channel, issued_by
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.holdings import LogKeys
from directory.maintenance import next_authority, next_log_key
from node.joining import CERTIFICATE, Membership
from tests.directory.town import Town, refused
from tests.journeys.test_rotating_keys import a_case_arrives
from tests.neighbours import Neighbour, Street, eventually, neighbourhood


async def rotate_log_key(town: Town) -> Any:
    public = next_log_key(town.folder, town.network.random)
    entry = town.network._govern(v1.DirectoryKeyRotated, key=public.to_message())
    await town.append(entry)
    return public


async def rotate_authority(street: Street, *, overlap: timedelta = timedelta(days=120)) -> bytes:
    town = street.town
    town.network.now = max(town.network.now, street.clock.now())
    certificate = next_authority(town.folder, street.clock.now())
    await town.append(town.network.rotate_authority(certificate, overlap=overlap))
    return certificate


# ---- the key of the log ----


async def test_the_log_is_signed_with_another_key_while_nodes_follow_it(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        town = street.town
        former = town.directory.rosters.roster.directory_key
        public = await rotate_log_key(town)
        roster = town.directory.rosters.roster
        assert roster.directory_key == public != former
        open_checkpoint(town.directory.rosters.checkpoint, public, roster.origin)
        for each in (paris, marseille):
            await eventually(lambda each=each: each.here.roster.roster.directory_key == public, what="the entry")
            open_checkpoint(each.here.roster.note, public, roster.origin)
            assert each.here.roster.alarm is None
        assert set(LogKeys(town.folder).held()) == {public}, "the old one is erased"
        await a_case_arrives(paris, marseille)
        await marseille.stop()
        await rotate_log_key(town)
        await rotate_log_key(town)  # twice while it is away
        await marseille.start()
        await a_case_arrives(paris, marseille, 1)
        assert marseille.here.roster.alarm is None


async def test_a_note_that_comes_between_log_and_entry_is_read_again_and_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries are read, then the key is exchanged, then the note is asked for."""
    async with neighbourhood(tmp_path, "Paris") as (street, (paris,)):
        client, town = paris.here.roster._client, street.town
        assert client is not None
        await town.append(town.network.change_policy(threshold=2))
        entries, done = client.entries, []

        async def then_rotated(*, start: int) -> AsyncIterator[v1.Entry]:
            async for entry in entries(start=start):
                yield entry
            if not done:
                done.append(True)
                await rotate_log_key(town)

        monkeypatch.setattr(client, "entries", then_rotated)
        await paris.here.roster.sync()
        assert done
        assert paris.here.roster.alarm is None
        assert paris.here.roster.roster.directory_key == town.network.roster.directory_key


# ---- the CA ----


def trusts(node: Neighbour) -> set[bytes]:
    return {authority_digest(each) for each in certificates_in(Membership.load(node.folder).ca_certificate)}


def certified_by(node: Neighbour, authority: bytes) -> bool:
    return issued_by((node.folder / CERTIFICATE).read_bytes(), authority)


async def days_pass(street: Street, *nodes: Neighbour, days: int) -> None:
    """Not beyond today: TLS asks the system what day it is."""
    street.clock.advance(timedelta(days=days))

    def fresh(node: Neighbour) -> bool:
        checkpoint = node.here.roster.checkpoint
        return street.clock.now() - checkpoint.time < timedelta(hours=12) and node.here.roster.alarm is None

    for each in nodes:
        await eventually(lambda each=each: fresh(each), what="a fresh roster")


@asynccontextmanager
async def two_nodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Street, list[Neighbour]]]:
    monkeypatch.setattr("node.authorities._SPREAD_SECONDS", 0.0)
    async with neighbourhood(folder, "Paris", "Marseille") as (street, nodes):
        yield street, nodes


async def test_nodes_that_are_connected_go_over_to_another_ca_and_work_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(tmp_path, monkeypatch) as (street, (paris, marseille)):
        old = street.town.ca
        new = await rotate_authority(street, overlap=timedelta(days=10))
        for each in (paris, marseille):
            await eventually(lambda each=each: certified_by(each, new), what="a certificate by the new CA")
            assert trusts(each) == {authority_digest(old), authority_digest(new)}
        await a_case_arrives(paris, marseille)
        await days_pass(street, paris, marseille, days=11)
        for each in (paris, marseille):
            await eventually(lambda each=each: trusts(each) == {authority_digest(new)}, what="the old CA's end")
        await a_case_arrives(marseille, paris, 1)
        for each in (paris, marseille):
            await each.stop()
            await each.start()
        await a_case_arrives(paris, marseille, 2)
        async with channel(street.town.listening.front, root=old) as line:
            stub: Any = directory_pb2_grpc.EnrolmentStub(line)
            with refused("UNREACHABLE"), reaching("directory"):
                await stub.ListAuthorities(pb.EnrolmentListAuthoritiesRequest(), timeout=5)


async def test_a_node_that_was_away_over_the_change_gets_back_in_as_long_as_the_old_ca_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(tmp_path, monkeypatch) as (street, (paris, marseille)):
        await marseille.stop()
        new = await rotate_authority(street, overlap=timedelta(days=20))
        await eventually(lambda: certified_by(paris, new), what="a certificate by the new CA")
        await days_pass(street, paris, days=10)
        await marseille.start()
        await eventually(lambda: certified_by(marseille, new), what="a certificate by the new CA")
        await a_case_arrives(paris, marseille)
        await days_pass(street, paris, marseille, days=11)
        await a_case_arrives(marseille, paris, 1)


async def test_a_ca_can_be_given_up_at_once_while_nodes_are_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(tmp_path, monkeypatch) as (street, (paris, marseille)):
        new = await rotate_authority(street, overlap=timedelta(0))
        for each in (paris, marseille):
            await eventually(lambda each=each: trusts(each) == {authority_digest(new)}, what="the new CA alone")
            await eventually(lambda each=each: certified_by(each, new), what="a certificate by the new CA")
        await a_case_arrives(paris, marseille)


async def test_a_certificate_whose_digest_the_log_does_not_have_is_never_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(tmp_path, monkeypatch) as (street, (paris, _)):
        before, asked = trusts(paris), []
        client: Any = paris.here.roster._client
        stranger = street.town.directory.house.authority().__class__.create(now=street.clock.now()).certificate

        async def lies() -> list[bytes]:
            asked.append(True)
            return [stranger]

        monkeypatch.setattr(client, "authorities", lies)
        await rotate_authority(street)
        await eventually(lambda: asked, what="the question")
        await asyncio.sleep(0.5)
        assert authority_digest(stranger) not in trusts(paris)
        assert trusts(paris) <= before


async def test_who_joins_during_the_overlap_is_certified_by_the_new_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(tmp_path, monkeypatch) as (street, (paris, _)):
        new = await rotate_authority(street)
        lyon = await street.settle("Lyon", 2)
        assert certified_by(lyon, new)
        await lyon.start()
        await eventually(lambda: authority_digest(new) in trusts(lyon), what="both CAs")
        await a_case_arrives(lyon, paris)
