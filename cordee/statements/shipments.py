"""Steps 3 and 4 of a transfer: the shipment, and the receipt that closes the chain (protocol §6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cordee.content import HEADER_SIZE
from cordee.errors import N_, TooLarge, TransferOver
from cordee.ids import Digest
from cordee.roster import Roster
from cordee.signing import Signed
from cordee.statements.answers import Answer
from cordee.statements.base import Statement
from cordee.statements.checks import Reading, moment, parties_of
from cordee.statements.offers import Offer
from cordee.summary import SEALED_CONTENT_KEY_SIZE, SEALED_REASON_SIZE
from cordee.transfer import Kind, State, kind_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["Receipt", "Shipment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment(Statement):
    """Step 3: the content lies in the mailbox in full; this is its key, its size, its header and its manifest."""

    sealed_content_key: bytes
    ciphertext_size: int
    ciphertext_header: bytes
    manifest_digest: Digest

    @classmethod
    def parse(
        cls,
        signed: Signed,
        roster: Roster,
        *,
        offer: Offer,
        answer: Answer,
        now: datetime,
        fresh: bool = False,
        history: bool = False,
    ) -> Self:
        """Read the shipment that follows `offer` and its acceptance."""
        read = Reading(N_("Shipment"), roster, now, fresh, history)
        body = read.body(signed, v1.Shipment)
        parties = parties_of(body)
        read.signer(signed, author=parties.sender, other=parties.recipient, kind=Kind.SHIPMENT, since=offer.since)
        read.agree(parties, offer.parties)
        time = moment(body, "time")
        read.on_time(time)
        read.follows(body.offer, offer.digest, N_("offer"))
        read.follows(body.answer, answer.digest, N_("answer"))
        acceptance = answer.accepted()
        # Offers end when they are answered; from then on the one-time key's end counts (cordee.transfer.expires_at).
        if fresh and not now < min(acceptance.key_expires, offer.token.expires):
            raise TransferOver(state=State.EXPIRED)
        if body.ciphertext_size > offer.size_bound:
            raise TooLarge(what=N_("The content"), size=body.ciphertext_size, limit=offer.size_bound)
        read.require(body.ciphertext_size > HEADER_SIZE, N_("it has no content"))
        return cls(
            signed=signed,
            parties=parties,
            kind=Kind.SHIPMENT,
            time=time,
            since=offer.since,
            sealed_content_key=read.sized(body.sealed_content_key, SEALED_CONTENT_KEY_SIZE, "sealed_content_key"),
            ciphertext_size=body.ciphertext_size,
            ciphertext_header=read.sized(body.ciphertext_header, HEADER_SIZE, "ciphertext_header"),
            manifest_digest=Digest(body.manifest_digest),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Statement):
    """Step 4: taken (the digest of the manifest that was opened) or refused (a reason sealed to `sender_card`)."""

    sender_card: int
    manifest_digest: Digest | None
    sealed_reason: bytes | None

    @classmethod
    def parse(
        cls,
        signed: Signed,
        roster: Roster,
        *,
        offer: Offer,
        shipment: Shipment,
        now: datetime,
        fresh: bool = False,
        history: bool = False,
    ) -> Self:
        """Read the receipt for `shipment`. It tells what has happened, so it is never too late."""
        read = Reading(N_("Receipt"), roster, now, fresh, history)
        body = read.body(signed, v1.Receipt)
        kind, parties = kind_of(body), parties_of(body)
        read.signer(signed, author=parties.recipient, other=parties.sender, kind=kind, since=offer.since)
        read.agree(parties, offer.parties)
        time = moment(body, "time")
        read.on_time(time)
        read.follows(body.shipment, shipment.digest, N_("shipment"))
        manifest_digest, sealed_reason = None, None
        if body.HasField("taken"):
            read.require(body.sender_card == 0, N_("it names a card and seals nothing to it"))
            read.follows(body.taken.manifest_digest, shipment.manifest_digest, N_("manifest"))
            manifest_digest = Digest(body.taken.manifest_digest)
        else:
            read.require(body.sender_card >= 1, N_("it names no card"))
            sealed_reason = read.sized(body.refused.sealed_reason, SEALED_REASON_SIZE, "sealed_reason")
        return cls(
            signed=signed,
            parties=parties,
            kind=kind,
            time=time,
            since=offer.since,
            sender_card=body.sender_card,
            manifest_digest=manifest_digest,
            sealed_reason=sealed_reason,
        )
