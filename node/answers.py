"""What a recipient answers to our offers and shipments, each kept together with its effect."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection

from cordee import statements
from cordee.act import parse_act
from cordee.case import mandatory_sections
from cordee.errors import CannotOpen, CordeeError, NotFound, OutOfScope, RecordClosed
from cordee.ids import Digest, TransferId
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.signing import Signed
from cordee.summary import (
    DECLINE_REASONS,
    KEEPING_REASONS,
    RECEIPT_REASONS,
    RETURN_REASONS,
    Reason,
    open_reason,
    open_sections,
)
from cordee.transfer import Kind, Party, State, next_state
from cordee.v1 import statements_pb2
from node import acts, journal, records, transfer_store
from node.chain import Chain, drop_statement, note_dropped
from node.house import House
from node.receiving import REASON_PLACE
from node.sending import KEY_PLACE, end_sent, write_withdrawal
from node.terms import Terms
from node.transfer_store import Transfer

__all__ = ["Answers"]

log = logger("node.answers")

_GIVEN_UP = (Kind.SHIPMENT, Kind.WITHDRAWAL)
"""Steps that are kept when they are not sent any more: the other's answer to them may still come."""

ANSWER_BEFORE = register("node.answer.before_write")
ANSWER_AFTER = register("node.answer.after_write")
RECEIPT_BEFORE = register("node.receipt.before_write")
RECEIPT_AFTER = register("node.receipt.after_write")
ERASURE_BEFORE = register("node.erasure.before_write")
ERASURE_AFTER = register("node.erasure.after_write")


class Answers:
    """The sender's ear."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def hear(self, signed: Signed, kind: Kind, *, sequence: int) -> None:
        """One statement of a recipient. Raises whatever its checks raise; nothing is kept then."""
        transfer = statements.peek(signed).parties.transfer_id
        if kind in (Kind.ACCEPTANCE, Kind.REFUSAL):
            await self._answer(transfer, signed, kind, sequence)
        elif kind in (Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED):
            await self._receipt(transfer, signed, kind, sequence)
        else:
            await self._erasure(transfer, signed, sequence)

    # ---- the answer ----

    async def _answer(self, transfer: TransferId, signed: Signed, kind: Kind, sequence: int) -> None:
        house = self._house
        offer = self._chain(transfer).offer
        roster = house.roster.roster
        content_key = house.in_flight.seal(house.random(32), place=KEY_PLACE, row=transfer)
        answer = statements.Answer.parse(signed, roster, offer=offer, now=house.clock.now(), tree=house.roster.root_at)

        def step(tx: Connection) -> list[TransferId]:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            present = transfer_store.read_transfer(tx, transfer)
            taken = [each for each, _ in transfer_store.kinds(tx, transfer)]
            # Where the directory took a refusal, our withdrawal came too late for it: all three end as it says.
            first = kind is Kind.REFUSAL and present.state is State.WITHDRAWN and Kind.ACCEPTANCE not in taken
            if kind in taken or (present.over and not first):
                return []  # heard before, or overtaken by our own withdrawal
            then = State.DECLINED if first else next_state(present.state, kind, Party.RECIPIENT, taken=taken)
            transfer_store.add_statement(tx, transfer, kind, signed, ours=False, now=now)
            transfer_store.mark_taken(tx, transfer, Kind.OFFER)  # they have answered it
            journal.append(tx, now=now, actor="node", action=f"transfer.{then}", subject=transfer.hex())
            if then is State.DECLINED:
                end_sent(
                    house,
                    tx,
                    present,
                    then,
                    now=now,
                    sealed_reason=self._sealed_reason(answer, answer.sealed_reason, DECLINE_REASONS, offer.digest),
                )
                return []
            return self._go_ahead(tx, present, offer, answer, content_key)

        house.crashpoints.reach(ANSWER_BEFORE)
        others = await house.db.write(step)
        house.crashpoints.reach(ANSWER_AFTER)
        for each in others:
            house.drop_spool(each)
            house.changes.tell(each)
        if kind is Kind.REFUSAL:
            house.drop_spool(transfer)
        house.changes.tell(transfer)

    def _go_ahead(
        self, tx: Connection, present: Transfer, offer: statements.Offer, answer: statements.Answer, content_key: bytes
    ) -> list[TransferId]:
        """The first acceptance wins: one holder of a case at any time (protocol §6). With it the content key is kept,
        sealed, before anything is encrypted with it.
        """
        house, now = self._house, self._house.clock.now()
        transfer_store.set_fields(tx, present.id, now=now, state=State.ACCEPTED)
        present = replace(present, state=State.ACCEPTED)
        case_id = present.case_id or ""
        others = [each for each in transfer_store.of_case(tx, case_id) if each.outgoing and each.id != present.id]
        taken_elsewhere = records.holder_of(tx, case_id) == "handed_over" or (
            present.hands_over
            and any(each.hands_over and each.state in (State.ACCEPTED, State.SHIPPED) for each in others)
        )
        data_key = records.data_key_of(tx, house.vault, case_id)
        terms = Terms.unsealed(present.sealed_terms, data_key, present.id)
        if parse_act(terms.act).single_use and terms.kind != "update":
            taken_elsewhere = taken_elsewhere or any(
                each.act_id == present.act_id and each.state in (State.ACCEPTED, State.SHIPPED, State.RECEIVED)
                for each in others
            )
        if taken_elsewhere:
            write_withdrawal(house, tx, present, actor="node", now=now)
            return [present.id]
        sections = open_sections(
            answer.accepted().sealed_sections,
            parties=offer.parties,
            offer=offer.digest,
            key=house.keys.sealing_key(answer.sender_card),
            offered=terms.offered,
        )
        narrowed = self._narrow(terms, sections)
        transfer_store.set_fields(
            tx,
            present.id,
            now=now,
            expires_at=answer.accepted().key_expires,
            job=None if terms.hold else "ship",
            sealed_terms=narrowed.sealed(data_key, present.id),
            sealed_content_key=None if terms.hold else content_key,
        )
        if not present.hands_over:
            return []
        rivals = [each for each in others if each.hands_over and each.state is State.OFFERED]
        for each in rivals:
            write_withdrawal(house, tx, each, actor="node", now=now)
        return [each.id for each in rivals]

    def _narrow(self, terms: Terms, taken: tuple[str, ...]) -> Terms:
        """The recipient may take less than was offered, never more, and not without what the purpose needs."""
        left_out = (mandatory_sections(terms.purpose) & set(terms.offered)) - set(taken)
        if left_out:
            raise OutOfScope(item=sorted(left_out)[0])
        package = {name: value for name, value in terms.package.items() if name in taken}
        attachments = terms.attachments if "attachments" in taken or "attachments" not in terms.offered else ()
        return replace(terms, package=package, attachments=attachments)

    # ---- the receipt ----

    async def _receipt(self, transfer: TransferId, signed: Signed, kind: Kind, sequence: int) -> None:
        house = self._house
        chain = self._chain(transfer)
        receipt = chain.receipt(signed)

        def step(tx: Connection) -> list[TransferId]:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            present = transfer_store.read_transfer(tx, transfer)
            taken = [each for each, _ in transfer_store.kinds(tx, transfer)]
            if kind in taken:
                return []
            then = next_state(present.state, kind, Party.RECIPIENT, taken=taken)
            transfer_store.add_statement(tx, transfer, kind, signed, ours=False, now=now)
            transfer_store.mark_taken(tx, transfer, Kind.SHIPMENT)  # they have answered it
            reason = None
            if kind is Kind.RECEIPT_REFUSED:
                about = chain.shipment.digest
                reason = self._sealed_reason(receipt, receipt.sealed_reason, RECEIPT_REASONS, about)
            withdrawn = Kind.WITHDRAWAL in taken
            fields: dict[str, object] = {"sealed_reason": reason} if reason else {}
            if withdrawn and then is State.RECEIVED:
                # The broker may have found it too late, before it knew that they have the case: it is sent once more.
                transfer_store.send_again(tx, transfer, Kind.WITHDRAWAL)
                fields["erasure"] = "asked"
            end_sent(house, tx, present, then, now=now, **fields)
            journal.append(tx, now=now, actor="node", action=f"transfer.{then}", subject=transfer.hex())
            if then is not State.RECEIVED:
                return []
            acts.mark_used(tx, house.vault, present.act_id or "", transfer)
            return self.pass_on(tx, transfer_store.read_transfer(tx, transfer))

        house.crashpoints.reach(RECEIPT_BEFORE)
        others = await house.db.write(step)
        house.crashpoints.reach(RECEIPT_AFTER)
        log.info("transfer.receipt", transfer=transfer.short, kind=str(kind))
        for each in (transfer, *others):
            house.drop_spool(each)
            house.changes.tell(each)

    def pass_on(self, tx: Connection, present: Transfer) -> list[TransferId]:
        """What they have, they hold, even where a withdrawal crossed their receipt: it asks them to erase, and once
        they have, the case is ours again. Never two holders, also when a receipt comes late: the first one wins.
        """
        house, now, case_id = self._house, self._house.clock.now(), present.case_id or ""
        if self._was_withdrawn_since(tx, present):
            write_withdrawal(house, tx, present, actor="node", now=now)
            present = replace(present, erasure="asked")
        if not present.hands_over:
            if present.erasure is None:
                records.share(tx, case_id, transfer=present.id, now=now)
            return []
        try:
            records.hand_over(tx, case_id, transfer=present.id, now=now)
        except RecordClosed:
            # Another has taken the case meanwhile. These have it too, and are asked to erase it.
            if present.erasure is None:
                write_withdrawal(house, tx, present, actor="node", now=now)
            return []
        rivals = [each for each in transfer_store.open_offers(tx, case_id) if each.hands_over]
        for each in rivals:
            write_withdrawal(house, tx, each, actor="node", now=now)
        return [each.id for each in rivals]

    def _was_withdrawn_since(self, tx: Connection, present: Transfer) -> bool:
        """The act was withdrawn when time had ended this transfer, so that nothing was left to withdraw; and they have
        it all the same.
        """
        said = {each for each, _ in transfer_store.kinds(tx, present.id)}
        if present.erasure is not None or said & {Kind.WITHDRAWAL, Kind.ERASURE}:
            return False
        try:
            return acts.is_withdrawn(tx, present.act_id or "")
        except NotFound:
            return False  # erased with its case

    # ---- erased, asked for or unasked ----

    async def _erasure(self, transfer: TransferId, signed: Signed, sequence: int) -> None:
        house = self._house
        chain = self._chain(transfer)
        follows = chain.shipment if statements.Erasure.follows(signed) is Kind.SHIPMENT else chain.withdrawal
        erasure = statements.Erasure.parse(signed, house.roster.roster, before=follows, now=house.clock.now())
        outcome = "returned" if erasure.returned else "done" if erasure.erased else "refused"
        reasons = RETURN_REASONS if erasure.returned else KEEPING_REASONS

        def step(tx: Connection) -> None:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            if not transfer_store.add_statement(tx, transfer, Kind.ERASURE, signed, ours=False, now=now):
                return
            if not erasure.returned:
                transfer_store.mark_taken(tx, transfer, Kind.WITHDRAWAL)  # they have answered it
            present = transfer_store.read_transfer(tx, transfer)
            fields: dict[str, object] = {"erasure": outcome}
            if erasure.sealed_reason is not None:
                fields["sealed_reason"] = self._sealed_reason(erasure, erasure.sealed_reason, reasons, erasure.about)
            transfer_store.set_fields(tx, transfer, now=now, **fields)
            if erasure.erased and present.hands_over:
                # Never two holders, never none: they have erased it, so it is ours again.
                records.take_back(tx, present.case_id or "", transfer=transfer, now=now)
            action = "transfer.returned" if erasure.returned else "transfer.erasure"
            journal.append(tx, now=now, actor="node", action=action, subject=transfer.hex(), outcome=outcome)

        house.crashpoints.reach(ERASURE_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(ERASURE_AFTER)
        house.changes.tell(transfer)

    # ---- time, and what the broker would not take ----

    async def expired(self, transfer: TransferId, *, sequence: int) -> None:
        """The broker says that the time is over."""
        house = self._house

        def step(tx: Connection) -> None:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            present = transfer_store.read_transfer(tx, transfer)
            if present.over:
                return
            for each in _GIVEN_UP:
                transfer_store.give_up_sending(tx, transfer, each)
            end_sent(house, tx, present, State.EXPIRED, now=now)
            journal.append(tx, now=now, actor="node", action="transfer.expired", subject=transfer.hex())

        await house.db.write(step)
        house.drop_spool(transfer)
        house.changes.tell(transfer)

    async def dropped(
        self, transfer: TransferId, kind: Kind | None, refused: CordeeError | None, *, at_broker: State | None
    ) -> None:
        """The broker refused a step of ours for good: say why, and end what can no longer go on. A withdrawal that was
        overtaken by time, or by their refusal of what came, was none: the transfer ended so, for all three.
        """
        house = self._house

        def step(tx: Connection) -> bool:
            now = house.clock.now()
            if kind in _GIVEN_UP and transfer_store.statement(tx, transfer, Kind.ERASURE) is None:
                # A late receipt can still follow the shipment, and then the withdrawal stands as a request to erase.
                transfer_store.give_up_sending(tx, transfer, kind)
                note_dropped(tx, transfer, kind, refused, now=now)
            else:
                drop_statement(tx, transfer, kind, refused, now=now)
            present = transfer_store.read_transfer(tx, transfer)
            late = kind is Kind.WITHDRAWAL and present.state is State.WITHDRAWN
            if late and at_broker is not None and at_broker in (State.EXPIRED, State.REFUSED):
                transfer_store.end(tx, transfer, at_broker, now=now)
                journal.append(tx, now=now, actor="node", action=f"transfer.{at_broker}", subject=transfer.hex())
                return True
            if present.over:
                return True
            if kind is Kind.OFFER and at_broker is None:
                # It never came there, whatever it was refused for; time may have ended it on its way.
                then = State.EXPIRED if present.expires_at <= now else State.WITHDRAWN
                end_sent(house, tx, present, then, now=now, **self._refusal(transfer, refused))
            elif kind is Kind.SHIPMENT and at_broker is State.ACCEPTED and refused is not None:
                sealed = self._refusal(transfer, refused)["sealed_reason"]
                transfer_store.set_fields(tx, transfer, now=now, state=State.ACCEPTED, sealed_reason=sealed)
                write_withdrawal(house, tx, transfer_store.read_transfer(tx, transfer), actor="node", now=now)
            return transfer_store.read_transfer(tx, transfer).over

        # Only then: while it goes on, its ciphertext may be on its way just now.
        if await house.db.write(step):
            house.drop_spool(transfer)
        house.changes.tell(transfer)

    # ---- helpers ----

    def _refusal(self, transfer: TransferId, refused: CordeeError | None) -> dict[str, object]:
        """Why the broker would not have it, for this node's own eyes; nothing where it was only overtaken."""
        if refused is None:
            return {}
        reason = statements_pb2.Reason(code=refused.reason.lower())
        house = self._house
        return {"sealed_reason": house.vault.seal(reason.SerializeToString(), place=REASON_PLACE, row=transfer)}

    def _chain(self, transfer: TransferId) -> Chain:
        return self._house.db.look(lambda tx: Chain.read(self._house, tx, transfer))

    def _sealed_reason(
        self,
        statement: statements.Answer | statements.Receipt | statements.Erasure,
        sealed: bytes | None,
        codes: Collection[str],
        about: Digest,
    ) -> bytes:
        """The reason as the recipient gave it, sealed again for this node's own eyes. Where it was sealed to a card
        whose key is gone, what they say has happened counts all the same.
        """
        house = self._house
        try:
            key = house.keys.sealing_key(statement.sender_card)
        except CannotOpen:
            reason = Reason("other")
        else:
            reason = open_reason(sealed or b"", codes=codes, parties=statement.parties, about=about, key=key)
        message = statements_pb2.Reason(code=reason.code, text=reason.text)
        return house.vault.seal(message.SerializeToString(), place=REASON_PLACE, row=statement.transfer_id)
