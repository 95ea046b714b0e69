"""The service NodeInfo: how the node is, for those who look after it."""

from __future__ import annotations

from cordee.errors import N_, InvalidInput
from cordee.v1 import node_pb2, node_pb2_grpc
from node.backup import last_backup
from node.examining import RUNNING_VERSION, examine
from node.identity import own_recovery
from node.key_list import OwnKey, own_keys
from node.leaving import left_to_do
from node.recovery import standing
from node.rpc.desk import Context, Desk
from node.rpc.wire import instant

__all__ = ["NodeInfo"]


class NodeInfo(Desk, node_pb2_grpc.NodeInfoServicer):
    """The status needs no session: it tells nothing of any case, and whoever may open the socket may know it."""

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
            asked_to_correct=self._node.roster.asked_to_correct,
            recovery=self._recovery(),
            kit=node_pb2.KitStanding(
                people=stands.people,
                needed=stands.needed,
                sheets=stands.count,
                proven_time=instant(stands.proven_at),
                due=stands.is_due(node.clock.now()),
                set_up=stands.set_up,
                backup_time=instant(saved),
            ),
        )

    async def Examine(self, request: node_pb2.ExamineRequest, context: Context) -> node_pb2.ExamineResponse:
        """What is wrong now, in codes and facts; the words are made where they are read."""
        found = await examine(self._node, thorough=request.thorough)
        records = [node_pb2.FindingRecord(code=each.ailment.code, facts=each.facts) for each in found]
        return node_pb2.ExamineResponse(findings=records, version=RUNNING_VERSION)

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
