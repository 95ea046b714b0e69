"""Transfers as people see them: lines, sentences, reasons, proofs.

A transfer is its case's team's, as the case is (`node.transfer_access`). Auditors see the lines and the proofs of
all of them, which name nobody, and no summary.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from cordee import proof
from cordee.errors import N_, CordeeError, NeedToKnow, NotFound, RoleMissing
from cordee.ids import MemberId, TransferId
from cordee.members import MemberState
from cordee.transfer import Kind, Party, Pause, State, sentence
from cordee.v1 import statements_pb2
from node import records, transfer_store
from node.house import House
from node.people import Handler, Role
from node.receiving import REASON_PLACE, read_summary
from node.store import table_of
from node.store.roster import EntryRow
from node.terms import Terms
from node.transfer_access import require_transfer, sight_of_transfers
from node.transfer_store import Transfer

__all__ = ["TransferBook", "TransferLine"]

_ENTRY = table_of(EntryRow)
_TOLD = 512
_ASK_AGAIN = timedelta(seconds=2)


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
    held: bool  # ours, accepted, and leaves only when somebody here lets it go
    still: bool  # it does not move at present: the sentence says why


class TransferBook:
    """Reads transfers for the tools; decides nothing."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._told: dict[TransferId, tuple[str, str]] = {}  # kind and purpose of what is under way: they never change

    async def lately(self, handler: Handler, *, since: datetime) -> list[TransferLine]:
        """Those that are theirs to see and not over, to be erased, or changed since; newest first."""
        _may_read(handler)

        def read(tx: Connection) -> list[TransferLine]:
            sees = self._sight(tx, handler)
            return [self._line(tx, each) for each in transfer_store.lately(tx, since=since) if sees(each)]

        return await self._house.db.read(read)

    async def list(self, handler: Handler) -> list[TransferLine]:
        """Those that are theirs to see, newest first."""
        _may_read(handler)

        def read(tx: Connection) -> list[TransferLine]:
            sees = self._sight(tx, handler)
            return [self._line(tx, each) for each in transfer_store.all_transfers(tx) if sees(each)]

        return await self._house.db.read(read)

    async def of_case(self, handler: Handler, case_id: str) -> Sequence[TransferLine]:
        """Those of one case, newest first."""
        _may_read(handler)
        return await self._house.db.read(
            lambda tx: [self._line(tx, each) for each in reversed(transfer_store.of_case(tx, case_id))]
        )

    async def get(self, handler: Handler, transfer: TransferId) -> TransferLine:
        """Raises NotFound, NeedToKnow."""
        _may_read(handler)
        return self._house.db.look(lambda tx: self._line(tx, self._read(tx, handler, transfer)))

    async def watch(self, handler: Handler, transfer: TransferId | None = None) -> AsyncIterator[TransferLine]:
        """The present state, then a line for every change, until the caller stops listening.

        What is not theirs to see is left out, also from when that changes; of one transfer it then ends.

        Raises: NotFound and NeedToKnow at the beginning.
        """
        watcher = self._house.changes.listen()
        asked: dict[TransferId, datetime] = {}
        try:
            if transfer is None:
                for line in await self.list(handler):
                    yield line
            else:
                yield await self.get(handler, transfer)
            while True:
                for changed in await watcher.changed():
                    if transfer is not None and changed != transfer:
                        continue
                    seen = self._line_if_seen(handler, changed, asked)
                    if seen is not None:
                        yield seen
                    elif transfer is not None:
                        return
        finally:
            self._house.changes.leave(watcher)

    async def summary(self, handler: Handler, transfer: TransferId) -> statements_pb2.Summary:
        """What the recipient of an offer reads before anything else comes."""
        _may_read(handler)

        def read(tx: Connection) -> statements_pb2.Summary:
            found = self._read(tx, handler, transfer, as_auditor=False)
            if found.outgoing:
                raise NotFound(what=N_("offer"))
            return read_summary(self._house, found)

        return await self._house.db.read(read)

    async def reason(self, handler: Handler, transfer: TransferId) -> statements_pb2.Reason | None:
        """Why it was declined, refused or kept, if somebody said so."""
        _may_read(handler)
        return await self._house.db.read(lambda tx: self._reason(self._read(tx, handler, transfer, as_auditor=False)))

    async def proof(self, handler: Handler, transfer: TransferId, *, erasure: bool = False) -> bytes:
        """The transfer's proof: anybody can check it offline, with nothing but the network's genesis. With `erasure` it
        is the erasure's receipt: the proof of a transfer in which the recipient signed what became of the request.

        Raises: NotFound, also where an erasure is asked for and nobody has answered; NeedToKnow.
        """
        _may_read(handler)
        house = self._house

        def read(tx: Connection) -> bytes:
            self._read(tx, handler, transfer)
            said = transfer_store.statements(tx, transfer)
            if erasure and not any(kind is Kind.ERASURE for kind, _, _ in said):
                raise NotFound(what=N_("erasure receipt"))
            kept = [signed for _, signed, _ in said]
            entries = tx.execute(select(_ENTRY.c.entry).order_by(_ENTRY.c.position)).scalars()
            return proof.export(
                (statements_pb2.Entry.FromString(raw) for raw in entries),
                tree=house.roster.tree,
                note=house.roster.note,
                size=house.roster.checkpoint.size,
                statements=kept,
            )

        return await house.db.read(read)

    # ---- whose it is ----

    def _read(self, tx: Connection, handler: Handler, transfer: TransferId, *, as_auditor: bool = True) -> Transfer:
        """Raises NotFound, NeedToKnow."""
        found = transfer_store.read_transfer(tx, transfer)
        if not (as_auditor and Role.AUDITOR in handler.roles):
            now = self._house.clock.now()
            require_transfer(tx, self._house.vault, handler, found, now=now)
        return found

    def _sight(self, tx: Connection, handler: Handler) -> Callable[[Transfer], bool]:
        """Whether a transfer is theirs to see."""
        if Role.AUDITOR in handler.roles:
            return lambda transfer: True
        return sight_of_transfers(tx, self._house.vault, handler, now=self._house.clock.now())

    def _line_if_seen(
        self, handler: Handler, transfer: TransferId, asked: dict[TransferId, datetime]
    ) -> TransferLine | None:
        """A line for somebody who watches. Bytes move several times a second: whose it is, is asked now and then."""
        now = self._house.clock.now()

        def look(tx: Connection) -> TransferLine:
            if transfer in asked and timedelta() <= now - asked[transfer] < _ASK_AGAIN:
                return self._line(tx, transfer_store.read_transfer(tx, transfer))
            found = self._read(tx, handler, transfer)
            asked[transfer] = now
            return self._line(tx, found)

        try:
            return self._house.db.look(look)
        except NeedToKnow:
            asked.pop(transfer, None)
            return None

    # ---- telling ----

    def _line(self, tx: Connection, transfer: Transfer) -> TransferLine:
        house = self._house
        said = transfer_store.kinds(tx, transfer.id)
        party = Party.SENDER if transfer.outgoing else Party.RECIPIENT
        kind, purpose = self._kind_and_purpose(tx, transfer)
        reason = self._reason(transfer)
        taken = [kind for kind, _ in said]
        over = transfer.state is State.RECEIVED
        pause = self._pause(transfer)
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
            sentence=sentence(transfer.state, party, taken=taken, shared=not transfer.hands_over, pause=pause),
            reason_code=reason.code if reason else "",
            erasure=transfer.erasure or "",
            waits=any(waits for _, waits in said),
            held=transfer.held,
            still=pause is not None,
        )

    def _pause(self, transfer: Transfer) -> Pause | None:
        """Why it does not move, as far as this node knows."""
        if transfer.over:
            return None
        house = self._house
        try:
            members = house.roster.require_fresh(house.clock.now()).members
        except CordeeError:  # too old, or an alarm: the doctor and the first page say which
            return Pause.UNHEARD
        states = {members[each].state for each in (transfer.peer, house.member) if each in members}
        if MemberState.SUSPENDED in states:
            return Pause.SUSPENDED
        return Pause.HELD if transfer.held else None

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
