"""What all statements of a transfer have, and what one says of itself before it is verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cordee.errors import N_, MalformedStatement
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.signing import Signed, parse_message
from cordee.statements.checks import MAX_STATEMENT_BODY, Body, moment, parties_of
from cordee.summary import Parties
from cordee.transfer import Kind, Party, kind_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["Peek", "Statement", "body_of", "peek", "time_of"]

_BY_SENDER = frozenset({Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What all statements have. `since`: the roster size from which its author's keys count."""

    signed: Signed
    parties: Parties
    kind: Kind
    time: datetime
    since: int

    @property
    def digest(self) -> Digest:
        """What the next statement names."""
        return self.signed.digest

    @property
    def network(self) -> NetworkId:
        """The network's id."""
        return self.parties.network

    @property
    def transfer_id(self) -> TransferId:
        """The transfer's id, chosen by the sender."""
        return self.parties.transfer_id

    @property
    def sender(self) -> MemberId:
        """Who offers the case, whoever signed this."""
        return self.parties.sender

    @property
    def recipient(self) -> MemberId:
        """To whom the case is offered, whoever signed this."""
        return self.parties.recipient

    @property
    def by(self) -> Party:
        """Which of the two signed it."""
        return Party.SENDER if self.kind in _BY_SENDER else Party.RECIPIENT

    @property
    def author(self) -> MemberId:
        """The member that signed it."""
        return self.sender if self.by is Party.SENDER else self.recipient


_BODIES: dict[str, type[Body]] = {
    body.DESCRIPTOR.full_name: body
    for body in (v1.Offer, v1.Answer, v1.Shipment, v1.Receipt, v1.Withdrawal, v1.Erasure)
}


@dataclass(frozen=True, slots=True)
class Peek:
    """What a statement says of itself, **unverified**: only to look up what it must be verified against."""

    kind: Kind
    parties: Parties
    time: datetime


def body_of(signed: Signed) -> Body:
    """The message inside a statement of a transfer, exactly, **unverified**. Raises: MalformedStatement."""
    message_class = _BODIES.get(signed.type)
    if message_class is None:
        raise MalformedStatement(what=N_("Signed"), problem=N_("no statement of a transfer"))
    return parse_message(signed.body, message_class, max_size=MAX_STATEMENT_BODY)


def peek(signed: Signed) -> Peek:
    """Which transfer a statement claims to be about, and which step. Raises: MalformedStatement."""
    body = body_of(signed)
    return Peek(kind=kind_of(body), parties=parties_of(body), time=moment(body, "time"))


def time_of(signed: Signed) -> datetime:
    """The time that a statement carries, **unverified**: for one's own. Raises: MalformedStatement."""
    return peek(signed).time
