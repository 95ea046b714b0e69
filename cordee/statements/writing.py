"""Making the statements of a transfer: each function returns one, signed.

What is sealed is sealed beforehand (`cordee.summary`). Nothing is checked here: a node reads its own statement with
`parse(…, fresh=True)` before it lets it out, by the same code as everybody else. Signing draws randomness of its own
(ML-DSA, hedged): made twice, a statement has two digests, so a job that is resumed keeps the first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypedDict

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cordee.ids import Digest, MemberId, TokenId, TransferId
from cordee.sealing import SealingPublicKey
from cordee.signing import Signed, SigningKey
from cordee.statements.answers import Answer
from cordee.statements.base import body_of
from cordee.statements.checks import TreeHead, moment
from cordee.statements.offers import Offer, Token
from cordee.statements.shipments import Shipment
from cordee.statements.withdrawals import Withdrawal
from cordee.summary import Parties
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "accept",
    "erase",
    "give_back",
    "new_token",
    "new_transfer_id",
    "offer",
    "receive",
    "redate",
    "refuse",
    "refuse_erasure",
    "refuse_shipment",
    "ship",
    "withdraw",
]


class _Common(TypedDict):
    network: bytes
    transfer_id: bytes
    sender: bytes
    recipient: bytes
    time: Timestamp


def _common(parties: Parties, now: datetime) -> _Common:
    return _Common(
        network=parties.network,
        transfer_id=parties.transfer_id,
        sender=parties.sender,
        recipient=parties.recipient,
        time=timestamp_of(now),
    )


def new_transfer_id(random: Callable[[int], bytes]) -> TransferId:
    """A transfer's id: random, so that it tells the directory nothing (protocol §9)."""
    return TransferId(random(TransferId.length))


def new_token(
    *,
    transfer_id: TransferId,
    sender: MemberId,
    recipient: MemberId,
    not_before: datetime,
    expires: datetime,
    commitment: Digest,
    random: Callable[[int], bytes],
) -> Token:
    """The consent token of a transfer; `commitment` is that of its act (protocol §5)."""
    return Token(
        id=TokenId(random(TokenId.length)),
        transfer_id=transfer_id,
        sender=sender,
        recipient=recipient,
        not_before=not_before,
        expires=expires,
        commitment=commitment,
    )


def offer(
    *,
    parties: Parties,
    token: Token,
    sealed_summary: bytes,
    recipient_card: int,
    size_bound: int,
    expires: datetime,
    checkpoint: TreeHead,
    now: datetime,
    key: SigningKey,
) -> Signed:
    """Step 1, by the sender. `size_bound`: bytes of the padded ciphertext, at most."""
    return key.sign(
        v1.Offer(
            **_common(parties, now),
            token=token.to_message(),
            sealed_summary=sealed_summary,
            recipient_card=recipient_card,
            size_bound=size_bound,
            expire_time=timestamp_of(expires),
            checkpoint=checkpoint.to_message(),
        )
    )


def accept(
    offer: Offer,
    *,
    one_time_key: SealingPublicKey,
    key_expires: datetime,
    sealed_sections: bytes,
    sender_card: int,
    checkpoint: TreeHead,
    now: datetime,
    key: SigningKey,
    mailbox: str = "",
) -> Signed:
    """Step 2a, by the recipient."""
    acceptance = v1.Acceptance(
        one_time_key=one_time_key,
        key_expire_time=timestamp_of(key_expires),
        sealed_sections=sealed_sections,
        mailbox=mailbox,
    )
    return key.sign(
        v1.Answer(
            **_common(offer.parties, now),
            offer=offer.digest,
            sender_card=sender_card,
            checkpoint=checkpoint.to_message(),
            acceptance=acceptance,
        )
    )


def refuse(
    offer: Offer, *, sealed_reason: bytes, sender_card: int, checkpoint: TreeHead, now: datetime, key: SigningKey
) -> Signed:
    """Step 2b, by the recipient: decline the offer."""
    return key.sign(
        v1.Answer(
            **_common(offer.parties, now),
            offer=offer.digest,
            sender_card=sender_card,
            checkpoint=checkpoint.to_message(),
            refusal=v1.Refusal(sealed_reason=sealed_reason),
        )
    )


def ship(
    offer: Offer,
    answer: Answer,
    *,
    sealed_content_key: bytes,
    ciphertext_size: int,
    ciphertext_header: bytes,
    manifest_digest: Digest,
    now: datetime,
    key: SigningKey,
) -> Signed:
    """Step 3, by the sender: the whole ciphertext lies in the mailbox."""
    return key.sign(
        v1.Shipment(
            **_common(offer.parties, now),
            offer=offer.digest,
            answer=answer.digest,
            sealed_content_key=sealed_content_key,
            ciphertext_size=ciphertext_size,
            ciphertext_header=ciphertext_header,
            manifest_digest=manifest_digest,
        )
    )


def receive(shipment: Shipment, *, manifest_digest: Digest, now: datetime, key: SigningKey) -> Signed:
    """Step 4a, by the recipient: opened, checked and imported."""
    return key.sign(
        v1.Receipt(
            **_common(shipment.parties, now),
            shipment=shipment.digest,
            taken=v1.Taken(manifest_digest=manifest_digest),
        )
    )


def refuse_shipment(
    shipment: Shipment, *, sealed_reason: bytes, sender_card: int, now: datetime, key: SigningKey
) -> Signed:
    """Step 4b, by the recipient: refused whole, nothing imported."""
    return key.sign(
        v1.Receipt(
            **_common(shipment.parties, now),
            shipment=shipment.digest,
            sender_card=sender_card,
            refused=v1.Refused(sealed_reason=sealed_reason),
        )
    )


def withdraw(offer: Offer, *, now: datetime, key: SigningKey) -> Signed:
    """Take the consent back, by the sender."""
    return key.sign(v1.Withdrawal(**_common(offer.parties, now), offer=offer.digest, token_id=offer.token.id))


def erase(withdrawal: Withdrawal, *, sealed_report: bytes, sender_card: int, now: datetime, key: SigningKey) -> Signed:
    """Step 5, by the recipient: erased, and what."""
    return key.sign(
        v1.Erasure(
            **_common(withdrawal.parties, now),
            withdrawal=withdrawal.digest,
            sender_card=sender_card,
            erased=v1.Erased(sealed_report=sealed_report),
        )
    )


def refuse_erasure(
    withdrawal: Withdrawal, *, sealed_reason: bytes, sender_card: int, now: datetime, key: SigningKey
) -> Signed:
    """Step 5, by the recipient: kept, because the law asks for it."""
    return key.sign(
        v1.Erasure(
            **_common(withdrawal.parties, now),
            withdrawal=withdrawal.digest,
            sender_card=sender_card,
            refused=v1.ErasureRefused(sealed_reason=sealed_reason),
        )
    )


def give_back(
    shipment: Shipment, *, sealed_report: bytes, sealed_reason: bytes, sender_card: int, now: datetime, key: SigningKey
) -> Signed:
    """Step 5 unasked, by the recipient: what was received was not for them and is erased."""
    returned = v1.Returned(shipment=shipment.digest, sealed_report=sealed_report, sealed_reason=sealed_reason)
    return key.sign(v1.Erasure(**_common(shipment.parties, now), sender_card=sender_card, returned=returned))


def redate(signed: Signed, *, key: SigningKey, now: datetime, checkpoint: TreeHead | None = None) -> Signed:
    """One's own statement anew, with the present time: for one that waited too long to be fresh to the broker.

    After a change of the identity key an offer or an answer needs a `checkpoint` too at which the new key is in force.

    Its digest changes, so this is only for what the broker never took (it knows what it took by the digest, however
    late it comes again), and what was to follow it must be made anew too.

    Where it was dated by a clock that was ahead, whatever it says of a beginning or an end was reckoned from that time,
    and moves back with it: else it would begin before its token, or live longer than the policy allows.

    Raises: MalformedStatement for what is no statement of a transfer.
    """
    body = body_of(signed)
    ahead = moment(body, "time") - now
    if ahead > timedelta(0):
        _move_back(body, ahead)
    body.time.CopyFrom(timestamp_of(now))
    if checkpoint is not None and isinstance(body, v1.Offer | v1.Answer):
        body.checkpoint.CopyFrom(checkpoint.to_message())
    return key.sign(body)


def _move_back(body: Message, ahead: timedelta) -> None:
    reckoned: tuple[tuple[Message, str], ...] = ()
    if isinstance(body, v1.Offer):
        reckoned = ((body, "expire_time"), (body.token, "not_before"), (body.token, "expire_time"))
    elif isinstance(body, v1.Answer) and body.HasField("acceptance"):
        reckoned = ((body.acceptance, "key_expire_time"),)
    for part, name in reckoned:
        getattr(part, name).CopyFrom(timestamp_of(moment(part, name) - ahead))
