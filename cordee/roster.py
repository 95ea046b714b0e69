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
* *Recovery* (`cordee.recovery`): a lost identity key is replaced after a public delay in which it may object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

from cordee.checkpoint import is_origin
from cordee.entries import add_signature, entry_digest, entry_leaf, network_id, propose
from cordee.entry_checks import (
    Breach,
    Rule,
    Step,
    check_place,
    check_signatures,
    grown,
    new_key,
    require,
    statement_of,
    time_of,
)
from cordee.errors import BadSignature, EntryRefused, MalformedKey, MalformedStatement
from cordee.government import govern, is_government
from cordee.idmap import IdMap
from cordee.ids import Digest, KeyId, MemberId
from cordee.members import AuthorityTrust, Head, Member, MemberState, Roster, authority_digest, registration_digest
from cordee.policy import MAX_ADMINISTRATORS, Policy
from cordee.recovery import announced, objected, recovered, revoked, still_held, with_identity
from cordee.signing import MAX_SIGNED, SigningPublicKey, member_id_of, parse_message
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


def apply(roster: Roster | None, entry: v1.Entry, *, latest: datetime | None = None) -> Roster:
    """The roster after one entry more. None only with the genesis; `roster` stays as it was, whatever happens.

    Raises: EntryRefused with the entry's `index` and the `rule` that it breaks.
    """
    try:
        # The entry's own form first: fields that we do not know stand in no digest and would travel unseen.
        exact = parse_message(entry.SerializeToString(), v1.Entry, MAX_SIGNED)
        return _found(exact, latest) if roster is None else _advance(roster, exact, latest)
    except Breach as breach:
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


# ---- The genesis ----


def _found(entry: v1.Entry, latest: datetime | None) -> Roster:
    require(entry.type == v1.Genesis.DESCRIPTOR.full_name, Rule.NO_GENESIS)
    genesis = statement_of(entry, v1.Genesis, _MAX_GENESIS_BODY)
    require(1 <= len(genesis.administrators) <= MAX_ADMINISTRATORS, Rule.TOO_MANY_ADMINISTRATORS)
    keys = [SigningPublicKey.from_message(key) for key in genesis.administrators]
    administrators = {key.key_id: key for key in keys}
    require(len(administrators) == len(keys), Rule.KEY_TAKEN)
    check_signatures(entry, administrators, at_least=len(administrators))

    time = time_of(genesis, not_before=None, latest=latest)
    policy = Policy.from_message(genesis.policy)
    require(policy.threshold <= len(administrators), Rule.THRESHOLD_OUT_OF_REACH)
    directory_key = SigningPublicKey.from_message(genesis.directory_key)
    require(directory_key.key_id not in administrators, Rule.KEY_TAKEN)
    well_formed = (
        len(genesis.nonce) == _NONCE_SIZE
        and is_origin(genesis.origin)
        and 1 <= len(genesis.ca_certificate) <= _MAX_CA_CERTIFICATE
    )
    require(well_formed, Rule.MALFORMED)
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
        authorities=(AuthorityTrust(authority_digest(genesis.ca_certificate)),),
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


def _advance(roster: Roster, entry: v1.Entry, latest: datetime | None) -> Roster:
    if entry.type == _ADMITTED:
        return _admit(roster, entry, latest)
    if entry.type in _ABOUT_MEMBERS:
        return _change_member(roster, entry, _ABOUT_MEMBERS[entry.type], latest)
    if is_government(entry.type):
        return govern(roster, entry, latest)
    raise Breach(Rule.UNKNOWN_TYPE)


# ---- Members ----

_ADMITTED = v1.MemberAdmitted.DESCRIPTOR.full_name


def _admit(roster: Roster, entry: v1.Entry, latest: datetime | None) -> Roster:
    statement = statement_of(entry, v1.MemberAdmitted)
    step = check_place(
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
    require(member_id == member_id_of(identity), Rule.WRONG_MEMBER_ID)
    require(member_id not in roster.members, Rule.MEMBER_ID_TAKEN)
    require(identity.key_id not in roster.used_keys, Rule.KEY_TAKEN)
    require(registration not in roster.registrations, Rule.REGISTRATION_TAKEN)
    member = Member(
        id=member_id,
        state=MemberState.ACTIVE,
        identity=identity,
        former_identities=(),
        registration=registration,
        former_registrations=(),
        bound_by_secrecy=statement.bound_by_secrecy,
        incarnation=None,
        admitted_at=step.time,
        admitted_size=roster.size + 1,
        last_entry=step.digest,
        last_time=step.time,
        identity_since=step.time,
    )
    return grown(
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
    change: Callable[[Step, Member], Member]


def _change_member(roster: Roster, entry: v1.Entry, rule: _MemberRule, latest: datetime | None) -> Roster:
    statement: Any = statement_of(entry, rule.statement)
    member = roster.members.get(MemberId(statement.member))
    if member is None:
        raise Breach(Rule.NO_SUCH_MEMBER)
    signers, at_least = _signers_of(roster, member, statement, rule.signers)
    step = check_place(
        roster,
        entry,
        statement,
        signers=signers,
        at_least=at_least,
        previous=member.last_entry,
        not_before=member.last_time,
        latest=latest,
    )
    require(member.state in rule.states, Rule.WRONG_STATE)
    changed = replace(rule.change(step, member), last_entry=step.digest, last_time=step.time)
    used, registrations = roster.used_keys, roster.registrations
    if changed.identity is not member.identity:
        used = used.with_item(changed.identity.key_id, None)
    if changed.recovery is not None:  # reserved: nobody else takes it while it waits, nor if it comes to nothing
        used = used.with_item(changed.recovery.identity.key_id, None)
    if changed.state is MemberState.REMOVED or changed.registrations != member.registrations:
        registrations = _registered(registrations, member, changed)
    return grown(
        step,
        members=roster.members.with_item(member.id, changed),
        used_keys=used,
        registrations=registrations,
    )


def _registered(registrations: IdMap[Digest, MemberId], before: Member, after: Member) -> IdMap[Digest, MemberId]:
    """The names and numbers in use, without those that this member gave up and with those that it has now."""
    for given_up in before.registrations:
        registrations = registrations.without(given_up)
    if after.state is not MemberState.REMOVED:
        for kept in after.registrations:
            registrations = registrations.with_item(kept, after.id)
    return registrations


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


def _to(state: MemberState) -> Callable[[Step, Member], Member]:
    return lambda _step, member: replace(member, state=state)


def _reinstated(_step: Step, member: Member) -> Member:
    require(not member.revoked, Rule.KEY_REVOKED)
    return replace(member, state=MemberState.ACTIVE)


def _rotated(step: Step, member: Member) -> Member:
    return still_held(with_identity(step, member, new_key(step.roster, step.statement.identity_key)))


def _corrected(step: Step, member: Member) -> Member:
    registration, secrecy = Digest(step.statement.registration), step.statement.bound_by_secrecy
    require((registration, secrecy) != (member.registration, member.bound_by_secrecy), Rule.NOTHING_CORRECTED)
    if registration == member.registration:
        return replace(member, bound_by_secrecy=secrecy)
    require(step.roster.registrations.get(registration) in (None, member.id), Rule.REGISTRATION_TAKEN)
    former = tuple(each for each in member.registrations if each != registration)
    return replace(member, registration=registration, former_registrations=former, bound_by_secrecy=secrecy)


def _restored(step: Step, member: Member) -> Member:
    incarnation: bytes = step.statement.incarnation
    require(len(incarnation) == _INCARNATION_SIZE, Rule.MALFORMED)
    require(incarnation != member.incarnation, Rule.SAME_INCARNATION)
    return still_held(replace(member, incarnation=incarnation))


_ACTIVE = frozenset({MemberState.ACTIVE})
_SUSPENDED = frozenset({MemberState.SUSPENDED})
_PRESENT = _ACTIVE | _SUSPENDED

_ABOUT_MEMBERS: Mapping[str, _MemberRule] = {
    rule.statement.DESCRIPTOR.full_name: rule
    for rule in (
        _MemberRule(v1.MemberSuspended, _ACTIVE, _Signers.ADMINISTRATORS, _to(MemberState.SUSPENDED)),
        _MemberRule(v1.MemberReinstated, _SUSPENDED, _Signers.ADMINISTRATORS, _reinstated),
        _MemberRule(v1.MemberRemoved, _PRESENT, _Signers.ADMINISTRATORS, _to(MemberState.REMOVED)),
        _MemberRule(v1.MemberCorrected, _PRESENT, _Signers.ADMINISTRATORS, _corrected),
        _MemberRule(v1.RecoveryAnnounced, _PRESENT, _Signers.ADMINISTRATORS, announced),
        _MemberRule(v1.RecoveryObjected, _PRESENT, _Signers.MEMBER, objected),
        _MemberRule(v1.MemberRecovered, _PRESENT, _Signers.ADMINISTRATORS, recovered),
        _MemberRule(v1.IdentityRevoked, _PRESENT, _Signers.ADMINISTRATORS, revoked),
        _MemberRule(v1.IdentityRotated, _ACTIVE, _Signers.BOTH_KEYS, _rotated),
        _MemberRule(v1.NodeRestored, _ACTIVE, _Signers.MEMBER, _restored),
    )
}
