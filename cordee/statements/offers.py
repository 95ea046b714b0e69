"""Step 1 of a transfer: the offer, and the consent token in it (protocol §5, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cordee.errors import N_, MalformedStatement, StatementRefused, TooLarge, TransferOver
from cordee.ids import Digest, MemberId, TokenId, TransferId
from cordee.policy import Policy
from cordee.roster import Roster
from cordee.signing import Signed
from cordee.statements.base import Statement
from cordee.statements.checks import SKEW, Reading, RootAt, TreeHead, moment, parties_of
from cordee.summary import SEALED_SUMMARY_SIZE, Parties
from cordee.times import timestamp_of
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1

__all__ = ["Offer", "Token"]


@dataclass(frozen=True, slots=True)
class Token:
    """What the broker sees of the consent act: whose, to whom, from when to when, and a commitment to it."""

    id: TokenId
    transfer_id: TransferId
    sender: MemberId
    recipient: MemberId
    not_before: datetime
    expires: datetime
    commitment: Digest

    def to_message(self) -> v1.ConsentToken:
        """The token as it stands in the offer."""
        return v1.ConsentToken(
            id=self.id,
            transfer_id=self.transfer_id,
            sender=self.sender,
            recipient=self.recipient,
            not_before=timestamp_of(self.not_before),
            expire_time=timestamp_of(self.expires),
            commitment=self.commitment,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Statement):
    """Step 1: a case is offered. The directory sees that, the token, and a size."""

    token: Token
    sealed_summary: bytes
    recipient_card: int
    size_bound: int
    expires: datetime
    checkpoint: TreeHead

    @classmethod
    def parse(
        cls,
        signed: Signed,
        roster: Roster,
        *,
        now: datetime,
        tree: RootAt | None = None,
        me: MemberId | None = None,
        fresh: bool = False,
        history: bool = False,
    ) -> Self:
        """Read an offer; `tree` is our own log (for a split view), `me` must be one of the parties."""
        read = Reading(N_("Offer"), roster, now, fresh, history)
        body = read.body(signed, v1.Offer)
        parties, head = parties_of(body), read.head(body)
        read.signer(signed, author=parties.sender, other=parties.recipient, kind=Kind.OFFER, since=head.size, at=head)
        read.agree(parties, me=me)
        time, expires = moment(body, "time"), moment(body, "expire_time")
        read.on_time(time)
        token = _token(read, body, parties)
        offer = cls(
            signed=signed,
            parties=parties,
            kind=Kind.OFFER,
            time=time,
            since=head.size,
            token=token,
            sealed_summary=read.sized(body.sealed_summary, SEALED_SUMMARY_SIZE, "sealed_summary"),
            recipient_card=body.recipient_card,
            size_bound=body.size_bound,
            expires=expires,
            checkpoint=head,
        )
        read.require(time < expires, N_("it ends before it begins"))
        read.require(token.not_before <= time < token.expires, N_("its token is not in force"))
        read.require(body.recipient_card >= 1, N_("it names no card"))
        read.require(body.size_bound >= 1, N_("it names no size"))
        if not history:
            offer.require_within(roster.policy)
        if fresh:
            offer.require_in_force(now)
        read.same_root(head, tree)
        return offer

    def require_within(self, policy: Policy) -> None:
        """It lives no longer, and announces no more, than the network allows. Raises: StatementRefused, TooLarge."""
        if self.expires - self.time > policy.offer_life_limit:
            raise StatementRefused(what=N_("Offer"), problem=N_("it lives longer than the policy allows"))
        if self.size_bound > policy.content_size_limit:
            raise TooLarge(what=N_("The content"), size=self.size_bound, limit=policy.content_size_limit)

    def require_in_force(self, now: datetime) -> None:
        """Neither the offer's nor the token's end has passed. Raises: TransferOver."""
        if not self.token.not_before - SKEW <= now < min(self.expires, self.token.expires):
            raise TransferOver(state=State.EXPIRED)


def _token(read: Reading, body: v1.Offer, parties: Parties) -> Token:
    if not body.HasField("token"):
        raise MalformedStatement(what=N_("Offer"), problem=N_("it has no token"))
    token = Token(
        id=TokenId(body.token.id),
        transfer_id=TransferId(body.token.transfer_id),
        sender=MemberId(body.token.sender),
        recipient=MemberId(body.token.recipient),
        not_before=moment(body.token, "not_before"),
        expires=moment(body.token, "expire_time"),
        commitment=Digest(body.token.commitment),
    )
    named = (token.transfer_id, token.sender, token.recipient)
    read.require(
        named == (parties.transfer_id, parties.sender, parties.recipient),
        N_("its token names another transfer or party"),
    )
    return token
