"""An association that has lost its identity key, or whose key was stolen, comes back with another one."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import BadSignature, ClockSkew, CordeeError, NotAMember, NotCovered, NotFound, RemoteFailure
from cordee.members import MemberState
from cordee.signing import SigningKey, SigningPublicKey
from cordee.v1 import statements_pb2 as v1
from node import joining, records, rejoining
from node.front_desk import FrontDesk
from node.identity import own_recovery
from node.joining import Membership
from node.rejoining import WayBack
from tests.directory.town import encoded
from tests.journeys.test_rotating_keys import a_case_arrives, is_whole, knows_new_card
from tests.journeys.test_rotating_network_keys import days_pass
from tests.neighbours import PASSPHRASE, Neighbour, Street, eventually, neighbourhood


async def announce(street: Street, node: Neighbour, key: SigningPublicKey, *, stolen: bool = False) -> None:
    await administer(
        street,
        node,
        v1.RecoveryAnnounced,
        identity_key=key.to_message(),
        reason=v1.RECOVERY_REASON_STOLEN if stolen else v1.RECOVERY_REASON_LOST,
    )


async def administer(street: Street, node: Neighbour, kind: Any, **fields: Any) -> None:
    network = street.town.network
    network.now = max(network.now, street.clock.now())
    assert node.member is not None
    statement = kind(**network.roster.head(node.member, network.now), member=node.member, **fields)
    await street.town.append(network.append(network.signed_entry(statement)))


async def put_in_force(street: Street, node: Neighbour, key: SigningPublicKey) -> None:
    await administer(street, node, v1.MemberRecovered, identity_key=key.to_message())


async def come_back(street: Street, node: Neighbour, **more: Any) -> None:
    await rejoining.come_back(node.folder, passphrase=PASSPHRASE, clock=street.clock, random=os.urandom, **more)


async def test_an_association_whose_machine_burnt_comes_back_under_its_name_with_a_new_key(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await a_case_arrives(paris, marseille)
        member, membership = paris.here.member, Membership.load(paris.folder)
        await paris.stop()
        shutil.rmtree(paris.folder)
        joining.initialise(paris.folder, passphrase=PASSPHRASE, random=os.urandom, clock=street.clock)
        key = rejoining.next_key(paris.folder, passphrase=PASSPHRASE, random=os.urandom)
        way, profile = WayBack(membership, member), encoded(paris.profile)
        with pytest.raises(BadSignature):
            await come_back(street, paris, way=way, profile=profile)
        await announce(street, paris, key)
        await days_pass(street, marseille, days=8)
        with pytest.raises(BadSignature):
            await come_back(street, paris, way=way, profile=profile)
        await put_in_force(street, paris, key)
        with pytest.raises(NotFound):
            await come_back(street, paris, way=way)
        await come_back(street, paris, way=way, profile=profile)
        await paris.start()
        assert (paris.here.member, paris.here.identity_public) == (member, key)
        await eventually(lambda: knows_new_card(marseille, paris), what="the new card")
        await a_case_arrives(marseille, paris)
        await a_case_arrives(paris, marseille)
        await is_whole(paris)
        await is_whole(marseille)


async def test_an_association_whose_key_was_stolen_keeps_its_cases_and_comes_back(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await a_case_arrives(paris, marseille)
        record = await paris.case(1)
        thief = paris.here.house.keys.identity
        await administer(street, paris, v1.IdentityRevoked)
        await eventually(
            lambda: marseille.here.roster.roster.members[paris.here.member].state is MemberState.SUSPENDED,
            what="the revocation",
        )
        act = await marseille.act(other := await marseille.case(2), paris)
        with pytest.raises(NotCovered):
            await marseille.offer(other, paris, act)
        await paris.stop()
        key = rejoining.next_key(paris.folder, passphrase=PASSPHRASE, random=os.urandom)
        assert rejoining.next_key(paris.folder, passphrase=PASSPHRASE, random=os.urandom) == key, "made once"
        await announce(street, paris, key, stolen=True)
        await days_pass(street, marseille, days=8)
        await put_in_force(street, paris, key)
        await come_back(street, paris)
        await paris.start()
        await eventually(lambda: knows_new_card(marseille, paris), what="the new card")
        kept = await paris.here.db.read(lambda tx: records.list_cases(tx, paris.here.vault))
        assert record["meta"]["case_id"] in {each.case_id for each in kept}
        await a_case_arrives(marseille, paris, 3)
        await is_whole(paris)
        with pytest.raises(CordeeError):
            await rejoining.ask(
                Membership.load(paris.folder),
                paris.here.member,
                thief,
                paris.here.publishing.transport,
                next(iter(paris.here.house.keys.sealing.values())),
                number=2**40,
                profile=encoded(paris.profile),
                now=street.clock.now(),
                nonce=bytes(16),
            )


async def test_cards_that_a_thief_counted_up_do_not_keep_the_member_out(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        here = paris.here
        known = here.roster.card(here.member, now=street.clock.now())
        from cordee.card import make_card

        card = make_card(
            here.house.keys.identity,
            network=here.house.network,
            member=here.member,
            number=2**62,
            sealing_key=known.card.sealing_key,
            transport_key_digest=known.card.transport_key_digest,
            profile=known.profile_bytes,
            now=street.clock.now(),
        )
        await paris.here.publishing._client.publish_card(card, profile=known.profile_bytes)
        await eventually(
            lambda: marseille.here.roster.card(here.member, now=street.clock.now()).card.number == 2**62,
            what="the last card that there can be",
        )
        await paris.stop()
        key = rejoining.next_key(paris.folder, passphrase=PASSPHRASE, random=os.urandom)
        await announce(street, paris, key, stolen=True)
        await days_pass(street, marseille, days=8)
        await put_in_force(street, paris, key)
        await come_back(street, paris)
        await eventually(
            lambda: marseille.here.roster.roster.members[paris.member].identity == key,  # type: ignore[index]
            what="the recovery",
        )
        await marseille.stop()
        await marseille.start()
        await paris.start()
        await eventually(lambda: knows_new_card(marseille, paris), what="the new card")
        await a_case_arrives(marseille, paris)


async def test_a_request_to_come_back_counts_now_only(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, (paris,)):
        here, membership = paris.here, Membership.load(paris.folder)
        sealing, profile = next(iter(here.house.keys.sealing.values())), encoded(paris.profile)
        own = (membership, here.member, here.house.keys.identity, here.publishing.transport, sealing)
        now = street.clock.now()
        with pytest.raises(ClockSkew):
            await rejoining.ask(*own, number=7, profile=profile, nonce=bytes(16), now=now - timedelta(minutes=6))
        await rejoining.ask(*own, number=7, profile=profile, nonce=bytes(16), now=now)


# ---- who is suspended may object ----


async def test_a_suspended_member_hears_of_its_recovery_and_objects_at_the_front(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await administer(street, paris, v1.MemberSuspended)
        await eventually(lambda: not paris.here.roster.connected, what="the end of the line")
        await announce(street, paris, street.town.network.new_member("somebody").identity.public)
        await eventually(lambda: own_recovery(paris.here.house), what="the announcement")
        assert paris.here.roster.roster.members[paris.here.member].state is MemberState.SUSPENDED
        await paris.here.identity.object(by="camille")
        assert own_recovery(paris.here.house) is None
        assert paris.here.roster.alarm is None
        await eventually(
            lambda: marseille.here.roster.roster.members[paris.here.member].recovery is None, what="the objection"
        )


async def test_nobody_reads_the_log_at_the_front_but_a_member_that_is_not_removed(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, (paris,)):
        here, stranger = paris.here, SigningKey.generate(os.urandom)

        async def read(key: SigningKey) -> int:
            desk = FrontDesk(
                lambda: Membership.load(paris.folder), here.member, lambda: key, now=street.clock.now, random=os.urandom
            )
            return len([each async for each in desk.entries(start=0)])

        assert await read(here.house.keys.identity) == 2
        # What the directory names as its reason is told, and not taken for this node's own finding.
        with pytest.raises(RemoteFailure, match="BAD_SIGNATURE"):
            await read(stranger)
        await administer(street, paris, v1.MemberRemoved)
        with pytest.raises(NotAMember):
            await read(here.house.keys.identity)
