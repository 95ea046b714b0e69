"""The service Audit: the journal, read and verified."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from cordee.v1 import node_pb2, node_pb2_grpc
from node import journal
from node.rpc.desk import Context, Desk
from node.rpc.wire import instant, pieces

__all__ = ["Audit"]

_AT_ONCE = 500  # lines


class Audit(Desk, node_pb2_grpc.AuditServicer):
    """Who did what: ids and codes only."""

    async def ListJournal(
        self, request: node_pb2.ListJournalRequest, context: Context
    ) -> AsyncIterator[node_pb2.JournalLine]:
        """Lines in order, read a few hundred at a time."""
        await self._enter(context, "Audit.ListJournal")
        after, about = request.after, request.about or None
        while lines := await self._page(after, about):
            for line in lines:
                yield node_pb2.JournalLine(
                    line=line.line,
                    time=instant(line.at),
                    actor=line.actor,
                    action=line.action,
                    subject=line.subject,
                    outcome=line.outcome,
                    facts=json.dumps(dict(line.facts), sort_keys=True),
                )
            after = lines[-1].line

    async def _page(self, after: int, about: str | None) -> list[journal.JournalEntry]:
        return await self._node.db.read(lambda tx: journal.entries(tx, after=after, about=about, limit=_AT_ONCE))

    async def VerifyJournal(
        self, request: node_pb2.VerifyJournalRequest, context: Context
    ) -> node_pb2.VerifyJournalResponse:
        """The whole chain and its signed heads. Raises JournalBroken."""
        await self._enter(context, "Audit.VerifyJournal")
        node, former = self._node, self._node.former_identities
        report = await node.db.read(lambda tx: journal.verify(tx, node.identity_public, former=former))
        return node_pb2.VerifyJournalResponse(
            lines=report.lines, head=report.head, signed_lines=report.signed_lines, signatures=report.signatures
        )

    async def ExportJournal(
        self, request: node_pb2.ExportJournalRequest, context: Context
    ) -> AsyncIterator[node_pb2.ExportJournalResponse]:
        """The journal as NDJSON, enough to verify it elsewhere."""
        handler = await self._enter(context, "Audit.ExportJournal")
        now = self._node.clock.now()
        await self._node.db.write(
            lambda tx: journal.append(tx, now=now, actor=handler.account_id, action="journal.exported", subject="")
        )
        for piece in pieces(await self._node.db.read(journal.export)):
            yield node_pb2.ExportJournalResponse(data=piece)
