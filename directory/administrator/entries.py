"""Entries that administrators propose and sign: made from the verified roster, told in words before they are signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from cordee.errors import EntryRefused, Refused
from cordee.ids import KeyId, MemberId
from cordee.members import Roster
from cordee.policy import Policy
from cordee.roster import apply
from cordee.signing import MAX_BODY, SigningPublicKey, parse_message
from cordee.v1 import statements_pb2 as v1
from cordee.words import Language, six_words
from directory.administrator.applicants import Applicant

__all__ = ["about_member", "admission", "describe", "find_pending", "parse_entry", "require_next"]

_STATEMENTS: dict[str, type[Message]] = {
    message.DESCRIPTOR.full_name: message
    for message in (
        v1.MemberAdmitted,
        v1.MemberSuspended,
        v1.MemberReinstated,
        v1.MemberRemoved,
        v1.MemberRecovered,
        v1.AdministratorAdded,
        v1.AdministratorRemoved,
        v1.PolicyChanged,
        v1.DirectoryKeyRotated,
    )
}
_VERBS: dict[str, str] = {
    v1.MemberSuspended.DESCRIPTOR.full_name: "Suspend {who}: its node is cut off and its transfers stand still.",
    v1.MemberReinstated.DESCRIPTOR.full_name: "Reinstate {who}, which is suspended.",
    v1.MemberRemoved.DESCRIPTOR.full_name: "Remove {who} for good: its transfers expire at once.",
}


def admission(applicant: Applicant, roster: Roster, now: datetime) -> v1.MemberAdmitted:
    """The statement that admits an applicant."""
    return v1.MemberAdmitted(
        **roster.head(applicant.member, now),
        member=applicant.member,
        identity_key=applicant.key.to_message(),
        registration=applicant.registration,
        bound_by_secrecy=applicant.bound_by_secrecy,
    )


def about_member(
    kind: type[v1.MemberSuspended | v1.MemberReinstated | v1.MemberRemoved],
    member: MemberId,
    roster: Roster,
    now: datetime,
) -> v1.MemberSuspended | v1.MemberReinstated | v1.MemberRemoved:
    """The statement that changes a member's state."""
    return kind(**roster.head(member, now), member=member)


def find_pending(pending: list[v1.Entry], statement: Message) -> v1.Entry | None:
    """An entry that another administrator has begun, which says the same as `statement` but for its time."""
    wanted = type(statement)()
    wanted.CopyFrom(statement)
    wanted.ClearField("time")
    for entry in pending:
        if entry.type != statement.DESCRIPTOR.full_name:
            continue
        found = parse_message(entry.body, type(statement), MAX_BODY)
        found.ClearField("time")
        if found == wanted:
            return entry
    return None


def parse_entry(entry: v1.Entry) -> Any:
    """The statement inside an entry that administrators sign. Raises: Refused for another kind, MalformedStatement."""
    statement = _STATEMENTS.get(entry.type)
    if statement is None:
        raise Refused(entry=entry.type)
    return parse_message(entry.body, statement, MAX_BODY)


def require_next(entry: v1.Entry, roster: Roster) -> None:
    """With the signatures that it has, and as many as it takes, the roster would take this entry now.

    Raises: EntryRefused, Refused.
    """
    parse_entry(entry)
    signatures = max(1, len(entry.signatures))
    lenient = replace(roster, policy=replace(roster.policy, threshold=min(signatures, roster.policy.threshold)))
    if not entry.signatures:
        raise EntryRefused(index=roster.size, rule="nobody has signed it")
    apply(lenient, entry)


def describe(entry: v1.Entry, roster: Roster, names: Mapping[MemberId, str], language: Language) -> list[str]:
    """What an entry does, line by line, for the person who is about to sign it."""
    statement = parse_entry(entry)
    lines: list[str]
    if isinstance(statement, v1.MemberAdmitted):
        key = SigningPublicKey.from_message(statement.identity_key)
        member = MemberId(statement.member)
        lines = [
            f"Admit the association {_who(member, names)} to the network.",
            f"  six words of its key: {' '.join(six_words(key, language=language))}",
            f"  bound by professional secrecy: {'yes' if statement.bound_by_secrecy else 'no'}",
            f"  digest of its legal name and number: {statement.registration.hex()}",
        ]
    elif entry.type in _VERBS:
        lines = [_VERBS[entry.type].format(who=_who(MemberId(statement.member), names))]
    elif isinstance(statement, v1.MemberRecovered):
        key = SigningPublicKey.from_message(statement.identity_key)
        lines = [
            f"Give the member {_who(MemberId(statement.member), names)} a new identity key; the old one is lost.",
            f"  six words of the new key: {' '.join(six_words(key, language=language))}",
        ]
    elif isinstance(statement, v1.AdministratorAdded):
        key = SigningPublicKey.from_message(statement.key)
        lines = [
            f"Make the holder of key {key.key_id.hex()} an administrator.",
            f"  six words of the key: {' '.join(six_words(key, language=language))}",
        ]
    elif isinstance(statement, v1.AdministratorRemoved):
        lines = [f"The holder of key {KeyId(statement.administrator).hex()} is no administrator any more."]
    elif isinstance(statement, v1.PolicyChanged):
        lines = ["Change the network's policy:", *_policy(roster.policy, Policy.from_message(statement.policy))]
    else:
        key = SigningPublicKey.from_message(statement.key)
        lines = [
            "The directory signs its log with another key from now on.",
            f"  six words of the key: {' '.join(six_words(key, language=language))}",
        ]
    signers = ", ".join(KeyId(one.signer).short for one in entry.signatures) or "nobody yet"
    dated = f"  dated {statement.time.ToJsonString()}, network {roster.network.short}"
    return [*lines, f"{dated}, {roster.policy.threshold} signatures needed, signed by: {signers}"]


def _who(member: MemberId, names: Mapping[MemberId, str]) -> str:
    name = names.get(member)
    return f"“{name}” ({member.hex()})" if name else member.hex()


def _policy(old: Policy, new: Policy) -> list[str]:
    return [
        f"  {name}: {getattr(old, name)} → {getattr(new, name)}"
        for name in Policy.__dataclass_fields__
        if getattr(old, name) != getattr(new, name)
    ] or ["  nothing changes"]
