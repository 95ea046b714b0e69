"""Entries that administrators propose and sign: made from the verified roster, told in words before they are signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.message import Message

from cordee.errors import N_, EntryRefused, Refused
from cordee.ids import Digest, KeyId, MemberId
from cordee.members import Roster
from cordee.policy import Policy
from cordee.recovery import DELAY
from cordee.roster import Rule, apply
from cordee.runtime.texts import text
from cordee.signing import MAX_BODY, SigningPublicKey, parse_message
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1
from cordee.words import Language
from directory.administrator.applicants import Applicant
from directory.administrator.policy_words import changes
from directory.administrator.words import words_of

__all__ = [
    "about_member",
    "about_of",
    "admission",
    "announcement",
    "by_administrators",
    "correction",
    "describe",
    "find_pending",
    "parse_entry",
    "recovery",
    "require_next",
]

_STATEMENTS: dict[str, type[Message]] = {
    message.DESCRIPTOR.full_name: message
    for message in (
        v1.MemberAdmitted,
        v1.MemberSuspended,
        v1.MemberReinstated,
        v1.MemberRemoved,
        v1.MemberCorrected,
        v1.RecoveryAnnounced,
        v1.MemberRecovered,
        v1.IdentityRevoked,
        v1.AdministratorAdded,
        v1.AdministratorRemoved,
        v1.PolicyChanged,
        v1.DirectoryKeyRotated,
        v1.AuthorityRotated,
    )
}
_VERBS: dict[str, str] = {
    v1.IdentityRevoked.DESCRIPTOR.full_name: N_(
        "Revoke the identity key of {who}: it counts no more from now on, the node is cut off and its transfers stand "
        "still until a new key is in force."
    ),
    v1.MemberSuspended.DESCRIPTOR.full_name: N_("Suspend {who}: its node is cut off and its transfers stand still."),
    v1.MemberReinstated.DESCRIPTOR.full_name: N_("Reinstate {who}, which is suspended."),
    v1.MemberRemoved.DESCRIPTOR.full_name: N_("Remove {who} for good: its transfers expire at once."),
}
_BY_OTHERS: dict[str, type[Message]] = {
    message.DESCRIPTOR.full_name: message
    for message in (v1.Genesis, v1.IdentityRotated, v1.NodeRestored, v1.RecoveryObjected)
}
_IN_LOG = _STATEMENTS | _BY_OTHERS
_LOST = N_("  the old one is lost: nobody holds it any more")
_STOLEN = N_("  the old one is stolen: somebody else may hold it")
_WITH_MEMBER = frozenset(name for name, message in _IN_LOG.items() if "member" in message.DESCRIPTOR.fields_by_name)
_SKEW = timedelta(minutes=5)
_MAX_BODY = 256 * 1024  # of a genesis with many administrators


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
    kind: type[v1.MemberSuspended | v1.MemberReinstated | v1.MemberRemoved | v1.IdentityRevoked],
    member: MemberId,
    roster: Roster,
    now: datetime,
) -> v1.MemberSuspended | v1.MemberReinstated | v1.MemberRemoved | v1.IdentityRevoked:
    """The statement that changes a member's state."""
    return kind(**roster.head(member, now), member=member)


def correction(
    member: MemberId, registration: Digest, bound_by_secrecy: bool, roster: Roster, now: datetime
) -> v1.MemberCorrected:
    """The statement that gives a member another name or number, or says anew whether it is bound by secrecy."""
    head = roster.head(member, now)
    return v1.MemberCorrected(**head, member=member, registration=registration, bound_by_secrecy=bound_by_secrecy)


def announcement(
    member: MemberId, key: SigningPublicKey, roster: Roster, now: datetime, *, stolen: bool
) -> v1.RecoveryAnnounced:
    """The statement that tells everybody which key a member is to have, and begins the delay."""
    reason = v1.RECOVERY_REASON_STOLEN if stolen else v1.RECOVERY_REASON_LOST
    head = roster.head(member, now)
    return v1.RecoveryAnnounced(**head, member=member, identity_key=key.to_message(), reason=reason)


def recovery(member: MemberId, roster: Roster, now: datetime) -> v1.MemberRecovered:
    """The statement that puts the announced key in force. Raises: EntryRefused where none is announced or due."""
    waiting = roster.members[member].recovery
    if waiting is None:
        raise EntryRefused(index=roster.size, rule=Rule.NO_RECOVERY)
    if not waiting.due <= now < waiting.lapses:
        raise EntryRefused(index=roster.size, rule=Rule.RECOVERY_NOT_DUE)
    return v1.MemberRecovered(**roster.head(member, now), member=member, identity_key=waiting.identity.to_message())


def find_pending(pending: list[v1.Entry], statement: Message) -> v1.Entry | None:
    """An entry that another administrator has begun, which says the same as `statement` but for its time, and what was
    counted from it.
    """
    wanted = type(statement)()
    wanted.CopyFrom(statement)
    _without_times(wanted)
    for entry in pending:
        if entry.type != statement.DESCRIPTOR.full_name:
            continue
        found = parse_message(entry.body, type(statement), MAX_BODY)
        _without_times(found)
        if found == wanted:
            return entry
    return None


def by_administrators(entry: v1.Entry) -> bool:
    """Whether administrators sign entries of this kind; others are a member's own, or the genesis."""
    return entry.type in _STATEMENTS


def _without_times(statement: Message) -> None:
    for name in ("time", "old_end_time"):
        if name in statement.DESCRIPTOR.fields_by_name:
            statement.ClearField(name)


def parse_entry(entry: v1.Entry) -> Any:
    """The statement inside an entry that administrators sign. Raises: Refused for another kind, MalformedStatement."""
    statement = _STATEMENTS.get(entry.type)
    if statement is None:
        raise Refused(entry=entry.type)
    return parse_message(entry.body, statement, MAX_BODY)


def require_next(entry: v1.Entry, roster: Roster, now: datetime) -> None:
    """With the signatures that it has, and as many as it takes, the roster would take this entry now.

    Raises: EntryRefused, Refused.
    """
    statement = parse_entry(entry)
    if isinstance(statement, v1.AdministratorRemoved) and len(roster.administrators) <= roster.policy.threshold:
        # The lenient roster below would take it; the real one would refuse it once all have signed.
        raise EntryRefused(index=roster.size, rule=Rule.THRESHOLD_OUT_OF_REACH)
    signatures = max(1, len(entry.signatures))
    lenient = replace(roster, policy=replace(roster.policy, threshold=min(signatures, roster.policy.threshold)))
    if not entry.signatures:
        raise EntryRefused(index=roster.size, rule=N_("nobody has signed it"))
    apply(lenient, entry, latest=now + _SKEW)


def about_of(entry: v1.Entry) -> tuple[MemberId | KeyId | None, datetime]:
    """Whom an entry of the log is about, where that is one member or administrator, and when it was dated."""
    statement: Any = parse_message(entry.body, _IN_LOG[entry.type], _MAX_BODY)
    time = moment_of(statement.time)
    if entry.type in _WITH_MEMBER:
        return MemberId(statement.member), time
    if isinstance(statement, v1.AdministratorRemoved):
        return KeyId(statement.administrator), time
    if isinstance(statement, v1.AdministratorAdded):
        return SigningPublicKey.from_message(statement.key).key_id, time
    return None, time


def describe(entry: v1.Entry, roster: Roster, names: Mapping[MemberId, str], language: Language) -> list[str]:
    """What an entry does, line by line and in the reader's language, for the person who is about to sign it."""
    statement = parse_entry(entry)

    def say(message: str, **facts: object) -> str:
        return text(message, language).format(**facts)

    def words(key: v1.PublicKey) -> str:
        public = SigningPublicKey.from_message(key)
        spoken = " ".join(words_of(public))
        return say(N_("  six words of its key: {words}"), words=spoken)

    who = _who(MemberId(statement.member), names) if entry.type in _WITH_MEMBER else ""
    lines: list[str]
    if isinstance(statement, v1.MemberAdmitted):
        bound = N_("  bound by professional secrecy") if statement.bound_by_secrecy else N_("  not bound by secrecy")
        lines = [
            say(N_("Admit the association {who} to the network."), who=who),
            words(statement.identity_key),
            say(bound),
            say(N_("  digest of its legal name and number: {digest}"), digest=statement.registration.hex()),
        ]
    elif entry.type in _VERBS:
        lines = [say(_VERBS[entry.type], who=who)]
    elif isinstance(statement, v1.MemberCorrected):
        lines = _corrected(statement, roster, who, say)
    elif isinstance(statement, v1.RecoveryAnnounced):
        why = _STOLEN if statement.reason == v1.RECOVERY_REASON_STOLEN else _LOST
        due = moment_of(statement.time) + (roster.policy.recovery_delay or DELAY)
        lines = [
            say(N_("Announce that {who} gets a new identity key."), who=who),
            say(why),
            words(statement.identity_key),
            say(
                N_("  whoever holds the old key may object; from {due} on the new one may be put in force"),
                due=_at(due),
            ),
        ]
    elif isinstance(statement, v1.MemberRecovered):
        waiting = roster.members[MemberId(statement.member)].recovery
        lines = [
            say(N_("Put the new identity key of {who} in force: the old one counts no more."), who=who),
            words(statement.identity_key),
        ]
        if waiting is not None:
            lines.append(say(N_("  announced {announced}; nobody has objected"), announced=_at(waiting.announced)))
    elif isinstance(statement, v1.AdministratorAdded):
        lines = [say(N_("Make the holder of this key an administrator.")), words(statement.key)]
    elif isinstance(statement, v1.AdministratorRemoved):
        key_id = KeyId(statement.administrator)
        lines = [say(N_("The holder of key {key} is no administrator any more."), key=key_id.hex())]
    elif isinstance(statement, v1.PolicyChanged):
        lines = [say(N_("Change the network's policy:"))]
        lines += [
            say(N_("  {setting}: {before} → {after}"), setting=setting, before=before, after=after)
            for setting, before, after in changes(roster.policy, Policy.from_message(statement.policy), language)
        ]
    elif isinstance(statement, v1.AuthorityRotated):
        lines = [
            say(N_("Certificates come from another certification authority from now on.")),
            say(N_("  digest of its certificate: {digest}"), digest=statement.certificate_digest.hex()),
            say(N_("  the former one is trusted until {end}"), end=_at(moment_of(statement.old_end_time))),
        ]
    else:
        lines = [say(N_("The directory signs its log with another key from now on.")), words(statement.key)]
    signers = ", ".join(KeyId(one.signer).short for one in entry.signatures) or "–"
    dated = moment_of(statement.time).isoformat(timespec="seconds")
    return [
        *lines,
        say(N_("  dated {dated}, network {network}"), dated=dated, network=roster.network.short),
        say(N_("  {threshold} must sign; so far: {signers}"), threshold=roster.policy.threshold, signers=signers),
    ]


def _who(member: MemberId, names: Mapping[MemberId, str]) -> str:
    name = names.get(member)
    return f"“{name}” ({member.hex()})" if name else member.hex()


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _corrected(statement: v1.MemberCorrected, roster: Roster, who: str, say: Callable[..., str]) -> list[str]:
    member = roster.members.get(MemberId(statement.member))
    bound = N_("  bound by professional secrecy") if statement.bound_by_secrecy else N_("  not bound by secrecy")
    lines = [say(N_("Correct what the network says of {who}; its keys stay."), who=who)]
    if member is not None and member.registration == statement.registration:
        lines.append(say(N_("  its legal name and number stay as they are")))
    else:
        lines.append(
            say(N_("  digest of its new legal name and number: {digest}"), digest=statement.registration.hex())
        )
    if member is not None and member.bound_by_secrecy != statement.bound_by_secrecy:
        lines.append(say(N_("  whether it is bound by professional secrecy changes:")))
    return [*lines, say(bound)]
