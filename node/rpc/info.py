"""The service NodeInfo: how the node is, for those who look after it."""

from __future__ import annotations

from cordee.v1 import node_pb2, node_pb2_grpc
from node.leaving import left_to_do
from node.rpc.desk import Context, Desk
from node.rpc.wire import instant

__all__ = ["NodeInfo"]


class NodeInfo(Desk, node_pb2_grpc.NodeInfoServicer):
    """How it is, without a session: that tells nothing of any case, and whoever may open the socket may know it."""

    async def GetStatus(self, request: node_pb2.GetStatusRequest, context: Context) -> node_pb2.GetStatusResponse:
        """The member id and its key, and how fresh and sound this node's copy of the roster is."""
        status = self._node.roster.status()
        return node_pb2.GetStatusResponse(
            member=self._node.member,
            identity_key=self._node.identity_public.to_message(),
            roster_size=status.size,
            roster_root=status.root,
            checkpoint_time=instant(status.checkpoint_time),
            alarm=status.alarm.reason if status.alarm else "",
            alarm_facts=status.alarm.facts if status.alarm else {},
            connected=status.connected,
            network=self._node.house.network,
            asked_to_correct=self._node.roster.asked_to_correct,
        )

    async def ListLeftToDo(
        self, request: node_pb2.ListLeftToDoRequest, context: Context
    ) -> node_pb2.ListLeftToDoResponse:
        """What is left to do before the association can leave the network."""
        await self._enter(context, "NodeInfo.ListLeftToDo")
        left = [
            node_pb2.LeftToDo(what=each.what, count=each.count, ids=each.ids)
            for each in await self._node.db.read(left_to_do)
        ]
        return node_pb2.ListLeftToDoResponse(left=left)
