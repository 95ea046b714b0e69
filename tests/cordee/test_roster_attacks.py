"""A malicious directory, or a dishonest administrator, against the roster: what was not signed takes no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.entries import add_signature
from cordee.errors import EntryRefused
from cordee.ids import MemberId
from cordee.policy import Policy
from cordee.roster import Roster, Rule, apply
from cordee.signing import SigningKey
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from tests.builders import FOUNDED, Network
from tests.cordee.entry_rows import TYPES, signed_by


class Specimen(NamedTuple):
    """A valid entry, the roster that it belongs to, and who signed it."""

    roster: Roster | None
    entry: v1.Entry
    signers: tuple[SigningKey, ...]


@cache
def specimens() -> dict[str, Specimen]:
    """One valid entry of every type."""
    network = Network.found(administrators=3, threshold=2)
    found: dict[str, Specimen] = {
        "Genesis": Specimen(None, network.entries[0], tuple(network.administrators)),
    }
    marseille = network.admit("Marseille")
    old = marseille.identity

    def keep(step: Callable[[], Any], *signers: SigningKey) -> None:
        before = network.roster
        step()
        name = network.entries[-1].type.rpartition(".")[2]
        found[name] = Specimen(before, network.entries[-1], signers or tuple(network.administrators[:2]))

    keep(lambda: network.admit("Lille"))
    keep(lambda: network.restore(marseille), marseille.identity)
    keep(lambda: network.suspend(marseille))
    keep(lambda: network.reinstate(marseille))
    keep(lambda: network.rotate(marseille), old)
    found["IdentityRotated"] = found["IdentityRotated"]._replace(signers=(old, marseille.identity))
    keep(lambda: network.correct(marseille, "Aubagne"))
    keep(lambda: network.announce_recovery(marseille))
    keep(lambda: network.object(marseille), marseille.identity)
    keep(lambda: network.revoke(marseille))
    network.announce_recovery(marseille)
    keep(lambda: network.recover(marseille))
    keep(lambda: network.remove(marseille))
    keep(network.add_administrator)
    keep(lambda: network.remove_administrator(network.administrators[3]))
    keep(lambda: network.change_policy(threshold=3))
    network.change_policy(threshold=2)
    keep(network.rotate_directory_key)
    keep(lambda: network.rotate_authority(b"another certificate"))
    return found


LATER = TYPES[1:]


def message_of(entry: v1.Entry) -> Any:
    return getattr(v1, entry.type.rpartition(".")[2]).FromString(entry.body)


def refusal_of(roster: Roster | None, entry: v1.Entry) -> str:
    """The rule that refuses the entry; fails if it is taken, or if the roster is not what it was."""
    before = None if roster is None else dict(vars(roster))
    with pytest.raises(EntryRefused) as refusal:
        apply(roster, entry)
    assert before is None or roster is None or vars(roster) == before
    return refusal.value.facts["rule"]


def copy_of(entry: v1.Entry) -> v1.Entry:
    twin = v1.Entry()
    twin.CopyFrom(entry)
    return twin


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def bits_of(data: bytes) -> Iterator[int]:
    """Every bit of what is short; of a long key, one bit in every fourth byte."""
    size = 8 * len(data)
    return iter(range(size)) if size <= 2000 else iter([*range(800), *range(800, size, 33)])


def test_there_is_a_specimen_of_every_entry_and_each_is_taken() -> None:
    assert list(TYPES) == sorted(specimens(), key=TYPES.index)
    for roster, entry, signers in specimens().values():
        apply(roster, entry)
        apply(roster, signed_by(message_of(entry), *signers))


@pytest.mark.parametrize("name", TYPES)
def test_any_bit_flipped_in_a_body_is_refused(name: str) -> None:
    roster, entry, _ = specimens()[name]
    for bit in bits_of(entry.body):
        twin = copy_of(entry)
        twin.body = flipped(entry.body, bit)
        refusal_of(roster, twin)


@pytest.mark.parametrize("name", TYPES)
def test_any_bit_flipped_in_a_signature_is_refused(name: str) -> None:
    roster, entry, _ = specimens()[name]
    for which in range(len(entry.signatures)):
        for part in ("signer", "ed25519_signature", "mldsa65_signature"):
            value = getattr(entry.signatures[which], part)
            for bit in range(0, 8 * len(value), 1 if part == "signer" else 13 if part == "ed25519_signature" else 331):
                twin = copy_of(entry)
                setattr(twin.signatures[which], part, flipped(value, bit))
                refusal_of(roster, twin)


@pytest.mark.parametrize("name", TYPES)
def test_another_type_over_the_same_body_is_refused(name: str) -> None:
    roster, entry, _ = specimens()[name]
    for other in TYPES:
        if other != name:
            twin = copy_of(entry)
            twin.type = f"cordee.v1.{other}"
            refusal_of(roster, twin)
    for bit in range(8 * len(entry.type)):
        twin = copy_of(entry)
        try:
            twin.type = flipped(entry.type.encode(), bit).decode()
        except UnicodeDecodeError:
            continue
        refusal_of(roster, twin)


@pytest.mark.parametrize("name", TYPES)
def test_missing_repeated_swapped_and_foreign_signatures_are_refused(name: str) -> None:
    roster, entry, signers = specimens()[name]
    statement = message_of(entry)
    stranger = SigningKey.from_seed(bytes(64))
    for count in range(len(signers)):
        assert refusal_of(roster, signed_by(statement, *signers[:count])) == Rule.TOO_FEW_SIGNATURES
    assert refusal_of(roster, signed_by(statement, *signers, stranger)) == Rule.UNKNOWN_SIGNER
    assert refusal_of(roster, signed_by(statement, *signers[1:], stranger)) == Rule.UNKNOWN_SIGNER

    repeated = copy_of(entry)
    repeated.signatures.append(entry.signatures[-1])
    assert refusal_of(roster, repeated) == Rule.SIGNATURE_ORDER

    named = copy_of(entry)  # a stranger's signature under the name of one who may sign
    named.signatures[0].CopyFrom(stranger.sign_entry(entry.type, entry.body))
    named.signatures[0].signer = entry.signatures[0].signer
    assert refusal_of(roster, named) == Rule.BAD_SIGNATURE

    if len(signers) > 1:
        swapped = copy_of(entry)
        swapped.signatures[0].signer, swapped.signatures[1].signer = (
            entry.signatures[1].signer,
            entry.signatures[0].signer,
        )
        assert refusal_of(roster, swapped) == Rule.SIGNATURE_ORDER
        mixed = copy_of(entry)  # the two halves of two signers
        mixed.signatures[0].mldsa65_signature = entry.signatures[1].mldsa65_signature
        assert refusal_of(roster, mixed) == Rule.BAD_SIGNATURE


@pytest.mark.parametrize("name", LATER)
def test_another_network_or_place_or_an_earlier_time_is_refused_though_truly_signed(name: str) -> None:
    roster, entry, signers = specimens()[name]
    for field, value, rule in (
        ("network", bytes(32), Rule.WRONG_NETWORK),
        ("network", b"", Rule.WRONG_NETWORK),
        ("previous", bytes(32), Rule.WRONG_PREVIOUS),
        ("previous", b"", Rule.WRONG_PREVIOUS),
        ("time", timestamp_of(FOUNDED.replace(year=2025)), Rule.WRONG_TIME),
        ("time", v1.Genesis().time, Rule.WRONG_TIME),
    ):
        statement = message_of(entry)
        statement.ClearField(field)
        if field == "time":
            statement.time.CopyFrom(value)
        else:
            setattr(statement, field, value)
        assert refusal_of(roster, signed_by(statement, *signers)) == rule
    for bit in range(0, 256, 5):
        for field, rule in (("network", Rule.WRONG_NETWORK), ("previous", Rule.WRONG_PREVIOUS)):
            statement = message_of(entry)
            setattr(statement, field, flipped(getattr(statement, field), bit))
            assert refusal_of(roster, signed_by(statement, *signers)) == rule


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("nanos", [1, 999, -1, 1_000_000_000])
def test_a_broken_time_is_refused_though_truly_signed(name: str, nanos: int) -> None:
    roster, entry, signers = specimens()[name]
    statement = message_of(entry)
    statement.time.nanos = nanos
    assert refusal_of(roster, signed_by(statement, *signers)) == Rule.MALFORMED
    statement = message_of(entry)
    statement.ClearField("time")
    assert refusal_of(roster, signed_by(statement, *signers)) == Rule.MALFORMED


@pytest.mark.parametrize("name", LATER)
def test_any_field_left_out_or_cut_is_refused_though_truly_signed(name: str) -> None:
    roster, entry, signers = specimens()[name]
    for descriptor in message_of(entry).DESCRIPTOR.fields:
        if descriptor.name == "bound_by_secrecy":
            continue  # false is a value
        statement = message_of(entry)
        statement.ClearField(descriptor.name)
        refusal_of(roster, signed_by(statement, *signers))
        if descriptor.type == descriptor.TYPE_BYTES:
            for value in (getattr(message_of(entry), descriptor.name)[:-1], bytes(5)):
                setattr(statement, descriptor.name, value)
                refusal_of(roster, signed_by(statement, *signers))
    if "identity_key" in message_of(entry).DESCRIPTOR.fields_by_name:
        for low_order in (bytes(32), b"\x01" + bytes(31), b"\xff" * 32):
            statement = message_of(entry)
            statement.identity_key.ed25519 = low_order
            assert refusal_of(roster, signed_by(statement, *signers)) == Rule.MALFORMED


@pytest.mark.parametrize("name", TYPES)
def test_an_entry_takes_effect_once(name: str) -> None:
    roster, entry, _ = specimens()[name]
    refusal_of(apply(roster, entry), entry)


# ---- a directory that may do with all entries ever made whatever it likes ----


class Pool(NamedTuple):
    """What a malicious directory has: a true log, and everything else that it ever saw or can make."""

    genesis: v1.Entry
    log: list[v1.Entry]
    forged: list[v1.Entry]
    subjects: dict[bytes, str]
    """Body of a true entry → what it is about."""


def subject_of(entry: v1.Entry) -> str:
    statement = message_of(entry)
    member = getattr(statement, "member", None)
    return MemberId(member).hex() if member else "government"


@cache
def pool() -> Pool:
    network = Network.found(administrators=3, threshold=2, seed="true")
    marseille, lille = network.admit("Marseille"), network.admit("Lille")
    stolen = marseille.identity  # the directory finds this key later, when it is no longer in force
    network.suspend(lille)
    network.rotate(marseille)
    network.restore(marseille)
    gone = network.add_administrator()
    network.reinstate(lille)
    network.recover(lille)
    network.change_policy(threshold=3)
    network.change_policy(threshold=2)
    network.remove_administrator(gone)
    network.rotate_directory_key()
    network.suspend(lille)
    network.remove(lille)
    network.suspend(marseille)
    log = network.entries[1:]

    # the same administrators' other network, with the same members
    other = Network.found(administrators=3, threshold=2, seed="true", origin="cordee.example/other")
    twin = other.admit("Marseille")
    other.suspend(twin)
    other.recover(twin)

    attacker = SigningKey.from_seed(b"attacker" * 8)
    forged = list(other.entries)
    for entry in log:
        statement = message_of(entry)
        keys = [network.directory, attacker, stolen, gone]
        forged += [signed_by(statement, key) for key in keys]
        forged.append(signed_by(statement, *keys))
        half = copy_of(entry)
        del half.signatures[1:]
        if len(entry.signatures) > 1:
            forged.append(half)
            forged.append(add_signature(half, network.directory))
            padded = copy_of(entry)
            padded.signatures[1].CopyFrom(log[1].signatures[1])
            if entry is not log[1]:
                forged.append(padded)
        if hasattr(statement, "identity_key"):
            statement.identity_key.CopyFrom(attacker.public.to_message())
            swapped = copy_of(entry)
            swapped.body = statement.SerializeToString()
            forged += [swapped, signed_by(statement, attacker), signed_by(statement, attacker, network.directory)]
            if "IdentityRotated" not in entry.type:  # there the stolen key is still in force: nothing could tell
                forged.append(signed_by(statement, attacker, stolen))
    return Pool(network.entries[0], log, forged, {entry.body: subject_of(entry) for entry in log})


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_whatever_a_directory_replays_reorders_drops_or_forges_only_the_next_true_entry_takes_effect(
    data: st.DataObject,
) -> None:
    genesis, log, forged, subjects = pool()
    true = st.sampled_from(range(len(log)))
    moves = data.draw(st.lists(st.one_of(true, st.sampled_from(range(-len(forged), 0))), max_size=40))
    if data.draw(st.booleans()):  # at times most of the true log, in its order, so that sequences get far
        skipped = data.draw(st.sets(true, max_size=4))
        moves = [*(i for i in range(len(log)) if i not in skipped), *moves]
    roster = apply(None, genesis)
    taken: dict[str, list[bytes]] = {}
    for move in moves:
        entry = log[move] if move >= 0 else forged[move]
        before = {member.id: (member.identity, member.state) for member in roster.members.values()}
        try:
            following = apply(roster, entry)
        except EntryRefused:
            continue
        assert move >= 0, "a forged entry was taken"
        subject = subjects[entry.body]
        chain = [one.body for one in log if subjects[one.body] == subject]
        taken.setdefault(subject, []).append(entry.body)
        assert taken[subject] == chain[: len(taken[subject])], "not the next entry about its subject"
        after = {member.id: (member.identity, member.state) for member in following.members.values()}
        changed = {member for member in after if after[member] != before.get(member)}
        assert {member.hex() for member in changed} <= {subject}, "an entry changed another member"
        roster = following


def test_the_true_log_is_taken_whole_with_forgeries_thrown_in_everywhere() -> None:
    genesis, log, forged, _ = pool()
    roster = apply(None, genesis)
    for entry in log:
        for attempt in forged:
            refusal_of(roster, attempt)
        roster = apply(roster, entry)
    assert roster.size == len(log) + 1


def test_an_entry_held_back_until_its_signers_are_gone_is_refused() -> None:
    network = Network.found(administrators=3, threshold=2)
    marseille = network.admit("Marseille")
    held = network.signed_entry(v1.MemberRemoved(**network.roster.head(marseille.id, network.now), member=marseille.id))
    kept = apply(network.roster, held)
    assert kept.members[marseille.id].state == "removed"
    removal = v1.AdministratorRemoved(
        **network.roster.head(None, network.now), administrator=network.administrators[0].public.key_id
    )
    network.append(network.signed_entry(removal))
    assert refusal_of(network.roster, held) == Rule.UNKNOWN_SIGNER


def test_an_entry_held_back_until_more_must_sign_is_refused() -> None:
    network = Network.found(administrators=3, threshold=2)
    marseille = network.admit("Marseille")
    held = network.signed_entry(v1.MemberRemoved(**network.roster.head(marseille.id, network.now), member=marseille.id))
    raised = v1.PolicyChanged(**network.roster.head(None, network.now), policy=Policy(threshold=3).to_message())
    network.append(network.signed_entry(raised))
    assert refusal_of(network.roster, held) == Rule.TOO_FEW_SIGNATURES
