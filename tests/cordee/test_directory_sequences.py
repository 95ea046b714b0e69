"""A directory that wants to change a member's key or state, and has all of its own keys: no sequence of entries can.

The directory of these tests holds the log keys that it ever had and keys of its own making, every entry that it was
ever given (the whole true log, entries that wait for a second administrator, the log of another network with the same
administrators and members), and may put whatever it makes of them before a node, in any order. It holds no key of an
administrator or a member. (The key of the network's CA adds nothing here: it is one of P-256, which no signature of
an entry can be made with.)

What is counted: the *different* sequences, 10,000 at least, each of three to ten entries put before a node that
holds the true log up to some entry. After every entry that `apply` takes, every member's key and state (and all else
that the log says of it, and the government) must be what the true log gave after the entry that the roster names as
the member's last, none further back than it was; and the entry must be a true one with true signatures, of which some
may be left out. Nothing is remembered between sequences: each signature is verified anew.

That these comparisons can fail is tested too, by leaving out one check of `apply` after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

import pytest
from google.protobuf.message import Message
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cordee import entry_checks, government, roster
from cordee.errors import EntryRefused
from cordee.ids import Digest, MemberId
from cordee.members import Member, MemberState, Roster
from cordee.roster import Rule, apply
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from tests.builders import MemberKeys, Network
from tests.cordee.entry_rows import signed_by, statements_of_the_log

SEQUENCES = 10_000
SOME_SEQUENCES = 3_000  # many times what it takes to find that a check is missing
SHORTEST, LONGEST = 3, 10  # entries


# ---- what the directory has ----


class Arsenal(NamedTuple):
    """All that a malicious directory can begin with."""

    rosters: list[Roster]
    """After the genesis, and after each entry of the true log."""
    log: list[v1.Entry]
    """The true log without its genesis."""
    own: list[v1.Entry]
    """Statements that nobody made, in their right place, signed by the directory with each of its keys."""
    waiting: list[v1.Entry]
    """Truly signed, but by fewer than it takes: what `ListPendingEntries` has."""
    elsewhere: list[v1.Entry]
    """Of another network with the same administrators, members and keys."""
    members: dict[MemberId, dict[Digest, tuple[int, Any]]]
    """For each member: its last entry → how many it has had, and where it stands."""
    governments: dict[Digest, tuple[int, Any]]
    """The same for administrators, policy and the directory's key."""


def standing(member: Member) -> Any:
    """All that the log says of a member, but for the sizes at which it said so: those depend on what others do."""
    former = tuple(key for _, key in member.former_identities)
    said = (member.state, member.identity, former, member.incarnation, member.registrations)
    said = (*said, member.recovery, member.revoked, member.resumes)
    return (*said, member.bound_by_secrecy, member.admitted_at, member.last_time)


def government_of(state: Roster) -> Any:
    return (dict(state.administrators), state.policy, state.directory_key, state.authorities, state.network)


def changes(network: Network, member: MemberKeys, key: SigningKey) -> list[Message]:
    """What one could wish to say about a member, in its right place; `key` is to become its key."""
    head = network.roster.head(member.id, network.now)
    return [
        v1.MemberSuspended(**head, member=member.id),
        v1.MemberReinstated(**head, member=member.id),
        v1.MemberRemoved(**head, member=member.id),
        v1.MemberCorrected(**head, member=member.id, registration=bytes(32)),
        v1.MemberRecovered(**head, member=member.id, identity_key=key.public.to_message()),
        v1.IdentityRotated(**head, member=member.id, identity_key=key.public.to_message()),
        v1.NodeRestored(**head, member=member.id, incarnation=bytes(16)),
        v1.RecoveryAnnounced(
            **head, member=member.id, identity_key=key.public.to_message(), reason=v1.RECOVERY_REASON_LOST
        ),
        v1.RecoveryObjected(**head, member=member.id),
        v1.IdentityRevoked(**head, member=member.id),
    ]


def message_of(entry: v1.Entry) -> Any:
    return getattr(v1, entry.type.rpartition(".")[2]).FromString(entry.body)


@cache
def arsenal() -> Arsenal:
    network = Network.found(administrators=3, threshold=2, seed="true")
    other = Network.found(administrators=3, threshold=2, seed="true", origin="cordee.example/other")
    administrators, attacker = network.administrators, SigningKey.from_seed(b"attacker" * 8)
    rosters, own, waiting = [network.roster], [], []
    directory = [network.directory, attacker]

    def then(step: Callable[..., Any], *arguments: Any) -> Any:
        """One entry more in the true log, and what the directory would rather have there."""
        result = step(*arguments)
        rosters.append(network.roster)
        for member in network.members.values():
            for statement in changes(network, member, attacker):
                own.append(signed_by(statement, attacker))
                own.append(signed_by(statement, *directory))
                waiting.append(signed_by(statement, administrators[0]))
        return result

    def also_elsewhere(member: MemberKeys) -> None:
        """Admitted there too, suspended, reinstated, corrected, recovered, and removed."""
        other.append(other.signed_entry(other.admission(member)))
        key = SigningKey.generate(network.random)
        for index in (0, 1, 7, 3, 4, 2):
            if index == 4:
                other.now += timedelta(days=7)
            other.append(other.signed_entry(changes(other, member, key)[index]))

    marseille, lille = then(network.admit, "Marseille"), then(network.admit, "Lille")
    for member in (marseille, lille):
        also_elsewhere(member)
    then(network.suspend, lille)
    then(network.restore, marseille)
    then(network.reinstate, lille)
    gone = then(network.add_administrator)
    then(network.rotate, marseille)
    then(network.announce_recovery, lille)
    then(network.object, lille)
    then(network.announce_recovery, lille)
    then(network.recover, lille)
    then(network.correct, lille, "Lille et Roubaix")
    # signed by more than it takes: the directory may leave one signature out, and it is true all the same
    head = network.roster.head(marseille.id, network.now)
    suspension = network.signed_entry(v1.MemberSuspended(**head, member=marseille.id), *administrators[:3])
    then(network.append, suspension)
    paris = then(network.admit, "Paris")
    also_elsewhere(paris)
    then(lambda: network.change_policy(threshold=3))
    then(network.reinstate, marseille)
    then(lambda: network.change_policy(threshold=2))
    then(network.remove_administrator, gone)
    then(network.rotate_directory_key)
    then(network.rotate_authority, b"another certificate")
    directory = [network.directory, *directory[:2]]
    then(network.remove, lille)
    then(network.revoke, marseille)
    then(lambda: network.announce_recovery(marseille, stolen=True))
    then(network.recover, marseille)
    then(network.suspend, paris)
    then(network.rotate, marseille)

    for statement in (
        v1.PolicyChanged(**network.roster.head(None, network.now), policy=network.roster.policy.to_message()),
        v1.AdministratorAdded(**network.roster.head(None, network.now), key=attacker.public.to_message()),
        network.admission(network.new_member("Nobody")),
    ):
        own += [signed_by(statement, *directory[:count]) for count in (1, 2, 3)]
        waiting.append(signed_by(statement, administrators[1]))

    members: dict[MemberId, dict[Digest, tuple[int, Any]]] = {}
    governments: dict[Digest, tuple[int, Any]] = {}
    for state in rosters:
        governments.setdefault(state.last_governance_entry, (len(governments), government_of(state)))
        for member_id, of_roster in state.members.items():
            known = members.setdefault(member_id, {})
            known.setdefault(of_roster.last_entry, (len(known), standing(of_roster)))
    made = {entry.body for entry in network.entries}
    waiting = [entry for entry in waiting if entry.body not in made]  # else two signatures of one signer were true
    return Arsenal(rosters, network.entries[1:], own, waiting, other.entries, members, governments)


# ---- what it makes of them ----


class Move(NamedTuple):
    """One entry that is put before a node: `kind` says how it is made, the numbers from what."""

    kind: str
    which: int
    another: int
    place: int


def _as_it_is(entry: v1.Entry, _another: v1.Entry, _place: int) -> v1.Entry:
    return entry


def _signatures_of_another(entry: v1.Entry, another: v1.Entry, _place: int) -> v1.Entry:
    return v1.Entry(type=entry.type, body=entry.body, signatures=another.signatures)


def _one_signature_of_another(entry: v1.Entry, another: v1.Entry, place: int) -> v1.Entry:
    kept = list(entry.signatures)
    foreign = another.signatures[place % len(another.signatures)]
    merged = {one.signer: one for one in (*kept, foreign)}
    return v1.Entry(type=entry.type, body=entry.body, signatures=[merged[signer] for signer in sorted(merged)])


def _another_signers_name(entry: v1.Entry, another: v1.Entry, place: int) -> v1.Entry:
    twin = v1.Entry(type=entry.type, body=entry.body, signatures=entry.signatures)
    name = another.signatures[place % len(another.signatures)].signer
    twin.signatures[place % len(twin.signatures)].signer = name
    return v1.Entry(type=twin.type, body=twin.body, signatures=sorted(twin.signatures, key=lambda one: one.signer))


def _fewer_signatures(entry: v1.Entry, _another: v1.Entry, place: int) -> v1.Entry:
    kept = [one for index, one in enumerate(entry.signatures) if index != place % len(entry.signatures)]
    return v1.Entry(type=entry.type, body=entry.body, signatures=kept)


def _a_signature_twice(entry: v1.Entry, _another: v1.Entry, place: int) -> v1.Entry:
    one = entry.signatures[place % len(entry.signatures)]
    return v1.Entry(type=entry.type, body=entry.body, signatures=[one, one])


def _a_bit_of_the_body(entry: v1.Entry, _another: v1.Entry, place: int) -> v1.Entry:
    body = bytearray(entry.body)
    body[place // 8 % len(body)] ^= 1 << place % 8
    return v1.Entry(type=entry.type, body=bytes(body), signatures=entry.signatures)


def _a_field_of_another(entry: v1.Entry, another: v1.Entry, place: int) -> v1.Entry:
    """A field that both have is taken over, so that for instance a member gets another's place or key."""
    statement, source = message_of(entry), message_of(another)
    shared = [f.name for f in source.DESCRIPTOR.fields if f.name in statement.DESCRIPTOR.fields_by_name]
    if shared:
        name = shared[place % len(shared)]
        piece = type(statement)(**{name: getattr(source, name)})
        statement.ClearField(name)
        statement.MergeFrom(piece)
    return v1.Entry(type=entry.type, body=statement.SerializeToString(), signatures=entry.signatures)


def _type_of_another(entry: v1.Entry, another: v1.Entry, _place: int) -> v1.Entry:
    return v1.Entry(type=another.type, body=entry.body, signatures=entry.signatures)


def _body_of_another(entry: v1.Entry, another: v1.Entry, _place: int) -> v1.Entry:
    return v1.Entry(type=another.type, body=another.body, signatures=entry.signatures)


KINDS: dict[str, tuple[str, Callable[[v1.Entry, v1.Entry, int], v1.Entry]]] = {
    "true": ("log", _as_it_is),
    "own": ("own", _as_it_is),
    "waiting": ("waiting", _as_it_is),
    "elsewhere": ("elsewhere", _as_it_is),
    "waiting, a signature twice": ("waiting", _a_signature_twice),
    "waiting, one signature of another": ("waiting", _one_signature_of_another),
    "waiting, all signatures of another": ("waiting", _signatures_of_another),
    "own, under another signer's name": ("own", _another_signers_name),
    "signatures of another": ("log", _signatures_of_another),
    "one signature of another": ("log", _one_signature_of_another),
    "another signer's name": ("log", _another_signers_name),
    "fewer signatures": ("log", _fewer_signatures),
    "a signature twice": ("log", _a_signature_twice),
    "a bit of the body": ("log", _a_bit_of_the_body),
    "a field of another": ("log", _a_field_of_another),
    "type of another": ("log", _type_of_another),
    "body of another": ("elsewhere", _body_of_another),
}
KIND_NAMES = sorted(KINDS)
MOVE_BYTES = 6


def entry_of(move: Move, start: int) -> v1.Entry:
    """The entry of a move. True entries are counted from the sequence's start, else most would be long past."""
    all_of_it = arsenal()
    source, make = KINDS[move.kind]
    pool: list[v1.Entry] = getattr(all_of_it, source)
    index = start + move.which if source == "log" else move.which
    return make(pool[index % len(pool)], all_of_it.log[move.another % len(all_of_it.log)], move.place)


def moves_of(drawn: bytes) -> list[Move]:
    """What chance chose, read as moves: one draw for each sequence, since thousands of small ones take longer."""
    return [_move_of(drawn[at : at + MOVE_BYTES]) for at in range(0, len(drawn) - MOVE_BYTES + 1, MOVE_BYTES)]


def _move_of(drawn: bytes) -> Move:
    kind, which, another, place = drawn[0], int.from_bytes(drawn[1:3]), drawn[3], int.from_bytes(drawn[4:6])
    if kind < 100:  # a true one that is next, or nearly: what is forged must meet rosters that have come further
        return Move("true", which % 5, 0, 0)
    return Move(KIND_NAMES[kind % len(KINDS)], which, another, place)


# ---- what must hold ----


def position(state: Roster) -> dict[Any, int]:
    """How far each member has come along the true log; fails if one stands where the true log never had it."""
    truth = arsenal()
    found: dict[Any, int] = {}
    for member_id, member in state.members.items():
        known = truth.members.get(member_id)
        assert known is not None, "a member whom the true log never had"
        assert member.last_entry in known, "an entry about a member that the true log never had"
        found[member_id], true = known[member.last_entry]
        assert standing(member) == true, "a member's key or state is not what the true log gave"
    assert state.last_governance_entry in truth.governments, "an entry about the government that was never made"
    found["government"], true = truth.governments[state.last_governance_entry]
    assert government_of(state) == true, "administrators, policy or the directory's key are not what the true log gave"
    return found


class Tally:
    """What was really tried."""

    def __init__(self) -> None:
        self.sequences: set[Any] = set()
        self.tried: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()


def assert_true(entry: v1.Entry) -> None:
    """Truly signed, by whoever is left."""
    true = next((one for one in arsenal().log if (one.type, one.body) == (entry.type, entry.body)), None)
    assert true is not None, "an entry was taken that nobody made"
    assert all(one in true.signatures for one in entry.signatures), "a signature was taken that nobody made"


def attack(tally: Tally, start: int, sequence: list[Move]) -> None:
    """Put a sequence before a node that has the true log up to `start`, and look at its roster after each entry."""
    state = arsenal().rosters[start]
    before = position(state)
    for move in sequence:
        entry = entry_of(move, start)
        tally.tried[move.kind] += 1
        try:
            state = apply(state, entry)
        except EntryRefused:
            continue
        tally.taken[move.kind] += 1
        after = position(state)
        assert_true(entry)
        assert all(after.get(subject, -1) >= come for subject, come in before.items()), "it went back"
        before = after
    tally.sequences.add((start, *sequence))


def attacks(tally: Tally, count: int, *phases: Phase) -> None:
    """Attack so many times."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, *phases],
        report_multiple_bugs=False,
    )
    @given(
        st.integers(0, len(arsenal().log)),
        st.binary(min_size=SHORTEST * MOVE_BYTES, max_size=LONGEST * MOVE_BYTES),
    )
    def attempt(start: int, drawn: bytes) -> None:
        sequence = moves_of(drawn)
        try:
            attack(tally, start, sequence)
        except AssertionError as error:
            error.add_note(f"after {start} entries of the true log: {sequence}")
            raise

    attempt()


def test_no_sequence_of_entries_lets_the_directory_change_a_members_key_or_state() -> None:
    tally = Tally()
    attacks(tally, SEQUENCES + SEQUENCES // 20, Phase.shrink)
    assert len(tally.sequences) >= SEQUENCES
    assert min(tally.tried[kind] for kind in KINDS) >= SEQUENCES // 10
    assert tally.taken["true"] >= SEQUENCES // 2  # they got somewhere, and were not all refused at the door


def test_the_directory_begins_with_a_log_that_has_every_entry_and_with_the_same_members_elsewhere() -> None:
    all_of_it = arsenal()
    statements = {entry.type.rpartition(".")[2] for entry in all_of_it.log}
    assert statements | {"Genesis"} == statements_of_the_log()
    states = {member.state for state in all_of_it.rosters for member in state.members.values()}
    assert states == set(MemberState)
    elsewhere = roster.replay(all_of_it.elsewhere)
    assert elsewhere.administrators.items() <= all_of_it.rosters[10].administrators.items()
    assert set(elsewhere.members) == set(all_of_it.members)


# ---- that it would be noticed ----


_require = entry_checks.require


def without(rule: Rule) -> Callable[[bool, Rule], None]:
    def require(holds: bool, broken: Rule) -> None:
        if broken is not rule:
            _require(holds, broken)

    return require


@pytest.mark.parametrize("rule", [Rule.WRONG_PREVIOUS, Rule.TOO_FEW_SIGNATURES, Rule.SIGNATURE_ORDER])
def test_a_rule_left_out_would_be_noticed(monkeypatch: pytest.MonkeyPatch, rule: Rule) -> None:
    for module in (entry_checks, government, roster):
        monkeypatch.setattr(module, "require", without(rule))
    with pytest.raises(AssertionError):
        attacks(Tally(), SOME_SEQUENCES)


def test_a_signature_not_verified_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_checks, "verify_signature", lambda *_: None)
    with pytest.raises(AssertionError):
        attacks(Tally(), SOME_SEQUENCES)


def test_signers_who_are_not_in_force_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def anybody(entry: v1.Entry, _signers: Any, *, at_least: int) -> None:
        _require(len(entry.signatures) >= at_least, Rule.TOO_FEW_SIGNATURES)

    monkeypatch.setattr(entry_checks, "check_signatures", anybody)
    with pytest.raises(AssertionError):
        attacks(Tally(), SOME_SEQUENCES)
