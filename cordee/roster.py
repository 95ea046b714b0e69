"""The roster: who belongs to the network, with which keys (protocol §4).

`apply(roster, entry)` is the same pure function in the directory and in every node. It takes an entry of the log whole
or refuses it whole; a roster never changes, each entry gives a new one that shares nearly everything with the last.

Rules that the protocol's table leaves open:

* *Signatures* stand in the order of the signers' key ids, each signer once, all of them in force before the entry: an
  entry has one form. More than the threshold may sign; a signature by anybody else makes the entry void.
* *Times*: an entry is not earlier than the genesis nor than the entry that it names as `previous`. Entries about
  different subjects may overlap, since signatures are gathered for days. `apply` knows no clock: a directory gives
  `latest`, the time after which it takes none, when an entry is first appended.
* *Keys* have one holder for ever: no key that ever was a member's, an administrator's or the directory's is taken
  again, and no member's id either.
* *States*: only an active member rotates its key or restores its node; a removed one never comes back under its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

from cordee.checkpoint import is_origin
from cordee.entries import add_signature, entry_digest, entry_leaf, network_id, propose
from cordee.errors import BadSignature, EntryRefused, MalformedKey, MalformedStatement
from cordee.idmap import IdMap
from cordee.ids import Digest, KeyId, MemberId
from cordee.members import Head, Member, MemberState, Roster, registration_digest
from cordee.policy import MAX_ADMINISTRATORS, Policy
from cordee.signing import MAX_BODY, MAX_SIGNED, SigningPublicKey, member_id_of, parse_message, verify_signature
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "Head",
    "Member",
    "MemberState",
    "Policy",
    "Roster",
    "Rule",
    "add_signature",
    "apply",
    "entry_digest",
    "entry_leaf",
    "network_id",
    "propose",
    "registration_digest",
    "replay",
]

_MAX_GENESIS_BODY = 256 * 1024  # 64 administrators' keys take half of it
_MAX_CA_CERTIFICATE = 16 * 1024
_NONCE_SIZE = 32
_INCARNATION_SIZE = 16


class Rule(StrEnum):
    """The rule that a refused entry breaks: the fact `rule` of EntryRefused."""

    NO_GENESIS = "the first entry is no genesis"
    UNKNOWN_TYPE = "no such entry"
    MALFORMED = "malformed"
    WRONG_NETWORK = "another network"
    WRONG_PREVIOUS = "not the next entry about its subject"
    WRONG_TIME = "a time before an earlier entry or in the future"
    SIGNATURE_ORDER = "signatures out of order or repeated"
    UNKNOWN_SIGNER = "signed by a key that is not in force"
    TOO_FEW_SIGNATURES = "too few signatures"
    BAD_SIGNATURE = "a signature does not verify"
    NO_SUCH_MEMBER = "no such member"
    WRONG_MEMBER_ID = "the member's id is not that of its key"
    MEMBER_ID_TAKEN = "the member's id was given before"
    REGISTRATION_TAKEN = "another member has this name and number"
    KEY_TAKEN = "the key was used before"
    WRONG_STATE = "the member's state does not allow it"
    SAME_INCARNATION = "the incarnation is not new"
    NO_SUCH_ADMINISTRATOR = "no such administrator"
    TOO_MANY_ADMINISTRATORS = "too many administrators"
    THRESHOLD_OUT_OF_REACH = "fewer administrators than the policy asks for"


class _Breach(Exception):
    """A rule is broken; `apply` adds the entry's index."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.rule = rule


def apply(roster: Roster | None, entry: v1.Entry, *, latest: datetime | None = None) -> Roster:
    """The roster after one entry more. None only with the genesis; `roster` stays as it was, whatever happens.

    Raises: EntryRefused with the entry's `index` and the `rule` that it breaks.
    """
    try:
        # The entry's own form first: fields that we do not know stand in no digest and would travel unseen.
        exact = parse_message(entry.SerializeToString(), v1.Entry, MAX_SIGNED)
        return _found(exact, latest) if roster is None else _advance(roster, exact, latest)
    except _Breach as breach:
        rule, cause = breach.rule, breach.__cause__
    except (MalformedStatement, MalformedKey) as error:
        rule, cause = Rule.MALFORMED, error
    except BadSignature as error:
        rule, cause = Rule.BAD_SIGNATURE, error
    raise EntryRefused(index=0 if roster is None else roster.size, rule=rule) from cause


def replay(entries: Iterable[v1.Entry]) -> Roster:
    """The roster that a whole log gives. Raises: EntryRefused, ValueError for an empty log."""
    roster: Roster | None = None
    for entry in entries:
        roster = apply(roster, entry)
    if roster is None:
        raise ValueError("a roster begins with its genesis")
    return roster


def _require(holds: bool, rule: Rule) -> None:
    if not holds:
        raise _Breach(rule)


# ---- The genesis ----


def _found(entry: v1.Entry, latest: datetime | None) -> Roster:
    _require(entry.type == v1.Genesis.DESCRIPTOR.full_name, Rule.NO_GENESIS)
    genesis = parse_message(entry.body, v1.Genesis, _MAX_GENESIS_BODY)
    _require(1 <= len(genesis.administrators) <= MAX_ADMINISTRATORS, Rule.TOO_MANY_ADMINISTRATORS)
    keys = [SigningPublicKey.from_message(key) for key in genesis.administrators]
    administrators = {key.key_id: key for key in keys}
    _require(len(administrators) == len(keys), Rule.KEY_TAKEN)
    _check_signatures(entry, administrators, at_least=len(administrators))

    time = _time_of(genesis, not_before=None, latest=latest)
    policy = Policy.from_message(genesis.policy)
    _require(policy.threshold <= len(administrators), Rule.THRESHOLD_OUT_OF_REACH)
    directory_key = SigningPublicKey.from_message(genesis.directory_key)
    _require(directory_key.key_id not in administrators, Rule.KEY_TAKEN)
    well_formed = (
        len(genesis.nonce) == _NONCE_SIZE
        and is_origin(genesis.origin)
        and 1 <= len(genesis.ca_certificate) <= _MAX_CA_CERTIFICATE
    )
    _require(well_formed, Rule.MALFORMED)
    used: IdMap[KeyId, None] = IdMap()
    for key_id in (*administrators, directory_key.key_id):
        used = used.with_item(key_id, None)
    digest = entry_digest(entry)
    return Roster(
        network=network_id(entry),
        origin=genesis.origin,
        size=1,
        policy=policy,
        administrators=MappingProxyType(administrators),
        directory_key=directory_key,
        ca_certificate=genesis.ca_certificate,
        members=IdMap(),
        genesis_entry=digest,
        genesis_time=time,
        last_governance_entry=digest,
        last_governance_time=time,
        time=time,
        used_keys=used,
        registrations=IdMap(),
    )


# ---- Every later entry ----


@dataclass(frozen=True)
class _Step:
    """An entry that is next about its subject, signed as its kind asks for."""

    roster: Roster
    statement: Any  # one of the messages in the two tables below
    digest: Digest
    time: datetime


def _advance(roster: Roster, entry: v1.Entry, latest: datetime | None) -> Roster:
    if entry.type == _ADMITTED:
        following = _admit(roster, entry, latest)
    elif entry.type in _ABOUT_MEMBERS:
        following = _change_member(roster, entry, _ABOUT_MEMBERS[entry.type], latest)
    elif entry.type in _GOVERNMENT:
        following = _govern(roster, entry, *_GOVERNMENT[entry.type], latest)
    else:
        raise _Breach(Rule.UNKNOWN_TYPE)
    return following


def _step(
    roster: Roster,
    entry: v1.Entry,
    statement: Any,
    *,
    signers: Mapping[KeyId, SigningPublicKey],
    at_least: int,
    previous: Digest,
    not_before: datetime,
    latest: datetime | None,
) -> _Step:
    """What every entry but the genesis must show: signatures, then network, then its place, then its time."""
    _check_signatures(entry, signers, at_least=at_least)
    _require(statement.network == roster.network, Rule.WRONG_NETWORK)
    _require(statement.previous == previous, Rule.WRONG_PREVIOUS)
    time = _time_of(statement, not_before=not_before, latest=latest)
    return _Step(roster=roster, statement=statement, digest=entry_digest(entry), time=time)


def _grown(step: _Step, **changes: Any) -> Roster:
    return replace(step.roster, size=step.roster.size + 1, time=max(step.roster.time, step.time), **changes)


def _check_signatures(entry: v1.Entry, signers: Mapping[KeyId, SigningPublicKey], *, at_least: int) -> None:
    given = [KeyId(one.signer) for one in entry.signatures]
    _require(all(one < following for one, following in pairwise(given)), Rule.SIGNATURE_ORDER)
    _require(all(one in signers for one in given), Rule.UNKNOWN_SIGNER)
    _require(len(given) >= at_least, Rule.TOO_FEW_SIGNATURES)
    for signer, signature in zip(given, entry.signatures, strict=True):
        verify_signature(signature, entry.type, entry.body, signers[signer])


def _time_of(statement: Any, *, not_before: datetime | None, latest: datetime | None) -> datetime:
    _require(statement.HasField("time"), Rule.MALFORMED)
    time = moment_of(statement.time)
    _require(not_before is None or time >= not_before, Rule.WRONG_TIME)
    _require(latest is None or time <= latest, Rule.WRONG_TIME)
    return time


def _new_key(roster: Roster, message: v1.PublicKey) -> SigningPublicKey:
    key = SigningPublicKey.from_message(message)
    _require(key.key_id not in roster.used_keys, Rule.KEY_TAKEN)
    return key


# ---- Members ----

_ADMITTED = v1.MemberAdmitted.DESCRIPTOR.full_name


def _admit(roster: Roster, entry: v1.Entry, latest: datetime | None) -> Roster:
    statement = parse_message(entry.body, v1.MemberAdmitted, MAX_BODY)
    step = _step(
        roster,
        entry,
        statement,
        signers=roster.administrators,
        at_least=roster.policy.threshold,
        previous=roster.genesis_entry,
        not_before=roster.genesis_time,
        latest=latest,
    )
    member_id, registration = MemberId(statement.member), Digest(statement.registration)
    identity = SigningPublicKey.from_message(statement.identity_key)
    _require(member_id == member_id_of(identity), Rule.WRONG_MEMBER_ID)
    _require(member_id not in roster.members, Rule.MEMBER_ID_TAKEN)
    _require(identity.key_id not in roster.used_keys, Rule.KEY_TAKEN)
    _require(registration not in roster.registrations, Rule.REGISTRATION_TAKEN)
    member = Member(
        id=member_id,
        state=MemberState.ACTIVE,
        identity=identity,
        former_identities=(),
        registration=registration,
        bound_by_secrecy=statement.bound_by_secrecy,
        incarnation=None,
        admitted_at=step.time,
        admitted_size=roster.size + 1,
        last_entry=step.digest,
        last_time=step.time,
    )
    return _grown(
        step,
        members=roster.members.with_item(member_id, member),
        used_keys=roster.used_keys.with_item(identity.key_id, None),
        registrations=roster.registrations.with_item(registration, member_id),
    )


class _Signers(StrEnum):
    ADMINISTRATORS = "as many administrators as the policy asks for"
    MEMBER = "the member"
    BOTH_KEYS = "the member, with its old key and its new one"


@dataclass(frozen=True)
class _MemberRule:
    """One kind of entry about a member who is there: from which states, by whom, and what it changes."""

    statement: type[Message]
    states: frozenset[MemberState]
    signers: _Signers
    change: Callable[[_Step, Member], Member]


def _change_member(roster: Roster, entry: v1.Entry, rule: _MemberRule, latest: datetime | None) -> Roster:
    statement: Any = parse_message(entry.body, rule.statement, MAX_BODY)
    member = roster.members.get(MemberId(statement.member))
    if member is None:
        raise _Breach(Rule.NO_SUCH_MEMBER)
    signers, at_least = _signers_of(roster, member, statement, rule.signers)
    step = _step(
        roster,
        entry,
        statement,
        signers=signers,
        at_least=at_least,
        previous=member.last_entry,
        not_before=member.last_time,
        latest=latest,
    )
    _require(member.state in rule.states, Rule.WRONG_STATE)
    changed = replace(rule.change(step, member), last_entry=step.digest, last_time=step.time)
    used, registrations = roster.used_keys, roster.registrations
    if changed.identity is not member.identity:
        used = used.with_item(changed.identity.key_id, None)
    if changed.state is MemberState.REMOVED:
        registrations = registrations.without(member.registration)
    return _grown(
        step,
        members=roster.members.with_item(member.id, changed),
        used_keys=used,
        registrations=registrations,
    )


def _signers_of(
    roster: Roster, member: Member, statement: Any, signers: _Signers
) -> tuple[Mapping[KeyId, SigningPublicKey], int]:
    """The keys that may sign, and how many of them must."""
    if signers is _Signers.ADMINISTRATORS:
        return roster.administrators, roster.policy.threshold
    keys = {member.identity.key_id: member.identity}
    if signers is _Signers.BOTH_KEYS:
        new = SigningPublicKey.from_message(statement.identity_key)
        keys[new.key_id] = new
        return keys, 2
    return keys, 1


def _to(state: MemberState) -> Callable[[_Step, Member], Member]:
    return lambda _step, member: replace(member, state=state)


def _with_new_identity(step: _Step, member: Member) -> Member:
    # The size before this entry is the last at which the old key is in force.
    former = (*member.former_identities, (step.roster.size, member.identity))
    return replace(member, identity=_new_key(step.roster, step.statement.identity_key), former_identities=former)


def _restored(step: _Step, member: Member) -> Member:
    incarnation: bytes = step.statement.incarnation
    _require(len(incarnation) == _INCARNATION_SIZE, Rule.MALFORMED)
    _require(incarnation != member.incarnation, Rule.SAME_INCARNATION)
    return replace(member, incarnation=incarnation)


_ACTIVE = frozenset({MemberState.ACTIVE})
_SUSPENDED = frozenset({MemberState.SUSPENDED})
_PRESENT = _ACTIVE | _SUSPENDED

_ABOUT_MEMBERS: Mapping[str, _MemberRule] = {
    rule.statement.DESCRIPTOR.full_name: rule
    for rule in (
        _MemberRule(v1.MemberSuspended, _ACTIVE, _Signers.ADMINISTRATORS, _to(MemberState.SUSPENDED)),
        _MemberRule(v1.MemberReinstated, _SUSPENDED, _Signers.ADMINISTRATORS, _to(MemberState.ACTIVE)),
        _MemberRule(v1.MemberRemoved, _PRESENT, _Signers.ADMINISTRATORS, _to(MemberState.REMOVED)),
        _MemberRule(v1.MemberRecovered, _PRESENT, _Signers.ADMINISTRATORS, _with_new_identity),
        _MemberRule(v1.IdentityRotated, _ACTIVE, _Signers.BOTH_KEYS, _with_new_identity),
        _MemberRule(v1.NodeRestored, _ACTIVE, _Signers.MEMBER, _restored),
    )
}


# ---- The network's government: one chain from the genesis on ----

_Change = Callable[[_Step], dict[str, Any]]


def _govern(
    roster: Roster, entry: v1.Entry, statement: type[Message], change: _Change, latest: datetime | None
) -> Roster:
    step = _step(
        roster,
        entry,
        parse_message(entry.body, statement, MAX_BODY),
        signers=roster.administrators,
        at_least=roster.policy.threshold,
        previous=roster.last_governance_entry,
        not_before=roster.last_governance_time,
        latest=latest,
    )
    return _grown(step, last_governance_entry=step.digest, last_governance_time=step.time, **change(step))


def _add_administrator(step: _Step) -> dict[str, Any]:
    roster = step.roster
    _require(len(roster.administrators) < MAX_ADMINISTRATORS, Rule.TOO_MANY_ADMINISTRATORS)
    key = _new_key(roster, step.statement.key)
    return {
        "administrators": MappingProxyType({**roster.administrators, key.key_id: key}),
        "used_keys": roster.used_keys.with_item(key.key_id, None),
    }


def _remove_administrator(step: _Step) -> dict[str, Any]:
    left = dict(step.roster.administrators)
    _require(left.pop(KeyId(step.statement.administrator), None) is not None, Rule.NO_SUCH_ADMINISTRATOR)
    _require(step.roster.policy.threshold <= len(left), Rule.THRESHOLD_OUT_OF_REACH)
    return {"administrators": MappingProxyType(left)}


def _change_policy(step: _Step) -> dict[str, Any]:
    policy = Policy.from_message(step.statement.policy)
    _require(policy.threshold <= len(step.roster.administrators), Rule.THRESHOLD_OUT_OF_REACH)
    return {"policy": policy}


def _rotate_directory_key(step: _Step) -> dict[str, Any]:
    key = _new_key(step.roster, step.statement.key)
    return {"directory_key": key, "used_keys": step.roster.used_keys.with_item(key.key_id, None)}


_GOVERNMENT: Mapping[str, tuple[type[Message], _Change]] = {
    statement.DESCRIPTOR.full_name: (statement, change)
    for statement, change in (
        (v1.AdministratorAdded, _add_administrator),
        (v1.AdministratorRemoved, _remove_administrator),
        (v1.PolicyChanged, _change_policy),
        (v1.DirectoryKeyRotated, _rotate_directory_key),
    )
}
