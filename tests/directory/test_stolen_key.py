"""One administrator's key is lost or stolen: the others go on, as long as enough of them are left to sign."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from cordee.entries import add_signature, propose
from cordee.policy import Policy
from cordee.signing import SigningKey
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.administrator.client import connected
from tests.directory.town import Town, encoded, profile_of, refused


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Three administrators, of whom two must sign. The third one's key is in other hands."""
    made = Town.make(tmp_path / "directory", administrators=3, threshold=2)
    async with made.open():
        await made.found()
        yield made


def entry(town: Town, kind: type[Message], *signers: SigningKey, **fields: Any) -> v1.Entry:
    """An entry about the network's government."""
    made = propose(kind(**town.network.roster.head(None, town.clock.now()), **fields))
    for key in signers:
        made = add_signature(made, key)
    return made


async def take(town: Town, *entries: v1.Entry) -> None:
    """The directory gathers signatures; what it appends the paper follows."""
    for one in entries:
        if (await town.sign(one)).appended:
            town.network.append(one)


async def test_a_stolen_key_is_removed_by_the_others_while_the_thief_signs_too(town: Town) -> None:
    alice, bruno, thief = town.network.administrators
    against = entry(town, v1.AdministratorRemoved, thief, administrator=alice.public.key_id)
    lower = entry(town, v1.PolicyChanged, thief, policy=Policy(threshold=1).to_message())
    for attempt in (against, lower):
        assert not (await town.sign(attempt)).appended, "one of three does nothing alone"
    removal = entry(town, v1.AdministratorRemoved, alice, administrator=thief.public.key_id)
    assert not (await town.sign(removal)).appended
    assert len(await town.directory.governance.pending()) == 3

    both = add_signature(removal, bruno)
    await take(town, both)
    assert thief.public.key_id not in town.directory.rosters.roster.administrators
    assert await town.directory.governance.pending() == [], "what the thief began is void"
    for attempt in (against, lower, add_signature(against, bruno)):
        with refused("NOT_AN_ADMINISTRATOR"):
            await town.sign(attempt)
    with refused("NOT_AN_ADMINISTRATOR"):
        await town.administer(
            "ListPendingEntries", pb.ListPendingEntriesRequest(command=town.command(v1.ListPendingEntries(), by=2))
        )


async def test_a_thief_who_signs_what_a_colleague_began_counts_for_nothing_once_he_is_out(town: Town) -> None:
    alice, bruno, thief = town.network.administrators
    marseille = await town.join("Marseille")
    suspension = propose(
        v1.MemberSuspended(**town.network.roster.head(marseille.keys.id, town.clock.now()), member=marseille.keys.id)
    )
    assert not (await town.sign(add_signature(suspension, thief))).appended
    await take(town, entry(town, v1.AdministratorRemoved, alice, bruno, administrator=thief.public.key_id))
    answer = await town.sign(add_signature(suspension, alice))
    assert (answer.appended, answer.signatures) == (False, 1)


async def test_a_thief_cannot_fill_the_list_so_that_nobody_else_can_begin(town: Town) -> None:
    alice, bruno, thief = town.network.administrators

    def another(number: int) -> v1.Entry:
        key = SigningKey.from_seed(number.to_bytes(64, "big"))
        return entry(town, v1.AdministratorAdded, thief, key=key.public.to_message())

    for number in range(64):
        await town.sign(another(number))
    with refused("TOO_MANY_REQUESTS"):
        await town.sign(another(64))
    removal = entry(town, v1.AdministratorRemoved, alice, administrator=thief.public.key_id)
    assert not (await town.sign(removal)).appended
    await take(town, add_signature(removal, bruno))
    assert await town.directory.governance.pending() == []


async def test_as_many_thieves_as_may_not_decide_cannot_fill_the_list_either(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "five", administrators=5, threshold=3)
    alice, bruno, carla, *thieves = town.network.administrators

    def another(number: int, *signers: SigningKey) -> v1.Entry:
        key = SigningKey.from_seed(number.to_bytes(64, "big"))
        return entry(town, v1.AdministratorAdded, *signers, key=key.public.to_message())

    async with town.open() as directory:
        await town.found()
        for number in range(64):
            await directory.governance.sign(another(number, *thieves))
        for attempt in (thieves, thieves[:1], thieves[1:]):
            with refused("TOO_MANY_REQUESTS"):
                await directory.governance.sign(another(64, *attempt))
        removal = entry(town, v1.AdministratorRemoved, alice, administrator=thieves[0].public.key_id)
        assert not (await town.sign(removal)).appended
        async with connected(
            town.listening.front,
            root=town.ca,
            network=town.network.roster.network,
            key=bruno,
            clock=town.clock,
            random=os.urandom,
        ) as client:
            assert removal in await client.pending(), "however much there is of it, all of it can be read"
        await take(town, add_signature(add_signature(removal, bruno), carla))
        assert await directory.governance.pending() == []


async def test_whatever_was_asked_and_invited_can_be_read_however_much_it_is(town: Town) -> None:
    """More than one answer holds, of one administrator's invitations: as long as they can be, spent and open."""
    spacious = b" " * 60_000  # a profile may have 64 KiB
    for number in range(20):
        profile = profile_of(f"Nom {number}", number)
        invitation = await town.invite(profile["legal_name"], profile["siret"], by=2)
        applicant = town.applicant(f"Nom {number}", encoded(profile) + spacious)
        await town.enrol(town.join_request(applicant, invitation))
    for number in range(190):
        await town.directory.membership.invite(*_invitation(town, number, name="é" * 300))
    async with connected(
        town.listening.front,
        root=town.ca,
        network=town.network.roster.network,
        key=town.network.administrators[0],
        clock=town.clock,
        random=os.urandom,
    ) as client:
        applicants, doubts = await client.applicants(town.network.roster)
        assert {each.legal_name for each, _ in applicants} == {f"Association Nom {number}" for number in range(20)}
        assert len(applicants) == 20
        assert doubts == []
        assert len(await client.invited(town.network.roster)) == 190


@pytest.mark.parametrize("wrong", [{"name": "e" * 301}, {"registration": "1" * 41}])
async def test_nobody_is_invited_under_a_name_or_number_that_no_profile_can_have(
    town: Town, wrong: dict[str, str]
) -> None:
    with refused("INVALID_INPUT"):
        await town.directory.membership.invite(*_invitation(town, 1, **wrong))


async def test_invitations_of_a_stolen_key_are_taken_back_and_those_who_hold_them_are_told(town: Town) -> None:
    alice, bruno, thief = town.network.administrators
    profile, other = profile_of("Marseille"), profile_of("Lille", 1)
    invitation = await town.invite(profile["legal_name"], profile["siret"], by=2)
    unused = await town.invite(other["legal_name"], other["siret"], by=2)
    applicant = town.applicant("Marseille", encoded(profile))
    await town.enrol(town.join_request(applicant, invitation))
    await take(town, entry(town, v1.AdministratorRemoved, alice, bruno, administrator=thief.public.key_id))

    answer = await town.status(applicant)
    assert answer.state == pb.JOIN_STATE_REFUSED
    assert "has left" in answer.refusal_reason
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(town.applicant("Lille", encoded(other)), unused))
    newer = await town.invite(profile["legal_name"], profile["siret"])
    assert await town.enrol(town.join_request(applicant, newer)) == pb.JOIN_STATE_WAITING


async def test_one_administrator_cannot_fill_the_disk_with_invitations(town: Town) -> None:
    for number in range(200):
        await town.directory.membership.invite(*_invitation(town, number))
    with refused("TOO_MANY_REQUESTS"):
        await town.directory.membership.invite(*_invitation(town, 200))
    await town.invite("Association Marseille", "00097228100034", by=1)


def _invitation(
    town: Town, number: int, *, name: str = "Association", registration: str = ""
) -> tuple[v1.CreateInvitation, Any]:
    message = v1.CreateInvitation(
        invitation=number.to_bytes(16, "big"),
        secret_digest=bytes(32),
        legal_name=name,
        registration_number=registration or str(number + 1),
        expire_time=timestamp_of(town.clock.now() + timedelta(days=7)),
    )
    return town.directory.commands.check(town.command(message, by=2), v1.CreateInvitation)


async def test_a_thief_who_asks_without_end_keeps_nobody_else_from_asking(town: Town) -> None:
    commands = town.directory.commands
    for _ in range(2_000):
        commands.check(town.command(v1.ListJoinRequests(), by=2), v1.ListJoinRequests)
    with refused("TOO_MANY_REQUESTS"):
        commands.check(town.command(v1.ListJoinRequests(), by=2), v1.ListJoinRequests)
    commands.check(town.command(v1.ListJoinRequests(), by=0), v1.ListJoinRequests)
    town.move(timedelta(minutes=11))
    commands.check(town.command(v1.ListJoinRequests(), by=2), v1.ListJoinRequests)


async def test_a_lost_key_is_replaced_by_the_others(town: Town) -> None:
    alice, bruno, lost = town.network.administrators
    await take(town, entry(town, v1.AdministratorRemoved, alice, bruno, administrator=lost.public.key_id))
    newcomer = SigningKey.generate(town.network.random)
    await take(town, entry(town, v1.AdministratorAdded, alice, bruno, key=newcomer.public.to_message()))
    assert set(town.directory.rosters.roster.administrators) == {
        each.public.key_id for each in (alice, bruno, newcomer)
    }
    with refused("ENTRY_REFUSED"):
        await town.sign(entry(town, v1.AdministratorAdded, alice, bruno, key=lost.public.to_message()))


async def test_the_threshold_is_never_above_those_who_are_left(town: Town) -> None:
    alice, bruno, lost = town.network.administrators
    with refused("ENTRY_REFUSED"):
        await town.sign(entry(town, v1.PolicyChanged, alice, bruno, policy=Policy(threshold=4).to_message()))
    await take(town, entry(town, v1.AdministratorRemoved, alice, bruno, administrator=lost.public.key_id))
    with refused("ENTRY_REFUSED"):
        await town.sign(entry(town, v1.PolicyChanged, alice, bruno, policy=Policy(threshold=3).to_message()))
    with refused("ENTRY_REFUSED"):
        await town.sign(entry(town, v1.AdministratorRemoved, alice, bruno, administrator=bruno.public.key_id))
    await take(town, entry(town, v1.PolicyChanged, alice, bruno, policy=Policy(threshold=1).to_message()))
    await take(town, entry(town, v1.AdministratorRemoved, alice, administrator=bruno.public.key_id))
    assert set(town.directory.rosters.roster.administrators) == {alice.public.key_id}
