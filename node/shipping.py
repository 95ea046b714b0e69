"""Shipping an accepted case: encrypt once into a spool file, upload it from any offset, close with the shipment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from sqlalchemy import Connection

from cordee import content, statements
from cordee.case import encode_sections
from cordee.errors import N_, ContentDamaged, NotFound
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
from node.manifests import manifest_of
from node.sending import KEY_PLACE, write_withdrawal
from node.terms import Terms
from node.transfer_store import Transfer
from node.vault import DataKey

__all__ = ["Shipping"]

log = logger("node.shipping")

KEY_KEPT = register("node.ship.key_kept")
SPOOLED = register("node.ship.spooled")
PACKED = register("node.ship.packed")
UPLOADING = register("node.ship.uploading")
UPLOADED = register("node.ship.uploaded")
BEFORE_SHIPMENT = register("node.ship.before_write")
AFTER_SHIPMENT = register("node.ship.after_write")


class Shipping:
    """The job "ship": every step of it can be cut off and begins again where it was."""

    def __init__(self, house: House, client: DirectoryClient) -> None:
        self._house = house
        self._client = client

    async def run(self, transfer: TransferId) -> None:
        """Take the job to its end. Raises Unreachable where the directory is away; the job then waits."""
        job = self._read(transfer)
        if job.job != "ship":
            return
        # Between acceptance and shipment lie up to three days: they must still be a member in good standing.
        self._house.roster.require_fresh(self._house.clock.now()).active(job.peer)
        if job.sealed_content_key is None:  # it was held back, or its packed file was lost
            await self._choose_key(job)
            job = self._read(transfer)
        self._house.crashpoints.reach(KEY_KEPT)
        if job.ciphertext_header is None:
            await self._pack(job)
            job = self._read(transfer)
        if job.job != "ship":
            return  # withdrawn meanwhile
        await self._upload(job)
        await self._close(job)

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

    async def _pack(self, job: Transfer) -> None:
        """Encrypt into the spool. Cut off before it is recorded as packed, it begins anew: nothing of it has left."""
        house = self._house
        if job.sealed_content_key is None:
            return  # withdrawn meanwhile
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
        size = await asyncio.to_thread(spool.write, path, parts)
        header = await asyncio.to_thread(spool.head, path, content.HEADER_SIZE)
        house.crashpoints.reach(SPOOLED)

        def keep(tx: Connection) -> None:
            if transfer_store.read_transfer(tx, job.id).job == "ship":
                transfer_store.set_fields(
                    tx,
                    job.id,
                    now=house.clock.now(),
                    ciphertext_header=header,
                    manifest_digest=content.manifest_digest(content.encode_manifest(manifest)),
                    total_bytes=size,
                )

        await house.db.write(keep)
        house.crashpoints.reach(PACKED)

    def chosen(self, terms: Terms, kept: Sequence[StoredAttachment]) -> list[StoredAttachment]:
        """The attachments that the terms name, and no other. Raises NotFound where one was deleted since."""
        by_id = {each.attachment_id: each for each in kept}
        if not by_id.keys() >= set(terms.attachments):
            raise NotFound(what=N_("attachment"))
        return [by_id[each] for each in terms.attachments]

    async def _upload(self, job: Transfer) -> None:
        house = self._house
        path: Path = house.spool(job.id, outgoing=True)
        held = await self._client.waiting_bytes(job.id)
        if held < job.total_bytes and spool.size_of(path) != job.total_bytes:
            await self._lost(job, held)
            raise ContentDamaged(problem=N_("the spool file is not what was packed"))
        while held < job.total_bytes:
            house.crashpoints.reach(UPLOADING)
            held = await self._client.put(job.id, offset=held, pieces=self._counted(job.id, path, held))
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

    async def _counted(self, transfer: TransferId, path: Path, offset: int) -> AsyncIterator[bytes]:
        done = offset
        async for piece in spool.pieces(path, offset=offset):
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
