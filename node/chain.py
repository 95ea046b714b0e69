"""The statements of one transfer, as this node keeps them: read once when they came, and again from its own store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from cordee.errors import N_, CordeeError, NotFound, NotInThisState
from cordee.ids import TransferId
from cordee.roster import Roster
from cordee.signing import Signed
from cordee.statements import Answer, Offer, Receipt, Shipment, Withdrawal
from cordee.transfer import Kind, State
from node import journal, transfer_store
from node.house import House

__all__ = ["Chain", "drop_statement", "note_dropped"]


@dataclass(frozen=True)
class Chain:
    """What has been said so far. Each statement was verified when it was taken; from our own store nothing is asked
    of it that changes with time.
    """

    house: House
    kept: dict[Kind, Signed]

    @classmethod
    def read(cls, house: House, tx: Connection, transfer: TransferId) -> Chain:
        """All statements of a transfer; none where it is unknown."""
        return cls(house, {kind: signed for kind, signed, _ in transfer_store.statements(tx, transfer)})

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What was taken, in order."""
        return tuple(self.kept)

    @cached_property
    def offer(self) -> Offer:
        """Raises NotFound."""
        signed = self._signed(Kind.OFFER)
        return self.house.recall.recall(
            signed, Offer, lambda: Offer.parse(signed, self._roster, now=self._now, history=True)
        )

    @cached_property
    def answer(self) -> Answer:
        """The acceptance. Raises NotFound."""
        signed = self._signed(Kind.ACCEPTANCE)
        return self.house.recall.recall(
            signed, Answer, lambda: Answer.parse(signed, self._roster, offer=self.offer, now=self._now, history=True)
        )

    @cached_property
    def shipment(self) -> Shipment:
        """Raises NotFound."""
        signed = self._signed(Kind.SHIPMENT)
        return self.house.recall.recall(
            signed,
            Shipment,
            lambda: Shipment.parse(
                signed, self._roster, offer=self.offer, answer=self.answer, now=self._now, history=True
            ),
        )

    @cached_property
    def withdrawal(self) -> Withdrawal:
        """Raises NotFound."""
        signed = self._signed(Kind.WITHDRAWAL)
        return Withdrawal.parse(signed, self._roster, offer=self.offer, now=self._now, history=True)

    def require(self, kind: Kind, state: State) -> None:
        """What is to come answers a statement of this kind. Raises NotInThisState where there is none."""
        if kind not in self.kept:
            raise NotInThisState(state=state, statement=Kind.ERASURE)

    def receipt(self, signed: Signed) -> Receipt:
        """A receipt read against this chain, as it came."""
        return Receipt.parse(signed, self._roster, offer=self.offer, shipment=self.shipment, now=self._now)

    def _signed(self, kind: Kind) -> Signed:
        if kind not in self.kept:
            raise NotFound(what=N_("transfer"))
        return self.kept[kind]

    @property
    def _roster(self) -> Roster:
        return self.house.roster.roster

    @property
    def _now(self) -> datetime:
        return self.house.clock.now()


def drop_statement(
    tx: Connection, transfer: TransferId, kind: Kind | None, refused: CordeeError | None, *, now: datetime
) -> None:
    """Forget a step of ours that the broker did not take, and journal why: it was refused, or overtaken."""
    if kind is None:
        return
    transfer_store.forget_waiting(tx, transfer, [kind])
    note_dropped(tx, transfer, kind, refused, now=now)


def note_dropped(
    tx: Connection, transfer: TransferId, kind: Kind, refused: CordeeError | None, *, now: datetime
) -> None:
    """Journal why a step of ours is not sent any more."""
    journal.append(
        tx,
        now=now,
        actor="node",
        action=f"statement.{kind}",
        subject=transfer.hex(),
        outcome=refused.reason if refused else "overtaken",
    )
