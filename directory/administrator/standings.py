"""What the directory tells of a member's card, certificate and quota, checked as far as it can be.

A card is signed by its member, so the directory can neither make nor alter one; it can withhold it. Ends of
certificates and use of quotas are the directory's word: they are shown, and nothing is decided by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cordee.card import Card
from cordee.errors import N_, CardRefused, CordeeError
from cordee.ids import MemberId
from cordee.members import MemberState, Roster
from cordee.profile import Profile
from cordee.signing import Signed
from cordee.times import moment_of
from cordee.v1 import directory_pb2 as pb

__all__ = ["Standing", "read_standing"]


@dataclass(frozen=True)
class Standing:
    """One member that is not removed."""

    member: MemberId
    card: Card | None
    profile: Profile | None
    """What the card binds, of a name and number that the log has; none with a card that is refused."""
    doubt: CordeeError | None
    """Why the card is not taken: it has run out, or it is not the member's."""
    certificate_ends: datetime | None
    under_way: int
    counted: int
    """Bytes."""


def read_standing(told: pb.ListStandingsResponse, roster: Roster, *, now: datetime) -> Standing | None:
    """Check it; None for somebody who is no member by our own copy of the log."""
    member = roster.members.get(MemberId(told.member))
    if member is None or member.state is MemberState.REMOVED:
        return None
    card: Card | None = None
    profile: Profile | None = None
    doubt: CordeeError | None = None
    if told.HasField("card"):
        try:
            signed = Signed.from_message(told.card)
            card = Card.parse(signed, roster, now=now, profile=told.profile)
            if card.member != member.id:
                card = None
                raise CardRefused(member=member.id.hex(), problem=N_("it is another member's"))
            profile = Profile.parse(told.profile, *member.registrations)
        except CordeeError as refused:
            doubt = refused
    return Standing(
        member=member.id,
        card=card,
        profile=profile,
        doubt=doubt,
        certificate_ends=moment_of(told.certificate_expire_time) if told.HasField("certificate_expire_time") else None,
        under_way=told.under_way,
        counted=told.counted,
    )
