"""Administration: each call carries a command, or an entry, that administrators signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from cordee.ids import MemberId
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.administration import Governance
from directory.commands import Commands
from directory.membership import Membership
from directory.roster_store import RosterStore
from directory.rpc.enrolment import STATES

__all__ = ["AdministrationServicer"]


class AdministrationServicer(directory_pb2_grpc.AdministrationServicer):
    """See `Commands`, `Governance`, `Membership` and `RosterStore`."""

    def __init__(
        self, commands: Commands, governance: Governance, membership: Membership, rosters: RosterStore
    ) -> None:
        self._commands = commands
        self._governance = governance
        self._membership = membership
        self._rosters = rosters

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
        self._commands.check(request.command, v1.ListJoinRequests)
        records = [
            pb.JoinRequestRecord(
                join_request=each.request.to_message(),
                legal_name=each.legal_name,
                registration_number=each.registration_number,
                bound_by_secrecy=each.bound_by_secrecy,
                state=STATES[each.state],
                invitation=each.invitation.to_message(),
            )
            for each in await self._membership.requests()
        ]
        return pb.ListJoinRequestsResponse(requests=records)

    async def RefuseJoinRequest(
        self, request: pb.RefuseJoinRequestRequest, context: Any
    ) -> pb.RefuseJoinRequestResponse:
        """Tell an applicant why it is not admitted."""
        command, _ = self._commands.check(request.command, v1.RefuseJoinRequest)
        await self._membership.refuse(MemberId(command.member), command.reason)
        return pb.RefuseJoinRequestResponse()

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
        self._commands.check(request.command, v1.ListPendingEntries)
        return pb.ListPendingEntriesResponse(entries=await self._governance.pending())

    async def ReadLog(self, request: pb.ReadLogRequest, context: Any) -> AsyncIterator[pb.ReadLogResponse]:
        """The log from an index on, then the checkpoint."""
        command, _ = self._commands.check(request.command, v1.ReadLog)
        # What it covers and no more: an entry that comes meanwhile may exchange the very key that signs.
        checkpoint, size = self._rosters.signed
        async for entry in self._rosters.entries(command.start, size):
            yield pb.ReadLogResponse(entry=entry)
        yield pb.ReadLogResponse(checkpoint=checkpoint)
