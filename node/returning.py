"""Erasing what came, with a signature: because the sender asks for it, or unasked, because it was not for us.

One transaction destroys the key and keeps the signed statement: whatever happens afterwards, the sender hears that it
holds the case again. The tombstone follows; should a crash keep it from being set, the next start sets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from cordee import statements
from cordee.card import Card
from cordee.errors import N_, CaseWasOurs, InvalidInput, NotFound, OfferAlreadyOpen, RecordClosed
from cordee.ids import TransferId
from cordee.members import MemberState
from cordee.runtime.crashpoint import register
from cordee.signing import Signed
from cordee.summary import KEEPING_REASONS, RETURN_REASONS, Reason, Report, seal_reason, seal_report
from cordee.transfer import Kind, Party, next_state
from cordee.v1 import statements_pb2
from node import journal, placing, records, transfer_store, versions
from node.came import REASON_PLACE, incoming, read_summary, read_taken
from node.chain import Chain
from node.house import House
from node.people import Handler, Role
from node.tombstones import CASE, TRANSFER
from node.transfer_access import require_transfer
from node.transfer_store import Transfer

__all__ = ["Returning", "bury"]

ERASE_BEFORE = register("node.erase.before_write")
ERASE_AFTER = register("node.erase.after_write")
ERASE_BURIED = register("node.erase.buried")
ERASE_UNLINKED = register("node.erase.unlinked")


class Returning:
    """What this node says of what it has erased, or must keep."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def answer(
        self, handler: Handler, transfer: TransferId, *, erase: bool, code: str = "", text: str = ""
    ) -> None:
        """Answer a request to erase: destroy the case's key and say so, or refuse with the legal reason.

        What was put beside the case, as an update is, is erased alone: the record that is written here stays.

        Raises: NotFound, NotInThisState where nothing was asked; InvalidInput for a reason not on the list; CardExpired
        where no card of who asked is known, to which the answer could be sealed. To erase:
        OfferAlreadyOpen while a transfer of the case is under way, RecordClosed where it was handed on; withdraw that
        transfer first, so that nobody is left with a case that the one who sent it believes to be erased.
        """
        handler.require(Role.LEAD if not erase else Role.HANDLER)
        house = self._house
        if not erase:
            _require_reason(code, KEEPING_REASONS)

        def step(tx: Connection) -> list[str]:
            now = house.clock.now()
            present, chain, card = self._erasable(tx, handler, transfer, asked=True, erase=erase)
            withdrawal = chain.withdrawal
            files: list[str] = []
            if erase:
                erased, files = self.erased(tx, present, now=now)
                report = Report(erased=erased, time=now)
                sealed = seal_report(report, parties=withdrawal.parties, about=withdrawal.digest, to=card.sealing_key)
                signed = statements.erase(
                    withdrawal, sealed_report=sealed, sender_card=card.number, now=now, key=house.keys.identity
                )
            else:
                sealed = seal_reason(
                    Reason(code, text),
                    codes=KEEPING_REASONS,
                    parties=withdrawal.parties,
                    about=withdrawal.digest,
                    to=card.sealing_key,
                )
                signed = statements.refuse_erasure(
                    withdrawal, sealed_reason=sealed, sender_card=card.number, now=now, key=house.keys.identity
                )
            self._keep(tx, transfer, signed, "done" if erase else "refused", now=now)
            _note(tx, transfer, handler, "transfer.erasure", "done" if erase else code, now)
            return files

        await (self._destroy(transfer, step) if erase else house.db.write(step))
        house.changes.tell(transfer)

    async def give_back(self, handler: Handler, transfer: TransferId, *, code: str, text: str = "") -> None:
        """What was received is not for us: erase it unasked, and say so and why. The sender holds the case again.

        All of it goes, with what was written here since. What was put beside a case of ours goes alone.

        Raises: NotFound; NotInThisState where it was not received or is erased already; InvalidInput for a reason not
        on the list; NeedToKnow; CaseWasOurs where our own record from before would go with it; OfferAlreadyOpen while a
        transfer of the case is under way, RecordClosed where it was handed on: withdraw that transfer first.
        """
        handler.require(Role.HANDLER)
        house = self._house
        _require_reason(code, RETURN_REASONS)

        def step(tx: Connection) -> list[str]:
            now = house.clock.now()
            present, chain, card = self._erasable(tx, handler, transfer, asked=False, erase=True)
            self._require_not_ours(tx, present)
            shipment = chain.shipment
            erased, files = self.erased(tx, present, now=now)
            signed = statements.give_back(
                shipment,
                sealed_report=seal_report(
                    Report(erased=erased, time=now),
                    parties=shipment.parties,
                    about=shipment.digest,
                    to=card.sealing_key,
                ),
                sealed_reason=seal_reason(
                    Reason(code, text),
                    codes=RETURN_REASONS,
                    parties=shipment.parties,
                    about=shipment.digest,
                    to=card.sealing_key,
                ),
                sender_card=card.number,
                now=now,
                key=house.keys.identity,
            )
            reason = statements_pb2.Reason(code=code, text=text)
            sealed = house.vault.seal(reason.SerializeToString(), place=REASON_PLACE, row=transfer)
            self._keep(tx, transfer, signed, "returned", now=now, sealed_reason=sealed)
            _note(tx, transfer, handler, "transfer.returned", code, now)
            return files

        await self._destroy(transfer, step)
        house.changes.tell(transfer)

    def stands_beside(self, tx: Connection, present: Transfer) -> bool:
        """What it brought is no record of its own: an update's never is, even where the case was erased since."""
        if read_summary(self._house, present).kind == "update":
            return True
        version = versions.read_version(tx, self._house.vault, present.id)
        return version is not None and not version.ours

    # ---- the step, and what follows it ----

    def _erasable(
        self, tx: Connection, handler: Handler, transfer: TransferId, *, asked: bool, erase: bool
    ) -> tuple[Transfer, Chain, Card]:
        house = self._house
        present = incoming(tx, transfer)
        require_transfer(tx, house.vault, handler, present, now=house.clock.now())
        chain = Chain.read(house, tx, transfer)
        next_state(present.state, Kind.ERASURE, Party.RECIPIENT, taken=chain.kinds)
        if asked:
            chain.require(Kind.WITHDRAWAL, present.state)
        if erase and not self.stands_beside(tx, present):
            _require_none_has_it(tx, present.case_id or "")
        return present, chain, house.roster.last_card(present.peer).card

    def _require_not_ours(self, tx: Connection, present: Transfer) -> None:
        """Nothing of ours from before goes with it."""
        if records.standing_of(tx, present.case_id or "") is None:
            return  # erased by a lead since: there is nothing left but to say so
        version = versions.read_version(tx, self._house.vault, present.id)
        if version is not None and version.ours:
            raise CaseWasOurs()

    def erased(self, tx: Connection, present: Transfer, *, now: datetime) -> tuple[tuple[str, ...], list[str]]:
        """Erase what a transfer brought: the sections that are gone, and the files to unlink."""
        vault, case_id = self._house.vault, present.case_id or ""
        if self.stands_beside(tx, present):
            return read_taken(self._house, present), placing.take_out(tx, vault, present.id, now=now)
        try:
            sections = records.read_case(tx, vault, case_id).case.sections()
        except NotFound:
            return read_taken(self._house, present), []  # a lead has erased it since it came
        return sections, records.erase_case(tx, case_id, now=now)

    def _keep(
        self, tx: Connection, transfer: TransferId, signed: Signed, erasure: str, *, now: datetime, **values: object
    ) -> None:
        transfer_store.add_statement(tx, transfer, Kind.ERASURE, signed, ours=True, now=now)
        peer = self._house.roster.roster.members.get(transfer_store.read_transfer(tx, transfer).peer)
        if peer is not None and peer.state is MemberState.REMOVED:
            transfer_store.mark_taken(tx, transfer, Kind.ERASURE)  # nobody is left to be told: it does not wait
        transfer_store.set_fields(tx, transfer, now=now, erasure=erasure, **values)

    async def _destroy(self, transfer: TransferId, step: Callable[[Connection], list[str]]) -> None:
        house = self._house
        house.crashpoints.reach(ERASE_BEFORE)
        files = await house.db.write(step)
        house.crashpoints.reach(ERASE_AFTER)
        await bury(house)
        house.crashpoints.reach(ERASE_BURIED)
        for file_id in files:
            await asyncio.to_thread(house.attachments.erase, file_id)
        house.crashpoints.reach(ERASE_UNLINKED)
        await house.scrub()  # the key's bytes are then in no file


async def bury(house: House) -> None:
    """Set the tombstones of what was erased that have none yet: a backup must not bring it back (protocol §10)."""

    def missing(tx: Connection) -> list[tuple[str, str, datetime]]:
        stones, found = house.tombstones, []
        for case_id, at in records.erased_cases(tx):
            set_at = stones.time_of(CASE, case_id)
            if set_at is None or set_at < at:
                found.append((CASE, case_id, at))
        for each in transfer_store.erased_here(tx):
            if not stones.contains(TRANSFER, each.id.hex()):
                found.append((TRANSFER, each.id.hex(), each.updated_at))
        return found

    for stone in await house.db.read(missing):
        await asyncio.to_thread(house.tombstones.add, *stone)


def _require_reason(code: str, codes: Mapping[str, str]) -> None:
    if code not in codes:
        raise InvalidInput(field="reason", problem=N_("it must be one of {options}"), options=", ".join(codes))


def _note(tx: Connection, transfer: TransferId, handler: Handler, action: str, outcome: str, now: datetime) -> None:
    actor = handler.account_id
    journal.append(tx, now=now, actor=actor, action=action, subject=transfer.hex(), outcome=outcome)


def _require_none_has_it(tx: Connection, case_id: str) -> None:
    for each in transfer_store.open_offers(tx, case_id):
        raise OfferAlreadyOpen(transfer=each.id.short)
    if records.holder_of(tx, case_id) == "handed_over":
        raise RecordClosed()
