"""What a handler decides about offers that came: accept, decline, and later erase or keep (protocol §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cordee import statements
from cordee.card import Card
from cordee.case import mandatory_sections
from cordee.errors import N_, InvalidInput, NotFound, OfferAlreadyOpen, OutOfScope, RecordClosed, TransferOver
from cordee.ids import TransferId
from cordee.runtime.crashpoint import register
from cordee.sealing import SealingKey
from cordee.summary import (
    DECLINE_REASONS,
    KEEPING_REASONS,
    Reason,
    Report,
    seal_reason,
    seal_report,
    seal_sections,
)
from cordee.transfer import Kind, Party, State, next_state
from cordee.v1 import statements_pb2
from node import journal, placing, records, transfer_store, versions
from node.chain import Chain
from node.house import House
from node.people import Handler, Role
from node.tombstones import CASE, TRANSFER
from node.transfer_access import SUMMARY_PLACE, require_transfer
from node.transfer_store import Transfer

__all__ = ["REASON_PLACE", "SEED_PLACE", "SUMMARY_PLACE", "Receiving", "read_summary", "read_taken"]

SEED_PLACE = "transfer.sealed_one_time_seed"
REASON_PLACE = "transfer.sealed_reason"
TAKEN_PLACE = "transfer.sealed_taken"

ACCEPT_BEFORE = register("node.accept.before_write")
ACCEPT_AFTER = register("node.accept.after_write")
DECLINE_AFTER = register("node.decline.after_write")


class Receiving:
    """What this node answers to others."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def accept(self, handler: Handler, transfer: TransferId, *, sections: Collection[str] | None = None) -> None:
        """Accept an offer, all of it or fewer sections. A fresh one-time key is made for this transfer alone.

        Raises: NotFound, NotInThisState, TransferOver, OutOfScope, RosterStale, NotAMember, CardExpired.
        """
        handler.require(Role.HANDLER)
        await self._accept(handler, transfer, sections)

    async def accept_update(self, transfer: TransferId, *, sections: Collection[str]) -> None:
        """Accept an update of a referral by itself, while its act is in force (protocol §6)."""
        await self._accept(None, transfer, sections)

    async def _accept(self, handler: Handler | None, transfer: TransferId, sections: Collection[str] | None) -> None:
        house = self._house
        key = SealingKey.generate(house.random)
        sealed_seed = house.in_flight.seal(key.seed, place=SEED_PLACE, row=transfer)

        def step(tx: Connection) -> None:
            now = house.clock.now()
            present, offer = self._open_offer(tx, handler, transfer, Kind.ACCEPTANCE, now)
            roster = house.roster.require_fresh(now)
            roster.active(offer.sender)
            taken = _chosen(read_summary(house, present), sections)
            card = house.roster.card(offer.sender, now=now).card
            signed = statements.accept(
                offer,
                one_time_key=key.public,
                key_expires=min(now + roster.policy.shipping_limit, offer.token.expires),
                sealed_sections=seal_sections(taken, parties=offer.parties, offer=offer.digest, to=card.sealing_key),
                sender_card=card.number,
                checkpoint=house.tree_head(),
                now=now,
                key=house.keys.identity,
            )
            transfer_store.add_statement(tx, transfer, Kind.ACCEPTANCE, signed, ours=True, now=now)
            kept = statements_pb2.SectionsTaken(sections=taken).SerializeToString()
            transfer_store.set_fields(
                tx,
                transfer,
                now=now,
                state=State.ACCEPTED,
                sealed_one_time_seed=sealed_seed,
                sealed_taken=house.vault.seal(kept, place=TAKEN_PLACE, row=transfer),
                job=None,
            )
            journal.append(tx, now=now, actor=_actor(handler), action="transfer.accepted", subject=transfer.hex())

        house.crashpoints.reach(ACCEPT_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(ACCEPT_AFTER)
        house.changes.tell(transfer)

    async def decline(self, handler: Handler, transfer: TransferId, *, code: str, text: str = "") -> None:
        """Decline an offer with a reason that only the sender can read.

        Raises: InvalidInput for a reason that is not on the list; NotFound, NotInThisState, TransferOver.
        """
        handler.require(Role.HANDLER)
        await self._decline(handler, transfer, code, text)

    async def decline_by_itself(self, transfer: TransferId, *, code: str) -> None:
        """Decline what this node cannot read or must not trust, so that the sender is not left waiting."""
        await self._decline(None, transfer, code, "")

    async def _decline(self, handler: Handler | None, transfer: TransferId, code: str, text: str) -> None:
        house = self._house
        if code not in DECLINE_REASONS:
            raise InvalidInput(
                field="reason", problem=N_("it must be one of {options}"), options=", ".join(DECLINE_REASONS)
            )

        def step(tx: Connection) -> None:
            now = house.clock.now()
            _, offer = self._open_offer(tx, handler, transfer, Kind.REFUSAL, now)
            house.roster.require_fresh(now)
            card = house.roster.card(offer.sender, now=now).card
            signed = statements.refuse(
                offer,
                sealed_reason=seal_reason(
                    Reason(code, text),
                    codes=DECLINE_REASONS,
                    parties=offer.parties,
                    about=offer.digest,
                    to=card.sealing_key,
                ),
                sender_card=card.number,
                checkpoint=house.tree_head(),
                now=now,
                key=house.keys.identity,
            )
            reason = statements_pb2.Reason(code=code, text=text)
            sealed = house.vault.seal(reason.SerializeToString(), place=REASON_PLACE, row=transfer)
            transfer_store.add_statement(tx, transfer, Kind.REFUSAL, signed, ours=True, now=now)
            transfer_store.end(tx, transfer, State.DECLINED, now=now, sealed_reason=sealed)
            actor = _actor(handler)
            journal.append(tx, now=now, actor=actor, action="transfer.declined", subject=transfer.hex(), outcome=code)

        await house.db.write(step)
        house.crashpoints.reach(DECLINE_AFTER)
        house.changes.tell(transfer)

    async def answer_erasure(
        self, handler: Handler, transfer: TransferId, *, erase: bool, code: str = "", text: str = ""
    ) -> None:
        """Answer a request to erase: destroy the case's key and say so, or refuse with the legal reason.

        What was put beside the case, as an update is, is erased alone: the record that is written here stays.

        Raises: NotFound, NotInThisState where nothing was asked; InvalidInput for a reason not on the list. To erase:
        OfferAlreadyOpen while a transfer of the case is under way, RecordClosed where it was handed on; withdraw that
        transfer first, so that nobody is left with a case that the one who sent it believes to be erased.
        """
        handler.require(Role.LEAD if not erase else Role.HANDLER)
        house = self._house
        if not erase and code not in KEEPING_REASONS:
            raise InvalidInput(
                field="reason", problem=N_("it must be one of {options}"), options=", ".join(KEEPING_REASONS)
            )

        def asked(tx: Connection) -> tuple[Transfer, statements.Withdrawal, Card]:
            present = _incoming(tx, transfer)
            require_transfer(tx, house.vault, handler, present, now=house.clock.now())
            chain = Chain.read(house, tx, transfer)
            next_state(present.state, Kind.ERASURE, Party.RECIPIENT, taken=chain.kinds)
            if erase and not self._stands_beside(tx, present):
                _require_erasable(tx, present.case_id or "")
            return present, chain.withdrawal, house.roster.card(present.peer, now=house.clock.now()).card

        def step(tx: Connection) -> list[str]:
            now = house.clock.now()
            present, withdrawal, card = asked(tx)
            files: list[str] = []
            if erase:
                erased, files = self._erased(tx, present, now=now)
                report = Report(erased=erased, time=now)
                sealed = seal_report(
                    report, parties=withdrawal.parties, withdrawal=withdrawal.digest, to=card.sealing_key
                )
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
            transfer_store.add_statement(tx, transfer, Kind.ERASURE, signed, ours=True, now=now)
            transfer_store.set_fields(tx, transfer, now=now, erasure="done" if erase else "refused")
            outcome = "done" if erase else code
            journal.append(
                tx,
                now=now,
                actor=handler.account_id,
                action="transfer.erasure",
                subject=transfer.hex(),
                outcome=outcome,
            )
            return files

        if erase:
            # The tombstone first: should this machine be restored from a backup, the case is erased again.
            present, _, _ = await house.db.read(asked)
            beside = await house.db.read(lambda tx: self._stands_beside(tx, present))
            stone = (TRANSFER, transfer.hex()) if beside else (CASE, present.case_id or "")
            await asyncio.to_thread(house.tombstones.add, *stone, house.clock.now())
        for file_id in await house.db.write(step):
            await asyncio.to_thread(house.attachments.erase, file_id)
        if erase:
            await asyncio.to_thread(house.db.truncate_log)  # the key's bytes are then in no file
        house.changes.tell(transfer)

    def _stands_beside(self, tx: Connection, present: Transfer) -> bool:
        """What it brought is no record of its own: an update's never is, even where the case was erased since."""
        if read_summary(self._house, present).kind == "update":
            return True
        version = versions.read_version(tx, self._house.vault, present.id)
        return version is not None and not version.ours

    def _erased(self, tx: Connection, present: Transfer, *, now: datetime) -> tuple[tuple[str, ...], list[str]]:
        """Erase what a transfer brought: the sections that are gone, and the files to unlink."""
        vault, case_id = self._house.vault, present.case_id or ""
        if self._stands_beside(tx, present):
            return read_taken(self._house, present), placing.take_out(tx, vault, present.id, now=now)
        stored = records.read_case(tx, vault, case_id)
        return stored.case.sections(), records.erase_case(tx, case_id, now=now)

    def _open_offer(
        self, tx: Connection, handler: Handler | None, transfer: TransferId, kind: Kind, now: datetime
    ) -> tuple[Transfer, statements.Offer]:
        present = _incoming(tx, transfer)
        if handler is not None:  # the node answers some by itself
            require_transfer(tx, self._house.vault, handler, present, now=now)
        chain = Chain.read(self._house, tx, transfer)
        next_state(present.state, kind, Party.RECIPIENT, taken=chain.kinds)
        if present.expires_at <= now:
            raise TransferOver(state=State.EXPIRED)
        return present, chain.offer


def read_summary(house: House, transfer: Transfer) -> statements_pb2.Summary:
    """The summary of an offer that came."""
    return statements_pb2.Summary.FromString(
        house.vault.unseal(transfer.sealed_terms, place=SUMMARY_PLACE, row=transfer.id)
    )


def read_taken(house: House, transfer: Transfer) -> tuple[str, ...]:
    """The sections that this node accepted. Raises NotFound before it has."""
    if transfer.sealed_taken is None:
        raise NotFound(what=N_("transfer"))
    opened = house.vault.unseal(transfer.sealed_taken, place=TAKEN_PLACE, row=transfer.id)
    return tuple(statements_pb2.SectionsTaken.FromString(opened).sections)


def _actor(handler: Handler | None) -> str:
    return "node" if handler is None else handler.account_id


def _incoming(tx: Connection, transfer: TransferId) -> Transfer:
    present = transfer_store.read_transfer(tx, transfer)
    if present.outgoing:
        raise NotFound(what=N_("offer"))
    return present


def _require_erasable(tx: Connection, case_id: str) -> None:
    for each in transfer_store.open_offers(tx, case_id):
        raise OfferAlreadyOpen(transfer=each.id.short)
    if records.holder_of(tx, case_id) == "handed_over":
        raise RecordClosed()


def _chosen(summary: statements_pb2.Summary, sections: Collection[str] | None) -> tuple[str, ...]:
    if sections is None:
        return tuple(summary.sections)
    beyond = sorted(set(sections) - set(summary.sections))
    if beyond:
        raise OutOfScope(item=beyond[0])
    needed = mandatory_sections(summary.purpose) & set(summary.sections)
    left_out = sorted(needed - set(sections))
    if left_out:
        raise InvalidInput(field="sections", problem=N_("“{section}” is needed for this purpose"), section=left_out[0])
    return tuple(name for name in summary.sections if name in set(sections))
