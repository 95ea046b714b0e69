"""Fetching a shipment: download, quarantine, check everything, import in one transaction (protocol §7)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Connection

from cordee import content, statements
from cordee.act import Act, ActLimits, check_act
from cordee.case import check_scope, decode_sections, received_case
from cordee.errors import (
    N_,
    ActRefused,
    CannotOpen,
    CaseExists,
    Conflict,
    ContentDamaged,
    CordeeError,
    InvalidInput,
    InvalidRecord,
    MalformedStatement,
    NotCovered,
    NotFound,
    NotInThisState,
    OutOfScope,
    RecordClosed,
    TooLarge,
    TransferOver,
    Unreachable,
    WrongParty,
)
from cordee.ids import Digest, TransferId
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.sealing import SealingKey
from cordee.summary import RECEIPT_REASONS, Reason, open_content_key, seal_reason
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2
from node import acts, journal, records, transfer_store
from node.attachments import StoredAttachment, Written
from node.chain import Chain
from node.direct_mailbox import collected
from node.directory_client import DirectoryClient
from node.feed import Feed
from node.hearsay import state_of
from node.house import House
from node.placing import Parcel, Place, place_of, put_in_place
from node.prefetching import Prefetching
from node.receiving import REASON_PLACE, SEED_PLACE, read_summary, read_taken
from node.sending import recipient_facts
from node.tombstones import TRANSFER
from node.transfer_store import Transfer
from node.updating import Ground, ground_of
from node.vault import DataKey

__all__ = ["Fetching"]

log = logger("node.fetching")

FETCHING = register("node.fetch.fetching")
FETCHED = register("node.fetch.fetched")
QUARANTINED = register("node.fetch.quarantined")
BEFORE_IMPORT = register("node.import.before_write")
AFTER_IMPORT = register("node.import.after_write")

_THREADS = 16  # that open; each is one transfer's from its first byte to its last, so no fewer than the worker's jobs

_CODES: dict[type[CordeeError], str] = {
    ContentDamaged: "damaged",
    CannotOpen: "damaged",
    TooLarge: "damaged",
    OutOfScope: "out_of_scope",
    ActRefused: "act_refused",
    InvalidRecord: "invalid_record",
    CaseExists: "invalid_record",
    TransferOver: "over",
}
# A Conflict: what is here already stays as it is.
_REFUSALS: tuple[type[CordeeError], ...] = (*_CODES, WrongParty, MalformedStatement, Conflict)


@dataclass(frozen=True)
class _Berth:
    """Where it goes: known as soon as the manifest is read, and asked again when it is imported."""

    place: Place
    data_key: DataKey  # the case's own where it is here already
    ground: Ground | None  # of an update


@dataclass
class _Quarantine:
    """What was released before the end was authenticated: sealed, and nowhere referred to yet."""

    manifest: statements_pb2.Manifest | None = None
    digest: Digest | None = None
    berth: _Berth | None = None
    sections: dict[str, bytes] = field(default_factory=dict)
    attachments: list[StoredAttachment] = field(default_factory=list)


@dataclass(frozen=True)
class _Arrival:
    """What was checked and may be imported."""

    act: Act
    berth: _Berth
    parcel: Parcel


class Fetching:
    """The job "fetch": resumed at any byte, imported exactly once."""

    def __init__(self, house: House, client: DirectoryClient, prefetching: Prefetching) -> None:
        self._house = house
        self._client = client
        self._prefetching = prefetching
        self._broke: set[TransferId] = set()  # whose line broke: the next time it is spooled, fast as it may be
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="opening")

    async def run(self, transfer: TransferId) -> None:
        """Take the job to its end. Raises Unreachable where the directory is away; the job then waits."""
        house = self._house
        job = house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer))
        if job.job != "fetch":
            self._broke.discard(transfer)
            return
        await self._prefetching.stop(transfer)
        chain = house.db.look(lambda tx: Chain.read(house, tx, transfer))
        try:
            self._require_under_way(job, chain)
        except TransferOver as over:
            await self._end(job, chain.shipment, over)
            return
        if await collected(house, chain.shipment):
            log.info("mailbox.collected", transfer=job.id.short)
        if not await self._attempt(job, chain):
            log.warning("spool.damaged", transfer=job.id.short)
            house.spool(job.id, outgoing=False).unlink(missing_ok=True)
            await self._attempt(job, chain)

    async def _end(self, job: Transfer, shipment: statements.Shipment, over: TransferOver) -> None:
        """What is over here is over for the broker too, or else it is told so. Raises: Unreachable."""
        house = self._house
        state = state_of((await self._client.transfer(job.id)).state)
        if state not in (State.EXPIRED, State.WITHDRAWN):
            await self._refuse(job, shipment, over)
            return

        def step(tx: Connection) -> None:
            now = house.clock.now()
            if transfer_store.read_transfer(tx, job.id).state is State.SHIPPED:
                transfer_store.end(tx, job.id, state, now=now)
                journal.append(tx, now=now, actor="node", action=f"transfer.{state}", subject=job.id.hex())

        await house.db.write(step)
        house.drop_spool(job.id)
        house.changes.tell(job.id)

    def _require_under_way(self, job: Transfer, chain: Chain) -> None:
        """By our own clock and our own tombstones. Raises TransferOver."""
        house = self._house
        if chain.answer.accepted().key_expires <= house.clock.now():
            raise TransferOver(state=State.EXPIRED)
        if house.tombstones.contains(TRANSFER, job.id.hex()):
            raise TransferOver(state=State.WITHDRAWN)

    async def _attempt(self, job: Transfer, chain: Chain) -> bool:
        """Fetch it, open it while it comes, then import or refuse it. Raises what ends the download: it is resumed.

        False where it cannot be opened and part of it lay in the spool before: a power cut may have damaged that.
        """
        house = self._house
        held = _Quarantine()
        path = house.spool(job.id, outgoing=False)
        opening = functools.partial(self._quarantine, job, chain, held)
        feed = Feed(path, opening, threads=self._threads, keep=job.id in self._broke)
        with contextlib.ExitStack() as undo:
            undo.callback(lambda: self._unlink(each.file_id for each in held.attachments))
            async with contextlib.aclosing(feed):
                self._broke.add(job.id)
                try:
                    await self._download(job, feed)  # what the directory answers is never a reason to refuse
                except NotFound:
                    if not chain.answer.accepted().mailbox:
                        raise
                    # It had come into our own mailbox and was lost here: only the sender has it now.
                    lost = ContentDamaged(problem=N_("what lay in our own mailbox is lost"))
                    await feed.aclose()  # first: as it ends it writes what had come
                    await self._refuse(job, chain.shipment, lost)
                    return True
                self._broke.discard(job.id)
                try:
                    await feed.finish()
                    arrival = self._check(job, chain.offer, chain.shipment, held)
                    house.crashpoints.reach(QUARANTINED)
                    undo.pop_all()
                    await self._import(job, chain, arrival)
                except _REFUSALS as refusal:
                    if feed.kept and isinstance(refusal, ContentDamaged | CannotOpen):
                        return False
                    await self._refuse(job, chain.shipment, refusal)
        return True

    async def _download(self, job: Transfer, feed: Feed) -> None:
        """To the last byte, or until it turns out that it cannot be opened."""
        house = self._house
        while feed.size < job.total_bytes:
            house.crashpoints.reach(FETCHING)
            before = feed.size
            async with contextlib.aclosing(self._client.get(job.id, offset=before)) as pieces:
                async for piece in pieces:
                    if not piece:
                        break  # no host sends that, and it could be sent for ever
                    if not await feed.put(piece):
                        return
                    house.changes.moved(job.id, feed.size)
            if feed.size == before:
                raise Unreachable(peer=N_("mailbox"))  # an empty answer: look again after a pause
        house.crashpoints.reach(FETCHED)

    # ---- opening ----

    def _reader(self, job: Transfer, chain: Chain) -> content.ContentReader:
        house = self._house
        if job.sealed_one_time_seed is None:
            raise NotFound(what=N_("transfer"))
        seed = house.in_flight.unseal(job.sealed_one_time_seed, place=SEED_PLACE, row=job.id)
        offer, answer, shipment = chain.offer, chain.answer, chain.shipment
        key = open_content_key(
            shipment.sealed_content_key,
            key=SealingKey.from_seed(seed),
            offer=offer.digest,
            answer=answer.digest,
        )
        return content.ContentReader(
            key,
            statements.transcript(offer.digest, answer.digest),
            expected_size=shipment.ciphertext_size,
            header=shipment.ciphertext_header,
        )

    def _quarantine(self, job: Transfer, chain: Chain, held: _Quarantine, pieces: Iterator[bytes | memoryview]) -> None:
        """Run in a thread. Attachments are sealed again as they come; nothing lies in clear on disk."""
        house = self._house
        reader = self._reader(job, chain)
        entries: dict[str, statements_pb2.ManifestAttachment] = {}
        with contextlib.ExitStack() as open_writers:
            writer = None
            for part in (released for piece in pieces for released in reader.feed(piece)):
                if isinstance(part, content.ManifestRead):
                    held.manifest, held.digest = part.message, part.digest
                    case_id = part.message.case_id
                    held.berth = house.db.read_sync(functools.partial(self._berth, job=job, case_id=case_id))
                    entries = {each.attachment_id: each for each in part.message.attachments}
                elif isinstance(part, content.SectionRead):
                    held.sections[part.name] = part.data
                else:
                    entry = entries[part.attachment_id]
                    if writer is None:  # the reader has compared the digest before it says that an attachment ends
                        data_key = _of(held.berth).data_key
                        writer = house.attachments.writer(data_key, entry.attachment_id, digest=entry.sha256)
                        open_writers.callback(writer.abandon)
                    if isinstance(part, content.AttachmentData):
                        writer.write(part.data)
                    else:
                        held.attachments.append(_stored(entry, writer.finish()))
                        writer = None
            reader.finish()

    def _check(
        self,
        job: Transfer,
        offer: statements.Offer,
        shipment: statements.Shipment,
        held: _Quarantine,
    ) -> _Arrival:
        """Everything that has to hold before a byte of it becomes a record (protocol §5)."""
        house, manifest, berth = self._house, held.manifest, _of(held.berth)
        if manifest is None:
            raise ContentDamaged(problem=N_("no manifest"))
        if held.digest != shipment.manifest_digest:
            raise ContentDamaged(problem=N_("the manifest is not the one announced"))
        parties = (manifest.transfer_id, manifest.sender, manifest.recipient)
        if parties != (bytes(job.id), bytes(offer.sender), bytes(house.member)):
            raise WrongParty(what=N_("manifest"))
        summary = read_summary(house, job)
        if (manifest.kind, manifest.purpose) != (summary.kind, summary.purpose):
            raise OutOfScope(item=N_("purpose"))
        now = house.clock.now()
        own = house.roster.card(house.member, now=now)
        sender = house.roster.card(offer.sender, now=now)
        ours = berth.ground is not None and berth.ground.shared_by_us
        act = check_act(
            manifest.act,
            manifest.nonce,
            token=offer.token,
            purpose=manifest.purpose,
            sender_org=sender.profile.org_id,
            recipient=recipient_facts(house, house.member, own.profile),
            now=now,
            named=recipient_facts(house, offer.sender, sender.profile) if ours else None,
            limits=ActLimits.of(house.roster.roster.policy),
        )
        if act.case_id != manifest.case_id:
            raise ActRefused(problem=N_("it is about another case"))
        if berth.ground is not None and (act, manifest.purpose) != (berth.ground.act, berth.ground.purpose):
            raise ActRefused(problem=N_("it is not the one of the referral that this updates"))
        sections = decode_sections(held.sections)
        check_scope(
            sections,
            [each.attachment_id for each in held.attachments],
            purpose=manifest.purpose,
            act=act,
            taken=read_taken(house, job),
        )
        case = received_case(
            sections,
            case_id=manifest.case_id,
            owner_org_id=own.profile.org_id,
            received_from=sender.profile.org_id,
            transfer=job.id,
            now=now,
        )
        parcel = Parcel(
            transfer=job.id,
            sender=job.peer,
            kind=manifest.kind,
            case=case,
            sections=sections,
            attachments=_described(held.attachments, sections),
            data_key=berth.data_key,
        )
        return _Arrival(act=act, berth=berth, parcel=parcel)

    def _berth(self, tx: Connection, job: Transfer, case_id: str) -> _Berth:
        """Raises CaseExists, RecordClosed; ActRefused where what an update rests on is over."""
        house = self._house
        summary = read_summary(house, job)
        ground = None
        if summary.kind == "update":
            first = TransferId(summary.first_transfer_id)
            try:
                ground = ground_of(house, tx, first, now=house.clock.now(), peer=job.peer)
            except (InvalidInput, NotCovered, NotFound, NotInThisState) as over:
                raise ActRefused(problem=N_("the referral that it updates is over, or its act is")) from over
            if ground.case_id != case_id:
                raise CaseExists(case=case_id)
        place = place_of(tx, case_id, sender=job.peer, kind=summary.kind)
        new = place is Place.NEW
        key = DataKey.generate(house.random) if new else records.data_key_of(tx, house.vault, case_id)
        return _Berth(place, key, ground)

    # ---- the end ----

    async def _import(self, job: Transfer, chain: Chain, arrival: _Arrival) -> None:
        """One transaction: the case, the receipt, the end of the one-time key."""
        house, shipment = self._house, chain.shipment

        parcel = arrival.parcel
        case_id = parcel.case.case_id

        def step(tx: Connection) -> list[str] | None:
            now = house.clock.now()
            present = transfer_store.read_transfer(tx, job.id)
            if present.state is not State.SHIPPED or present.job != "fetch":
                return None  # withdrawn or expired while it was being opened
            self._require_under_way(job, chain)
            berth = self._berth(tx, job, case_id)
            if berth.place is not arrival.berth.place or (
                berth.place is not Place.NEW and berth.data_key != parcel.data_key
            ):
                raise RecordClosed()  # another case came or went under this id while it was being opened
            surplus = put_in_place(tx, house.vault, berth.place, parcel, me=house.member, by="node", now=now)
            acts.record_received(tx, house.vault, arrival.act, by="node", now=now)
            signed = statements.receive(
                shipment, manifest_digest=shipment.manifest_digest, now=now, key=house.keys.identity
            )
            transfer_store.add_statement(tx, job.id, Kind.RECEIPT_TAKEN, signed, ours=True, now=now)
            transfer_store.end(tx, job.id, State.RECEIVED, now=now, case_id=case_id, act_id=arrival.act.act_id)
            journal.append(
                tx,
                now=now,
                actor="node",
                action="transfer.received",
                subject=job.id.hex(),
                facts={"case": case_id, "attachments": str(len(parcel.attachments))},
            )
            return surplus

        house.crashpoints.reach(BEFORE_IMPORT)
        try:
            surplus = await house.db.write(step)
        except Exception:  # refused: nothing refers to the files. Cancelled is not refused: the step may be committed.
            self._unlink(each.file_id for each in parcel.attachments)
            raise
        done = surplus is not None
        self._unlink(surplus if surplus is not None else [each.file_id for each in parcel.attachments])
        house.crashpoints.reach(AFTER_IMPORT)
        log.info("transfer.received" if done else "transfer.overtaken", transfer=job.id.short)
        house.changes.tell(job.id)  # nobody need wait for what follows
        await house.drop_large_spool(job.id)

    def _unlink(self, file_ids: Iterable[str]) -> None:
        for file_id in file_ids:
            self._house.attachments.erase(file_id)

    async def _refuse(self, job: Transfer, shipment: statements.Shipment, refusal: CordeeError) -> None:
        """Refused whole: nothing is imported, the sender is told why."""
        house = self._house
        code = _CODES.get(type(refusal), "other")

        def step(tx: Connection) -> None:
            now = house.clock.now()
            present = transfer_store.read_transfer(tx, job.id)
            if present.state is not State.SHIPPED or present.job != "fetch":
                return
            card = house.roster.last_card(job.peer).card
            sealed_reason = seal_reason(
                Reason(code),
                codes=RECEIPT_REASONS,
                parties=shipment.parties,
                about=shipment.digest,
                to=card.sealing_key,
            )
            signed = statements.refuse_shipment(
                shipment, sealed_reason=sealed_reason, sender_card=card.number, now=now, key=house.keys.identity
            )
            reason = statements_pb2.Reason(code=code)
            sealed = house.vault.seal(reason.SerializeToString(), place=REASON_PLACE, row=job.id)
            transfer_store.add_statement(tx, job.id, Kind.RECEIPT_REFUSED, signed, ours=True, now=now)
            transfer_store.end(tx, job.id, State.REFUSED, now=now, sealed_reason=sealed)
            journal.append(
                tx, now=now, actor="node", action="transfer.refused", subject=job.id.hex(), outcome=refusal.reason
            )

        await house.db.write(step)
        log.warning("transfer.refused", transfer=job.id.short, reason=refusal.reason)
        house.drop_spool(job.id)
        house.changes.tell(job.id)


def _of(berth: _Berth | None) -> _Berth:
    if berth is None:
        raise ContentDamaged(problem=N_("no manifest"))
    return berth


def _stored(entry: statements_pb2.ManifestAttachment, written: Written) -> StoredAttachment:
    """Quarantined, with what the manifest says of it; the rest comes from the section `attachments`."""
    return StoredAttachment(
        attachment_id=entry.attachment_id,
        file_id=written.file_id,
        file_name=entry.file_name,
        media_type=entry.media_type,
        kind="other",
        section="",
        size=entry.size,
        sha256=entry.sha256,
        may_be_sent=False,
        third_party_data=False,
    )


def _described(held: list[StoredAttachment], sections: dict[str, object]) -> tuple[StoredAttachment, ...]:
    """With the kind and section that the sender's record gives each attachment. Sending it on is decided anew."""
    listed = sections.get("attachments", [])
    told = {each["attachment_id"]: each for each in listed} if isinstance(listed, list) else {}
    return tuple(
        StoredAttachment(
            **(
                each.__dict__
                | {
                    "kind": told.get(each.attachment_id, {}).get("kind", "other"),
                    "section": told.get(each.attachment_id, {}).get("section", ""),
                    "third_party_data": told.get(each.attachment_id, {}).get("third_party_data", False),
                }
            )
        )
        for each in held
    )
