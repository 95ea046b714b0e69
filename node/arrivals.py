"""What senders tell this node: offers, shipments, withdrawals, each kept together with its effect."""

from __future__ import annotations

from sqlalchemy import Connection

from cordee import statements
from cordee.errors import CannotOpen, CordeeError
from cordee.ids import TransferId
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.signing import Signed
from cordee.summary import open_summary
from cordee.transfer import END_STATES, Kind, Party, State, next_state
from cordee.v1 import statements_pb2
from node import journal, transfer_store
from node.chain import Chain, drop_statement
from node.house import House
from node.receiving import SUMMARY_PLACE
from node.transfer_store import Transfer

__all__ = ["Arrivals"]

log = logger("node.arrivals")

OFFER_BEFORE = register("node.arrival.offer.before_write")
OFFER_AFTER = register("node.arrival.offer.after_write")
SHIPMENT_BEFORE = register("node.arrival.shipment.before_write")
SHIPMENT_AFTER = register("node.arrival.shipment.after_write")
WITHDRAWAL_AFTER = register("node.arrival.withdrawal.after_write")


class Arrivals:
    """The recipient's ear."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def hear(self, signed: Signed, kind: Kind, *, sequence: int) -> None:
        """One statement of a sender. Raises whatever its checks raise; nothing is kept then."""
        transfer = statements.peek(signed).parties.transfer_id
        if kind is Kind.OFFER:
            await self._offer(transfer, signed, sequence)
        elif kind is Kind.SHIPMENT:
            await self._shipment(transfer, signed, sequence)
        else:
            await self._withdrawal(transfer, signed, sequence)

    async def _offer(self, transfer: TransferId, signed: Signed, sequence: int) -> None:
        house = self._house
        offer = statements.Offer.parse(
            signed,
            house.roster.roster,
            now=house.clock.now(),
            tree=house.roster.root_at,
            me=house.member,
        )
        summary = self._summary(offer)
        answers_itself = summary is None or summary.kind == "update"
        summary = summary or statements_pb2.Summary(kind="unreadable")

        def step(tx: Connection) -> None:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            if transfer_store.statement(tx, transfer, Kind.OFFER) is not None:
                return
            over = transfer_store.is_withdrawn(tx, offer.token.id, sender=offer.sender)
            sealed = house.vault.seal(summary.SerializeToString(), place=SUMMARY_PLACE, row=transfer)
            transfer_store.insert_transfer(
                tx,
                Transfer(
                    id=transfer,
                    outgoing=False,
                    peer=offer.sender,
                    state=State.WITHDRAWN if over else State.OFFERED,
                    case_id=None,
                    token_id=offer.token.id,
                    act_id=None,
                    opened_at=now,
                    updated_at=now,
                    expires_at=offer.expires,
                    hands_over=summary.kind == "transfer",
                    sealed_terms=sealed,
                    sealed_reason=None,
                    sealed_content_key=None,
                    sealed_one_time_seed=None,
                    ciphertext_header=None,
                    manifest_digest=None,
                    job="answer" if answers_itself and not over else None,
                    total_bytes=0,
                    erasure=None,
                ),
            )
            transfer_store.add_statement(tx, transfer, Kind.OFFER, signed, ours=False, now=now)
            journal.append(
                tx,
                now=now,
                actor="node",
                action="transfer.offer_came",
                subject=transfer.hex(),
                facts={"peer": offer.sender.hex()},
            )
            if over:  # it had come before
                journal.append(tx, now=now, actor="node", action="transfer.withdrawal_came", subject=transfer.hex())

        house.crashpoints.reach(OFFER_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(OFFER_AFTER)
        log.info("transfer.offer_came", transfer=transfer.short)
        house.changes.tell(transfer)

    def _summary(self, offer: statements.Offer) -> statements_pb2.Summary | None:
        """None where it was sealed to a key that this node no longer has."""
        try:
            key = self._house.keys.sealing_key(offer.recipient_card)
            return open_summary(offer.sealed_summary, parties=offer.parties, key=key)
        except CannotOpen:
            return None

    async def _shipment(self, transfer: TransferId, signed: Signed, sequence: int) -> None:
        house = self._house

        chain = house.db.look(lambda tx: Chain.read(house, tx, transfer))
        shipment = statements.Shipment.parse(
            signed, house.roster.roster, offer=chain.offer, answer=chain.answer, now=house.clock.now()
        )

        def step(tx: Connection) -> None:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            present = transfer_store.read_transfer(tx, transfer)
            taken = [each for each, _ in transfer_store.kinds(tx, transfer)]
            if Kind.SHIPMENT in taken or present.state in END_STATES:
                return
            then = next_state(present.state, Kind.SHIPMENT, Party.SENDER, taken=taken)
            transfer_store.add_statement(tx, transfer, Kind.SHIPMENT, signed, ours=False, now=now)
            transfer_store.mark_taken(tx, transfer, Kind.ACCEPTANCE)
            transfer_store.set_fields(
                tx, transfer, now=now, state=then, job="fetch", total_bytes=shipment.ciphertext_size
            )
            journal.append(tx, now=now, actor="node", action="transfer.shipment_came", subject=transfer.hex())

        house.crashpoints.reach(SHIPMENT_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(SHIPMENT_AFTER)
        house.changes.tell(transfer)

    async def _withdrawal(self, transfer: TransferId, signed: Signed, sequence: int) -> None:
        house = self._house
        chain = house.db.look(lambda tx: Chain.read(house, tx, transfer))
        offer = chain.offer if Kind.OFFER in chain.kinds else None
        withdrawal = statements.Withdrawal.parse(
            signed, house.roster.roster, offer=offer, now=house.clock.now(), me=house.member
        )

        def step(tx: Connection) -> None:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            if offer is None:
                # Tombstone first: a withdrawal may overtake the offer it withdraws (protocol §5).
                by = withdrawal.sender
                transfer_store.withdrawn_before(tx, transfer, withdrawal.token_id, sender=by, now=now)
                return
            if not transfer_store.add_statement(tx, transfer, Kind.WITHDRAWAL, signed, ours=False, now=now):
                return
            present = transfer_store.read_transfer(tx, transfer)
            if present.state is State.RECEIVED and present.erasure is None:  # else it has crossed our erasure
                transfer_store.set_fields(tx, transfer, now=now, erasure="asked")
            elif _may_still_end(present):
                waits = [Kind.ACCEPTANCE, Kind.REFUSAL]
                transfer_store.forget_waiting(tx, transfer, waits)
                transfer_store.end(tx, transfer, State.WITHDRAWN, now=now, sealed_reason=None)
            journal.append(tx, now=now, actor="node", action="transfer.withdrawal_came", subject=transfer.hex())

        await house.db.write(step)
        house.crashpoints.reach(WITHDRAWAL_AFTER)
        if offer is not None:
            house.drop_spool(transfer)
        house.changes.tell(transfer)

    async def expired(self, transfer: TransferId, *, sequence: int) -> None:
        """The broker says that the time is over; what this node has imported stays (its receipt is on the way)."""
        house = self._house

        def step(tx: Connection) -> None:
            now = house.clock.now()
            transfer_store.keep_cursor(tx, sequence)
            present = transfer_store.read_transfer(tx, transfer)
            if not _may_still_end(present):
                return
            transfer_store.forget_waiting(tx, transfer, [Kind.ACCEPTANCE, Kind.REFUSAL])
            transfer_store.end(tx, transfer, State.EXPIRED, now=now, sealed_reason=None)
            journal.append(tx, now=now, actor="node", action="transfer.expired", subject=transfer.hex())

        await house.db.write(step)
        house.drop_spool(transfer)
        house.changes.tell(transfer)

    async def dropped(
        self, transfer: TransferId, kind: Kind | None, refused: CordeeError | None, *, at_broker: State | None
    ) -> None:
        """The broker refused an answer of ours for good. While the offer still stands there, it stands here again,
        unless its time is over: nobody would tell us so any more. A withdrawal, or time, that had ended it before we
        declined has ended it for all three.
        """
        house = self._house

        def step(tx: Connection) -> None:
            now = house.clock.now()
            drop_statement(tx, transfer, kind, refused, now=now)
            if kind not in (Kind.ACCEPTANCE, Kind.REFUSAL) or at_broker is None:
                return
            present = transfer_store.read_transfer(tx, transfer)
            if present.state is State.DECLINED and at_broker in (State.WITHDRAWN, State.EXPIRED):
                transfer_store.end(tx, transfer, at_broker, now=now, sealed_reason=None)
                if at_broker is State.EXPIRED:  # a withdrawal is journalled when it comes
                    journal.append(tx, now=now, actor="node", action="transfer.expired", subject=transfer.hex())
                return
            if at_broker is not State.OFFERED or present.state not in (State.ACCEPTED, State.DECLINED):
                return
            if present.expires_at <= now:  # by our own clock; right after a restore the broker ends nothing yet
                transfer_store.end(tx, transfer, State.EXPIRED, now=now, sealed_reason=None)
            else:
                fields = {"state": State.OFFERED, "sealed_one_time_seed": None, "sealed_reason": None}
                transfer_store.set_fields(tx, transfer, now=now, **fields)

        await house.db.write(step)
        house.changes.tell(transfer)


def _may_still_end(present: Transfer) -> bool:
    """Its end at the broker may be heard of. Also where we have refused what came: had the broker heard that first,
    nobody could have withdrawn it any more, nor would time have ended it (the table).
    """
    return present.state not in END_STATES or present.state is State.REFUSED
