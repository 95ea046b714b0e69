"""The broker, as directory/broker.py, transfers.py, taking_back.py and events.py have it: functions of its desk.

Each is one transaction there: statement, state, event and erasure mark stand or fall together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cordee.errors import Conflict
from cordee.transfer import END_STATES, Kind, Party, State, expires_at, next_state
from directory import taking_back
from tests.faults.model.facts import (
    EXPIRED,
    REMOVED,
    SUSPENDED,
    Desk,
    St,
    World,
    by_sender,
    chained,
    follows,
    statement_of,
)

__all__ = [
    "CONFLICT",
    "NOT_FOUND",
    "REFUSED",
    "TAKEN",
    "WAITS",
    "Answer",
    "Broker",
]

TAKEN, CONFLICT, NOT_FOUND, REFUSED, WAITS = "taken", "conflict", "not found", "refused", "waits"

_BEGIN = datetime(2027, 1, 1, tzinfo=UTC)


class Answer(NamedTuple):
    """The desk after a call, and what the caller hears."""

    desk: Desk
    outcome: str
    parsed: bool = False
    """It came as far as the reading of the statement, which may find it too old."""


class Broker:
    """What it does with a desk. `planted`: the name of a defect that it has (tests/faults/model/mutants.py)."""

    def __init__(self, recipient: str = "recipient", planted: str = "") -> None:
        self.members = ("sender", recipient)
        self.planted = planted

    # ---- submit ----

    def submit(self, desk: Desk, world: World, st: St) -> Iterator[Answer]:
        """`Broker.submit`."""
        caller, _ = self.members if by_sender(st) else self.members[::-1]
        if world.standing(caller) != "active":
            yield Answer(desk, WAITS)  # its calls are refused as they come (cordee.runtime.guard)
            return
        if st in desk.taken and self.planted != "the same statement again is a conflict":
            yield Answer(desk, TAKEN)
            return
        for over in self.due(desk, world):
            yield self._submit(self.expired(desk) if over else desk, world, st)

    def _submit(self, desk: Desk, world: World, st: St) -> Answer:
        if any(world.standing(each) == SUSPENDED for each in self.members):  # _require_standing
            return Answer(desk, WAITS)
        if desk.state is None and st.kind is not Kind.OFFER:  # _require_step
            return Answer(desk, NOT_FOUND)
        try:
            then = next_state(desk.state, st.kind, st.by, taken=[each.kind for each in desk.taken])
        except Conflict:
            return Answer(desk, CONFLICT)
        if not chained(st, desk.taken):
            missing = statement_of(desk.taken, follows(st)) is None
            return Answer(desk, CONFLICT if missing else REFUSED, parsed=True)
        if st.exposing and any(world.standing(each) == REMOVED for each in self.members):
            return Answer(desk, WAITS, parsed=True)
        if st.kind in (Kind.OFFER, Kind.ACCEPTANCE, Kind.REFUSAL) and world.clock >= 2:
            return Answer(desk, CONFLICT, parsed=True)  # TransferOver, by Offer.require_in_force
        unmet = st.kind is Kind.SHIPMENT and desk.mail != int(st.how)
        if unmet and self.planted != "a shipment is signed and taken before its ciphertext is there":
            return Answer(desk, REFUSED, parsed=True)  # _require_waiting
        return Answer(self.take(desk, st, then), TAKEN, parsed=True)

    def take(self, desk: Desk, st: St, then: State) -> Desk:
        """`transfers.take`: the step, and the event for the other party."""
        desk = desk._replace(state=then, taken=(*desk.taken, st), ever=desk.ever | {st.kind})
        if self.planted == "no event is kept with a receipt" and st.kind is Kind.RECEIPT_TAKEN:
            return desk
        if by_sender(st):
            return desk._replace(to_recipient=(*desk.to_recipient, st))
        return desk._replace(to_sender=(*desk.to_sender, st))

    # ---- time ----

    def due(self, desk: Desk, world: World) -> Sequence[bool]:
        """`Broker._is_over`: what `expires_at` says of this state, by a clock that may differ from the others'."""
        if desk.state is None or world.grace:
            return (False,)
        ends = expires_at(
            desk.state,
            offer_expires=_BEGIN + timedelta(days=1),
            key_expires=_BEGIN + timedelta(days=3),
            token_expires=_BEGIN + timedelta(days=4),
        )
        return (False,) if ends is None else world.past((ends - _BEGIN).days)

    def expired(self, desk: Desk) -> Desk:
        """`transfers.expire`: also for a removal and for `NodeRestored`."""
        if desk.state is None or desk.state in END_STATES:
            return desk
        try:
            then = next_state(desk.state, Kind.EXPIRY, Party.BROKER, taken=[each.kind for each in desk.taken])
        except Conflict:
            return desk  # by the table, time ends nothing here
        told = self.planted != "an expiry is not told to the recipient"
        return desk._replace(
            state=then,
            to_sender=(*desk.to_sender, EXPIRED),
            to_recipient=(*desk.to_recipient, EXPIRED) if told else desk.to_recipient,
        )

    # ---- after a restore ----

    def give_back(self, desk: Desk, world: World, caller: str, given: Sequence[St]) -> tuple[Desk, int]:
        """`Broker.give_back` and `taking_back.take_back`. How many were added; none where a reading refuses them."""
        if not given or not world.restored or world.standing(caller) != "active":
            return desk, 0
        kept = [each.kind for each in desk.taken]
        kinds = taking_back.fitting(kept, [each.kind for each in given])
        both = [*desk.taken, *(each for each in given if each.kind in kinds)]
        if any(not chained(each, both) for each in given if each.kind in kinds):
            return desk, 0  # BrokenChain
        if desk.state is None and Kind.OFFER not in kinds:
            return desk, 0
        added = [st for kind in kinds if (st := statement_of(given, kind)) is not None]
        for st in added:
            state = taking_back.state_after([*(each.kind for each in desk.taken), st.kind]) or desk.state
            if desk.state is State.EXPIRED and state not in END_STATES:
                state = State.EXPIRED  # both were told so, and have erased their keys
            desk = self.take(desk, st, state or State.OFFERED)
        gone = any(world.standing(each) == REMOVED for each in self.members)
        return (self.expired(desk) if gone else desk), len(added)
