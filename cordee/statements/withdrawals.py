"""Withdrawal of consent at any step, and an erasure: asked for after delivery, or unasked (protocol §5, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cordee.errors import N_
from cordee.ids import Digest, MemberId, TokenId
from cordee.roster import Roster
from cordee.signing import Signed, parse_body
from cordee.statements.base import Statement
from cordee.statements.checks import MAX_STATEMENT_BODY, Reading, moment, parties_of
from cordee.statements.offers import Offer
from cordee.statements.shipments import Shipment
from cordee.summary import SEALED_REASON_SIZE, SEALED_REPORT_SIZE
from cordee.transfer import Kind, kind_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["Erasure", "Withdrawal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal(Statement):
    """The sender takes the consent back. Before delivery nothing comes any more; after it, a request to erase."""

    offer: Digest
    token_id: TokenId

    @classmethod
    def parse(
        cls,
        signed: Signed,
        roster: Roster,
        *,
        offer: Offer | None,
        now: datetime,
        me: MemberId | None = None,
        fresh: bool = False,
        history: bool = False,
    ) -> Self:
        """Read the withdrawal of `offer`, or, with None, one whose offer has not come: keep it as a tombstone.

        Read without its offer it is signed and about this network and `me`, no more: read it again should an offer
        with its digest come.
        """
        read = Reading(N_("Withdrawal"), roster, now, fresh, history)
        body = read.body(signed, v1.Withdrawal)
        parties = parties_of(body)
        since = roster.size if offer is None else offer.since
        read.signer(signed, author=parties.sender, other=parties.recipient, kind=Kind.WITHDRAWAL, since=since)
        read.agree(parties, None if offer is None else offer.parties, me=me)
        time = moment(body, "time")
        read.on_time(time)
        if offer is not None:
            read.follows(body.offer, offer.digest, N_("offer"))
            read.require(TokenId(body.token_id) == offer.token.id, N_("it names another token"))
        return cls(
            signed=signed,
            parties=parties,
            kind=Kind.WITHDRAWAL,
            time=time,
            since=since,
            offer=Digest(body.offer),
            token_id=TokenId(body.token_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure(Statement):
    """Step 5: erased, with a sealed report, or kept because the law asks for it, with a sealed reason.

    With both, it was *returned*: erased unasked, for it was not for them. `about` is the digest of what it follows, to
    which both sealed texts are bound: the request to erase, or the shipment.
    """

    sender_card: int
    about: Digest
    sealed_report: bytes | None
    sealed_reason: bytes | None

    @property
    def erased(self) -> bool:
        """The case is gone there."""
        return self.sealed_report is not None

    @property
    def returned(self) -> bool:
        """Nobody had asked for it."""
        return self.sealed_report is not None and self.sealed_reason is not None

    @classmethod
    def parse(
        cls,
        signed: Signed,
        roster: Roster,
        *,
        before: Withdrawal | Shipment,
        now: datetime,
        fresh: bool = False,
        history: bool = False,
    ) -> Self:
        """Read the answer to a withdrawal, or, unasked, the return of a shipment: `follows` says which of the two.

        Raises: BrokenChain where it follows something else than `before`.
        """
        read = Reading(N_("Erasure"), roster, now, fresh, history)
        body = read.body(signed, v1.Erasure)
        kind, parties = kind_of(body), parties_of(body)
        read.signer(signed, author=parties.recipient, other=parties.sender, kind=kind, since=before.since)
        read.agree(parties, before.parties)
        time = moment(body, "time")
        read.on_time(time)
        sealed_report, sealed_reason = None, None
        if body.HasField("returned"):
            read.follows(body.returned.shipment, before.digest, N_("shipment"))
            read.require(not body.withdrawal, N_("it answers no withdrawal"))
            sealed_report = read.sized(body.returned.sealed_report, SEALED_REPORT_SIZE, "sealed_report")
            sealed_reason = read.sized(body.returned.sealed_reason, SEALED_REASON_SIZE, "sealed_reason")
        else:
            read.follows(body.withdrawal, before.digest, N_("withdrawal"))
            if body.HasField("erased"):
                sealed_report = read.sized(body.erased.sealed_report, SEALED_REPORT_SIZE, "sealed_report")
            else:
                sealed_reason = read.sized(body.refused.sealed_reason, SEALED_REASON_SIZE, "sealed_reason")
        read.require(body.sender_card >= 1, N_("it names no card"))
        return cls(
            signed=signed,
            parties=parties,
            kind=kind,
            time=time,
            since=before.since,
            sender_card=body.sender_card,
            about=before.digest,
            sealed_report=sealed_report,
            sealed_reason=sealed_reason,
        )

    @staticmethod
    def follows(signed: Signed) -> Kind:
        """What a statement of this type says it follows, **unverified**: `WITHDRAWAL` or `SHIPMENT`.

        Raises: MalformedStatement.
        """
        body = parse_body(signed, v1.Erasure, max_size=MAX_STATEMENT_BODY)
        return Kind.SHIPMENT if body.HasField("returned") else Kind.WITHDRAWAL
