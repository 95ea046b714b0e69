"""For every entry of the roster log one that is good, and the form of a row: one thing that is wrong with it.

A row says what is wrong in one entry and which rule refuses it; all else about that entry is right, its signatures
included unless the row is about them, so that no other rule can refuse it in that one's place. The rows stand in
`wrong_envelopes.py`, `wrong_fields.py` and `wrong_keys.py`; `test_wrong_entries.py` tries them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from cordee.entries import add_signature, propose
from cordee.policy import Policy
from cordee.roster import Roster, Rule
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from tests.builders import MemberKeys, Network

T = TypeVar("T")

TYPES = [
    "Genesis",
    "MemberAdmitted",
    "MemberSuspended",
    "MemberReinstated",
    "MemberRemoved",
    "MemberCorrected",
    "RecoveryAnnounced",
    "RecoveryObjected",
    "MemberRecovered",
    "IdentityRevoked",
    "IdentityRotated",
    "NodeRestored",
    "AdministratorAdded",
    "AdministratorRemoved",
    "PolicyChanged",
    "DirectoryKeyRotated",
    "AuthorityRotated",
]


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
    lyon: MemberKeys
    """Active; its key is said to be lost, and the delay is over."""
    metz: MemberKeys
    """Its key is revoked."""
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
    network.rotate_authority(b"another certificate")
    network.rotate(marseille)
    network.restore(marseille)
    network.suspend(lille)
    network.remove(paris)
    lyon, metz = network.admit("Lyon"), network.admit("Metz")
    network.revoke(metz)
    network.announce_recovery(lyon)
    network.now += timedelta(days=7)
    elsewhere = Network.found(administrators=3, threshold=2, seed="wrong", origin="cordee.example/other").roster
    return World(
        network, marseille, nice, lille, paris, lyon, metz, former, SigningKey.from_seed(b"attacker" * 8), elsewhere
    )


def announced_key() -> SigningKey:
    """The key that is to replace that of Lyon."""
    key = world().lyon.announced
    assert key is not None
    return key


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
        (v1.MemberCorrected(**about(town.nice, registration=bytes(32))), ()),
        (v1.RecoveryAnnounced(**about(town.marseille, identity_key=key, reason=v1.RECOVERY_REASON_LOST)), ()),
        (v1.RecoveryObjected(**about(town.lyon)), (town.lyon.identity,)),
        (v1.MemberRecovered(**about(town.lyon, identity_key=announced_key().public.to_message())), ()),
        (v1.IdentityRevoked(**about(town.marseille)), ()),
        (v1.IdentityRotated(**about(town.marseille, identity_key=key)), (town.marseille.identity, new)),
        (v1.NodeRestored(**about(town.marseille, incarnation=bytes(16))), (town.marseille.identity,)),
        (v1.AdministratorAdded(**government, key=key), ()),
        (v1.AdministratorRemoved(**government, administrator=network.administrators[2].public.key_id), ()),
        (v1.PolicyChanged(**government, policy=Policy(threshold=3).to_message()), ()),
        (v1.DirectoryKeyRotated(**government, key=key), ()),
        (v1.AuthorityRotated(**government, certificate_digest=bytes(32), old_end_time=government["time"]), ()),
    ]
    found = {}
    for statement, signers in statements:
        by = signers or tuple(network.administrators[:2])
        roster = None if isinstance(statement, v1.Genesis) else network.roster
        found[statement.DESCRIPTOR.name] = Good(roster, statement, by, signed_by(statement, *by))
    return found


MEMBER_SIGNED = frozenset({"IdentityRotated", "NodeRestored", "RecoveryObjected"})
GOVERNMENT = frozenset(
    {"AdministratorAdded", "AdministratorRemoved", "PolicyChanged", "DirectoryKeyRotated", "AuthorityRotated"}
)


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


def strangers(good: Good) -> list[SigningKey]:
    """Keys that may not sign it: whoever holds them."""
    town = world()
    keys = [town.attacker, town.network.directory, *town.former.values(), town.nice.identity, town.lille.identity]
    keys += town.network.administrators[:3] if good.name in MEMBER_SIGNED else [town.marseille.identity]
    return keys


# ---- fields by their place ----


def statements_of_the_log() -> set[str]:
    """The names of all that stands in the roster log: the genesis, and what names the entry before it."""
    messages = v1.DESCRIPTOR.message_types_by_name
    return {"Genesis"} | {name for name in messages if {"network", "previous"} <= set(messages[name].fields_by_name)}


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
