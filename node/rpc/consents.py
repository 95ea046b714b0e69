"""The service Consents: the acts behind what leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import Connection

from cordee.act import Act, parse_act
from cordee.errors import N_, InvalidRecord
from cordee.v1 import node_pb2, node_pb2_grpc
from node import acts, journal, need_to_know
from node.rpc.desk import Context, Desk

__all__ = ["Consents"]


class Consents(Desk, node_pb2_grpc.ConsentsServicer):
    """Record, read, withdraw."""

    async def RecordAct(self, request: node_pb2.RecordActRequest, context: Context) -> node_pb2.RecordActResponse:
        """Record an act. Raises InvalidRecord with each place that breaks the schema; NotFound; Conflict."""
        handler = await self._enter(context, "Consents.RecordAct")
        act = parse_act(request.body)
        if act.case_id != request.case_id:
            raise InvalidRecord(path="case_id", problem=N_("is another case's"))
        await self._node.sending.record_act(handler, act)
        return node_pb2.RecordActResponse(act_id=act.act_id)

    async def ReadAct(self, request: node_pb2.ReadActRequest, context: Context) -> node_pb2.ReadActResponse:
        """One act. That it was read is journalled in the same step. Raises NotFound."""
        handler = await self._enter(context, "Consents.ReadAct")
        now = self._node.clock.now()

        def step(tx: Connection) -> Act:
            journal.append(tx, now=now, actor=handler.account_id, action="act.read", subject=request.act_id)
            act = acts.read_act(tx, self._node.vault, request.act_id)
            need_to_know.require(tx, self._node.vault, handler, act.case_id, now=now)
            return act

        return node_pb2.ReadActResponse(act=_record(await self._node.db.write(step)))

    async def ListActs(self, request: node_pb2.ListActsRequest, context: Context) -> AsyncIterator[node_pb2.ActRecord]:
        """The acts of one case, journalled as one reading. Raises NotFound."""
        handler = await self._enter(context, "Consents.ListActs")
        now = self._node.clock.now()

        def step(tx: Connection) -> list[Act]:
            need_to_know.require(tx, self._node.vault, handler, request.case_id, now=now)
            journal.append(tx, now=now, actor=handler.account_id, action="acts.read", subject=request.case_id)
            return acts.acts_of(tx, self._node.vault, request.case_id)

        for act in await self._node.db.write(step):
            yield _record(act)

    async def WithdrawAct(self, request: node_pb2.WithdrawActRequest, context: Context) -> node_pb2.WithdrawActResponse:
        """Withdraw an act and, in the same step, every transfer that rests on it. Raises NotFound, Conflict."""
        handler = await self._enter(context, "Consents.WithdrawAct")
        withdrawn = await self._node.sending.withdraw_act(
            handler, request.act_id, by_role=request.by_role, reason=request.reason
        )
        return node_pb2.WithdrawActResponse(transfer_ids=withdrawn)


def _record(act: Act) -> node_pb2.ActRecord:
    return node_pb2.ActRecord(act_id=act.act_id, case_id=act.case_id, body=act.to_bytes())
