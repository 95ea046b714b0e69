"""Invitations, made on the administrator's own machine: their secrets reach the directory when they are used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from cordee.errors import N_, InvalidInput
from cordee.invitation import Invitation, secret_digest
from cordee.members import Roster, registration_digest
from cordee.practice import is_practice
from cordee.times import timestamp_of
from directory.administrator.home import Network

__all__ = ["LONGEST", "USUAL", "command_of", "make_invitation"]

USUAL: Final = timedelta(days=30)
"""How long an invitation is valid, unless told otherwise."""
LONGEST: Final = timedelta(days=90)
_ID_SIZE, _SECRET_SIZE = 16, 32
_NAME, _NUMBER = 300, 40  # characters, as a profile may have them


def make_invitation(
    network: Network,
    roster: Roster,
    *,
    legal_name: str,
    number: str,
    bound_by_secrecy: bool,
    life: timedelta,
    now: datetime,
    random: Callable[[int], bytes],
) -> Invitation:
    """An invitation that nobody knows of yet. Raises: InvalidInput for a name, a number or a life that cannot be."""
    registration_digest(legal_name, number)  # raises where one is empty
    for field, value, longest in (("legal_name", legal_name, _NAME), ("registration_number", number, _NUMBER)):
        if len(value) > longest:
            raise InvalidInput(field=field, problem=N_("it has more than {limit} characters"), limit=longest)
    if not timedelta(days=1) <= life <= LONGEST:
        raise InvalidInput(field="days", problem=N_("1 to {limit} days are possible"), limit=LONGEST.days)
    return Invitation(
        network=network.id,
        members=network.members,
        front=network.front,
        ca_certificate=network.ca_certificate,
        invitation=random(_ID_SIZE),
        secret=random(_SECRET_SIZE),
        legal_name=legal_name,
        registration_number=number,
        bound_by_secrecy=bound_by_secrecy,
        expires=(now + life).replace(microsecond=0),
        practice=is_practice(roster.origin),
    )


def command_of(made: Invitation) -> dict[str, Any]:
    """What the directory is told of it: all but the secret."""
    return {
        "invitation": made.invitation,
        "secret_digest": secret_digest(made.secret),
        "legal_name": made.legal_name,
        "registration_number": made.registration_number,
        "bound_by_secrecy": made.bound_by_secrecy,
        "expire_time": timestamp_of(made.expires),
    }
