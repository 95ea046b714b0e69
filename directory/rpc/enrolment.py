"""Enrolment: for applicants, on the listener without client certificates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from cordee.errors import Refused
from cordee.signing import Signed
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.events import Events
from directory.membership import JoinState, Membership
from directory.roster_store import RosterStore

__all__ = ["STATES", "EnrolmentServicer"]

STATES = {
    JoinState.WAITING: pb.JOIN_STATE_WAITING,
    JoinState.ADMITTED: pb.JOIN_STATE_ADMITTED,
    JoinState.REFUSED: pb.JOIN_STATE_REFUSED,
}


class EnrolmentServicer(directory_pb2_grpc.EnrolmentServicer):
    """See `Membership.request`, `status` and `rejoin`."""

    def __init__(self, membership: Membership, rosters: RosterStore, events: Events) -> None:
        self._rosters = rosters
        self._membership = membership
        self._events = events

    async def ReadLog(
        self, request: pb.EnrolmentReadLogRequest, context: Any
    ) -> AsyncIterator[pb.EnrolmentReadLogResponse]:
        """The log from an index on, then the checkpoint."""
        self._membership.require_present(Signed.from_message(request.query))
        checkpoint, size = self._rosters.signed
        async for entry in self._rosters.entries(request.start, size):
            yield pb.EnrolmentReadLogResponse(entry=entry)
        yield pb.EnrolmentReadLogResponse(checkpoint=checkpoint)

    async def Object(self, request: pb.ObjectRequest, context: Any) -> pb.ObjectResponse:
        """An objection, which its own signature lets in."""
        if request.entry.type != v1.RecoveryObjected.DESCRIPTOR.full_name:
            raise Refused(entry=request.entry.type)
        return pb.ObjectResponse(index=await self._rosters.append(request.entry))

    async def Rejoin(self, request: pb.RejoinEnrolmentRequest, context: Any) -> pb.RejoinEnrolmentResponse:
        """Come back with the identity key alone."""
        certificate, revision = await self._membership.rejoin(Signed.from_message(request.request))
        self._events.card_published(revision)
        return pb.RejoinEnrolmentResponse(certificate=certificate)

    async def ListAuthorities(
        self, request: pb.EnrolmentListAuthoritiesRequest, context: Any
    ) -> pb.EnrolmentListAuthoritiesResponse:
        """The CAs that are trusted now."""
        return pb.EnrolmentListAuthoritiesResponse(certificates=self._membership.authorities())

    async def Request(self, request: pb.EnrolmentRequest, context: Any) -> pb.EnrolmentResponse:
        """Ask to join."""
        state = await self._membership.request(Signed.from_message(request.join_request))
        return pb.EnrolmentResponse(state=STATES[state])

    async def GetStatus(self, request: pb.GetEnrolmentStatusRequest, context: Any) -> pb.GetEnrolmentStatusResponse:
        """Ask how it stands."""
        answer = await self._membership.status(Signed.from_message(request.query))
        return pb.GetEnrolmentStatusResponse(
            state=STATES[answer.state],
            certificate=answer.certificate,
            refusal_reason=answer.reason,
            progress=answer.progress.to_message(),
        )
