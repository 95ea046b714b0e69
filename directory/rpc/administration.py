"""Administration: each call carries a command, or an entry, that administrators signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from cordee.errors import N_, InvalidInput
from cordee.ids import MemberId
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administration import Governance
from directory.cards import CardIndex
from directory.commands import Commands
from directory.events import Events
from directory.knowledge import Knowledge, after_of
from directory.membership import Membership
from directory.roster_store import RosterStore
from directory.rpc.enrolment import STATES
from directory.standings import Standings
from directory.yearbook import Yearbook

__all__ = ["AdministrationServicer"]

_PAGE = 64
_PAGE_BYTES = 192 * 1024
"""And one more: what an administrator's machine takes in one answer is a little over a mebibyte."""
_FURTHEST = 2**31

P = TypeVar("P", bound=Message)


class AdministrationServicer(directory_pb2_grpc.AdministrationServicer):
    """See `Commands`, `Governance`, `Membership`, `RosterStore`, `Knowledge`, `Standings`, `CardIndex`, `Yearbook`."""

    def __init__(
        self,
        commands: Commands,
        governance: Governance,
        membership: Membership,
        rosters: RosterStore,
        knowledge: Knowledge,
        standings: Standings,
        cards: CardIndex,
        events: Events,
        yearbook: Yearbook,
    ) -> None:
        self._commands = commands
        self._governance = governance
        self._membership = membership
        self._rosters = rosters
        self._knowledge = knowledge
        self._standings = standings
        self._cards = cards
        self._events = events
        self._yearbook = yearbook

    async def Found(self, request: pb.FoundRequest, context: Any) -> pb.FoundResponse:
        """Found the network, once."""
        roster = await self._rosters.found(request.genesis)
        return pb.FoundResponse(network=roster.network)

    async def CreateInvitation(self, request: pb.CreateInvitationRequest, context: Any) -> pb.CreateInvitationResponse:
        """Invite an association."""
        await self._membership.invite(*self._commands.check(request.command, v1.CreateInvitation))
        return pb.CreateInvitationResponse()

    async def ListJoinRequests(self, request: pb.ListJoinRequestsRequest, context: Any) -> pb.ListJoinRequestsResponse:
        """Who asked to join."""
        command, _ = self._commands.check(request.command, v1.ListJoinRequests)
        _require_place(command.start, command.start_invitations)
        records = [
            pb.JoinRequestRecord(
                join_request=each.request.to_message(),
                legal_name=each.legal_name,
                registration_number=each.registration_number,
                bound_by_secrecy=each.bound_by_secrecy,
                state=STATES[each.state],
                invitation=each.invitation.to_message(),
                progress=each.progress.to_message(),
                refusal_reason=each.progress.reason,
            )
            for each in await self._membership.requests(start=command.start, most=_PAGE + 1)
        ]
        open_now = await self._membership.open_invitations(start=command.start_invitations, most=_PAGE + 1)
        requests, others = _page(records)
        invitations, more = _page([each.to_message() for each in open_now])
        return pb.ListJoinRequestsResponse(requests=requests, open_invitations=invitations, more=others or more)

    async def RefuseJoinRequest(
        self, request: pb.RefuseJoinRequestRequest, context: Any
    ) -> pb.RefuseJoinRequestResponse:
        """Tell an applicant why it is not admitted."""
        command, _ = self._commands.check(request.command, v1.RefuseJoinRequest)
        await self._membership.refuse(MemberId(command.member), command.reason)
        return pb.RefuseJoinRequestResponse()

    async def ReadCard(self, request: pb.ReadCardRequest, context: Any) -> pb.ReadCardResponse:
        """What a member publishes of itself."""
        command, _ = self._commands.check(request.command, v1.ReadCard)
        published, refusal = await self._cards.read(MemberId(command.member))
        return pb.ReadCardResponse(
            card=published.card.to_message(),
            profile=published.profile,
            refusal=None if refusal is None else refusal.to_message(),
        )

    async def RefuseCard(self, request: pb.RefuseCardRequest, context: Any) -> pb.RefuseCardResponse:
        """Tell a member what must not stand in its profile."""
        revision = await self._cards.refuse(*self._commands.check(request.command, v1.RefuseCard))
        self._events.card_published(revision)  # so that its node asks, and reads why
        return pb.RefuseCardResponse()

    async def SignEntry(self, request: pb.SignEntryRequest, context: Any) -> pb.SignEntryResponse:
        """Add signatures to an entry."""
        gathered = await self._governance.sign(request.entry)
        return pb.SignEntryResponse(
            appended=gathered.appended, signatures=gathered.signatures, threshold=gathered.threshold
        )

    async def ListPendingEntries(
        self, request: pb.ListPendingEntriesRequest, context: Any
    ) -> pb.ListPendingEntriesResponse:
        """Entries that want signatures."""
        command, _ = self._commands.check(request.command, v1.ListPendingEntries)
        _require_place(command.start)
        entries, more = _page((await self._governance.pending())[command.start : command.start + _PAGE + 1])
        return pb.ListPendingEntriesResponse(entries=entries, more=more)

    async def ReadFigures(self, request: pb.ReadFiguresRequest, context: Any) -> pb.ReadFiguresResponse:
        """What may be told of a closed year."""
        command, _ = self._commands.check(request.command, v1.ReadFigures)
        return pb.ReadFiguresResponse(figures=await self._yearbook.of(command.year))

    async def ReadLog(self, request: pb.ReadLogRequest, context: Any) -> AsyncIterator[pb.ReadLogResponse]:
        """The log from an index on, then the checkpoint."""
        command, _ = self._commands.check(request.command, v1.ReadLog)
        # What it covers and no more: an entry that comes meanwhile may exchange the very key that signs.
        checkpoint, size = self._rosters.signed
        async for entry in self._rosters.entries(command.start, size):
            yield pb.ReadLogResponse(entry=entry)
        yield pb.ReadLogResponse(checkpoint=checkpoint)

    async def ListStandings(
        self, request: pb.ListStandingsRequest, context: Any
    ) -> AsyncIterator[pb.ListStandingsResponse]:
        """What of each member runs out, and how much it uses."""
        self._commands.check(request.command, v1.ListStandings)
        async for each in self._standings.all():
            yield pb.ListStandingsResponse(
                member=each.member,
                card=each.card.to_message() if each.card is not None else None,
                profile=each.profile,
                certificate_expire_time=timestamp_of(each.certificate_ends) if each.certificate_ends else None,
                under_way=each.under_way,
                counted=each.counted,
            )

    async def ListHeldCheckpoints(
        self, request: pb.ListHeldCheckpointsRequest, context: Any
    ) -> AsyncIterator[pb.ListHeldCheckpointsResponse]:
        """Which nodes know how much of the log."""
        command, _ = self._commands.check(request.command, v1.ListHeldCheckpoints)
        async for each in self._knowledge.heard(after=after_of(command)):
            answer = pb.ListHeldCheckpointsResponse(member=each.member, connected=each.connected)
            if each.held is not None and each.heard_at is not None:
                answer.held.CopyFrom(each.held.to_message())
                answer.heard_time.CopyFrom(timestamp_of(each.heard_at))
            yield answer


def _require_place(*starts: int) -> None:
    if any(start > _FURTHEST for start in starts):
        raise InvalidInput(field="start", problem=N_("there are not so many"))


def _page(parts: Sequence[P]) -> tuple[list[P], bool]:
    """As many as one answer may hold, one at least; and whether some are left."""
    taken: list[P] = []
    size = 0
    for part in parts[:_PAGE]:
        size += part.ByteSize()
        if taken and size > _PAGE_BYTES:
            break
        taken.append(part)
    return taken, len(taken) < len(parts)
