"""Transfers as people see them: lines, sentences, reasons, proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from cordee import proof
from cordee.errors import N_, NotFound, RoleMissing
from cordee.ids import MemberId, TransferId
from cordee.transfer import Party, State, sentence
from cordee.v1 import statements_pb2
from node import records, transfer_store
from node.house import House
from node.people import Handler, Role
from node.receiving import REASON_PLACE, read_summary
from node.store import table_of
from node.store.roster import EntryRow
from node.terms import Terms
from node.transfer_store import Transfer

__all__ = ["TransferBook", "TransferLine"]

_ENTRY = table_of(EntryRow)
_TOLD = 512


@dataclass(frozen=True)
class TransferLine:
    """One transfer, told."""

    transfer_id: TransferId
    direction: str  # "out" or "in"
    peer: MemberId
    peer_name: str
    state: State
    kind: str
    purpose: str
    case_id: str | None
    opened_at: datetime
    updated_at: datetime
    expires_at: datetime
    bytes_done: int
    bytes_total: int
    sentence: str  # msgid
    reason_code: str
    erasure: str
    waits: bool  # something of ours has not reached the directory yet


class TransferBook:
    """Reads transfers for the tools; decides nothing."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._told: dict[TransferId, tuple[str, str]] = {}  # kind and purpose of what is under way: they never change

    async def lately(self, handler: Handler, *, since: datetime) -> list[TransferLine]:
        """Those that are not over, that are to be erased, or that changed since; newest first."""
        _may_read(handler)
        return await self._house.db.read(
            lambda tx: [self._line(tx, each) for each in transfer_store.lately(tx, since=since)]
        )

    async def list(self, handler: Handler) -> list[TransferLine]:
        """All transfers, newest first."""
        _may_read(handler)
        return await self._house.db.read(lambda tx: [self._line(tx, each) for each in transfer_store.all_transfers(tx)])

    async def get(self, handler: Handler, transfer: TransferId) -> TransferLine:
        """Raises NotFound."""
        _may_read(handler)
        return self._house.db.look(lambda tx: self._line(tx, transfer_store.read_transfer(tx, transfer)))

    async def watch(self, handler: Handler, transfer: TransferId | None = None) -> AsyncIterator[TransferLine]:
        """The present state, then a line for every change, until the caller stops listening."""
        watcher = self._house.changes.listen()
        try:
            if transfer is None:
                for line in await self.list(handler):
                    yield line
            else:
                yield await self.get(handler, transfer)
            while True:
                for changed in await watcher.changed():
                    if transfer is None or changed == transfer:
                        yield await self.get(handler, changed)
        finally:
            self._house.changes.leave(watcher)

    async def summary(self, handler: Handler, transfer: TransferId) -> statements_pb2.Summary:
        """What the recipient of an offer reads before anything else comes."""
        _may_read(handler)

        def read(tx: Connection) -> statements_pb2.Summary:
            found = transfer_store.read_transfer(tx, transfer)
            if found.outgoing:
                raise NotFound(what=N_("offer"))
            return read_summary(self._house, found)

        return await self._house.db.read(read)

    async def reason(self, handler: Handler, transfer: TransferId) -> statements_pb2.Reason | None:
        """Why it was declined, refused or kept, if somebody said so."""
        _may_read(handler)
        return await self._house.db.read(lambda tx: self._reason(transfer_store.read_transfer(tx, transfer)))

    async def proof(self, handler: Handler, transfer: TransferId) -> bytes:
        """The transfer's proof: anybody can check it offline, with nothing but the network's genesis.

        Raises: NotFound.
        """
        _may_read(handler)
        house = self._house

        def read(tx: Connection) -> bytes:
            transfer_store.read_transfer(tx, transfer)
            kept = [signed for _, signed, _ in transfer_store.statements(tx, transfer)]
            entries = tx.execute(select(_ENTRY.c.entry).order_by(_ENTRY.c.position)).scalars()
            return proof.export(
                (statements_pb2.Entry.FromString(raw) for raw in entries),
                tree=house.roster.tree,
                note=house.roster.note,
                size=house.roster.checkpoint.size,
                statements=kept,
            )

        return await house.db.read(read)

    # ---- telling ----

    def _line(self, tx: Connection, transfer: Transfer) -> TransferLine:
        house = self._house
        said = transfer_store.kinds(tx, transfer.id)
        party = Party.SENDER if transfer.outgoing else Party.RECIPIENT
        kind, purpose = self._kind_and_purpose(tx, transfer)
        reason = self._reason(transfer)
        over = transfer.state is State.RECEIVED
        return TransferLine(
            transfer_id=transfer.id,
            direction="out" if transfer.outgoing else "in",
            peer=transfer.peer,
            peer_name=house.roster.name_of(transfer.peer),
            state=transfer.state,
            kind=kind,
            purpose=purpose,
            case_id=transfer.case_id,
            opened_at=transfer.opened_at,
            updated_at=transfer.updated_at,
            expires_at=transfer.expires_at,
            bytes_done=transfer.total_bytes if over else house.changes.progress.get(transfer.id, 0),
            bytes_total=transfer.total_bytes,
            sentence=sentence(transfer.state, party, taken=[kind for kind, _ in said], shared=not transfer.hands_over),
            reason_code=reason.code if reason else "",
            erasure=transfer.erasure or "",
            waits=any(waits for _, waits in said),
        )

    def _kind_and_purpose(self, tx: Connection, transfer: Transfer) -> tuple[str, str]:
        if not transfer.outgoing:
            summary = read_summary(self._house, transfer)
            return summary.kind, summary.purpose
        if transfer.over:
            self._told.pop(transfer.id, None)  # its case may be erased, and what it was for with it
            return self._opened(tx, transfer)
        # It is told at every step, and to open its terms would cost more than all the rest of that.
        known = self._told.get(transfer.id)
        if known is None:
            known = self._told[transfer.id] = self._opened(tx, transfer)
            if len(self._told) > _TOLD:
                self._told.pop(next(iter(self._told)))
        return known

    def _opened(self, tx: Connection, transfer: Transfer) -> tuple[str, str]:
        try:
            key = records.data_key_of(tx, self._house.vault, transfer.case_id or "")
        except NotFound:
            return "transfer" if transfer.hands_over else "referral", ""  # the case was erased, and its key with it
        terms = Terms.unsealed(transfer.sealed_terms, key, transfer.id)
        return terms.kind, terms.purpose

    def _reason(self, transfer: Transfer) -> statements_pb2.Reason | None:
        if transfer.sealed_reason is None:
            return None
        opened = self._house.vault.unseal(transfer.sealed_reason, place=REASON_PLACE, row=transfer.id)
        return statements_pb2.Reason.FromString(opened)


def _may_read(handler: Handler) -> None:
    if not handler.roles & {Role.HANDLER, Role.LEAD, Role.AUDITOR}:
        raise RoleMissing(role=Role.HANDLER)
