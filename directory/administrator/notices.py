"""What an administrator should know of before it fails: told as sentences, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509

from cordee.errors import N_, CardExpired, CordeeError, RosterForked, Unreachable
from cordee.ids import MemberId
from cordee.members import Member, MemberState, Roster, authority_digest
from directory.administrator.standings import Standing

__all__ = ["Notice", "authority_ends", "notices"]

LATE: Final = timedelta(days=20)
"""Cards and certificates last 90 days and are renewed after 60: with less than this left, renewing fails."""
_AUTHORITY_SOON: Final = timedelta(days=180)  # a new authority needs every administrator and some weeks
_LONG: Final = timedelta(days=30)
_NEARLY_FULL: Final = 0.8
_NONE: Final[Mapping[MemberId, CordeeError]] = {}


@dataclass(frozen=True)
class Notice:
    """One thing. `wrong` needs somebody now; the others will."""

    wrong: bool
    sentence: str
    """A marked text with a place for each fact."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    member: MemberId | None = None


def notices(
    roster: Roster,
    standings: Mapping[MemberId, Standing],
    names: Mapping[MemberId, str],
    *,
    now: datetime,
    trouble: CordeeError | None = None,
    doubts: Mapping[MemberId, CordeeError] = _NONE,
    proven: int = 0,
) -> list[Notice]:
    """All of them, those that are wrong first. `standings` may be empty: the directory may not answer. `doubts`: what
    members' nodes are said to have signed of the log and is not believed. `proven`: files of evidence on this machine.
    """
    found = [
        *_of_directory(trouble),
        *_of_evidence(proven),
        *(_of_doubt(member, doubt, names) for member, doubt in doubts.items()),
        *_of_government(roster),
        *_of_authority(roster, now),
        *(each for member in _by_age(roster) for each in _of_member(roster, member, standings, names, now)),
    ]
    return sorted(found, key=lambda each: not each.wrong)


def authority_ends(roster: Roster) -> datetime | None:
    """When the network's CA runs out; None where its certificate cannot be read."""
    try:
        return x509.load_der_x509_certificate(roster.ca_certificate).not_valid_after_utc
    except ValueError:
        return None


def _by_age(roster: Roster) -> list[Member]:
    return sorted(roster.members.values(), key=lambda each: each.admitted_size)


def _of_directory(trouble: CordeeError | None) -> Iterator[Notice]:
    if isinstance(trouble, Unreachable):
        yield Notice(False, N_("The directory does not answer. What stands here is the log as it was last verified."))
    elif trouble is not None:
        yield Notice(
            True,
            N_(
                "What the directory shows is not the log that you know. Sign nothing, and call your colleagues: "
                "compare the size and the digest of the log."
            ),
        )


def _of_doubt(member: MemberId, doubt: CordeeError, names: Mapping[MemberId, str]) -> Notice:
    who = {"who": names.get(member, member.short)}
    if isinstance(doubt, RosterForked):
        sentence = N_(
            "The node of {who} was shown another log than you. Sign nothing, call it and your colleagues: compare the "
            "size and the digest of the log."
        )
        return Notice(True, sentence, who, member)
    return Notice(False, N_("What the node of {who} says of the log does not verify."), who, member)


def _of_evidence(proven: int) -> Iterator[Notice]:
    if proven:
        yield Notice(
            True,
            N_(
                "This machine holds evidence that two logs were shown, files of it: {count}. “cordee admin evidence” "
                "tells it in words, and judges what associations bring beside your own copy."
            ),
            {"count": proven},
        )


def _of_government(roster: Roster) -> Iterator[Notice]:
    spare = len(roster.administrators) - roster.policy.threshold
    if spare == 0:
        yield Notice(
            False,
            N_(
                "Every administrator must sign: if one key is lost, nobody can be admitted, suspended or removed any "
                "more. Add an administrator."
            ),
        )
    if roster.policy.threshold == 1:
        yield Notice(False, N_("One administrator alone may decide everything: let two sign."))


def _of_authority(roster: Roster, now: datetime) -> Iterator[Notice]:
    if authority_digest(roster.ca_certificate) not in roster.trusted(now):
        return  # another one certifies by now; the log has its digest alone
    ends = authority_ends(roster)
    if ends is not None and ends - now < _AUTHORITY_SOON:
        yield Notice(ends <= now, N_("The network’s certificate authority ends on {day}."), {"day": ends})


def _of_member(
    roster: Roster,
    member: Member,
    standings: Mapping[MemberId, Standing],
    names: Mapping[MemberId, str],
    now: datetime,
) -> Iterator[Notice]:
    who = {"who": names.get(member.id, member.id.short)}
    if member.state is MemberState.SUSPENDED and now - member.last_time > _LONG:
        facts = who | {"day": member.last_time}
        yield Notice(False, N_("{who} is suspended since {day}: decide."), facts, member.id)
    if member.revoked:
        sentence = N_("The identity key of {who} is revoked: it is cut off until another one is in force.")
        yield Notice(False, sentence, who, member.id)
    if member.recovery is not None and now < member.recovery.lapses:
        facts = who | {"day": member.recovery.due}
        sentence = N_("A new identity key is announced for {who}: from {day} on it may be put in force.")
        yield Notice(False, sentence, facts, member.id)
    standing = standings.get(member.id)
    if standing is None or member.state is not MemberState.ACTIVE:
        return
    if isinstance(standing.doubt, CardExpired):
        yield Notice(True, N_("The card of {who} has run out: nobody can send it anything."), who, member.id)
    elif standing.doubt is not None:
        yield Notice(True, N_("The card of {who} does not verify."), who, member.id)
    elif standing.card is None:
        yield Notice(False, N_("{who} has published no card yet: its node has not been connected."), who, member.id)
    elif standing.card.expire_time - now < LATE:
        facts = who | {"day": standing.card.expire_time}
        yield Notice(False, N_("The card of {who} ends on {day} and has not renewed itself."), facts, member.id)
    if standing.certificate_ends is not None and standing.certificate_ends - now < LATE:
        facts = who | {"day": standing.certificate_ends}
        sentence = N_("The certificate of {who} ends on {day} and has not renewed itself.")
        yield Notice(standing.certificate_ends <= now, sentence, facts, member.id)
    if standing.counted >= _NEARLY_FULL * roster.policy.mailbox_quota:
        yield Notice(False, N_("{who} has nearly used up what may wait for its recipients."), who, member.id)
