"""Invitations: made on the administrator's own machine, and read back as one of them signed them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cordee.errors import N_, InvalidInput, NotAnAdministrator, WrongNetwork
from cordee.ids import KeyId
from cordee.invitation import Invitation, secret_digest
from cordee.members import Roster, registration_digest
from cordee.practice import is_practice
from cordee.signing import Signed, parse_body, verify
from cordee.times import moment_of, timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.administrator.home import Network

__all__ = ["LONGEST", "USUAL", "Invited", "command_of", "make_invitation", "read_invited"]

USUAL: Final = timedelta(days=30)
"""How long an invitation is valid, unless told otherwise."""
LONGEST: Final = timedelta(days=90)
_ID_SIZE, _SECRET_SIZE = 16, 32
_NAME, _NUMBER = 300, 40  # characters, as a profile may have them


@dataclass(frozen=True)
class Invited:
    """An invitation that an administrator signed. Its secret is in the file alone."""

    invitation: bytes
    legal_name: str
    registration_number: str
    bound_by_secrecy: bool
    made: datetime
    expires: datetime
    by: KeyId
    spent: bool
    """A request to join has used it."""


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


def read_invited(record: pb.InvitationRecord, roster: Roster) -> Invited:
    """Check an invitation that the directory tells of.

    Raises: MalformedStatement, NotAnAdministrator, BadSignature, WrongNetwork.
    """
    signed = Signed.from_message(record.invitation)
    body = parse_body(signed, v1.CreateInvitation)
    administrator = roster.administrators.get(signed.signer)
    if administrator is None:
        raise NotAnAdministrator()
    verify(signed, administrator)
    if body.network != roster.network:
        raise WrongNetwork(what=N_("invitation"))
    return Invited(
        invitation=body.invitation,
        legal_name=body.legal_name,
        registration_number=body.registration_number,
        bound_by_secrecy=body.bound_by_secrecy,
        made=moment_of(body.time),
        expires=moment_of(body.expire_time),
        by=signed.signer,
        spent=record.spent,
    )
