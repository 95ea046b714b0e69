"""Practice and what is real are two networks, and neither takes anything of the other."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cordee.card import Card
from cordee.errors import CordeeError, NotAMember, PracticeNetwork, RealNetwork
from cordee.ids import NetworkId
from cordee.invitation import Invitation
from cordee.practice import PRACTICE_ORIGIN
from cordee.runtime.clock import ManualClock, SystemClock
from node import joining
from node.app import Parts
from node.app import opened as node_opened
from node.practice.site import practice_site
from node.roster_sync import RosterSync
from node.store.migrations import node_database
from node.vault import FILE, Vault
from node.web.app import application
from tests.builders import Network, seeded_random
from tests.directory.town import Town, encoded, profile_of, refused
from tests.node.association import StillDirectory, opened, profiles, registered

PASSPHRASE = b"une phrase de passe de test"


def invitation(*, practice: bool) -> bytes:
    profile = profiles()[0]
    return Invitation(
        network=NetworkId(b"n" * 32),
        members="127.0.0.1:1",
        front="127.0.0.1:1",
        ca_certificate=b"none",
        invitation=b"i" * 16,
        secret=b"s" * 32,
        legal_name=profile["legal_name"],
        registration_number=profile["siret"],
        bound_by_secrecy=True,
        expires=datetime.now(UTC) + timedelta(days=1),
        practice=practice,
    ).to_bytes()


@pytest.mark.parametrize("practice", [False, True])
async def test_a_node_takes_no_invitation_of_the_other_kind(tmp_path: Path, practice: bool) -> None:
    folder, clock = tmp_path / "node", SystemClock()
    joining.initialise(folder, passphrase=PASSPHRASE, random=os.urandom, clock=clock)
    before = {each.name for each in folder.iterdir()}
    with pytest.raises(RealNetwork if practice else PracticeNetwork):
        await joining.request(
            folder,
            passphrase=PASSPHRASE,
            invitation=invitation(practice=not practice),
            profile=encoded(profiles()[0]),
            clock=clock,
            random=os.urandom,
            practice=practice,
        )
    assert {each.name for each in folder.iterdir()} == before, "nothing was kept, so nothing was sent"


@pytest.mark.parametrize("practice", [False, True])
async def test_a_log_of_the_other_kind_is_refused_whatever_the_invitation_said(tmp_path: Path, practice: bool) -> None:
    network = Network.found(**({} if practice else {"origin": PRACTICE_ORIGIN}))
    with node_database(tmp_path / "node.db") as db:
        roster = RosterSync(
            db,
            network=network.roster.network,
            member=next(iter([b"m" * 16])),  # type: ignore[arg-type]  # nobody's
            client=StillDirectory(network),  # type: ignore[arg-type]  # as far as it is asked
            clock=ManualClock(network.now),
            practice=practice,
        )
        with pytest.raises(RealNetwork if practice else PracticeNetwork):
            await roster.sync()
        assert roster.alarm is not None, "transfers stand still"
        with pytest.raises(CordeeError):
            roster.require_fresh(network.now)


@pytest.fixture
async def towns(tmp_path: Path) -> AsyncIterator[tuple[Town, Town]]:
    """A real directory and one for practice, both running."""
    real, practice = Town.make(tmp_path / "real"), Town.make(tmp_path / "practice", origin=PRACTICE_ORIGIN)
    async with AsyncExitStack() as open_towns:
        for town in (real, practice):
            await open_towns.enter_async_context(town.open())
            await town.found()
        yield real, practice


@pytest.mark.parametrize("there", [0, 1])
async def test_a_directory_takes_no_identity_of_the_other_network(towns: tuple[Town, Town], there: int) -> None:
    home, other = towns[1 - there], towns[there]
    member = await home.join("Rive d'Aurore")
    profile = profile_of("Rive d'Aurore")
    request = home.join_request(member, await other.invite(profile["legal_name"], profile["siret"]))
    with pytest.raises(CordeeError):
        await other.enrol(request)
    assert member.keys.id not in other.network.roster.members

    member.town, at_home = other, member.town
    with refused("UNREACHABLE"):  # its certificate is of another authority: TLS ends before a word is said
        await member.heard()
    member.town = at_home


@pytest.mark.parametrize("there", [0, 1])
async def test_a_card_of_the_other_network_is_nobody_s(towns: tuple[Town, Town], there: int) -> None:
    home, other = towns[1 - there], towns[there]
    member = await home.join("Rive d'Aurore")
    Card.parse(member.keys.card, home.network.roster, now=home.clock.now())
    with pytest.raises(NotAMember):
        Card.parse(member.keys.card, other.network.roster, now=other.clock.now())


async def test_the_pages_of_practice_are_not_shown_for_a_house_of_a_real_network(tmp_path: Path) -> None:
    network = registered(profiles())
    member = next(iter(network.members.values()))
    with opened(tmp_path, network=network, member=member, random=seeded_random("n")) as node:
        await node.roster.sync()

        class Nearly:
            def __init__(self) -> None:
                self.node = node

        with pytest.raises(RealNetwork):
            practice_site(Nearly(), hosts=("127.0.0.2",), secure=False)  # type: ignore[arg-type]  # as far as it is asked


async def test_a_real_house_has_no_banner_and_no_way_past_the_second_step(tmp_path: Path) -> None:
    """What makes signing in light in practice is that the code is told; nothing in the site lets anybody in without."""
    from tests.node.association import PASSWORD, with_people

    network = registered(profiles())
    member = next(iter(network.members.values()))
    with opened(tmp_path, network=network, member=member, random=seeded_random("n")) as node:
        await node.roster.sync()
        await with_people(node)
        app = application(node, hosts=("localhost",), secure=False)
        headers = {"sec-fetch-site": "same-origin", "accept-language": "en", "cordee.stamp": "Practice"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers
        ) as client:
            answer = await client.post("/sign-in", data={"name": "Hélène", "password": PASSWORD, "next": ""})
            assert answer.headers["location"].startswith("/second")
            for path in ("/", "/practice", "/cases"):
                assert (await client.get(path)).headers["location"].startswith("/second"), path
            for path in ("/sign-in", "/second", "/second/set-up", "/missing"):
                shown = (await client.get(path)).text
                assert "practice" not in shown.lower(), path
            posted = await client.post("/practice", data={"begin": "w1"})
            assert posted.status_code in (401, 405), "a real house's page tells; it begins nothing"


async def test_a_house_that_joined_practice_does_not_open_as_a_real_one(tmp_path: Path) -> None:
    """Its folder, opened by a real node's own composition: its log says what it is."""
    network = registered(profiles(), origin=PRACTICE_ORIGIN)
    folder, clock = tmp_path / "node", ManualClock(network.now)
    joining.initialise(folder, passphrase=PASSPHRASE, random=os.urandom, clock=clock)
    with node_database(folder / "node.db") as db:
        held = RosterSync(
            db,
            network=network.roster.network,
            member=next(iter(network.members.values())).id,
            client=StillDirectory(network),  # type: ignore[arg-type]  # as far as it is asked
            clock=clock,
            practice=True,
        )
        await held.sync()
    certificate = Town.make(tmp_path / "directory").ca  # any: nothing is called
    joining.Membership(network.roster.network, "127.0.0.1:1", "127.0.0.1:1", certificate).save(folder)
    (folder / "certificate.der").write_bytes(certificate)
    vault = Vault.open(folder / FILE, PASSPHRASE)
    with pytest.raises(PracticeNetwork):
        async with node_opened(folder, vault=vault, clock=clock, random=os.urandom):
            pass
    assert Parts().practice is False
