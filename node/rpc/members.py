"""The service Members: the other associations, from this node's own verified copy of the roster."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cordee.errors import N_, NotFound
from cordee.ids import MemberId
from cordee.profile import Query
from cordee.v1 import node_pb2, node_pb2_grpc
from node.rpc.desk import Context, Desk
from node.rpc.wire import match_record, member_record

__all__ = ["Members"]


class Members(Desk, node_pb2_grpc.MembersServicer):
    """Look-ups that leave no trace anywhere: they are answered here and kept nowhere."""

    async def ListMembers(
        self, request: node_pb2.ListMembersRequest, context: Context
    ) -> AsyncIterator[node_pb2.MemberRecord]:
        """Every association on the roster, suspended and removed ones too."""
        await self._enter(context, "Members.ListMembers")
        for view in self._node.roster.members():
            yield member_record(view)

    async def FindMembers(
        self, request: node_pb2.FindMembersRequest, context: Context
    ) -> AsyncIterator[node_pb2.MemberMatch]:
        """Who can help, best first."""
        await self._enter(context, "Members.FindMembers")
        query = Query(
            speciality=request.speciality or None,
            departement=request.departement or None,
            far_from=tuple(request.far_from),
            age=request.age if request.HasField("age") else None,
            gender=request.gender or None,
            language=request.language or None,
            tonight=request.tonight,
            runaways=request.runaways,
            free_places=request.free_places,
            authority_type=request.authority_type or None,
        )
        views = {view.member: view for view in self._node.roster.members()}
        for member, match in self._node.roster.find(query):
            yield match_record(views[member], match)

    async def ShowMember(self, request: node_pb2.ShowMemberRequest, context: Context) -> node_pb2.ShowMemberResponse:
        """One association with its profile. Raises NotFound."""
        await self._enter(context, "Members.ShowMember")
        wanted = MemberId(request.member)
        member = self._node.roster.roster.members.get(wanted)
        if member is None:
            raise NotFound(what=N_("member"))
        view = self._node.roster.view(member)
        return node_pb2.ShowMemberResponse(
            record=member_record(view),
            profile=view.profile.to_bytes() if view.profile else b"",
            identity_key=member.identity.to_message(),
        )
