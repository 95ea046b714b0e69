"""What each entry does to the roster, and each rule that refuses one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from cordee.entries import add_signature, propose
from cordee.errors import EntryRefused, InvalidInput, MalformedStatement, MemberIsSuspended, NotAMember
from cordee.ids import MemberId
from cordee.members import MemberState, registration_digest
from cordee.policy import MAX_ADMINISTRATORS, Policy
from cordee.roster import Rule, apply, network_id, replay
from cordee.signing import SigningKey, member_id_of
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from tests.builders import FOUNDED, MemberKeys, Network

MOMENT = timedelta(microseconds=1)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def network() -> Network:
    return Network.found(administrators=3, threshold=2)


@pytest.fixture
def marseille(network: Network) -> MemberKeys:
    return network.admit("Marseille")


@pytest.fixture
def lille(network: Network, marseille: MemberKeys) -> MemberKeys:
    return network.admit("Lille")


def assert_refused(network: Network, entry: v1.Entry, rule: Rule) -> None:
    before = network.roster
    with pytest.raises(EntryRefused) as refusal:
        apply(network.roster, entry)
    assert refusal.value.facts == {"index": str(network.roster.size), "rule": rule.value}
    assert network.roster == before


def about(network: Network, kind: type[Message], member: MemberKeys, **fields: Any) -> Message:
    return kind(**{**network.roster.head(member.id, network.now), "member": member.id, **fields})


def govern(network: Network, kind: type[Message], **fields: Any) -> Message:
    return kind(**{**network.roster.head(None, network.now), **fields})


# ---- what entries do ----


def test_a_genesis_founds_a_network_that_is_named_after_it(network: Network) -> None:
    assert network.roster.size == 1
    assert network.roster.network == network_id(network.entries[0])
    assert set(network.roster.administrators) == {key.public.key_id for key in network.administrators}
    assert network.roster.policy == Policy(threshold=2)
    assert network.roster.directory_key == network.directory.public
    assert network.roster.time == FOUNDED


def test_an_admitted_member_is_active_with_its_key(network: Network, marseille: MemberKeys) -> None:
    member = network.roster.active(marseille.id)
    assert member.identity == marseille.identity.public
    assert member.id == member_id_of(member.identity)
    assert (member.state, member.admitted_size, member.incarnation) == (MemberState.ACTIVE, 2, None)


def test_a_suspended_member_is_refused_by_name_until_it_is_reinstated(network: Network, marseille: MemberKeys) -> None:
    network.suspend(marseille)
    with pytest.raises(MemberIsSuspended):
        network.roster.active(marseille.id)
    network.reinstate(marseille)
    assert network.roster.active(marseille.id).state is MemberState.ACTIVE


def test_a_removed_member_and_a_stranger_are_no_members(network: Network, marseille: MemberKeys) -> None:
    network.remove(marseille)
    for member in (marseille.id, MemberId(bytes(16))):
        with pytest.raises(NotAMember) as refusal:
            network.roster.active(member)
        assert refusal.type is NotAMember


def test_a_recovered_member_has_a_new_key_and_the_state_it_had(network: Network, marseille: MemberKeys) -> None:
    old = marseille.identity.public
    network.suspend(marseille)
    network.recover(marseille)
    member = network.member(marseille)
    assert member.state is MemberState.SUSPENDED
    assert member.identity == marseille.identity.public != old
    assert member.id == member_id_of(old)


def test_the_key_in_force_is_known_for_every_size_of_the_log(network: Network, marseille: MemberKeys) -> None:
    keys = {network.roster.size: marseille.identity.public}
    for step in (network.rotate, network.restore, network.recover, network.rotate):
        step(marseille)
        keys[network.roster.size] = marseille.identity.public
    for size, key in keys.items():
        assert network.roster.identity_at(marseille.id, size) == key
        assert replay(network.entries[:size]).active(marseille.id).identity == key
    for size in (0, 1, network.roster.size + 1):
        with pytest.raises(NotAMember):
            network.roster.identity_at(marseille.id, size)
    with pytest.raises(NotAMember):
        network.roster.identity_at(MemberId(bytes(16)), 2)


def test_a_restored_node_has_a_new_incarnation(network: Network, marseille: MemberKeys) -> None:
    network.restore(marseille)
    first = network.member(marseille).incarnation
    network.restore(marseille)
    assert first != network.member(marseille).incarnation is not None


def test_the_government_changes_by_its_own_rules(network: Network) -> None:
    newcomer = network.add_administrator()
    assert newcomer.public.key_id in network.roster.administrators
    network.change_policy(threshold=4, freshness_limit=timedelta(hours=1))
    assert network.roster.policy == Policy(threshold=4, freshness_limit=timedelta(hours=1))
    network.change_policy(threshold=3)
    network.remove_administrator(newcomer)
    assert newcomer.public.key_id not in network.roster.administrators
    network.rotate_directory_key()
    assert network.roster.directory_key == network.directory.public


def test_an_old_roster_stays_what_it_was(network: Network, marseille: MemberKeys) -> None:
    before = network.roster
    state, members, keys = before.active(marseille.id), dict(before.members), dict(before.used_keys)
    network.suspend(marseille)
    network.recover(marseille)
    network.admit("Lille")
    network.add_administrator()
    network.remove(marseille)
    assert before.active(marseille.id) == state
    assert (dict(before.members), dict(before.used_keys)) == (members, keys)
    assert len(before.administrators) == 3


def test_a_whole_log_replayed_gives_the_same_roster(network: Network, marseille: MemberKeys, lille: MemberKeys) -> None:
    network.suspend(marseille)
    network.rotate(lille)
    network.change_policy(threshold=1)
    network.remove(marseille)
    assert replay(network.entries) == network.roster
    with pytest.raises(ValueError, match="genesis"):
        replay([])


def test_more_administrators_than_asked_may_sign(network: Network, marseille: MemberKeys) -> None:
    network.append(network.signed_entry(about(network, v1.MemberSuspended, marseille), *network.administrators))
    assert network.member(marseille).state is MemberState.SUSPENDED


def test_a_member_cannot_put_off_its_suspension_with_an_entry_from_the_future(
    network: Network, marseille: MemberKeys
) -> None:
    future = network.now + timedelta(days=36_500)
    rotated = about(network, v1.NodeRestored, marseille, incarnation=bytes(16), time=timestamp_of(future))
    entry = network.signed_entry(rotated, marseille.identity)
    with pytest.raises(EntryRefused):
        apply(network.roster, entry, latest=network.now + timedelta(minutes=5))
    network.append(entry)  # a directory that lets it pass …
    network.suspend(marseille)  # … gains nothing: the next entry carries the same time
    assert network.member(marseille).last_time == future
    network.admit("Lille")
    assert network.roster.time == future, "the latest that any entry carries, not the last one's"


def test_nor_does_it_gain_anything_once_the_directory_knows_the_time_again(
    network: Network, marseille: MemberKeys
) -> None:
    now, future = network.now, network.now + timedelta(days=36_500)
    restored = about(network, v1.NodeRestored, marseille, incarnation=bytes(16), time=timestamp_of(future))
    network.append(network.signed_entry(restored, marseille.identity))  # its clock was wrong, or it was in other hands
    latest = now + timedelta(minutes=5)
    suspended = about(network, v1.MemberSuspended, marseille, time=timestamp_of(future))
    after = apply(network.roster, network.signed_entry(suspended), latest=latest)
    assert after.members[marseille.id].state is MemberState.SUSPENDED
    later = about(network, v1.MemberSuspended, marseille, time=timestamp_of(future + timedelta(seconds=1)))
    with pytest.raises(EntryRefused):
        apply(network.roster, network.signed_entry(later), latest=latest)


def test_the_same_association_may_come_back_with_new_keys_once_removed(network: Network, marseille: MemberKeys) -> None:
    again = network.new_member("Marseille")
    assert_refused(network, network.signed_entry(network.admission(again)), Rule.REGISTRATION_TAKEN)
    network.suspend(marseille)
    assert_refused(network, network.signed_entry(network.admission(again)), Rule.REGISTRATION_TAKEN)
    network.remove(marseille)
    network.append(network.signed_entry(network.admission(again)))
    assert network.roster.active(again.id).registration == network.member(marseille).registration


# ---- who must sign ----


def test_below_the_threshold_nobody_is_admitted(network: Network) -> None:
    member = network.new_member("Lille")
    entry = network.signed_entry(network.admission(member), network.administrators[0])
    assert_refused(network, entry, Rule.TOO_FEW_SIGNATURES)
    assert_refused(network, propose(network.admission(member)), Rule.TOO_FEW_SIGNATURES)


def test_one_administrator_signing_twice_counts_once(network: Network) -> None:
    entry = network.signed_entry(network.admission(network.new_member("Lille")), network.administrators[0])
    entry.signatures.append(entry.signatures[0])
    assert_refused(network, entry, Rule.SIGNATURE_ORDER)
    again = propose(v1.MemberSuspended())
    with pytest.raises(InvalidInput):
        add_signature(add_signature(again, network.administrators[0]), network.administrators[0])


def test_signatures_have_one_order(network: Network) -> None:
    entry = network.signed_entry(network.admission(network.new_member("Lille")))
    swapped = v1.Entry(type=entry.type, body=entry.body, signatures=reversed(entry.signatures))
    assert_refused(network, swapped, Rule.SIGNATURE_ORDER)


def test_a_signature_too_many_by_a_stranger_makes_an_entry_void(network: Network, marseille: MemberKeys) -> None:
    suspension = about(network, v1.MemberSuspended, marseille)
    for stranger in (network.directory, marseille.identity, SigningKey.generate(network.random)):
        entry = network.signed_entry(suspension, *network.administrators[:2], stranger)
        assert_refused(network, entry, Rule.UNKNOWN_SIGNER)


def test_a_removed_administrators_signature_no_longer_counts(network: Network, marseille: MemberKeys) -> None:
    gone = network.administrators[0]
    network.remove_administrator(gone)
    entry = network.signed_entry(about(network, v1.MemberSuspended, marseille), gone, network.administrators[1])
    assert_refused(network, entry, Rule.UNKNOWN_SIGNER)


def test_the_threshold_is_that_of_the_policy_before_the_entry(network: Network) -> None:
    lower = govern(network, v1.PolicyChanged, policy=Policy(threshold=1).to_message())
    entry = network.signed_entry(lower, network.administrators[0])
    assert_refused(network, entry, Rule.TOO_FEW_SIGNATURES)


def test_the_directory_can_make_no_entry(network: Network, marseille: MemberKeys) -> None:
    for statement in (
        network.admission(network.new_member("Nobody")),
        about(network, v1.MemberSuspended, marseille),
        about(network, v1.MemberRecovered, marseille, identity_key=network.directory.public.to_message()),
        about(network, v1.NodeRestored, marseille, incarnation=bytes(16)),
        govern(network, v1.DirectoryKeyRotated, key=SigningKey.generate(network.random).public.to_message()),
    ):
        assert_refused(network, network.signed_entry(statement, network.directory), Rule.UNKNOWN_SIGNER)


def test_a_rotation_needs_the_old_key_and_the_new_one(network: Network, marseille: MemberKeys) -> None:
    new = SigningKey.generate(network.random)
    statement = about(network, v1.IdentityRotated, marseille, identity_key=new.public.to_message())
    for signers, rule in (
        ((marseille.identity,), Rule.TOO_FEW_SIGNATURES),
        ((new,), Rule.TOO_FEW_SIGNATURES),
        (tuple(network.administrators[:2]), Rule.UNKNOWN_SIGNER),
        ((marseille.identity, new, network.administrators[0]), Rule.UNKNOWN_SIGNER),
    ):
        assert_refused(network, network.signed_entry(statement, *signers), rule)
    same = about(network, v1.IdentityRotated, marseille, identity_key=marseille.identity.public.to_message())
    assert_refused(network, network.signed_entry(same, marseille.identity), Rule.TOO_FEW_SIGNATURES)
    network.append(network.signed_entry(statement, marseille.identity, new))


def test_a_node_restored_is_told_by_its_own_member_only(
    network: Network, marseille: MemberKeys, lille: MemberKeys
) -> None:
    statement = about(network, v1.NodeRestored, marseille, incarnation=bytes(16))
    for signers in ((lille.identity,), tuple(network.administrators), (marseille.identity, lille.identity)):
        assert_refused(network, network.signed_entry(statement, *signers), Rule.UNKNOWN_SIGNER)


def test_a_key_given_up_signs_nothing_any_more(network: Network, marseille: MemberKeys) -> None:
    old = marseille.identity
    network.recover(marseille)
    statement = about(network, v1.NodeRestored, marseille, incarnation=bytes(16))
    assert_refused(network, network.signed_entry(statement, old), Rule.UNKNOWN_SIGNER)


# ---- members and keys ----


def test_a_members_id_is_that_of_its_key(network: Network) -> None:
    one, other = network.new_member("Lille"), network.new_member("Paris")
    statement = network.admission(one)
    statement.identity_key.CopyFrom(other.identity.public.to_message())
    assert_refused(network, network.signed_entry(statement), Rule.WRONG_MEMBER_ID)


def test_an_id_is_given_once_even_after_removal(network: Network, marseille: MemberKeys) -> None:
    admission = network.admission(marseille)
    admission.previous, admission.registration = network.roster.genesis_entry, bytes(32)
    assert_refused(network, network.signed_entry(admission), Rule.MEMBER_ID_TAKEN)
    network.remove(marseille)
    assert_refused(network, network.signed_entry(admission), Rule.MEMBER_ID_TAKEN)


def test_a_key_that_ever_had_a_holder_is_taken_by_nobody_again(
    network: Network, marseille: MemberKeys, lille: MemberKeys
) -> None:
    former = marseille.identity
    network.rotate(marseille)
    former_administrator = network.add_administrator()
    network.remove_administrator(former_administrator)
    former_directory = network.directory
    network.rotate_directory_key()
    taken = [former, marseille.identity, lille.identity, former_administrator, *network.administrators[:1]]
    taken += [former_directory, network.directory]
    for key in taken:
        message = key.public.to_message()
        fields = {"identity_key": message, "reason": v1.RECOVERY_REASON_LOST}
        recovery = about(network, v1.RecoveryAnnounced, lille, **fields)
        assert_refused(network, network.signed_entry(recovery), Rule.KEY_TAKEN)
        for kind in (v1.AdministratorAdded, v1.DirectoryKeyRotated):
            assert_refused(network, network.signed_entry(govern(network, kind, key=message)), Rule.KEY_TAKEN)
        if key is not lille.identity:
            rotation = about(network, v1.IdentityRotated, lille, identity_key=message)
            assert_refused(network, network.signed_entry(rotation, lille.identity, key), Rule.KEY_TAKEN)
    thief = network.new_member("Thief")
    admission = network.admission(thief)
    admission.identity_key.CopyFrom(network.administrators[0].public.to_message())
    admission.member = member_id_of(network.administrators[0].public)
    assert_refused(network, network.signed_entry(admission), Rule.KEY_TAKEN)


@pytest.mark.parametrize(
    ("state", "impossible"),
    [
        ("active", [v1.MemberReinstated]),
        ("suspended", [v1.MemberSuspended, v1.IdentityRotated, v1.NodeRestored]),
        (
            "removed",
            [
                v1.MemberSuspended,
                v1.MemberReinstated,
                v1.MemberRemoved,
                v1.MemberCorrected,
                v1.RecoveryAnnounced,
                v1.RecoveryObjected,
                v1.MemberRecovered,
                v1.IdentityRevoked,
                v1.IdentityRotated,
                v1.NodeRestored,
            ],
        ),
    ],
)
def test_a_state_allows_what_the_page_says(
    network: Network, marseille: MemberKeys, state: str, impossible: list[type[Message]]
) -> None:
    if state != "active":
        (network.suspend if state == "suspended" else network.remove)(marseille)
    new = SigningKey.generate(network.random)
    for kind in impossible:
        fields: dict[str, Any] = {}
        signers: tuple[SigningKey, ...] = ()
        if kind in (v1.RecoveryAnnounced, v1.MemberRecovered, v1.IdentityRotated):
            fields["identity_key"] = new.public.to_message()
        if kind is v1.MemberCorrected:
            fields["registration"] = bytes(32)
        if kind is v1.RecoveryAnnounced:
            fields["reason"] = v1.RECOVERY_REASON_LOST
        if kind is v1.RecoveryObjected:
            signers = (marseille.identity,)
        if kind is v1.NodeRestored:
            fields["incarnation"], signers = bytes(16), (marseille.identity,)
        if kind is v1.IdentityRotated:
            signers = (marseille.identity, new)
        entry = network.signed_entry(about(network, kind, marseille, **fields), *signers)
        assert_refused(network, entry, Rule.WRONG_STATE)


def test_an_incarnation_is_new_and_has_16_bytes(network: Network, marseille: MemberKeys) -> None:
    network.restore(marseille)
    present = network.member(marseille).incarnation
    for incarnation, rule in ((present, Rule.SAME_INCARNATION), (b"", Rule.MALFORMED), (bytes(17), Rule.MALFORMED)):
        statement = about(network, v1.NodeRestored, marseille, incarnation=incarnation)
        assert_refused(network, network.signed_entry(statement, marseille.identity), rule)


def test_nothing_is_said_about_a_member_who_is_not_there(network: Network) -> None:
    stranger = network.new_member("Nobody")
    assert_refused(network, network.signed_entry(about(network, v1.MemberSuspended, stranger)), Rule.NO_SUCH_MEMBER)


# ---- administrators and policy ----


def test_the_threshold_stays_within_reach(network: Network) -> None:
    raised = govern(network, v1.PolicyChanged, policy=Policy(threshold=4).to_message())
    assert_refused(network, network.signed_entry(raised), Rule.THRESHOLD_OUT_OF_REACH)
    network.change_policy(threshold=3)
    removal = govern(network, v1.AdministratorRemoved, administrator=network.administrators[0].public.key_id)
    assert_refused(network, network.signed_entry(removal), Rule.THRESHOLD_OUT_OF_REACH)


def test_only_an_administrator_can_be_removed_as_one(network: Network, marseille: MemberKeys) -> None:
    for key in (network.directory, marseille.identity):
        removal = govern(network, v1.AdministratorRemoved, administrator=key.public.key_id)
        assert_refused(network, network.signed_entry(removal), Rule.NO_SUCH_ADMINISTRATOR)


@pytest.mark.parametrize(
    "broken",
    [
        {"threshold": 0},
        {"threshold": MAX_ADMINISTRATORS + 1},
        {"freshness_limit": timedelta(0)},
        {"freshness_limit": timedelta(days=8)},
        {"offer_life_limit": timedelta(0)},
        {"offer_life_limit": timedelta(days=15)},
        {"shipping_limit": timedelta(0)},
        {"shipping_limit": timedelta(days=15)},
        {"content_size_limit": 0},
        {"content_size_limit": 2**40 + 1},
        {"mailbox_quota": 0},
        {"mailbox_quota": 2**64 - 1},
        {"recovery_delay": timedelta(0)},
        {"recovery_delay": timedelta(days=31)},
    ],
)
def test_a_policy_cannot_switch_a_limit_off(network: Network, broken: dict[str, Any]) -> None:
    with pytest.raises(MalformedStatement):
        Policy(**{"threshold": 2, **broken})
    message = Policy(threshold=2).to_message()
    for name, value in broken.items():
        if isinstance(value, timedelta):
            getattr(message, name).FromTimedelta(value)
        else:
            setattr(message, name, value)
    assert_refused(network, network.signed_entry(govern(network, v1.PolicyChanged, policy=message)), Rule.MALFORMED)


def test_a_policy_has_every_limit(network: Network) -> None:
    may_be_left_out = {"act_life_limit", "shared_secrecy_closed", "holders_alone_closed"}
    for name in set(v1.Policy.DESCRIPTOR.fields_by_name) - may_be_left_out:
        message = Policy(threshold=2).to_message()
        message.ClearField(name)
        rule = Rule.DELAY_SWITCHED_OFF if name == "recovery_delay" else Rule.MALFORMED
        assert_refused(network, network.signed_entry(govern(network, v1.PolicyChanged, policy=message)), rule)


def test_a_policy_that_says_no_more_than_the_threshold_has_the_limits_of_the_protocol() -> None:
    assert Policy(threshold=2) == Policy(
        threshold=2,
        freshness_limit=timedelta(hours=24),
        offer_life_limit=timedelta(days=14),
        shipping_limit=timedelta(hours=72),
        content_size_limit=1 << 30,
        mailbox_quota=4 << 30,
        act_life_limit=None,
        shared_secrecy_closed=False,
        holders_alone_closed=False,
        recovery_delay=timedelta(days=7),
    )


@pytest.mark.parametrize(
    ("name", "least", "most", "step"),
    [
        ("threshold", 1, 64, 1),
        ("freshness_limit", MINUTE, 7 * DAY, MOMENT),
        ("offer_life_limit", MINUTE, 14 * DAY, MOMENT),
        ("shipping_limit", MINUTE, 14 * DAY, MOMENT),
        ("content_size_limit", 65_536, 1 << 40, 1),
        ("mailbox_quota", 65_536, 1 << 40, 1),
        ("act_life_limit", 3 * DAY, 7305 * DAY, MOMENT),
        ("recovery_delay", 2 * DAY, 30 * DAY, MOMENT),
    ],
)
def test_a_policy_takes_what_lies_between_its_ends_and_nothing_beyond(
    name: str, least: Any, most: Any, step: Any
) -> None:
    for value in (least, most):
        policy = Policy(**{"threshold": 2, name: value})
        assert getattr(Policy.from_message(policy.to_message()), name) == value
    for value in (least - step, most + step):
        with pytest.raises(MalformedStatement) as refusal:
            Policy(**{"threshold": 2, name: value})
        assert refusal.value.facts["setting"] == name


def test_a_ca_that_was_replaced_is_trusted_to_its_end_and_no_longer(network: Network) -> None:
    first = network.roster.authorities[0].digest
    assert network.roster.trusted(network.now + 10_000 * DAY) == (first,), "the one in force has no end"
    end = network.now + 10 * DAY
    network.rotate_authority(b"second", overlap=10 * DAY)
    second = network.roster.authorities[0].digest
    assert second not in (first, bytes(32))
    assert network.roster.trusted(end - MOMENT) == (second, first)
    assert network.roster.trusted(end) == (second,)


def test_former_cas_are_known_while_they_are_trusted_and_forgotten_then(network: Network) -> None:
    def known() -> list[bytes]:
        return [each.digest for each in network.roster.authorities]

    (first,) = known()
    end = network.now + 10 * DAY
    network.rotate_authority(b"second", overlap=10 * DAY)
    network.rotate_authority(b"third", overlap=400 * DAY)  # the longest that there may be
    third, second, *others = known()
    assert others == [first], "two that were replaced may be trusted at once"
    network.now = end
    network.rotate_authority(b"fourth", overlap=timedelta(0))
    assert known()[1:] == [third, second]


def test_a_former_ca_is_trusted_for_400_days_at_most(network: Network) -> None:
    too_long = govern(
        network,
        v1.AuthorityRotated,
        certificate_digest=bytes(32),
        old_end_time=timestamp_of(network.now + 400 * DAY + MOMENT),
    )
    assert_refused(network, network.signed_entry(too_long), Rule.AUTHORITY_OVERLAP)


def test_a_network_has_64_administrators_at_most() -> None:
    network = Network.found(administrators=64, threshold=1)
    addition = govern(network, v1.AdministratorAdded, key=SigningKey.generate(network.random).public.to_message())
    assert_refused(network, network.signed_entry(addition), Rule.TOO_MANY_ADMINISTRATORS)


# ---- the genesis ----


def genesis_of(network: Network) -> v1.Genesis:
    return v1.Genesis.FromString(network.entries[0].body)


def refounded(network: Network, genesis: v1.Genesis, signers: list[SigningKey] | None = None) -> v1.Entry:
    return network.signed_entry(genesis, *(network.administrators if signers is None else signers))


def assert_no_genesis(entry: v1.Entry, rule: Rule) -> None:
    with pytest.raises(EntryRefused) as refusal:
        apply(None, entry)
    assert refusal.value.facts == {"index": "0", "rule": rule.value}


def test_a_genesis_is_signed_by_all_its_administrators(network: Network) -> None:
    genesis = genesis_of(network)
    assert_no_genesis(refounded(network, genesis, network.administrators[:2]), Rule.TOO_FEW_SIGNATURES)
    signers = [*network.administrators, SigningKey.generate(network.random)]
    assert_no_genesis(refounded(network, genesis, signers), Rule.UNKNOWN_SIGNER)
    apply(None, refounded(network, genesis))


def test_a_log_begins_with_a_genesis_and_has_one(network: Network, marseille: MemberKeys) -> None:
    assert_no_genesis(network.entries[1], Rule.NO_GENESIS)
    assert_refused(network, network.entries[0], Rule.UNKNOWN_TYPE)


def test_a_genesis_says_everything(network: Network) -> None:
    for name in v1.Genesis.DESCRIPTOR.fields_by_name:
        genesis = genesis_of(network)
        genesis.ClearField(name)
        rule = Rule.TOO_MANY_ADMINISTRATORS if name == "administrators" else Rule.MALFORMED
        assert_no_genesis(refounded(network, genesis), rule)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"nonce": bytes(31)}, Rule.MALFORMED),
        ({"origin": "with space"}, Rule.MALFORMED),
        ({"origin": "two\nlines"}, Rule.MALFORMED),
        ({"ca_certificate": bytes(16 * 1024 + 1)}, Rule.MALFORMED),
        ({"policy": Policy(threshold=4).to_message()}, Rule.THRESHOLD_OUT_OF_REACH),
    ],
)
def test_a_genesis_has_sound_values(network: Network, change: dict[str, Any], rule: Rule) -> None:
    genesis = genesis_of(network)
    for name in change:
        genesis.ClearField(name)
    genesis.MergeFrom(v1.Genesis(**change))
    assert_no_genesis(refounded(network, genesis), rule)


@pytest.mark.parametrize("size", [1, 16 * 1024])
def test_a_certificate_of_just_the_limit_is_taken(network: Network, size: int) -> None:
    genesis = genesis_of(network)
    genesis.ca_certificate = bytes(size)
    assert apply(None, refounded(network, genesis)).ca_certificate == genesis.ca_certificate


def test_a_genesis_gives_each_key_to_one_holder(network: Network) -> None:
    genesis = genesis_of(network)
    genesis.directory_key.CopyFrom(genesis.administrators[0])
    assert_no_genesis(refounded(network, genesis), Rule.KEY_TAKEN)
    genesis = genesis_of(network)
    genesis.administrators.append(genesis.administrators[0])
    assert_no_genesis(refounded(network, genesis), Rule.KEY_TAKEN)


# ---- form ----


def test_fields_that_nobody_knows_are_refused(network: Network, marseille: MemberKeys) -> None:
    unknown = b"\xf8\x07\x01"  # field 127
    entry = propose(about(network, v1.MemberSuspended, marseille))
    entry.body += unknown
    for key in network.administrators[:2]:
        entry = add_signature(entry, key)
    assert_refused(network, entry, Rule.MALFORMED)

    entry = network.signed_entry(about(network, v1.MemberSuspended, marseille))
    assert_refused(network, v1.Entry.FromString(entry.SerializeToString() + unknown), Rule.MALFORMED)
    entry.signatures[0].MergeFromString(unknown)
    assert_refused(network, entry, Rule.MALFORMED)


def test_statements_that_are_no_entries_are_refused(network: Network, marseille: MemberKeys) -> None:
    for statement in (v1.Offer(network=network.roster.network), v1.Card(), v1.TreeHead()):
        assert_refused(network, network.signed_entry(statement), Rule.UNKNOWN_TYPE)
    assert_refused(network, v1.Entry(), Rule.UNKNOWN_TYPE)


def test_an_entry_of_absurd_size_is_refused(network: Network) -> None:
    entry = network.signed_entry(network.admission(network.new_member("Lille")))
    entry.body += bytes(600_000)
    assert_refused(network, entry, Rule.MALFORMED)


# ---- registrations ----


def test_spelling_does_not_make_another_association() -> None:
    digest = registration_digest("Équipe de Rue de l'Étoile", "123 456 789 00012")
    assert registration_digest("  équipe  DE rue de l'étoile ", "12345678900012") == digest
    assert registration_digest("E\u0301quipe de Rue de l'E\u0301toile", "123.456.789-00012") == digest
    assert registration_digest("Ｅ\u0301quipe de Rue de l'Étoile", "１２３ 456 789 00012") == digest
    assert registration_digest("Equipe de Rue de l'Étoile", "12345678900012") != digest
    assert registration_digest("Équipe de Rue de l'Étoile", "12345678900013") != digest
    assert registration_digest("ab", "c") != registration_digest("a", "bc")


@pytest.mark.parametrize(("name", "number"), [("", "1"), ("  ", "1"), ("a", ""), ("a", " - ")])
def test_a_registration_has_a_name_and_a_number(name: str, number: str) -> None:
    with pytest.raises(InvalidInput):
        registration_digest(name, number)


def test_a_correction_gives_another_name_and_keeps_key_and_state(network: Network, marseille: MemberKeys) -> None:
    before = network.member(marseille)
    network.suspend(marseille)
    network.correct(marseille, "Marseille et Aubagne", bound_by_secrecy=False)
    after = network.member(marseille)
    assert (after.identity, after.state, after.bound_by_secrecy) == (before.identity, MemberState.SUSPENDED, False)
    assert after.registration == registration_digest("Marseille et Aubagne", "SIRET Marseille et Aubagne")
    assert after.registrations == (after.registration, before.registration), "its card may bear the old name for now"


def test_a_correction_of_the_secrecy_alone_leaves_the_name(network: Network, marseille: MemberKeys) -> None:
    before = network.member(marseille)
    network.correct(marseille, "Marseille", bound_by_secrecy=False)
    assert network.member(marseille).registrations == before.registrations
    assert not network.member(marseille).bound_by_secrecy


def test_nobody_takes_a_name_that_a_member_has_or_had_until_it_is_removed(
    network: Network, marseille: MemberKeys
) -> None:
    lille = network.admit("Lille")
    network.correct(marseille, "Aubagne")
    for name in ("Aubagne", "Marseille"):
        admission = network.admission(network.new_member(name))
        assert_refused(network, network.signed_entry(admission), Rule.REGISTRATION_TAKEN)
        taken = about(network, v1.MemberCorrected, lille, registration=registration_digest(name, f"SIRET {name}"))
        assert_refused(network, network.signed_entry(taken), Rule.REGISTRATION_TAKEN)
    network.correct(marseille, "Marseille")
    assert len(network.member(marseille).registrations) == 2, "back to the old name is no third name"
    network.remove(marseille)
    network.correct(lille, "Marseille")  # what it absorbed
    network.admit("Aubagne")
    assert set(network.roster.registrations.values()) == {lille.id, network.members["Aubagne"].id}


# ---- cost ----


def test_an_entry_costs_the_same_in_a_large_network_as_in_a_small_one() -> None:
    network = Network.found(administrators=1, threshold=1)
    entry = network.signed_entry(network.admission(network.new_member("Lille")))

    def cost(roster: Any) -> float:
        best = 1.0
        for _ in range(20):
            begun = time.perf_counter()
            apply(roster, entry)
            best = min(best, time.perf_counter() - begun)
        return best

    small = cost(network.roster)
    first = apply(network.roster, entry)
    member = next(iter(first.members.values()))
    members = network.roster.members
    keys, registrations = network.roster.used_keys, network.roster.registrations
    for _ in range(10_000):
        members = members.with_item(MemberId(network.random(16)), member)
        keys = keys.with_item(type(member.identity.key_id)(network.random(16)), None)
        registrations = registrations.with_item(type(member.registration)(network.random(32)), member.id)
    large = type(network.roster)(
        **{**vars(network.roster), "members": members, "used_keys": keys, "registrations": registrations}
    )
    assert cost(large) < 3 * small
