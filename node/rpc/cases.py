"""The service Cases: the association's own records."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from cordee.case import parse_case
from cordee.errors import N_, InvalidInput
from cordee.jsonform import canonical
from cordee.v1 import node_pb2, node_pb2_grpc
from node import journal, listing, need_to_know, records, teams
from node.attaching import Attaching, Description
from node.case_access import Access
from node.erasing import erase
from node.rpc.desk import Context, Desk
from node.rpc.wire import case_line, instant
from node.versions import Version, versions_of

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["Cases"]


class Cases(Desk, node_pb2_grpc.CasesServicer):
    """Open, read, change, close, erase; files in and out."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._attaching = Attaching(
            db=node.db,
            vault=node.vault,
            store=node.attachments,
            clock=node.clock,
            free=lambda: shutil.disk_usage(node.data_dir).free,
        )

    async def CreateCase(self, request: node_pb2.CreateCaseRequest, context: Context) -> node_pb2.CreateCaseResponse:
        """Open a case. Raises InvalidRecord with each place that breaks the schema; CaseExists; InvalidInput, NotFound
        for a team that will not do.
        """
        handler = await self._enter(context, "Cases.CreateCase")
        case = parse_case(request.body)
        node, now = self._node, self._node.clock.now()

        def step(tx: Connection) -> None:
            team = teams.choose_for_new(tx, node.vault, handler, request.team)
            records.create_case(tx, node.vault, case, by=handler.account_id, now=now, random=node.random)
            teams.place(tx, case.case_id, team, now=now, by=handler.account_id)

        await node.db.write(step)
        return node_pb2.CreateCaseResponse(case_id=case.case_id, version=1)

    async def ReadCase(self, request: node_pb2.ReadCaseRequest, context: Context) -> node_pb2.ReadCaseResponse:
        """One case. That it was read is journalled in the same step (domain §1.2). Raises NotFound."""
        handler = await self._enter(context, "Cases.ReadCase")
        now = self._node.clock.now()

        def step(tx: Connection) -> records.StoredCase:
            stored = records.read_case(tx, self._node.vault, request.case_id)
            need_to_know.require_case(tx, handler, stored.case, now=now)
            journal.append(tx, now=now, actor=handler.account_id, action="case.read", subject=request.case_id)
            return stored

        stored = await self._node.db.write(step)
        return node_pb2.ReadCaseResponse(
            body=stored.case.to_bytes(), version=stored.version, state=stored.state, holder=stored.holder
        )

    async def ListCases(self, request: node_pb2.ListCasesRequest, context: Context) -> AsyncIterator[node_pb2.CaseLine]:
        """The caller's cases by their pseudonyms, the one changed last first."""
        handler = await self._enter(context, "Cases.ListCases")
        node, now = self._node, self._node.clock.now()
        found = await node.db.read(
            lambda tx: listing.find(tx, node.house.cases, node.vault, handler, request.named, now=now)
        )
        if found.kept:
            await node.db.write(lambda tx: listing.note_found(tx, handler, found, now=now))
        for line in found.lines:
            yield case_line(line)
        for case_id in found.kept:
            yield node_pb2.CaseLine(case_id=case_id, kept=True)

    async def OpenCase(self, request: node_pb2.OpenCaseRequest, context: Context) -> node_pb2.OpenCaseResponse:
        """Open a case that is kept to others, for a reason. Raises NotFound; InvalidInput for a reason that is none."""
        handler = await self._enter(context, "Cases.OpenCase")
        node, now = self._node, self._node.clock.now()
        await node.db.write(
            lambda tx: need_to_know.open_for_reason(
                tx, node.vault, handler, request.case_id, request.reason, now=now, random=node.random
            )
        )
        return node_pb2.OpenCaseResponse()

    async def UpdateCase(self, request: node_pb2.UpdateCaseRequest, context: Context) -> node_pb2.UpdateCaseResponse:
        """Replace a case's content. Raises StaleRecord, RecordClosed, NotFound, InvalidRecord."""
        handler = await self._enter(context, "Cases.UpdateCase")
        case = parse_case(request.body)
        now = self._node.clock.now()

        def step(tx: Connection) -> int:
            before = records.read_case(tx, self._node.vault, request.case_id).case
            need_to_know.require_case(tx, handler, before, now=now)
            if Access.of(before, None) != Access.of(case, None):
                need_to_know.require_to_change_team(tx, handler, before, now=now)
            return records.update_case(
                tx,
                self._node.vault,
                request.case_id,
                case,
                expected_version=request.expected_version,
                by=handler.account_id,
                now=now,
            )

        version = await self._node.db.write(step)
        return node_pb2.UpdateCaseResponse(version=version)

    async def ListVersions(
        self, request: node_pb2.ListVersionsRequest, context: Context
    ) -> AsyncIterator[node_pb2.CaseVersion]:
        """What stands beside a case, journalled as one reading. Raises NotFound."""
        handler = await self._enter(context, "Cases.ListVersions")
        node, now = self._node, self._node.clock.now()

        def step(tx: Connection) -> list[Version]:
            need_to_know.require(tx, node.vault, handler, request.case_id, now=now)
            found = versions_of(tx, node.vault, request.case_id)
            journal.append(tx, now=now, actor=handler.account_id, action="case.versions_read", subject=request.case_id)
            return found

        for version in await node.db.write(step):
            yield node_pb2.CaseVersion(
                transfer_id=version.transfer,
                author=version.author,
                author_name=node.roster.name_of(version.author),
                time=instant(version.at),
                ours=version.ours,
                sections=canonical(version.sections),
                attachments=version.files,
            )

    async def CloseCase(self, request: node_pb2.CloseCaseRequest, context: Context) -> node_pb2.CloseCaseResponse:
        """Make a case read-only. Raises StaleRecord, RecordClosed, NotFound."""
        handler = await self._enter(context, "Cases.CloseCase")
        now = self._node.clock.now()

        def step(tx: Connection) -> int:
            need_to_know.require(tx, self._node.vault, handler, request.case_id, now=now)
            return records.close_case(
                tx, request.case_id, expected_version=request.expected_version, by=handler.account_id, now=now
            )

        version = await self._node.db.write(step)
        return node_pb2.CloseCaseResponse(version=version)

    async def EraseCase(self, request: node_pb2.EraseCaseRequest, context: Context) -> node_pb2.EraseCaseResponse:
        """Destroy a case's key and its attachments. Raises NotFound; OfferAlreadyOpen."""
        handler = await self._enter(context, "Cases.EraseCase")
        await erase(self._node, handler, request.case_id)
        return node_pb2.EraseCaseResponse()

    async def AttachFile(
        self, request_iterator: AsyncIterator[node_pb2.AttachFileRequest], context: Context
    ) -> node_pb2.AttachFileResponse:
        """Attach a file; answered when every byte is on disk. Raises what `Attaching.attach` raises."""
        handler = await self._enter(context, "Cases.AttachFile")
        first = await anext(aiter(request_iterator), None)
        if first is None or not first.HasField("description"):
            raise InvalidInput(field="description", problem=N_("must come first"))
        described = _described(first.description, random=self._node.random)
        stored = await self._attaching.attach(handler, described, _data(request_iterator))
        return node_pb2.AttachFileResponse(attachment_id=stored.attachment_id, size=stored.size, sha256=stored.sha256)

    async def ReadAttachment(
        self, request: node_pb2.ReadAttachmentRequest, context: Context
    ) -> AsyncIterator[node_pb2.ReadAttachmentResponse]:
        """A file's description, then the file. Raises NotFound, ContentDamaged."""
        handler = await self._enter(context, "Cases.ReadAttachment")
        stored, pieces = await self._attaching.read(handler, request.case_id, request.attachment_id)
        yield node_pb2.ReadAttachmentResponse(
            description=node_pb2.AttachmentDescription(
                case_id=request.case_id,
                attachment_id=stored.attachment_id,
                file_name=stored.file_name,
                media_type=stored.media_type,
                size=stored.size,
                sha256=stored.sha256,
                kind=stored.kind,
                section=stored.section,
                may_be_sent=stored.may_be_sent,
                third_party_data=stored.third_party_data,
            )
        )
        async with aclosing(pieces):
            async for piece in pieces:
                yield node_pb2.ReadAttachmentResponse(data=piece)


async def _data(requests: AsyncIterator[node_pb2.AttachFileRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if not request.HasField("data"):
            raise InvalidInput(field="description", problem=N_("can come only once"))
        yield request.data


def _described(message: node_pb2.AttachmentDescription, *, random: Callable[[int], bytes]) -> Description:
    return Description(
        case_id=message.case_id,
        attachment_id=message.attachment_id or str(uuid.UUID(bytes=random(16), version=4)),
        file_name=message.file_name,
        media_type=message.media_type,
        kind=message.kind,
        section=message.section,
        size=message.size,
        may_be_sent=message.may_be_sent,
        third_party_data=message.third_party_data,
    )
