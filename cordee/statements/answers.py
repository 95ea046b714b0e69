"""Step 2 of a transfer: accepted, with a one-time key, or declined, with a sealed reason (protocol §6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cordee.errors import N_, StatementRefused
from cordee.policy import Policy
from cordee.roster import Roster
from cordee.sealing import SealingPublicKey
from cordee.signing import Signed
from cordee.statements.base import Statement
from cordee.statements.checks import Reading, RootAt, TreeHead, moment, parties_of
from cordee.statements.offers import Offer
from cordee.summary import SEALED_REASON_SIZE, SEALED_SECTIONS_SIZE
from cordee.transfer import kind_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["Acceptance", "Answer"]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an acceptance brings: a key for this one transfer, until when, the sections taken, a mailbox if any."""

    one_time_key: SealingPublicKey
    key_expires: datetime
    sealed_sections: bytes
    mailbox: str

    def require_within(self, policy: Policy, *, since: datetime) -> None:
        """Its key, made at the answer's time, lives no longer than the network allows. Raises: StatementRefused."""
        if self.key_expires - since > policy.shipping_limit:
            problem = N_("its one-time key lives longer than the policy allows")
            raise StatementRefused(what=N_("Answer"), problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Statement):
    """Either `acceptance` or `sealed_reason` is given; both are sealed to the sender's card `sender_card`."""

    sender_card: int
    checkpoint: TreeHead
    acceptance: Acceptance | None
    sealed_reason: bytes | None

    @classmethod
    def parse(
        cls,
        signed: Signed,
        roster: Roster,
        *,
        offer: Offer,
        now: datetime,
        tree: RootAt | None = None,
        fresh: bool = False,
        history: bool = False,
    ) -> Self:
        """Read the answer to `offer`; `tree` is our own log, to find out a split view."""
        read = Reading(N_("Answer"), roster, now, fresh, history)
        body = read.body(signed, v1.Answer)
        kind, parties, head = kind_of(body), parties_of(body), read.head(body)
        read.signer(signed, author=parties.recipient, other=parties.sender, kind=kind, since=head.size, at=head)
        read.agree(parties, offer.parties)
        time = moment(body, "time")
        read.on_time(time)
        read.follows(body.offer, offer.digest, N_("offer"))
        # The recipient verified the offer against its own log, which was as long then: no older key may answer.
        read.require(head.size >= offer.checkpoint.size, N_("it names an older roster than the offer"))
        read.require(body.sender_card >= 1, N_("it names no card"))
        if fresh:
            offer.require_in_force(now)
        acceptance, sealed_reason = None, None
        if body.HasField("acceptance"):
            acceptance = _acceptance(read, body.acceptance, time)
        else:
            sealed_reason = read.sized(body.refusal.sealed_reason, SEALED_REASON_SIZE, "sealed_reason")
        read.same_root(head, tree)
        return cls(
            signed=signed,
            parties=parties,
            kind=kind,
            time=time,
            since=head.size,
            sender_card=body.sender_card,
            checkpoint=head,
            acceptance=acceptance,
            sealed_reason=sealed_reason,
        )

    def accepted(self) -> Acceptance:
        """The acceptance. Raises: StatementRefused if the offer was declined."""
        if self.acceptance is None:
            raise StatementRefused(what=N_("Answer"), problem=N_("the offer was declined"))
        return self.acceptance


def _acceptance(read: Reading, body: v1.Acceptance, time: datetime) -> Acceptance:
    acceptance = Acceptance(
        one_time_key=SealingPublicKey.parse(body.one_time_key),
        key_expires=moment(body, "key_expire_time"),
        sealed_sections=read.sized(body.sealed_sections, SEALED_SECTIONS_SIZE, "sealed_sections"),
        mailbox=read.host(body.mailbox),
    )
    read.require(time < acceptance.key_expires, N_("its one-time key ends before it begins"))
    if not read.history:
        acceptance.require_within(read.roster.policy, since=time)
    return acceptance
