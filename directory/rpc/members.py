"""Membership, Roster, Broker and Events: for members, each call by whoever's key is on a card."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.protobuf.message import Message

from cordee.errors import Refused, TooManyEntries, WrongParty
from cordee.ids import MemberId, TransferId
from cordee.runtime.interceptors import caller, endless
from cordee.runtime.limits import Budget
from cordee.signing import MAX_BODY, Signed, parse_message
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.broker import Broker
from directory.cards import CardIndex
from directory.events import Events
from directory.knowledge import Knowledge
from directory.membership import Membership
from directory.roster_store import RosterStore

__all__ = ["BrokerServicer", "EventsServicer", "MembershipServicer", "RosterServicer"]

_BY_MEMBERS: dict[str, type[v1.IdentityRotated | v1.NodeRestored | v1.RecoveryObjected]] = {
    message.DESCRIPTOR.full_name: message for message in (v1.IdentityRotated, v1.NodeRestored, v1.RecoveryObjected)
}


class MembershipServicer(directory_pb2_grpc.MembershipServicer):
    """See `Membership.renew`."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def RenewCertificate(self, request: pb.RenewCertificateRequest, context: Any) -> pb.RenewCertificateResponse:
        """A new certificate for the key on the caller's card."""
        certificate = await self._membership.renew(caller(context).member, request.certificate_request)
        return pb.RenewCertificateResponse(certificate=certificate)

    async def ListAuthorities(self, request: pb.ListAuthoritiesRequest, context: Any) -> pb.ListAuthoritiesResponse:
        """The CAs that are trusted now."""
        return pb.ListAuthoritiesResponse(certificates=self._membership.authorities())


class RosterServicer(directory_pb2_grpc.RosterServicer):
    """See `RosterStore`, `CardIndex` and `Knowledge`. `entered` counts the entries of each member about itself."""

    def __init__(
        self, rosters: RosterStore, cards: CardIndex, events: Events, knowledge: Knowledge, entered: Budget
    ) -> None:
        self._rosters = rosters
        self._cards = cards
        self._events = events
        self._restorations = events.restorations
        self._knowledge = knowledge
        self._entered = entered

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Any) -> pb.GetCheckpointResponse:
        """The newest checkpoint."""
        answer = pb.GetCheckpointResponse(checkpoint=self._rosters.checkpoint)
        if self._restorations.last is not None:
            answer.restored.CopyFrom(timestamp_of(self._restorations.last.at))
        return answer

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Any) -> AsyncIterator[pb.ListEntriesResponse]:
        """The log from an index on."""
        async for entry in self._rosters.entries(request.start):
            yield pb.ListEntriesResponse(entry=entry)

    async def AppendEntry(self, request: pb.AppendEntryRequest, context: Any) -> pb.AppendEntryResponse:
        """A member's own entry: about itself, of the kinds that members sign. Raises: TooManyEntries, and what
        `RosterStore.append` raises.
        """
        statement: type[Message] | None = _BY_MEMBERS.get(request.entry.type)
        if statement is None:
            raise Refused(entry=request.entry.type)
        about: Any = parse_message(request.entry.body, statement, MAX_BODY)
        if MemberId(about.member) != caller(context).member:
            raise WrongParty(what=statement.DESCRIPTOR.name)
        if statement is not v1.RecoveryObjected:  # of these there are no more than administrators have announced
            self._entered.spend(caller(context).member, error=TooManyEntries)
        return pb.AppendEntryResponse(index=await self._rosters.append(request.entry))

    async def TellHeldCheckpoint(
        self, request: pb.TellHeldCheckpointRequest, context: Any
    ) -> pb.TellHeldCheckpointResponse:
        """How much of the log the caller holds."""
        await self._knowledge.tell(caller(context).member, Signed.from_message(request.held))
        return pb.TellHeldCheckpointResponse()

    async def PublishCard(self, request: pb.PublishCardRequest, context: Any) -> pb.PublishCardResponse:
        """The caller's new card. Raises: what `CardIndex.publish` raises."""
        signed = Signed.from_message(request.card)
        revision = await self._cards.publish(caller(context).member, signed, request.profile)
        self._events.card_published(revision)
        return pb.PublishCardResponse(revision=revision)

    async def ListCards(self, request: pb.ListCardsRequest, context: Any) -> AsyncIterator[pb.ListCardsResponse]:
        """Every card published after a revision."""
        member = caller(context).member
        async for each in self._cards.after(request.after_revision, member):
            yield pb.ListCardsResponse(revision=each.revision, card=each.card.to_message(), profile=each.profile)
        refusal = await self._cards.refusal_of(member)
        if refusal is not None:
            yield pb.ListCardsResponse(refusal=refusal.to_message())


class BrokerServicer(directory_pb2_grpc.BrokerServicer):
    """See `Broker`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def Submit(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitResponse:
        """One step of a transfer."""
        state = await self._broker.submit(caller(context).member, Signed.from_message(request.statement))
        return pb.SubmitResponse(state=state)

    async def GetTransfer(self, request: pb.GetTransferRequest, context: Any) -> pb.GetTransferResponse:
        """All that is kept of one transfer."""
        state, taken = await self._broker.transfer(caller(context).member, TransferId(request.transfer_id))
        return pb.GetTransferResponse(state=state, statements=[each.signed.to_message() for each in taken])

    async def GiveBackTransfer(self, request: pb.GiveBackTransferRequest, context: Any) -> pb.GiveBackTransferResponse:
        """What was taken before a restore."""
        given = [Signed.from_message(each) for each in request.statements]
        state, added = await self._broker.give_back(caller(context).member, given)
        return pb.GiveBackTransferResponse(state=state or "", added=added)

    async def ListOwnTransfers(
        self, request: pb.ListOwnTransfersRequest, context: Any
    ) -> AsyncIterator[pb.ListOwnTransfersResponse]:
        """Every transfer of the caller's."""
        async for each in self._broker.transfers_of(caller(context).member):
            yield pb.ListOwnTransfersResponse(transfer_id=each.id, state=each.state, statements=each.statements)


class EventsServicer(directory_pb2_grpc.EventsServicer):
    """See `Events`."""

    def __init__(self, events: Events) -> None:
        self._events = events

    @endless
    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.Event]:
        """What concerns the caller, for ever."""
        async with aclosing(self._events.watch(caller(context).member, request.cursor)) as events:
            async for event in events:
                yield event
