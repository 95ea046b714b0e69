"""A member that does as it likes, against a real directory: what it sends, and in plain Python what may come of it.

`Yard` has three members of whom there is nothing but keys and a line: Mallory, who has no scruples; Lyon, who deals
with her; Nantes, who deals with Lyon alone. Everything goes over real TLS and gRPC through the real interceptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cordee.ids import Digest
from cordee.runtime.interceptors import Finished
from cordee.signing import Signed
from cordee.statements import peek
from cordee.transfer import Kind, Party, State, kind_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import mailbox_pb2
from cordee.v1 import statements_pb2 as v1
from tests.directory.town import Node, Town
from tests.transfers import Story

__all__ = ["BODIES", "MARK", "Deal", "Watcher", "Yard", "documented", "outcome", "yard_in"]

MARK = "mkzqxwvk"
"""Stands in texts that Mallory sends where nobody would expect one: no error may repeat it."""

BODIES: dict[str, Any] = {
    body.DESCRIPTOR.full_name: body
    for body in (v1.Offer, v1.Answer, v1.Shipment, v1.Receipt, v1.Withdrawal, v1.Erasure)
}
_SKEW = timedelta(minutes=5)
_FINE = frozenset({"OK"})


def documented() -> frozenset[str]:
    """Every reason on the page of errors."""
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^\| `([A-Z_]+)` \|", page, flags=re.MULTILINE))


class Watcher:
    """Hears of every call at the directory; `faults` are those that nobody had expected."""

    def __init__(self) -> None:
        self.calls = 0
        self.faults: list[str] = []

    def started(self, method: str) -> None:
        self.calls += 1

    def finished(self, call: Finished) -> None:
        if call.fault or call.code in ("UNKNOWN", "INTERNAL"):
            self.faults.append(f"{call.method} {call.code} {call.fault}")


async def outcome(call: Awaitable[Any]) -> tuple[str, Any]:
    """ "OK" and the answer, or the reason of the refusal. A refusal without one that is documented fails the test."""
    try:
        return "OK", await asyncio.wait_for(call, 60)  # type: ignore[arg-type]  # a call of gRPC is awaitable
    except grpc.aio.AioRpcError as refused:
        return _reason_of(refused), None


def _reason_of(error: grpc.aio.AioRpcError) -> str:
    said = f"{error.details()} {error.trailing_metadata()}"
    assert MARK not in said, "an error repeats what was sent"
    status = rpc_status.from_call(error)
    assert status is not None, f"a bare {error.code()}: {error.details()}"
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert MARK not in str(status), "an error repeats what was sent"
    assert info.reason in documented(), info.reason
    assert error.code().name not in ("UNKNOWN", "INTERNAL"), info.reason
    return info.reason


@dataclass(eq=False)
class Deal:
    """One transfer, as a plain model: the statements that were taken, and how many bytes wait."""

    story: Story
    sender: Node
    recipient: Node
    taken: list[tuple[Kind, Signed]] = field(default_factory=list)
    held: int = 0

    @property
    def id(self) -> bytes:
        return self.story.parties.transfer_id

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind, _ in self.taken]

    @property
    def state(self) -> State | None:
        """By protocol §6, written down once more: the table is what is tested."""
        kinds = self.kinds
        if not kinds:
            return None
        if Kind.RECEIPT_TAKEN in kinds:
            return State.RECEIVED
        for kind, state in (
            (Kind.WITHDRAWAL, State.WITHDRAWN),
            (Kind.RECEIPT_REFUSED, State.REFUSED),
            (Kind.SHIPMENT, State.SHIPPED),
            (Kind.REFUSAL, State.DECLINED),
            (Kind.ACCEPTANCE, State.ACCEPTED),
        ):
            if kind in kinds:
                return state
        return State.OFFERED

    def may(self, kind: Kind) -> bool:
        """Whether protocol §6 lets this step be now."""
        kinds = set(self.kinds)
        if kind is Kind.OFFER:
            return not kinds
        if Kind.OFFER not in kinds or kind in kinds:
            return False
        answered = kinds & {Kind.ACCEPTANCE, Kind.REFUSAL}
        receipt = kinds & {Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED}
        if kind in (Kind.ACCEPTANCE, Kind.REFUSAL):
            return not answered and Kind.WITHDRAWAL not in kinds
        if kind is Kind.SHIPMENT:
            return Kind.ACCEPTANCE in kinds and Kind.WITHDRAWAL not in kinds
        if kind in (Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED):
            return Kind.SHIPMENT in kinds and not receipt
        if kind is Kind.WITHDRAWAL:
            over = {Kind.REFUSAL, Kind.RECEIPT_REFUSED, Kind.ERASURE} & kinds
            return not over
        return Kind.RECEIPT_TAKEN in kinds  # an erasure

    def author(self, kind: Kind) -> Node:
        return self.sender if kind in (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL) else self.recipient

    def of(self, kind: Kind) -> Signed:
        return next(signed for each, signed in self.taken if each is kind)

    def proper(self, signed: Signed, now: datetime, town: Town) -> str:
        """Why the broker must not take a statement for this transfer; empty where nothing that it can see is wrong."""
        body = BODIES[signed.type].FromString(signed.body)
        kind = kind_of(body)
        parties = (body.network, body.transfer_id, body.sender, body.recipient)
        ours = self.story.parties
        if parties != (ours.network, ours.transfer_id, ours.sender, ours.recipient):
            return "parties"
        if signed.signer != self.author(kind).keys.identity.public.key_id:
            return "signer"
        if abs(body.time.ToDatetime(now.tzinfo) - now) > _SKEW + timedelta(seconds=5):
            return "time"
        why = getattr(self, f"_{signed.type.rpartition('.')[2].lower()}")(body, now, town)
        return str(why)

    def _offer(self, body: Any, now: datetime, town: Town) -> str:
        token, policy, time = body.token, town.network.roster.policy, body.time.ToDatetime(now.tzinfo)
        expires = body.expire_time.ToDatetime(now.tzinfo)
        if (token.transfer_id, token.sender, token.recipient) != (body.transfer_id, body.sender, body.recipient):
            return "token"
        if not token.not_before.ToDatetime(now.tzinfo) <= time < token.expire_time.ToDatetime(now.tzinfo):
            return "token's time"
        if not time < expires <= time + policy.offer_life_limit:
            return "life"
        if not 1 <= body.size_bound <= policy.content_size_limit:
            return "size"
        if body.recipient_card < 1 or len(body.sealed_summary) != 3184 or len(token.id) != 16:
            return "form"
        return self._head(body, town)

    def _answer(self, body: Any, now: datetime, town: Town) -> str:
        if body.offer != self.of(Kind.OFFER).digest:
            return "chain"
        if body.WhichOneof("outcome") == "acceptance":
            accepted, time = body.acceptance, body.time.ToDatetime(now.tzinfo)
            life = accepted.key_expire_time.ToDatetime(now.tzinfo) - time
            if not timedelta(0) < life <= town.network.roster.policy.shipping_limit:
                return "life of the key"
            if len(accepted.one_time_key) != 1216 or len(accepted.sealed_sections) != 2160:
                return "form"
        elif len(body.refusal.sealed_reason) != 5232:
            return "form"
        return self._head(body, town)

    def _shipment(self, body: Any, now: datetime, town: Town) -> str:
        if (body.offer, body.answer) != (self.of(Kind.OFFER).digest, self.of(Kind.ACCEPTANCE).digest):
            return "chain"
        if body.ciphertext_size != self.held:
            return "size"
        if len(body.ciphertext_header) != 56 or len(body.sealed_content_key) != 1168 or len(body.manifest_digest) != 32:
            return "form"
        return ""

    def _receipt(self, body: Any, now: datetime, town: Town) -> str:
        if body.shipment != self.of(Kind.SHIPMENT).digest:
            return "chain"
        if body.WhichOneof("outcome") == "taken":
            shipped = v1.Shipment.FromString(self.of(Kind.SHIPMENT).body)
            return "" if body.taken.manifest_digest == shipped.manifest_digest else "digest"
        return ""

    def _withdrawal(self, body: Any, now: datetime, town: Town) -> str:
        offer = v1.Offer.FromString(self.of(Kind.OFFER).body)
        right = (body.offer, body.token_id) == (self.of(Kind.OFFER).digest, offer.token.id)
        return "" if right else "chain"

    def _erasure(self, body: Any, now: datetime, town: Town) -> str:
        before = Kind.SHIPMENT if body.WhichOneof("outcome") == "returned" else Kind.WITHDRAWAL
        named = body.shipment if before is Kind.SHIPMENT else body.withdrawal
        return "" if before in self.kinds and named == self.of(before).digest else "chain"

    def _head(self, body: Any, town: Town) -> str:
        head, network = body.checkpoint, town.network
        right = 1 <= head.size <= network.tree.size and head.root == network.tree.root(head.size)
        return "" if right else "checkpoint"


@dataclass
class Yard:
    """The directory, and who deals with whom."""

    town: Town
    watcher: Watcher
    mallory: Node
    lyon: Node
    nantes: Node
    deals: list[Deal] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.town.clock.now()

    def deal(self, sender: Node, recipient: Node) -> Deal:
        names = {id(node): name for name, node in self.town.nodes.items()}
        story = Story.between(self.town.network, names[id(sender)], names[id(recipient)])
        found = Deal(story, sender, recipient)
        self.deals.append(found)
        return found

    def made(self, deal: Deal, kind: Kind, outcome_: int = 0) -> Signed | None:
        """The next statement of that kind as an honest author makes it; None where there is nothing to make it of."""
        story = deal.story
        story.now = self.now
        makers = {
            Kind.OFFER: ["make_offer"],
            Kind.ACCEPTANCE: ["make_acceptance"],
            Kind.REFUSAL: ["make_refusal"],
            Kind.SHIPMENT: ["make_shipment"],
            Kind.RECEIPT_TAKEN: ["make_receipt"],
            Kind.RECEIPT_REFUSED: ["make_refused_receipt"],
            Kind.WITHDRAWAL: ["make_withdrawal"],
            Kind.ERASURE: ["make_erasure", "make_refused_erasure", "make_return"],
        }[kind]
        try:
            changes: dict[str, Any] = {"mailbox": ""} if kind is Kind.ACCEPTANCE else {}
            if kind is Kind.SHIPMENT and deal.held:
                changes["ciphertext_size"] = deal.held
            signed: Signed = getattr(story, makers[outcome_ % len(makers)])(**changes)
        except AttributeError:  # it follows something that was never said
            return None
        return signed

    def keep(self, deal: Deal, signed: Signed) -> None:
        """It was taken: the story and the model go on from it."""
        kind, story = peek(signed).kind, deal.story
        deal.taken.append((kind, signed))
        name = {
            Kind.OFFER: "offered",
            Kind.ACCEPTANCE: "answered",
            Kind.REFUSAL: "answered",
            Kind.SHIPMENT: "shipped",
            Kind.WITHDRAWAL: "withdrawn",
        }.get(kind)
        read = {
            Kind.OFFER: story.read_offer,
            Kind.ACCEPTANCE: story.read_answer,
            Kind.REFUSAL: story.read_answer,
            Kind.SHIPMENT: story.read_shipment,
            Kind.WITHDRAWAL: story.read_withdrawal,
        }.get(kind)
        if name is not None and read is not None:
            setattr(story, name, read(signed, fresh=False, history=True))

    async def submit(self, by: Node, signed: Signed) -> tuple[str, Any]:
        return await outcome(by.broker.Submit(pb.SubmitRequest(statement=signed.to_message())))

    async def put(self, by: Node, transfer: bytes, offset: int, data: bytes, *, anew: bool = False) -> tuple[str, Any]:
        async def pieces() -> AsyncIterator[mailbox_pb2.PutRequest]:
            yield mailbox_pb2.PutRequest(transfer_id=transfer, offset=offset, data=data, anew=anew)

        return await outcome(by.mailbox.Put(pieces()))

    async def at_broker(self, deal: Deal) -> tuple[str, list[Digest]]:
        """Where the directory has it, by its own database."""
        state, taken = await self.town.directory.broker.transfer(deal.sender.keys.id, deal.story.parties.transfer_id)
        return str(state), [each.signed.digest for each in taken]

    async def unchanged(self) -> None:
        """I1 to I4 as far as the broker decides them: each transfer has exactly what the model has, in that order."""
        for deal in self.deals:
            if deal.taken:
                state, taken = await self.at_broker(deal)
                assert taken == [signed.digest for _, signed in deal.taken]
                assert state == str(deal.state)
        assert not self.watcher.faults, self.watcher.faults


@contextlib.asynccontextmanager
async def yard_in(folder: Path) -> AsyncIterator[Yard]:
    town, watcher = Town.make(folder, content_size_limit=300_000), Watcher()
    async with town.open(observers=[watcher]):
        await town.found()
        mallory, lyon, nantes = [await town.join(name) for name in ("Mallory", "Lyon", "Nantes")]
        yield Yard(town, watcher, mallory, lyon, nantes)


def by_party(kind: Kind) -> Party:
    return Party.SENDER if kind in (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL) else Party.RECIPIENT
