"""The service Transfers: both halves of a transfer, as an association's own people see it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cordee.ids import MemberId, TransferId
from cordee.runtime.interceptors import endless
from cordee.v1 import node_pb2, node_pb2_grpc
from node.rpc.desk import Context, Desk
from node.rpc.wire import pieces, preview_answer, transfer_record

__all__ = ["Transfers"]


class Transfers(Desk, node_pb2_grpc.TransfersServicer):
    """Preview, offer, follow, answer, prove."""

    async def PreviewTransfer(
        self, request: node_pb2.PreviewTransferRequest, context: Context
    ) -> node_pb2.PreviewTransferResponse:
        """What would leave, and under which rule."""
        handler = await self._enter(context, "Transfers.PreviewTransfer")
        preview = await self._node.sending.preview(
            handler,
            case_id=request.case_id,
            recipient=MemberId(request.recipient),
            purpose=request.purpose,
            act_id=request.act_id,
            ticked=frozenset(request.ticked),
            unticked=frozenset(request.unticked),
            attachments=tuple(request.attachments),
        )
        return preview_answer(preview)

    async def OfferTransfer(
        self, request: node_pb2.OfferTransferRequest, context: Context
    ) -> node_pb2.OfferTransferResponse:
        """Offer a case to one association."""
        handler = await self._enter(context, "Transfers.OfferTransfer")
        content = request.content
        transfer_id = await self._node.sending.offer(
            handler,
            case_id=content.case_id,
            recipient=MemberId(content.recipient),
            purpose=content.purpose,
            act_id=content.act_id,
            kind=request.kind,
            ticked=frozenset(content.ticked),
            unticked=frozenset(content.unticked),
            attachments=tuple(content.attachments),
            expires_in=request.expires_in.ToTimedelta() if request.HasField("expires_in") else None,
            hold=request.hold,
        )
        return node_pb2.OfferTransferResponse(transfer_id=transfer_id)

    async def ListTransfers(
        self, request: node_pb2.ListTransfersRequest, context: Context
    ) -> AsyncIterator[node_pb2.TransferRecord]:
        """Every transfer that this node keeps, or one direction."""
        handler = await self._enter(context, "Transfers.ListTransfers")
        for line in await self._node.transfers.list(handler):
            if request.direction in ("", line.direction):
                yield transfer_record(line)

    async def ReadTransfer(
        self, request: node_pb2.ReadTransferRequest, context: Context
    ) -> node_pb2.ReadTransferResponse:
        """One transfer's present state."""
        handler = await self._enter(context, "Transfers.ReadTransfer")
        line = await self._node.transfers.get(handler, TransferId(request.transfer_id))
        return node_pb2.ReadTransferResponse(transfer=transfer_record(line))

    @endless
    async def WatchTransfers(
        self, request: node_pb2.WatchTransfersRequest, context: Context
    ) -> AsyncIterator[node_pb2.WatchTransfersResponse]:
        """The present state, then every change."""
        handler = await self._enter(context, "Transfers.WatchTransfers")
        wanted = TransferId(request.transfer_id) if request.transfer_id else None
        async for line in self._node.transfers.watch(handler, wanted):
            yield node_pb2.WatchTransfersResponse(transfer=transfer_record(line))

    async def ReadSummary(self, request: node_pb2.ReadSummaryRequest, context: Context) -> node_pb2.ReadSummaryResponse:
        """What the offer says of the case, and why it was refused, if it was."""
        handler = await self._enter(context, "Transfers.ReadSummary")
        transfer_id = TransferId(request.transfer_id)
        line = await self._node.transfers.get(handler, transfer_id)
        incoming = line.direction == "in"
        return node_pb2.ReadSummaryResponse(
            summary=await self._node.transfers.summary(handler, transfer_id) if incoming else None,
            reason=await self._node.transfers.reason(handler, transfer_id),
        )

    async def AcceptTransfer(
        self, request: node_pb2.AcceptTransferRequest, context: Context
    ) -> node_pb2.AcceptTransferResponse:
        """Accept an offer, whole or some of its sections."""
        handler = await self._enter(context, "Transfers.AcceptTransfer")
        transfer_id = TransferId(request.transfer_id)
        await self._node.receiving.accept(handler, transfer_id, sections=tuple(request.sections) or None)
        line = await self._node.transfers.get(handler, transfer_id)
        return node_pb2.AcceptTransferResponse(transfer=transfer_record(line))

    async def DeclineTransfer(
        self, request: node_pb2.DeclineTransferRequest, context: Context
    ) -> node_pb2.DeclineTransferResponse:
        """Decline an offer, with a reason that only the sender can read."""
        handler = await self._enter(context, "Transfers.DeclineTransfer")
        transfer_id = TransferId(request.transfer_id)
        await self._node.receiving.decline(handler, transfer_id, code=request.code, text=request.text)
        line = await self._node.transfers.get(handler, transfer_id)
        return node_pb2.DeclineTransferResponse(transfer=transfer_record(line))

    async def PreviewUpdate(
        self, request: node_pb2.PreviewUpdateRequest, context: Context
    ) -> node_pb2.PreviewUpdateResponse:
        """What an update would send."""
        handler = await self._enter(context, "Transfers.PreviewUpdate")
        update = request.update
        preview = await self._node.sending.preview_update(
            handler,
            TransferId(update.transfer_id),
            sections=tuple(update.sections) or None,
            attachments=tuple(update.attachments),
        )
        return node_pb2.PreviewUpdateResponse(preview=preview_answer(preview))

    async def UpdateTransfer(
        self, request: node_pb2.UpdateTransferRequest, context: Context
    ) -> node_pb2.UpdateTransferResponse:
        """Send what is new in a shared case."""
        handler = await self._enter(context, "Transfers.UpdateTransfer")
        transfer_id = await self._node.sending.update(
            handler,
            TransferId(request.transfer_id),
            sections=tuple(request.sections) or None,
            attachments=tuple(request.attachments),
        )
        return node_pb2.UpdateTransferResponse(transfer_id=transfer_id)

    async def ShipTransfer(
        self, request: node_pb2.ShipTransferRequest, context: Context
    ) -> node_pb2.ShipTransferResponse:
        """Let go an accepted transfer that was held."""
        handler = await self._enter(context, "Transfers.ShipTransfer")
        transfer_id = TransferId(request.transfer_id)
        await self._node.sending.ship(handler, transfer_id)
        line = await self._node.transfers.get(handler, transfer_id)
        return node_pb2.ShipTransferResponse(transfer=transfer_record(line))

    async def WithdrawTransfer(
        self, request: node_pb2.WithdrawTransferRequest, context: Context
    ) -> node_pb2.WithdrawTransferResponse:
        """Withdraw an offer; after delivery, ask the other association to erase."""
        handler = await self._enter(context, "Transfers.WithdrawTransfer")
        transfer_id = TransferId(request.transfer_id)
        await self._node.sending.withdraw(handler, transfer_id)
        line = await self._node.transfers.get(handler, transfer_id)
        return node_pb2.WithdrawTransferResponse(transfer=transfer_record(line))

    async def AnswerErasure(
        self, request: node_pb2.AnswerErasureRequest, context: Context
    ) -> node_pb2.AnswerErasureResponse:
        """Erase what was received, or say why the law makes it keep the record."""
        handler = await self._enter(context, "Transfers.AnswerErasure")
        transfer_id = TransferId(request.transfer_id)
        await self._node.receiving.answer_erasure(
            handler, transfer_id, erase=request.erase, code=request.code, text=request.text
        )
        line = await self._node.transfers.get(handler, transfer_id)
        return node_pb2.AnswerErasureResponse(transfer=transfer_record(line))

    async def ReturnTransfer(
        self, request: node_pb2.ReturnTransferRequest, context: Context
    ) -> node_pb2.ReturnTransferResponse:
        """Not for us: erase what was received, unasked, and say so under signature."""
        handler = await self._enter(context, "Transfers.ReturnTransfer")
        transfer_id = TransferId(request.transfer_id)
        await self._node.receiving.give_back(handler, transfer_id, code=request.code, text=request.text)
        line = await self._node.transfers.get(handler, transfer_id)
        return node_pb2.ReturnTransferResponse(transfer=transfer_record(line))

    async def ExportProof(
        self, request: node_pb2.ExportProofRequest, context: Context
    ) -> AsyncIterator[node_pb2.ExportProofResponse]:
        """The proof of one transfer, or the receipt of its erasure, to be checked offline."""
        handler = await self._enter(context, "Transfers.ExportProof")
        transfer_id = TransferId(request.transfer_id)
        proof = await self._node.transfers.proof(handler, transfer_id, erasure=request.erasure)
        for piece in pieces(proof):
            yield node_pb2.ExportProofResponse(data=piece)
