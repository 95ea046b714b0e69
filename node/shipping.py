"""Shipping an accepted case: encrypt once into a spool file, upload it from any offset, close with the shipment."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from cordee import content, statements
from cordee.case import encode_sections
from cordee.errors import N_, ContentDamaged, CordeeError, NotFound, Unreachable
from cordee.ids import Digest, TransferId
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.summary import seal_content_key
from cordee.transfer import Kind, State
from node import journal, records, spool, transfer_store
from node.attachments import StoredAttachment
from node.chain import Chain
from node.directory_client import DirectoryClient
from node.house import House
from node.mailbox_choice import MailboxChoice
from node.mailbox_line import MailboxHost
from node.manifests import manifest_of
from node.sending import KEY_PLACE, write_withdrawal
from node.terms import Terms
from node.transfer_store import Transfer
from node.vault import DataKey

__all__ = ["Shipping"]

log = logger("node.shipping")

KEY_KEPT = register("node.ship.key_kept")
SPOOLED = register("node.ship.spooled")  # on a line that is not fast
PACKED = register("node.ship.packed")
UPLOADING = register("node.ship.uploading")
UPLOADED = register("node.ship.uploaded")
BEFORE_SHIPMENT = register("node.ship.before_write")
AFTER_SHIPMENT = register("node.ship.after_write")


_THREADS = 16  # that pack; each is one transfer's until all of it has been read, so no fewer than the worker's jobs


class Shipping:
    """The job "ship": every step of it can be cut off and begins again where it was."""

    def __init__(self, house: House, client: DirectoryClient) -> None:
        self._house = house
        self._mailboxes = MailboxChoice(house, client)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="packing")
        self._broke: set[TransferId] = set()  # whose line broke, fast as it was: the next time it is spooled

    async def run(self, transfer: TransferId) -> None:
        """Take the job to its end. Raises Unreachable where the directory is away; the job then waits."""
        job = self._read(transfer)
        if job.job != "ship":
            self._broke.discard(transfer)
            return
        # Between acceptance and shipment lie up to three days: they must still be a member in good standing.
        self._house.roster.require_fresh(self._house.clock.now()).active(job.peer)
        if job.sealed_content_key is None:  # it was held back, or its packed file was lost
            await self._choose_key(job)
            job = self._read(transfer)
        self._house.crashpoints.reach(KEY_KEPT)
        async with self._mailboxes.host_of(job) as host:
            await self._bring(job, host)
        job = self._read(transfer)
        if job.job == "ship":  # not withdrawn meanwhile
            await self._close(job)

    async def _bring(self, job: Transfer, host: MailboxHost) -> None:
        """Until all of it waits at the host, unless it is withdrawn meanwhile."""
        sending: asyncio.Task[int | None] | None = None
        try:
            if job.ciphertext_header is None:
                sending = await self._pack(job, host)
                job = self._read(job.id)
            if job.job == "ship":
                await self._upload(job, host, sending)
        finally:
            if sending is not None:
                sending.cancel()

    def _read(self, transfer: TransferId) -> Transfer:
        return self._house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer))

    async def _choose_key(self, job: Transfer) -> None:
        house = self._house
        sealed = house.in_flight.seal(house.random(32), place=KEY_PLACE, row=job.id)

        def keep(tx: Connection) -> None:
            present = transfer_store.read_transfer(tx, job.id)
            if present.job == "ship" and present.sealed_content_key is None:
                transfer_store.set_fields(tx, job.id, now=house.clock.now(), sealed_content_key=sealed)

        await house.db.write(keep)

    async def _pack(self, job: Transfer, host: MailboxHost) -> asyncio.Task[int | None] | None:
        """Encrypt, and send along what is there already: the task that sends, which `_upload` awaits.

        Cut off before it is recorded as packed, it begins anew, and so does what the mailbox holds of it. It is
        recorded as soon as all of it lies on some disk: in the spool here or, over a fast line, in the mailbox.
        Raises: Unreachable where that fast line broke.
        """
        house = self._house
        if job.sealed_content_key is None:
            return None  # withdrawn meanwhile
        key = house.in_flight.unseal(job.sealed_content_key, place=KEY_PLACE, row=job.id)

        def gather(tx: Connection) -> tuple[Terms, DataKey, list[StoredAttachment], bytes]:
            data_key = records.data_key_of(tx, house.vault, job.case_id or "")
            terms = Terms.unsealed(job.sealed_terms, data_key, job.id)
            chosen = self.chosen(terms, records.attachments_of(tx, data_key, job.case_id or ""))
            chain = Chain.read(house, tx, job.id)
            context = statements.transcript(chain.offer.digest, chain.answer.digest)
            return terms, data_key, chosen, context

        terms, data_key, attachments, context = house.db.look(gather)
        manifest = manifest_of(
            terms,
            attachments,
            transfer=job.id,
            sender=house.member,
            recipient=job.peer,
            case_id=job.case_id or "",
        )
        sections = encode_sections(terms.package).values()
        files = (house.attachments.read(data_key, each) for each in attachments)
        parts = content.write_content(manifest, sections, files, key=key, context=context)
        path = house.spool(job.id, outgoing=True)

        def keep(tx: Connection, header: bytes, size: int) -> None:
            if transfer_store.read_transfer(tx, job.id).job == "ship":
                transfer_store.set_fields(
                    tx,
                    job.id,
                    now=house.clock.now(),
                    ciphertext_header=header,
                    manifest_digest=content.manifest_digest(content.encode_manifest(manifest)),
                    total_bytes=size,
                )

        growth = spool.Growth()
        sending = asyncio.create_task(self._send_along(job.id, host, path, growth))
        try:
            packed = await self._packed(job.id, path, parts, growth)
            growth.end()
            if packed is not None and not packed.spooled and not await _arrives(sending, packed.size):
                packed = await asyncio.to_thread(_spooled, path, packed) if packed.kept else None
            if packed is None:
                self._broke.add(job.id)
                await sending  # raises what broke it, where that is no matter of the line
                raise Unreachable(peer=N_("mailbox"))
            if packed.spooled:
                house.crashpoints.reach(SPOOLED)
            header, size = packed.head[: content.HEADER_SIZE], packed.size
            await house.db.write(lambda tx: keep(tx, header, size))
        except BaseException:
            sending.cancel()
            raise
        self._broke.discard(job.id)
        house.crashpoints.reach(PACKED)
        return sending

    async def _packed(
        self, transfer: TransferId, path: Path, parts: Iterator[bytes], growth: spool.Growth
    ) -> spool.Packed | None:
        """None where the line broke before the end, and what was sent lies nowhere else."""
        pack = functools.partial(spool.pack, path, parts, growth, keep=transfer in self._broke)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, pack)
        except spool.ReaderGone:
            return None

    async def _send_along(
        self, transfer: TransferId, host: MailboxHost, path: Path, growth: spool.Growth
    ) -> int | None:
        """Upload the spool as it grows. The bytes that then wait; None where the connection broke before."""
        self._house.crashpoints.reach(UPLOADING)
        pieces = self._counted(transfer, spool.growing_pieces(path, growth), 0)
        try:
            return await host.put(transfer, offset=0, pieces=pieces, anew=True)
        except Unreachable:
            return None
        except NotFound:  # replaced meanwhile by what an earlier process of ours had sent
            return 0
        finally:
            growth.leave()

    def chosen(self, terms: Terms, kept: Sequence[StoredAttachment]) -> list[StoredAttachment]:
        """The attachments that the terms name, and no other. Raises NotFound where one was deleted since."""
        by_id = {each.attachment_id: each for each in kept}
        if not by_id.keys() >= set(terms.attachments):
            raise NotFound(what=N_("attachment"))
        return [by_id[each] for each in terms.attachments]

    async def _upload(self, job: Transfer, host: MailboxHost, sending: asyncio.Task[int | None] | None) -> None:
        """Until all of it waits: what was sent along, and then the rest."""
        house = self._house
        path: Path = house.spool(job.id, outgoing=True)
        # Of an earlier packing, of a process that was killed, something may come to wait there at any moment.
        begins = job.ciphertext_header or b""
        held = None if sending is None else await sending
        if held is None:
            held = await host.waiting_bytes(job.id, begins=begins)
        if held < job.total_bytes and spool.size_of(path) != job.total_bytes:
            await self._lost(job, held)
            raise ContentDamaged(problem=N_("the spool file is not what was packed"))
        while held < job.total_bytes:
            house.crashpoints.reach(UPLOADING)
            pieces = self._counted(job.id, spool.pieces(path, offset=held), held)
            before = held
            held = await host.put(job.id, offset=held, pieces=pieces, anew=not held, begins=begins)
            if held <= before:
                raise Unreachable(peer=N_("mailbox"))  # it took nothing, whatever it says: again, after a pause
        house.crashpoints.reach(UPLOADED)

    async def _lost(self, job: Transfer, held: int) -> None:
        """The packed file is gone, as after a disk's fault. Before any of it has left, it is packed anew with another
        key; afterwards nobody can finish it, and the transfer is withdrawn so that the case can be offered again.
        """
        house = self._house

        def step(tx: Connection) -> None:
            now = house.clock.now()
            present = transfer_store.read_transfer(tx, job.id)
            if present.job != "ship":
                return
            if held:
                write_withdrawal(house, tx, present, actor="node", now=now)
            else:
                unpacked = {"sealed_content_key": None, "ciphertext_header": None, "manifest_digest": None}
                transfer_store.set_fields(tx, job.id, now=now, **unpacked)

        await house.db.write(step)
        house.changes.tell(job.id)

    async def _counted(
        self, transfer: TransferId, pieces: AsyncIterator[bytes], offset: int
    ) -> AsyncGenerator[bytes, None]:
        done = offset
        async for piece in pieces:
            yield piece
            done += len(piece)
            self._house.changes.moved(transfer, done)

    async def _close(self, job: Transfer) -> None:
        house = self._house
        if job.sealed_content_key is None or job.ciphertext_header is None or job.manifest_digest is None:
            return  # withdrawn meanwhile
        key = house.in_flight.unseal(job.sealed_content_key, place=KEY_PLACE, row=job.id)
        header, digest = job.ciphertext_header, job.manifest_digest

        def step(tx: Connection) -> None:
            present = transfer_store.read_transfer(tx, job.id)
            if present.job != "ship":
                return
            now = house.clock.now()
            chain = Chain.read(house, tx, job.id)
            offer, answer = chain.offer, chain.answer
            sealed = seal_content_key(key, to=answer.accepted().one_time_key, offer=offer.digest, answer=answer.digest)
            signed = statements.ship(
                offer,
                answer,
                sealed_content_key=sealed,
                ciphertext_size=job.total_bytes,
                ciphertext_header=header,
                manifest_digest=Digest(digest),
                now=now,
                key=house.keys.identity,
            )
            transfer_store.add_statement(tx, job.id, Kind.SHIPMENT, signed, ours=True, now=now)
            transfer_store.set_fields(tx, job.id, now=now, state=State.SHIPPED, job=None)
            journal.append(
                tx,
                now=now,
                actor="node",
                action="transfer.shipped",
                subject=job.id.hex(),
                facts={"bytes": str(job.total_bytes)},
            )

        house.crashpoints.reach(BEFORE_SHIPMENT)
        await house.db.write(step)
        house.crashpoints.reach(AFTER_SHIPMENT)
        log.info("transfer.shipped", transfer=job.id.short, bytes=job.total_bytes)
        house.changes.tell(job.id)


async def _arrives(sending: asyncio.Task[int | None], size: int) -> bool:
    """Whether all of it is in the mailbox. What is raised is raised again by whoever waits for the task next."""
    try:
        return await sending == size
    except CordeeError:
        return False


def _spooled(path: Path, packed: spool.Packed) -> spool.Packed:
    """Run in a thread."""
    spool.write(path, packed.kept)
    return replace(packed, spooled=True, kept=())
