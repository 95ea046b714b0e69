"""Files into a case and out of it: streamed, sealed on their way, recorded only once they are durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from cordee.errors import N_, InvalidInput, NotFound, RecordClosed, StorageFull
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from node import journal, need_to_know, records
from node.attachments import AttachmentStore, AttachmentWriter, StoredAttachment, Written
from node.media import BEGINNING, may_stand_in, media_type_of
from node.people import Handler
from node.vault import Vault

__all__ = ["LARGEST", "Attaching", "Description"]

LARGEST = 1 << 30
"""Bytes of a file that comes from a page, where its exact size is not known beforehand."""

_SPARE = 64 << 20  # bytes of disk that stay free: the database needs room to record what was stored


@dataclass(frozen=True)
class Description:
    """What is said of a file before it comes. `size` in bytes is what was announced, and holds at the end.

    With `at_most`, fewer bytes may come. Without a `media_type` the file's beginning tells it.
    """

    case_id: str
    attachment_id: str
    file_name: str
    media_type: str
    kind: str
    section: str
    size: int
    may_be_sent: bool
    third_party_data: bool
    at_most: bool = False


class Attaching:
    """Adds files to cases and reads them back."""

    def __init__(
        self, *, db: Database, vault: Vault, store: AttachmentStore, clock: Clock, free: Callable[[], int]
    ) -> None:
        """`free` tells the bytes that are left on the disk."""
        self._free = free
        self._db = db
        self._vault = vault
        self._store = store
        self._clock = clock

    @property
    def room(self) -> int:
        """Bytes that a file may have at this moment."""
        return max(self._free() - _SPARE, 0)

    async def attach(self, handler: Handler, described: Description, chunks: AsyncIterator[bytes]) -> StoredAttachment:
        """Store a file and list it in its case.

        Raises: NotFound, RecordClosed and StorageFull before a byte is taken; InvalidInput where more or fewer bytes
        come than were announced, or for what may not be kept beside its section; Conflict, InvalidRecord. Nothing is
        kept then.
        """
        case = await self._db.read(lambda tx: self._opened(tx, handler, described.case_id))
        if case.read_only:
            raise RecordClosed()
        if described.size > self.room:
            raise StorageFull(what=N_("the attachments"))
        beginning = await _beginning(chunks)
        if not may_stand_in(described.section, beginning):
            raise InvalidInput(
                field="file",
                problem=N_(
                    "beside online traces only texts and PDF documents are kept: holding a sexual image of a minor is "
                    "an offence (code pénal 227-23). Note the address and the time, and report it to PHAROS"
                ),
            )
        writer = await asyncio.to_thread(self._store.writer, case.data_key, described.attachment_id)
        written = await _written(writer, _joined(beginning, chunks), described.size, at_most=described.at_most)
        stored = StoredAttachment(
            attachment_id=described.attachment_id,
            file_id=written.file_id,
            file_name=described.file_name,
            media_type=described.media_type or media_type_of(beginning),
            kind=described.kind,
            section=described.section,
            size=written.size,
            sha256=written.sha256,
            may_be_sent=described.may_be_sent,
            third_party_data=described.third_party_data,
        )
        now = self._clock.now()
        try:
            await self._db.write(
                lambda tx: records.add_attachment(
                    tx, self._vault, described.case_id, stored, by=handler.account_id, now=now
                )
            )
        except Exception:  # refused: nothing refers to the file. Cancelled is not refused: the step may be committed.
            await asyncio.to_thread(self._store.erase, written.file_id)
            raise
        return stored

    async def read(
        self, handler: Handler, case_id: str, attachment_id: str
    ) -> tuple[StoredAttachment, AsyncGenerator[bytes, None]]:
        """A file and its bytes, piece by piece; that it was read is journalled first.

        Raises: NotFound; ContentDamaged while the pieces are read.
        """
        case = await self._db.read(lambda tx: self._opened(tx, handler, case_id))
        stored = next((each for each in case.attachments if each.attachment_id == attachment_id), None)
        if stored is None:
            raise NotFound(what=N_("attachment"))
        now = self._clock.now()
        await self._db.write(
            lambda tx: journal.append(
                tx,
                now=now,
                actor=handler.account_id,
                action="attachment.read",
                subject=case_id,
                facts={"attachment": attachment_id},
            )
        )
        return stored, self._pieces(case, stored)

    def _opened(self, tx: Connection, handler: Handler, case_id: str) -> records.StoredCase:
        stored = records.read_case(tx, self._vault, case_id)
        need_to_know.require_case(tx, handler, stored.case, now=self._clock.now())
        return stored

    async def _pieces(self, case: records.StoredCase, stored: StoredAttachment) -> AsyncGenerator[bytes, None]:
        pieces = iter(self._store.read(case.data_key, stored))
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """The first chunks, until there is enough to see what the file is."""
    taken = b""
    while len(taken) < BEGINNING and (chunk := await anext(chunks, None)) is not None:
        taken += chunk
    return taken


async def _joined(beginning: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    async for chunk in chunks:
        yield chunk


async def _written(writer: AttachmentWriter, chunks: AsyncIterator[bytes], announced: int, *, at_most: bool) -> Written:
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > announced:
                break
            await asyncio.to_thread(writer.write, chunk)
        if at_most and size > announced:
            raise InvalidInput(field="file", problem=N_("it has more than {limit} bytes"), limit=announced)
        if size != announced and not at_most:
            raise InvalidInput(
                field="description.size", problem=N_("{size} bytes were announced, others came"), size=announced
            )
    except BaseException:
        writer.abandon()
        raise
    return await asyncio.to_thread(writer.finish)
