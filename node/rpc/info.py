"""The service NodeInfo: how the node is, for those who look after it."""

from __future__ import annotations

from cordee.errors import N_, InvalidInput
from cordee.v1 import node_pb2, node_pb2_grpc
from node.identity import own_recovery
from node.key_list import OwnKey, own_keys
from node.rpc.desk import Context, Desk
from node.rpc.wire import instant

__all__ = ["NodeInfo"]


class NodeInfo(Desk, node_pb2_grpc.NodeInfoServicer):
    """The status needs no session: it tells nothing of any case, and whoever may open the socket may know it."""

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
            recovery=self._recovery(),
        )

    def _recovery(self) -> node_pb2.AnnouncedRecovery | None:
        waiting = own_recovery(self._node.house)
        if waiting is None:
            return None
        return node_pb2.AnnouncedRecovery(
            identity_key=waiting.identity.to_message(),
            stolen=waiting.stolen,
            announce_time=instant(waiting.announced),
            due_time=instant(waiting.due),
        )

    async def ListKeys(self, request: node_pb2.ListKeysRequest, context: Context) -> node_pb2.ListKeysResponse:
        """The node's own keys with their ages and ends."""
        await self._enter(context, "NodeInfo.ListKeys")
        return node_pb2.ListKeysResponse(keys=[_record(each) for each in own_keys(self._node)])

    async def RotateKey(self, request: node_pb2.RotateKeyRequest, context: Context) -> node_pb2.RotateKeyResponse:
        """Another key in the place of one. Raises InvalidInput for another kind; what the change itself raises."""
        by = (await self._enter(context, "NodeInfo.RotateKey")).account_id
        node = self._node
        if request.kind == "identity":
            await node.identity.rotate(by=by, despite_transfers=request.despite_transfers)
        elif request.kind == "transport":
            await node.publishing.rotate_transport(by=by)
        elif request.kind == "sealing":
            await node.publishing.publish(by=by)
        else:
            raise InvalidInput(field="kind", problem=N_("identity, transport or sealing is asked for"))
        return node_pb2.RotateKeyResponse(keys=[_record(each) for each in own_keys(node)])

    async def ObjectToRecovery(
        self, request: node_pb2.ObjectToRecoveryRequest, context: Context
    ) -> node_pb2.ObjectToRecoveryResponse:
        """Object to the recovery of this node's key. Raises NotFound where none is announced."""
        by = (await self._enter(context, "NodeInfo.ObjectToRecovery")).account_id
        await self._node.identity.object(by=by)
        return node_pb2.ObjectToRecoveryResponse()


def _record(key: OwnKey) -> node_pb2.KeyRecord:
    return node_pb2.KeyRecord(
        kind=key.kind,
        id=key.id,
        since=instant(key.since),
        expire_time=instant(key.expires),
        number=key.number,
        state=key.state,
    )
