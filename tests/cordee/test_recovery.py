"""A lost identity key is replaced in public, after days in which it may object; a stolen one counts no more at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from cordee.entries import propose
from cordee.errors import EntryRefused, MemberIsSuspended
from cordee.members import MemberState
from cordee.policy import Policy
from cordee.recovery import DELAY
from cordee.roster import Rule, replay
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from tests.builders import MemberKeys, Network

MOMENT = timedelta(microseconds=1)


@pytest.fixture
def network() -> Network:
    return Network.found(administrators=3, threshold=2)


@pytest.fixture
def lyon(network: Network) -> MemberKeys:
    return network.admit("Lyon")


def refused(network: Network, rule: Rule, kind: type[Message], member: MemberKeys, *signers: Any, **more: Any) -> None:
    statement = kind(**network.roster.head(member.id, network.now), member=member.id, **more)
    before = network.roster
    with pytest.raises(EntryRefused) as refusal:
        network.append(network.signed_entry(statement, *signers))
    assert refusal.value.facts["rule"] == rule
    assert network.roster is before


def key_of(member: MemberKeys) -> v1.PublicKey:
    assert member.announced is not None
    return member.announced.public.to_message()


def test_a_recovery_is_announced_for_all_to_see_and_changes_nothing_yet(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    member = network.member(lyon)
    assert (member.state, member.identity) == (MemberState.ACTIVE, lyon.identity.public)
    assert member.recovery is not None
    assert not member.recovery.stolen
    assert lyon.announced is not None
    assert member.recovery.identity == lyon.announced.public
    assert member.recovery.due - member.recovery.announced == DELAY == timedelta(days=7)
    network.rotate(lyon)  # the present key acts as before


@pytest.mark.parametrize("days", [2, 7, 30])
def test_the_key_is_replaced_once_the_delay_of_the_policy_has_passed_and_not_a_moment_before(
    network: Network, lyon: MemberKeys, days: int
) -> None:
    network.change_policy(recovery_delay=timedelta(days=days))
    network.announce_recovery(lyon)
    announced = network.member(lyon).recovery
    assert announced is not None
    network.now = announced.announced + timedelta(days=days) - MOMENT
    refused(network, Rule.RECOVERY_NOT_DUE, v1.MemberRecovered, lyon, identity_key=key_of(lyon))
    network.now += MOMENT
    network.recover(lyon)
    assert network.roster.active(lyon.id).identity == lyon.identity.public
    assert network.member(lyon).recovery is None


def test_a_recovery_that_nobody_finished_lapses_and_can_be_announced_anew(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    announced = network.member(lyon).recovery
    assert announced is not None
    network.now = announced.announced + timedelta(days=7 + 30)
    refused(network, Rule.RECOVERY_NOT_DUE, v1.MemberRecovered, lyon, identity_key=key_of(lyon))
    network.announce_recovery(lyon)
    network.recover(lyon)


def test_a_recovery_can_be_done_to_the_last_moment_before_it_lapses(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    announced = network.member(lyon).recovery
    assert announced is not None
    network.now = announced.announced + timedelta(days=7 + 30) - MOMENT
    network.recover(lyon)
    assert network.member(lyon).identity == announced.identity


def test_the_delay_is_that_of_the_policy_at_the_announcement(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    network.change_policy(recovery_delay=timedelta(days=2))
    network.now += timedelta(days=3)
    refused(network, Rule.RECOVERY_NOT_DUE, v1.MemberRecovered, lyon, identity_key=key_of(lyon))


def test_the_present_key_objects_and_the_announced_one_is_never_taken(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    announced = key_of(lyon)
    network.object(lyon)
    assert network.member(lyon).recovery is None
    network.now += DELAY
    refused(network, Rule.NO_RECOVERY, v1.MemberRecovered, lyon, identity_key=announced)
    reason = v1.RECOVERY_REASON_LOST
    refused(network, Rule.KEY_TAKEN, v1.RecoveryAnnounced, lyon, identity_key=announced, reason=reason)


def test_one_may_object_until_the_recovery_is_done(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    network.now += DELAY + timedelta(days=1)
    network.object(lyon)
    network.announce_recovery(lyon)
    old = lyon.identity
    network.recover(lyon)
    refused(network, Rule.UNKNOWN_SIGNER, v1.RecoveryObjected, lyon, old)


def test_a_suspended_member_may_object_too(network: Network, lyon: MemberKeys) -> None:
    """Else a suspension would take the objection away."""
    network.announce_recovery(lyon)
    network.suspend(lyon)
    network.object(lyon)
    assert network.member(lyon).recovery is None


@pytest.mark.parametrize("step", ["rotate", "restore"])
def test_whatever_the_present_key_signs_shows_that_it_is_not_lost(
    network: Network, lyon: MemberKeys, step: str
) -> None:
    network.announce_recovery(lyon)
    getattr(network, step)(lyon)
    assert network.member(lyon).recovery is None


def test_a_second_announcement_takes_the_place_of_the_first_and_the_delay_begins_anew(
    network: Network, lyon: MemberKeys
) -> None:
    network.announce_recovery(lyon)
    first = key_of(lyon)
    network.now += timedelta(days=6)
    network.announce_recovery(lyon)
    network.now += timedelta(days=2)
    refused(network, Rule.RECOVERY_NOT_DUE, v1.MemberRecovered, lyon, identity_key=key_of(lyon))
    network.now += DELAY
    refused(network, Rule.NOT_THE_ANNOUNCED_KEY, v1.MemberRecovered, lyon, identity_key=first)
    network.recover(lyon)


def test_nobody_else_takes_a_key_that_is_announced(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon)
    marseille = network.admit("Marseille")
    announced = lyon.announced
    assert announced is not None
    refused(
        network,
        Rule.KEY_TAKEN,
        v1.IdentityRotated,
        marseille,
        marseille.identity,
        announced,
        identity_key=announced.public.to_message(),
    )


# ---- a stolen key ----


def test_a_revoked_key_counts_no_more_from_that_entry_on(network: Network, lyon: MemberKeys) -> None:
    network.revoke(lyon)
    member = network.member(lyon)
    assert (member.state, member.revoked) == (MemberState.SUSPENDED, True)
    with pytest.raises(MemberIsSuspended):
        network.roster.active(lyon.id)
    new = SigningKey.generate(network.random)
    key = new.public.to_message()
    refused(network, Rule.WRONG_STATE, v1.IdentityRotated, lyon, lyon.identity, new, identity_key=key)
    refused(network, Rule.WRONG_STATE, v1.NodeRestored, lyon, lyon.identity, incarnation=bytes(16))
    refused(network, Rule.KEY_REVOKED, v1.MemberReinstated, lyon)
    refused(network, Rule.KEY_REVOKED, v1.IdentityRevoked, lyon)


def test_whoever_holds_a_revoked_key_cannot_object_to_its_recovery(network: Network, lyon: MemberKeys) -> None:
    network.announce_recovery(lyon, stolen=True)
    network.revoke(lyon)
    announced = network.member(lyon).recovery
    assert announced is not None, "what was announced goes on"
    assert announced.stolen, "everybody is told why"
    refused(network, Rule.KEY_REVOKED, v1.RecoveryObjected, lyon, lyon.identity)
    refused(network, Rule.RECOVERY_NOT_DUE, v1.MemberRecovered, lyon, identity_key=key_of(lyon))
    network.recover(lyon)
    member = network.roster.active(lyon.id)
    assert (member.revoked, member.identity) == (False, lyon.identity.public)


@pytest.mark.parametrize("suspended_before", [False, True])
def test_a_recovery_brings_a_member_back_to_where_it_stood_before_its_key_was_revoked(
    network: Network, lyon: MemberKeys, suspended_before: bool
) -> None:
    if suspended_before:
        network.suspend(lyon)
    network.revoke(lyon)
    network.recover(lyon)
    assert network.member(lyon).state is (MemberState.SUSPENDED if suspended_before else MemberState.ACTIVE)
    if suspended_before:
        network.reinstate(lyon)


def test_a_member_whose_key_is_revoked_can_be_removed(network: Network, lyon: MemberKeys) -> None:
    network.revoke(lyon)
    network.remove(lyon)
    assert network.member(lyon).state is MemberState.REMOVED


# ---- logs of before ----


def test_a_log_without_the_delay_recovers_at_once_until_its_policy_has_one(lyon: MemberKeys) -> None:
    old = Network.found(recovery_delay=None)
    assert not v1.Genesis.FromString(old.entries[0].body).policy.HasField("recovery_delay")
    nice = old.admit("Nice")
    old.recover(nice)
    assert old.entries[-2].type.endswith("MemberAdmitted"), "nothing was announced"
    assert replay(old.entries) == old.roster
    old.change_policy(recovery_delay=None, freshness_limit=timedelta(hours=1))
    assert old.roster.policy.freshness_limit == timedelta(hours=1), "a policy may go on without it"
    old.change_policy(recovery_delay=timedelta(days=2))
    key = SigningKey.generate(old.random).public.to_message()
    refused(old, Rule.NO_RECOVERY, v1.MemberRecovered, nice, identity_key=key)
    assert replay(old.entries) == old.roster


def test_what_is_announced_in_a_log_without_the_delay_waits_too() -> None:
    old = Network.found(recovery_delay=None)
    nice = old.admit("Nice")
    old.announce_recovery(nice)
    refused(old, Rule.RECOVERY_NOT_DUE, v1.MemberRecovered, nice, identity_key=key_of(nice))
    old.now += DELAY
    old.recover(nice)


def test_a_policy_says_the_delay_or_nothing() -> None:
    for policy in (Policy(threshold=1), Policy(threshold=1, recovery_delay=None)):
        assert Policy.from_message(policy.to_message()) == policy
    assert b"recovery" not in propose(v1.PolicyChanged(policy=Policy(threshold=1).to_message())).body
