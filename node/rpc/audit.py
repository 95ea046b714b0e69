"""The service Audit: the journal, read and verified; evidence about the roster."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from cordee.v1 import node_pb2, node_pb2_grpc
from node import figures, journal
from node.evidence import evidence_file, evidence_kept, present_view, whole_journal
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
        for piece in pieces(await whole_journal(self._node.house, by=handler.account_id)):
            yield node_pb2.ExportJournalResponse(data=piece)

    async def ListEvidence(
        self, request: node_pb2.ListEvidenceRequest, context: Context
    ) -> AsyncIterator[node_pb2.EvidenceRecord]:
        """What was kept of rosters that could not be believed, the newest first."""
        await self._enter(context, "Audit.ListEvidence")
        for line in await evidence_kept(self._node.house):
            yield node_pb2.EvidenceRecord(
                evidence=line.number,
                time=instant(line.at),
                reason=line.reason,
                verdict=line.verdict or "",
                kept_size=line.kept_size,
                shown_size=line.shown_size,
            )

    async def ExportEvidence(
        self, request: node_pb2.ExportEvidenceRequest, context: Context
    ) -> AsyncIterator[node_pb2.ExportEvidenceResponse]:
        """One file of it; 0 for the roster as this node knows it."""
        handler = await self._enter(context, "Audit.ExportEvidence")
        house, by = self._node.house, handler.account_id
        if request.evidence:
            file = await evidence_file(house, request.evidence, by=by)
        else:
            file = await present_view(house, by=by)
        for piece in pieces(file):
            yield node_pb2.ExportEvidenceResponse(data=piece)

    async def MakeReport(
        self, request: node_pb2.MakeReportRequest, context: Context
    ) -> AsyncIterator[node_pb2.MakeReportResponse]:
        """One file of the yearly report; that it was made is journalled."""
        handler = await self._enter(context, "Audit.MakeReport")
        made = await figures.written(self._node, request.year, request.form, request.language, by=handler.account_id)
        for piece in pieces(made):
            yield node_pb2.MakeReportResponse(data=piece)
