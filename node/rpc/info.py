"""The service NodeInfo: how the node is, for those who look after it."""

from __future__ import annotations

from cordee.v1 import node_pb2, node_pb2_grpc
from node.backup import last_backup
from node.recovery import standing
from node.rpc.desk import Context, Desk
from node.rpc.wire import instant

__all__ = ["NodeInfo"]


class NodeInfo(Desk, node_pb2_grpc.NodeInfoServicer):
    """Answers without a session: it tells nothing of any case, and whoever may open the socket may know it."""

    async def GetStatus(self, request: node_pb2.GetStatusRequest, context: Context) -> node_pb2.GetStatusResponse:
        """The member id and its key, and how fresh and sound this node's copy of the roster is."""
        node, status = self._node, self._node.roster.status()
        stands, saved = await node.db.read(lambda tx: (standing(tx, node.vault), last_backup(tx)))
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
            recovery=node_pb2.RecoveryStanding(
                people=stands.people,
                needed=stands.needed,
                sheets=stands.count,
                proven_time=instant(stands.proven_at),
                due=stands.is_due(node.clock.now()),
                set_up=stands.set_up,
                backup_time=instant(saved),
            ),
        )
