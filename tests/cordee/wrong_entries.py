"""For every entry of the roster log, one that is good, and the table of all that can be wrong with it.

A row says what is wrong in one entry and which rule refuses it; all else about that entry is right, its signatures
included unless the row is about them, so that no other rule can refuse it in that one's place. The rows of a field are
found by the field's place in the statement's descriptor: a new statement, or a new field, has none until they are
written here, and `test_wrong_entries.py` fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from cordee.entries import add_signature, entry_digest, propose
from cordee.ids import KeyId, MemberId
from cordee.policy import MAX_ADMINISTRATORS, Policy
from cordee.roster import Roster, Rule
from cordee.signing import MAX_SIGNED, SigningKey, member_id_of
from cordee.times import moment_of, timestamp_of
from cordee.v1 import statements_pb2 as v1
from tests.builders import MemberKeys, Network

T = TypeVar("T")


class Draw:
    """What hypothesis chooses with: `data.draw`, typed."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def __call__(self, strategy: st.SearchStrategy[T]) -> T:
        drawn: T = self._draw(strategy)
        return drawn


# ---- good entries ----


class Good(NamedTuple):
    """A statement, the roster whose next entry it can be, and just as many signers as it takes."""

    roster: Roster | None
    statement: Any
    signers: tuple[SigningKey, ...]
    entry: v1.Entry

    @property
    def name(self) -> str:
        name: str = self.statement.DESCRIPTOR.name
        return name


class World(NamedTuple):
    """A network with a past: its roster has members in each state, and keys that are no longer in force."""

    network: Network
    marseille: MemberKeys
    """Active; it rotated its key and was restored."""
    nice: MemberKeys
    """Active."""
    lille: MemberKeys
    """Suspended."""
    paris: MemberKeys
    """Removed."""
    former: dict[str, SigningKey]
    """Keys given up: of Marseille, of an administrator who left, of the directory."""
    attacker: SigningKey
    elsewhere: Roster
    """Another network of the same administrators."""


def signed_by(statement: Message, *keys: SigningKey) -> v1.Entry:
    entry = propose(statement)
    for key in keys:
        entry = add_signature(entry, key)
    return entry


def copy_of(message: T) -> T:
    twin: Any = type(message)()
    twin.CopyFrom(message)
    return twin  # type: ignore[no-any-return]


@cache
def world() -> World:
    network = Network.found(administrators=3, threshold=2, seed="wrong")
    marseille, nice, lille, paris = (network.admit(name) for name in ("Marseille", "Nice", "Lille", "Paris"))
    former = {"member": marseille.identity, "directory": network.directory}
    former["administrator"] = network.add_administrator()
    network.remove_administrator(former["administrator"])
    network.rotate_directory_key()
    network.rotate(marseille)
    network.restore(marseille)
    network.suspend(lille)
    network.remove(paris)
    elsewhere = Network.found(administrators=3, threshold=2, seed="wrong", origin="cordee.example/other").roster
    return World(network, marseille, nice, lille, paris, former, SigningKey.from_seed(b"attacker" * 8), elsewhere)


@cache
def good_entries() -> dict[str, Good]:
    """One of every statement, all but the genesis next in the same log."""
    town, new = world(), SigningKey.from_seed(b"new keys" * 8)
    network, key = town.network, new.public.to_message()
    now = network.now

    def about(member: MemberKeys, **fields: Any) -> dict[str, Any]:
        return {**network.roster.head(member.id, now), "member": member.id, **fields}

    government: dict[str, Any] = {**network.roster.head(None, now)}
    statements: list[tuple[Message, tuple[SigningKey, ...]]] = [
        (v1.Genesis.FromString(network.entries[0].body), tuple(network.administrators[:3])),
        (network.admission(network.new_member("Brest")), ()),
        (v1.MemberSuspended(**about(town.marseille)), ()),
        (v1.MemberReinstated(**about(town.lille)), ()),
        (v1.MemberRemoved(**about(town.lille)), ()),
        (v1.MemberRecovered(**about(town.marseille, identity_key=key)), ()),
        (v1.IdentityRotated(**about(town.marseille, identity_key=key)), (town.marseille.identity, new)),
        (v1.NodeRestored(**about(town.marseille, incarnation=bytes(16))), (town.marseille.identity,)),
        (v1.AdministratorAdded(**government, key=key), ()),
        (v1.AdministratorRemoved(**government, administrator=network.administrators[2].public.key_id), ()),
        (v1.PolicyChanged(**government, policy=Policy(threshold=3).to_message()), ()),
        (v1.DirectoryKeyRotated(**government, key=key), ()),
    ]
    found = {}
    for statement, signers in statements:
        by = signers or tuple(network.administrators[:2])
        roster = None if isinstance(statement, v1.Genesis) else network.roster
        found[statement.DESCRIPTOR.name] = Good(roster, statement, by, signed_by(statement, *by))
    return found


MEMBER_SIGNED = frozenset({"IdentityRotated", "NodeRestored"})
GOVERNMENT = frozenset({"AdministratorAdded", "AdministratorRemoved", "PolicyChanged", "DirectoryKeyRotated"})


# ---- the table ----


class Wrong(NamedTuple):
    """An entry that is to be refused, and by which roster."""

    roster: Roster | None
    entry: v1.Entry
    latest: datetime | None = None


class Row(NamedTuple):
    """`where` is a field's place, or what else of an entry is wrong; `what` says how."""

    where: str
    what: str
    rule: Rule
    make: Callable[[Good, Draw], Wrong]


Change = Callable[[Any, Draw], None]


def of_entry(where: str, what: str, rule: Rule, change: Callable[[v1.Entry, Good, Draw], None]) -> Row:
    """The good entry, changed after it was signed."""

    def make(good: Good, draw: Draw) -> Wrong:
        entry = copy_of(good.entry)
        change(entry, good, draw)
        return Wrong(good.roster, entry)

    return Row(where, what, rule, make)


def of_statement(where: str, what: str, rule: Rule, change: Change) -> Row:
    """The good statement, changed, and then truly signed by those who may."""

    def make(good: Good, draw: Draw) -> Wrong:
        statement = copy_of(good.statement)
        change(statement, draw)
        return Wrong(good.roster, signed_by(statement, *good.signers))

    return Row(where, what, rule, make)


def flipped(data: bytes, draw: Draw) -> bytes:
    changed = bytearray(data)
    bit = draw(st.integers(0, 8 * len(data) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def other_length(right: int) -> st.SearchStrategy[bytes]:
    return st.integers(0, 2 * right).filter(lambda size: size != right).map(bytes)


# -- signatures, their threshold and order --


def _resort(entry: v1.Entry) -> None:
    ordered = sorted(entry.signatures, key=lambda one: one.signer)
    del entry.signatures[:]
    entry.signatures.extend(ordered)


def _half_flipped(half: str) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, _good: Good, draw: Draw) -> None:
        one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
        setattr(one, half, flipped(getattr(one, half), draw))

    return change


def _half_of_another_key(half: str) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, good: Good, draw: Draw) -> None:
        one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
        other = draw(st.sampled_from(strangers(good))).sign_entry(entry.type, entry.body)
        setattr(one, half, getattr(other, half))

    return change


def _half_of_another_entry(half: str) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, good: Good, draw: Draw) -> None:
        at = draw(st.integers(0, len(entry.signatures) - 1))
        signer = next(key for key in good.signers if key.public.key_id == entry.signatures[at].signer)
        type_name, body = draw(st.sampled_from([(entry.type, entry.body + b"\0"), (entry.type + "X", entry.body)]))
        setattr(entry.signatures[at], half, getattr(signer.sign_entry(type_name, body), half))

    return change


def _half_of_wrong_length(half: str, right: int) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, _good: Good, draw: Draw) -> None:
        one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
        value = getattr(one, half)
        size = draw(st.integers(0, right + 40).filter(lambda size: size != right))
        setattr(one, half, value[:size].ljust(size, b"\0"))

    return change


def _another_signers_name(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
    one.signer = flipped(one.signer, draw)
    _resort(entry)


def _name_of_wrong_length(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))].signer = draw(other_length(KeyId.length))


def _unknown_in_a_signature(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))].MergeFromString(draw(unknown_fields(3)))


def strangers(good: Good) -> list[SigningKey]:
    """Keys that may not sign it: whoever holds them."""
    town = world()
    keys = [town.attacker, town.network.directory, *town.former.values(), town.nice.identity, town.lille.identity]
    keys += town.network.administrators[:3] if good.name in MEMBER_SIGNED else [town.marseille.identity]
    return keys


def _a_stranger_besides(entry: v1.Entry, good: Good, draw: Draw) -> None:
    entry.CopyFrom(add_signature(entry, draw(st.sampled_from(strangers(good)))))


def _a_stranger_instead(entry: v1.Entry, good: Good, draw: Draw) -> None:
    del entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
    _a_stranger_besides(entry, good, draw)


def _fewer(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    kept = draw(
        st.lists(st.sampled_from(range(len(entry.signatures))), unique=True, max_size=len(entry.signatures) - 1)
    )
    signatures = [entry.signatures[index] for index in sorted(kept)]
    entry.CopyFrom(v1.Entry(type=entry.type, body=entry.body, signatures=signatures))


def _one_more_is_asked_for(good: Good, _draw: Draw) -> Wrong:
    assert good.roster is not None
    policy = replace(good.roster.policy, threshold=len(good.signers) + 1)
    return Wrong(replace(good.roster, policy=policy), good.entry)


def _a_founder_does_not_sign(good: Good, draw: Draw) -> Wrong:
    statement = copy_of(good.statement)
    statement.administrators.insert(draw(st.integers(0, 3)), world().attacker.public.to_message())
    return Wrong(None, signed_by(statement, *good.signers))


def _repeated(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    at = draw(st.integers(0, len(entry.signatures) - 1))
    entry.signatures.insert(at, entry.signatures[at])


def _out_of_order(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    right = list(entry.signatures)
    order = draw(st.permutations(range(len(right))).filter(lambda order: list(order) != sorted(order)))
    del entry.signatures[:]
    entry.signatures.extend(right[index] for index in order)


ED25519, MLDSA65 = ("ed25519_signature", 64), ("mldsa65_signature", 3309)


def signature_rows(name: str) -> Iterator[Row]:
    for half, right in (ED25519, MLDSA65):
        yield of_entry("signature", f"a bit of {half}", Rule.BAD_SIGNATURE, _half_flipped(half))
        yield of_entry("signature", f"{half} by another key", Rule.BAD_SIGNATURE, _half_of_another_key(half))
        yield of_entry("signature", f"{half} of another entry", Rule.BAD_SIGNATURE, _half_of_another_entry(half))
        yield of_entry("signature", f"{half} too long or short", Rule.MALFORMED, _half_of_wrong_length(half, right))
    yield of_entry("signature", "another signer's name", Rule.UNKNOWN_SIGNER, _another_signers_name)
    yield of_entry("signature", "a name too long or short", Rule.MALFORMED, _name_of_wrong_length)
    yield of_entry("signature", "an unknown field", Rule.MALFORMED, _unknown_in_a_signature)
    yield of_entry("signature", "a stranger's besides", Rule.UNKNOWN_SIGNER, _a_stranger_besides)
    yield of_entry("signature", "a stranger's instead", Rule.UNKNOWN_SIGNER, _a_stranger_instead)
    yield of_entry("threshold", "fewer signatures", Rule.TOO_FEW_SIGNATURES, _fewer)
    if name == "Genesis":
        yield Row("threshold", "a founder does not sign", Rule.TOO_FEW_SIGNATURES, _a_founder_does_not_sign)
    elif name not in MEMBER_SIGNED:
        yield Row("threshold", "one more is asked for", Rule.TOO_FEW_SIGNATURES, _one_more_is_asked_for)
    yield of_entry("order", "a signature twice", Rule.SIGNATURE_ORDER, _repeated)
    if name != "NodeRestored":  # it has one signature
        yield of_entry("order", "another order", Rule.SIGNATURE_ORDER, _out_of_order)


# -- the entry's form --


def unknown_fields(known: int) -> st.SearchStrategy[bytes]:
    """A field of a number that the message does not have: a varint, or some bytes."""
    numbers = st.integers(known + 1, 2**29 - 1).filter(lambda number: not 19_000 <= number < 20_000)
    varint = st.builds(lambda number: _varint(number << 3) + b"\x01", numbers)
    return varint | st.builds(lambda number: _varint(number << 3 | 2) + b"\x03abc", numbers)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _body_resigned(entry: v1.Entry, good: Good, body: bytes) -> None:
    changed = v1.Entry(type=entry.type, body=body)
    for key in good.signers:
        changed = add_signature(changed, key)
    entry.CopyFrom(changed)


def _unknown_in_the_statement(entry: v1.Entry, good: Good, draw: Draw) -> None:
    _body_resigned(entry, good, entry.body + draw(unknown_fields(len(good.statement.DESCRIPTOR.fields))))


def _unknown_within(entry: v1.Entry, good: Good, draw: Draw) -> None:
    """In any message that the statement contains."""
    statement = copy_of(good.statement)
    inner = [f for f in statement.DESCRIPTOR.fields if f.message_type is not None]
    field = draw(st.sampled_from(inner))
    value = getattr(statement, field.name)
    (value[0] if field.is_repeated else value).MergeFromString(draw(unknown_fields(6)))
    _body_resigned(entry, good, statement.SerializeToString(deterministic=True))


def _unknown_in_the_entry(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.MergeFromString(draw(unknown_fields(3)))


def _not_to_be_parsed(entry: v1.Entry, good: Good, draw: Draw) -> None:
    broken = draw(st.sampled_from([b"\x0a\x7f", b"\x0f", b"\xff" * 11]))
    _body_resigned(entry, good, entry.body + broken)


def _absurdly_long(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.body += bytes(MAX_SIGNED + draw(st.integers(0, 1000)))


def _no_type(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    names = st.sampled_from(["", "cordee.v1.Offer", "cordee.v1.Card", "google.protobuf.Timestamp"])
    entry.type = draw(names | st.just(entry.type + "2") | st.just(entry.type.lower()))


def _first_of_a_log(good: Good, _draw: Draw) -> Wrong:
    return Wrong(None, good.entry)


def _a_second_genesis(good: Good, _draw: Draw) -> Wrong:
    return Wrong(world().network.roster, good.entry)


def form_rows(name: str) -> Iterator[Row]:
    yield of_entry("form", "an unknown field in the statement", Rule.MALFORMED, _unknown_in_the_statement)
    yield of_entry("form", "an unknown field further in", Rule.MALFORMED, _unknown_within)
    yield of_entry("form", "an unknown field in the entry", Rule.MALFORMED, _unknown_in_the_entry)
    yield of_entry("form", "a body that cannot be parsed", Rule.MALFORMED, _not_to_be_parsed)
    yield of_entry("form", "a body of absurd length", Rule.MALFORMED, _absurdly_long)
    if name == "Genesis":
        yield of_entry("form", "no such type", Rule.NO_GENESIS, _no_type)
        yield Row("form", "a second genesis", Rule.UNKNOWN_TYPE, _a_second_genesis)
    else:
        yield of_entry("form", "no such type", Rule.UNKNOWN_TYPE, _no_type)
        yield Row("form", "the first of a log", Rule.NO_GENESIS, _first_of_a_log)


# -- fields --


def descriptor_of(name: str) -> Descriptor:
    descriptor: Descriptor = v1.DESCRIPTOR.message_types_by_name[name]
    return descriptor


def leaves(descriptor: Descriptor, above: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field of a statement, those of our own messages in it by their place: `policy.threshold`."""
    for field in descriptor.fields:
        inner = field.message_type
        if inner is not None and inner.full_name.startswith("cordee."):
            yield from leaves(inner, f"{above}{field.name}.")
        else:
            yield above + field.name, field


def holder_of(statement: Any, path: str) -> tuple[Any, str]:
    """The message that has the field at this place, and the field's name there; the first of several."""
    *above, name = path.split(".")
    for step in above:
        statement = getattr(statement, step)
        if not isinstance(statement, Message):
            statement = statement[0]
    return statement, name


def setting(path: str, values: st.SearchStrategy[Any] | Callable[[], st.SearchStrategy[Any]]) -> Change:
    def change(statement: Any, draw: Draw) -> None:
        holder, name = holder_of(statement, path)
        value = draw(values if isinstance(values, st.SearchStrategy) else values())
        holder.ClearField(name)
        if isinstance(value, Message):
            getattr(holder, name).CopyFrom(value)
        elif value is not None:
            setattr(holder, name, value)

    return change


def flipping(path: str) -> Change:
    def change(statement: Any, draw: Draw) -> None:
        holder, name = holder_of(statement, path)
        setattr(holder, name, flipped(getattr(holder, name), draw))

    return change


def _changed_after_signing(path: str, field: FieldDescriptor) -> Callable[[v1.Entry, Good, Draw], None]:
    """Another value, whatever it is, under the signatures of the first."""

    def change(entry: v1.Entry, good: Good, draw: Draw) -> None:
        statement = copy_of(good.statement)
        holder, name = holder_of(statement, path)
        value = getattr(holder, name)
        if isinstance(value, Message):
            value.seconds += draw(st.integers(1, 1000))  # type: ignore[attr-defined]
        elif isinstance(value, bytes):
            # Half of what one could flip an Ed25519 key to is no point of the curve: it becomes another's key.
            other = world().attacker.public.ed25519 if name == "ed25519" else flipped(value, draw)
            setattr(holder, name, other)
        elif isinstance(value, bool):
            setattr(holder, name, not value)
        elif isinstance(value, int):
            setattr(holder, name, value + draw(st.integers(1, 1000)))
        else:
            setattr(holder, name, value + draw(st.sampled_from("abc")))
        entry.body = statement.SerializeToString(deterministic=True)

    return change


READ_BEFORE_SIGNATURES = {
    ("IdentityRotated", "identity_key.ed25519"): Rule.UNKNOWN_SIGNER,
    ("IdentityRotated", "identity_key.mldsa65"): Rule.UNKNOWN_SIGNER,
    ("Genesis", "administrators.ed25519"): Rule.UNKNOWN_SIGNER,
    ("Genesis", "administrators.mldsa65"): Rule.UNKNOWN_SIGNER,
    **{
        (name, "member"): Rule.NO_SUCH_MEMBER
        for name in ("MemberSuspended", "MemberReinstated", "MemberRemoved", "MemberRecovered", *MEMBER_SIGNED)
    },
}
"""What says who may sign: where it is changed, the signers are no longer those."""

FREE = {("MemberAdmitted", "bound_by_secrecy")}
"""Fields of which every value is a good one, if it is signed."""


def network_rows(path: str) -> list[Row]:
    twin = setting(path, lambda: st.just(world().elsewhere.network))
    return [
        of_statement(path, "another network of the same administrators", Rule.WRONG_NETWORK, twin),
        of_statement(path, "a bit of it", Rule.WRONG_NETWORK, flipping(path)),
        of_statement(path, "too long or short", Rule.WRONG_NETWORK, setting(path, other_length(32))),
    ]


def previous_rows(path: str) -> list[Row]:
    def another(statement: Any, draw: Draw) -> None:
        digests = [entry_digest(entry) for entry in world().network.entries]
        statement.previous = draw(st.sampled_from([one for one in digests if one != statement.previous]))

    return [
        of_statement(path, "any other entry of the log", Rule.WRONG_PREVIOUS, another),
        of_statement(path, "a bit of it", Rule.WRONG_PREVIOUS, flipping(path)),
        of_statement(path, "too long or short", Rule.WRONG_PREVIOUS, setting(path, other_length(32))),
        of_statement(path, "itself", Rule.WRONG_PREVIOUS, _previous_is_itself),
    ]


def _previous_is_itself(statement: Any, _draw: Draw) -> None:
    statement.previous = entry_digest(propose(statement))


def time_rows(path: str, name: str) -> list[Row]:
    def too_late(good: Good, draw: Draw) -> Wrong:
        limit = moment_of(good.statement.time) - timedelta(microseconds=draw(st.integers(1, 10**12)))
        return Wrong(good.roster, good.entry, latest=limit)

    def too_early(good: Good, draw: Draw) -> Wrong:
        assert good.roster is not None
        statement, roster = copy_of(good.statement), good.roster
        member = roster.members.get(MemberId(statement.member)) if hasattr(statement, "member") else None
        last = member.last_time if member else roster.genesis_time
        if name in GOVERNMENT:
            last = roster.last_governance_time
        earlier = last - timedelta(microseconds=draw(st.integers(1, 10**15)))
        statement.time.CopyFrom(timestamp_of(earlier))
        return Wrong(roster, signed_by(statement, *good.signers))

    def too_fine(statement: Any, draw: Draw) -> None:
        statement.time.nanos = draw(st.integers(0, 999_999_999).filter(lambda nanos: nanos % 1000))

    def broken(statement: Any, draw: Draw) -> None:
        if draw(st.booleans()):
            statement.time.nanos = draw(st.integers(-(2**31), -1) | st.integers(10**9, 2**31 - 1))
        else:
            statement.time.seconds = draw(st.integers(-(2**63), -1) | st.integers(253_402_300_800, 2**63 - 1))

    rows = [
        Row(path, "later than the directory takes", Rule.WRONG_TIME, too_late),
        of_statement(path, "not there", Rule.MALFORMED, setting(path, st.none())),
        of_statement(path, "too fine", Rule.MALFORMED, too_fine),
        of_statement(path, "out of range", Rule.MALFORMED, broken),
    ]
    if name != "Genesis":
        rows.append(Row(path, "before the last entry about its subject", Rule.WRONG_TIME, too_early))
    return rows


def member_rows(path: str, name: str) -> list[Row]:
    if name == "MemberAdmitted":
        others = st.deferred(lambda: st.sampled_from(sorted(world().network.roster.members)))
        return [
            of_statement(path, "a bit of it", Rule.WRONG_MEMBER_ID, flipping(path)),
            of_statement(path, "another member's", Rule.WRONG_MEMBER_ID, setting(path, others)),
            of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
        ]

    def in_another_state(good: Good, draw: Draw) -> Wrong:
        """All is right about another member, but for its state."""
        town = world()
        unfit = {
            "MemberSuspended": [town.lille, town.paris],
            "MemberReinstated": [town.marseille, town.nice, town.paris],
            "IdentityRotated": [town.lille, town.paris],
            "NodeRestored": [town.lille, town.paris],
        }.get(name, [town.paris])
        member, statement = draw(st.sampled_from(unfit)), copy_of(good.statement)
        head = town.network.roster.head(member.id, town.network.now)
        statement.MergeFrom(type(statement)(**head, member=member.id))
        signers = (member.identity, *good.signers[1:]) if name in MEMBER_SIGNED else good.signers
        return Wrong(good.roster, signed_by(statement, *signers))

    def others_place() -> st.SearchStrategy[bytes]:
        mine = good_entries()[name].statement.member
        return st.sampled_from([one for one in sorted(world().network.roster.members) if one != mine])

    # Of another member, its own key would have to sign; administrators sign for all, but its last entry is another.
    rule = Rule.UNKNOWN_SIGNER if name in MEMBER_SIGNED else Rule.WRONG_PREVIOUS
    return [
        of_statement(path, "a bit of it", Rule.NO_SUCH_MEMBER, flipping(path)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
        of_statement(path, "another member's", rule, setting(path, others_place)),
        Row(path, "a member whose state does not allow it", Rule.WRONG_STATE, in_another_state),
    ]


NO_POINTS = [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"\x02" + bytes(31)]
"""Small order, the neutral element, not canonical, not on the curve."""


def key_part_rows(path: str, _name: str) -> list[Row]:
    if path.endswith("ed25519"):
        return [
            of_statement(path, "no point", Rule.MALFORMED, setting(path, st.sampled_from(NO_POINTS))),
            of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(32))),
        ]
    return [of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(1952)))]


def taken_keys(name: str) -> list[SigningKey]:
    """Keys that have a holder, or had one. A member's first key gives its id, which an admission fails for first."""
    town = world()
    keys = [town.network.directory, town.former["directory"], town.former["administrator"]]
    keys += [*town.network.administrators[:3], town.marseille.identity]
    if name != "MemberAdmitted":
        keys += [town.former["member"], town.nice.identity, town.lille.identity, town.paris.identity]
    return keys


def taken_key_rows(path: str, name: str) -> list[Row]:
    def taken(good: Good, draw: Draw) -> Wrong:
        keys = [key for key in taken_keys(name) if name != "IdentityRotated" or key != good.signers[0]]
        key, statement = draw(st.sampled_from(keys)), copy_of(good.statement)
        getattr(statement, path).CopyFrom(key.public.to_message())
        if name == "MemberAdmitted":
            statement.member = member_id_of(key.public)
        signers = (good.signers[0], key) if name == "IdentityRotated" else good.signers
        return Wrong(good.roster, signed_by(statement, *signers))

    rows = [Row(path, "a key that has or had a holder", Rule.KEY_TAKEN, taken)]
    if name == "MemberAdmitted":

        def again(good: Good, draw: Draw) -> Wrong:
            town, statement = world(), copy_of(good.statement)
            member = draw(st.sampled_from([town.nice, town.lille, town.paris]))
            statement.identity_key.CopyFrom(member.identity.public.to_message())
            statement.member = member.id
            return Wrong(good.roster, signed_by(statement, *good.signers))

        rows.append(Row(path, "a member who was admitted before", Rule.MEMBER_ID_TAKEN, again))
    return rows


def registration_rows(path: str, _name: str) -> list[Row]:
    def present() -> st.SearchStrategy[bytes]:
        town = world()
        return st.sampled_from([town.network.member(one).registration for one in (town.nice, town.lille)])

    return [
        of_statement(path, "of a member who is there", Rule.REGISTRATION_TAKEN, setting(path, present)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(32))),
    ]


def incarnation_rows(path: str, _name: str) -> list[Row]:
    def present() -> st.SearchStrategy[bytes | None]:
        return st.just(world().network.member(world().marseille).incarnation)

    return [
        of_statement(path, "the one it has", Rule.SAME_INCARNATION, setting(path, present)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
    ]


def administrator_rows(path: str, name: str) -> list[Row]:
    def strange() -> st.SearchStrategy[bytes]:
        return st.sampled_from([key.public.key_id for key in strangers(good_entries()[name])])

    def needed(good: Good, _draw: Draw) -> Wrong:
        """All three must sign, so that none can go."""
        assert good.roster is not None
        signers = world().network.administrators[:3]
        policy = replace(good.roster.policy, threshold=3)
        return Wrong(replace(good.roster, policy=policy), signed_by(good.statement, *signers))

    return [
        of_statement(path, "not of an administrator", Rule.NO_SUCH_ADMINISTRATOR, setting(path, strange)),
        of_statement(path, "a bit of it", Rule.NO_SUCH_ADMINISTRATOR, flipping(path)),
        of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(16))),
        Row(path, "one without whom too few are left", Rule.THRESHOLD_OUT_OF_REACH, needed),
    ]


def threshold_rows(path: str, _name: str) -> list[Row]:
    beyond = st.integers(4, MAX_ADMINISTRATORS)
    wrong = st.just(0) | st.integers(MAX_ADMINISTRATORS + 1, 2**32 - 1)
    return [
        of_statement(path, "more than there are", Rule.THRESHOLD_OUT_OF_REACH, setting(path, beyond)),
        of_statement(path, "out of range", Rule.MALFORMED, setting(path, wrong)),
    ]


def duration_rows(days: int) -> Callable[[str, str], list[Row]]:
    def rows(path: str, _name: str) -> list[Row]:
        def out_of_range(statement: Any, draw: Draw) -> None:
            holder, name = holder_of(statement, path)
            seconds = st.integers(-(2**63), 59) | st.integers(days * 86_400 + 1, 2**63 - 1)
            getattr(holder, name).seconds = draw(seconds)

        def not_whole(statement: Any, draw: Draw) -> None:
            holder, name = holder_of(statement, path)
            getattr(holder, name).nanos = draw(st.integers(-(2**31), 2**31 - 1).filter(bool))

        return [
            of_statement(path, "out of range", Rule.MALFORMED, out_of_range),
            of_statement(path, "no whole seconds", Rule.MALFORMED, not_whole),
            of_statement(path, "not there", Rule.MALFORMED, setting(path, st.none())),
        ]

    return rows


def size_rows(path: str, _name: str) -> list[Row]:
    wrong = st.integers(0, 64 * 1024 - 1) | st.integers(2**40 + 1, 2**64 - 1)
    return [of_statement(path, "out of range", Rule.MALFORMED, setting(path, wrong))]


def bytes_rows(wrong: st.SearchStrategy[Any]) -> Callable[[str, str], list[Row]]:
    return lambda path, _name: [of_statement(path, "no good value", Rule.MALFORMED, setting(path, wrong))]


BAD_ORIGINS = st.sampled_from(["", "a b", "a\nb", "a+b", "a\u00a0b", "\u200b", "é" * 1000])

FIELDS: dict[str, Callable[[str, str], list[Row]]] = {
    "network": lambda path, _name: network_rows(path),
    "previous": lambda path, _name: previous_rows(path),
    "time": time_rows,
    "member": member_rows,
    "identity_key.ed25519": key_part_rows,
    "identity_key.mldsa65": key_part_rows,
    "registration": registration_rows,
    "incarnation": incarnation_rows,
    "administrator": administrator_rows,
    "key.ed25519": key_part_rows,
    "key.mldsa65": key_part_rows,
    "policy.threshold": threshold_rows,
    "policy.freshness_limit": duration_rows(7),
    "policy.offer_life_limit": duration_rows(14),
    "policy.shipping_limit": duration_rows(14),
    "policy.content_size_limit": size_rows,
    "policy.mailbox_quota": size_rows,
    "administrators.ed25519": key_part_rows,
    "administrators.mldsa65": key_part_rows,
    "directory_key.ed25519": key_part_rows,
    "directory_key.mldsa65": key_part_rows,
    "nonce": bytes_rows(other_length(32)),
    "origin": bytes_rows(BAD_ORIGINS),
    "ca_certificate": bytes_rows(st.sampled_from([b"", bytes(16 * 1024 + 1)])),
}
"""A field by its place in the statement → what can be wrong with it, though it is truly signed."""


# -- several fields at once --


@cache
def crowd() -> list[SigningKey]:
    """As many keys as a network may have administrators, the three in force among them."""
    more = [SigningKey.from_seed(number.to_bytes(64)) for number in range(1, MAX_ADMINISTRATORS - 2)]
    return [*world().network.administrators[:3], *more]


def _too_many_founders(statement: Any, draw: Draw) -> None:
    if draw(st.booleans()):
        del statement.administrators[:]
    else:
        more = [*crowd()[3:], world().attacker]
        statement.administrators.extend(key.public.to_message() for key in more)


def _one_too_many(good: Good, _draw: Draw) -> Wrong:
    assert good.roster is not None
    full = MappingProxyType({key.public.key_id: key.public for key in crowd()})
    return Wrong(replace(good.roster, administrators=full), good.entry)


def _a_founder_twice(statement: Any, draw: Draw) -> None:
    statement.administrators.append(draw(st.sampled_from(list(statement.administrators))))


def _directory_is_a_founder(statement: Any, draw: Draw) -> None:
    statement.directory_key.CopyFrom(draw(st.sampled_from(list(statement.administrators))))


def whole_rows(name: str) -> Iterator[Row]:
    if name == "Genesis":
        too_many = Rule.TOO_MANY_ADMINISTRATORS
        yield of_statement("administrators", "none or too many", too_many, _too_many_founders)
        yield of_statement("administrators", "one twice", Rule.KEY_TAKEN, _a_founder_twice)
        yield of_statement("directory_key", "an administrator's", Rule.KEY_TAKEN, _directory_is_a_founder)
        return
    for path in ("identity_key", "key"):
        if path in descriptor_of(name).fields_by_name:
            yield from taken_key_rows(path, name)
    if name == "AdministratorAdded":
        yield Row("key", "one more than there may be", Rule.TOO_MANY_ADMINISTRATORS, _one_too_many)


def rows_of(name: str) -> list[Row]:
    """All that can be wrong with an entry of this name."""
    rows = [*signature_rows(name), *form_rows(name), *whole_rows(name)]
    for path, field in leaves(descriptor_of(name)):
        rule = READ_BEFORE_SIGNATURES.get((name, path), Rule.BAD_SIGNATURE)
        rows.append(of_entry(path, "changed after signing", rule, _changed_after_signing(path, field)))
        if (name, path) not in FREE and path in FIELDS:
            rows += FIELDS[path](path, name)
    return rows
