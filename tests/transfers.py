"""A transfer for tests, step by step, with real keys and sealed texts.

story = Story.between(network, "Paris", "Marseille")
story.offer(); story.accept(); story.ship(); story.receive()
story.statements, story.read_all(history=True)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from cordee import statements
from cordee.frame import Label, blake2b_256
from cordee.ids import Digest
from cordee.sealing import SealingKey
from cordee.signing import Signed
from cordee.statements import Answer, Erasure, Offer, Parties, Receipt, Shipment, Token, TreeHead, Withdrawal
from cordee.summary import (
    DECLINE_REASONS,
    KEEPING_REASONS,
    RECEIPT_REASONS,
    RETURN_REASONS,
    Reason,
    Report,
    seal_content_key,
    seal_reason,
    seal_report,
    seal_sections,
    seal_summary,
)
from cordee.v1 import statements_pb2 as v1
from tests.builders import MemberKeys, Network

SUMMARY = v1.Summary(
    kind="transfer",
    purpose="specialised_support",
    sections=["situation", "needs"],
    need="hebergement",
    departement="13",
    age=15,
    gender="f",
    urgency="tonight",
    attachments=2,
    languages=["fr"],
)


@dataclass
class Story:
    """One transfer; each step signs, parses as the broker does, and remembers."""

    network: Network
    sender: MemberKeys
    recipient: MemberKeys
    parties: Parties
    now: datetime
    one_time: SealingKey
    content_key: bytes
    manifest_digest: Digest
    statements: list[Signed] = field(default_factory=list)
    offered: Offer = field(init=False)
    answered: Answer = field(init=False)
    shipped: Shipment = field(init=False)
    received: Receipt = field(init=False)
    withdrawn: Withdrawal = field(init=False)
    erased: Erasure = field(init=False)

    @classmethod
    def between(cls, network: Network, sender: str, recipient: str) -> Self:
        random = network.random
        one, two = (network.members.get(name) or network.admit(name) for name in (sender, recipient))
        return cls(
            network=network,
            sender=one,
            recipient=two,
            parties=Parties(network.roster.network, statements.new_transfer_id(random), one.id, two.id),
            now=network.now,
            one_time=SealingKey.generate(random),
            content_key=random(32),
            manifest_digest=Digest(blake2b_256(Label.MANIFEST, b"a manifest")),
        )

    # -- the context in which statements are read --

    @property
    def head(self) -> TreeHead:
        size = self.network.tree.size
        return TreeHead(size=size, root=Digest(self.network.tree.root(size)))

    def context(self, **changes: Any) -> dict[str, Any]:
        return {"roster": self.network.roster, "now": self.now, "fresh": True, **changes}

    def _keep(self, signed: Signed) -> Signed:
        self.statements.append(signed)
        self.now += timedelta(minutes=1)
        return signed

    # -- made, unsigned by anyone's checks --

    def token(self, **changes: Any) -> Token:
        arguments: dict[str, Any] = {
            "transfer_id": self.parties.transfer_id,
            "sender": self.parties.sender,
            "recipient": self.parties.recipient,
            "not_before": self.now - timedelta(hours=1),
            "expires": self.now + timedelta(days=30),
            "commitment": Digest(blake2b_256(Label.ACT, bytes(32), b"an act")),
            "random": self.network.random,
        }
        return statements.new_token(**{**arguments, **changes})

    def make_offer(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "parties": self.parties,
            "token": self.token(),
            "sealed_summary": seal_summary(SUMMARY, parties=self.parties, to=self.recipient.sealing.public),
            "recipient_card": 1,
            "size_bound": 65_536,
            "expires": self.now + timedelta(days=7),
            "checkpoint": self.head,
            "now": self.now,
            "key": self.sender.identity,
        }
        return statements.offer(**{**arguments, **changes})

    def make_acceptance(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "one_time_key": self.one_time.public,
            "key_expires": self.now + timedelta(hours=72),
            "sealed_sections": seal_sections(
                ["needs"], parties=self.parties, offer=self.offered.digest, to=self.sender.sealing.public
            ),
            "sender_card": 1,
            "checkpoint": self.head,
            "mailbox": "node.example:4433",
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.accept(self.offered, **{**arguments, **changes})

    def make_refusal(self, **changes: Any) -> Signed:
        reason = Reason("no_capacity", "Plus de place avant lundi.")
        arguments: dict[str, Any] = {
            "sealed_reason": seal_reason(
                reason,
                codes=DECLINE_REASONS,
                parties=self.parties,
                about=self.offered.digest,
                to=self.sender.sealing.public,
            ),
            "sender_card": 1,
            "checkpoint": self.head,
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.refuse(self.offered, **{**arguments, **changes})

    def make_shipment(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "sealed_content_key": seal_content_key(
                self.content_key,
                to=self.one_time.public,
                offer=self.offered.digest,
                answer=self.answered.digest,
            ),
            "ciphertext_size": 65_536,
            "ciphertext_header": bytes(range(56)),
            "manifest_digest": self.manifest_digest,
            "now": self.now,
            "key": self.sender.identity,
        }
        return statements.ship(self.offered, self.answered, **{**arguments, **changes})

    def make_receipt(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "manifest_digest": self.manifest_digest,
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.receive(self.shipped, **{**arguments, **changes})

    def make_refused_receipt(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "sealed_reason": seal_reason(
                Reason("damaged"),
                codes=RECEIPT_REASONS,
                parties=self.parties,
                about=self.shipped.digest,
                to=self.sender.sealing.public,
            ),
            "sender_card": 1,
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.refuse_shipment(self.shipped, **{**arguments, **changes})

    def make_withdrawal(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {"now": self.now, "key": self.sender.identity}
        return statements.withdraw(self.offered, **{**arguments, **changes})

    def make_erasure(self, **changes: Any) -> Signed:
        report = Report(erased=("needs", "attachments"), time=self.now)
        arguments: dict[str, Any] = {
            "sealed_report": seal_report(
                report, parties=self.parties, about=self.withdrawn.digest, to=self.sender.sealing.public
            ),
            "sender_card": 1,
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.erase(self.withdrawn, **{**arguments, **changes})

    def make_refused_erasure(self, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "sealed_reason": seal_reason(
                Reason("legal_obligation"),
                codes=KEEPING_REASONS,
                parties=self.parties,
                about=self.withdrawn.digest,
                to=self.sender.sealing.public,
            ),
            "sender_card": 1,
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.refuse_erasure(self.withdrawn, **{**arguments, **changes})

    def make_return(self, **changes: Any) -> Signed:
        about, to = self.shipped.digest, self.sender.sealing.public
        report, reason = Report(erased=("needs",), time=self.now), Reason("wrong_recipient", "Un homonyme.")
        arguments: dict[str, Any] = {
            "sealed_report": seal_report(report, parties=self.parties, about=about, to=to),
            "sealed_reason": seal_reason(reason, codes=RETURN_REASONS, parties=self.parties, about=about, to=to),
            "sender_card": 1,
            "now": self.now,
            "key": self.recipient.identity,
        }
        return statements.give_back(self.shipped, **{**arguments, **changes})

    # -- read, as the broker takes them --

    def read_offer(self, signed: Signed, **changes: Any) -> Offer:
        return Offer.parse(signed, **self.context(**{"tree": self.network.root_at, **changes}))

    def read_answer(self, signed: Signed, **changes: Any) -> Answer:
        return Answer.parse(signed, **self.context(**{"tree": self.network.root_at, "offer": self.offered, **changes}))

    def read_shipment(self, signed: Signed, **changes: Any) -> Shipment:
        return Shipment.parse(signed, **self.context(**{"offer": self.offered, "answer": self.answered, **changes}))

    def read_receipt(self, signed: Signed, **changes: Any) -> Receipt:
        return Receipt.parse(signed, **self.context(**{"offer": self.offered, "shipment": self.shipped, **changes}))

    def read_withdrawal(self, signed: Signed, **changes: Any) -> Withdrawal:
        return Withdrawal.parse(signed, **self.context(**{"offer": self.offered, **changes}))

    def read_erasure(self, signed: Signed, **changes: Any) -> Erasure:
        return Erasure.parse(signed, **self.context(**{"before": self.withdrawn, **changes}))

    def read_return(self, signed: Signed, **changes: Any) -> Erasure:
        return Erasure.parse(signed, **self.context(**{"before": self.shipped, **changes}))

    # -- taken --

    def offer(self, **changes: Any) -> Self:
        self.offered = self.read_offer(self._keep(self.make_offer(**changes)))
        return self

    def accept(self, **changes: Any) -> Self:
        self.answered = self.read_answer(self._keep(self.make_acceptance(**changes)))
        return self

    def decline(self, **changes: Any) -> Self:
        self.answered = self.read_answer(self._keep(self.make_refusal(**changes)))
        return self

    def ship(self, **changes: Any) -> Self:
        self.shipped = self.read_shipment(self._keep(self.make_shipment(**changes)))
        return self

    def receive(self, **changes: Any) -> Self:
        self.received = self.read_receipt(self._keep(self.make_receipt(**changes)))
        return self

    def refuse_receipt(self, **changes: Any) -> Self:
        self.received = self.read_receipt(self._keep(self.make_refused_receipt(**changes)))
        return self

    def withdraw(self, **changes: Any) -> Self:
        self.withdrawn = self.read_withdrawal(self._keep(self.make_withdrawal(**changes)))
        return self

    def erase(self, **changes: Any) -> Self:
        self.erased = self.read_erasure(self._keep(self.make_erasure(**changes)))
        return self

    def keep_by_law(self, **changes: Any) -> Self:
        self.erased = self.read_erasure(self._keep(self.make_refused_erasure(**changes)))
        return self

    def give_back(self, **changes: Any) -> Self:
        self.erased = self.read_return(self._keep(self.make_return(**changes)))
        return self
