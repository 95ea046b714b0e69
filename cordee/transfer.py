"""THE TABLE: who may send what in which state of a transfer, and what comes next (protocol §6).

The broker, both nodes, the proof, the tests and the picture in `docs/transfer-states.svg` ask this table; nobody else
decides. It is the *broker's* order of things: a node applies what the broker forwards, in the order forwarded (and
keeps a tombstone for a withdrawal that overtakes its offer, which is no step of this table).

Some steps depend on what was taken before, not only on the state: a receipt is possible in `WITHDRAWN` if the case had
been shipped, a withdrawal in `RECEIVED` unless it was erased. So the table is asked with the kinds *taken* so far.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from google.protobuf.message import Message

from cordee.errors import N_, AnotherStatement, MalformedStatement, NotInThisState
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "END_STATES",
    "RULES",
    "Kind",
    "Party",
    "Pause",
    "Rule",
    "State",
    "expires_at",
    "kind_of",
    "may",
    "next_state",
    "replay",
    "sentence",
    "step_of",
]


class State(StrEnum):
    """Where a transfer stands."""

    OFFERED = N_("offered")
    ACCEPTED = N_("accepted")
    SHIPPED = N_("shipped")
    RECEIVED = N_("received")
    DECLINED = N_("declined")
    REFUSED = N_("refused")
    WITHDRAWN = N_("withdrawn")
    EXPIRED = N_("expired")


END_STATES = frozenset({State.RECEIVED, State.DECLINED, State.REFUSED, State.WITHDRAWN, State.EXPIRED})
"""Both sides have erased keys and waiting ciphertext. A late receipt may still turn two of them into RECEIVED."""


class Kind(StrEnum):
    """What may happen to a transfer: the statements, each outcome a kind of its own, and the passing of time."""

    OFFER = N_("offer")
    ACCEPTANCE = N_("acceptance")
    REFUSAL = N_("refusal")
    SHIPMENT = N_("shipment")
    RECEIPT_TAKEN = N_("receipt_taken")
    RECEIPT_REFUSED = N_("receipt_refused")
    WITHDRAWAL = N_("withdrawal")
    ERASURE = N_("erasure")
    EXPIRY = N_("expiry")


class Party(StrEnum):
    """Who takes the step."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Rule:
    """In `state`, `statement` by `by` makes the transfer `then`: only if `after` was taken, never if `unless` was."""

    state: State | None
    statement: Kind
    by: Party
    then: State
    after: Kind | None = None
    unless: Kind | None = None

    def stands(self, taken: Collection[Kind]) -> bool:
        """Whether what was taken before lets this step be."""
        return (self.after is None or self.after in taken) and (self.unless is None or self.unless not in taken)


_SENDER, _RECIPIENT, _BROKER = Party.SENDER, Party.RECIPIENT, Party.BROKER

RULES = (
    #    in state         statement             by          then             only after
    Rule(None, Kind.OFFER, _SENDER, State.OFFERED),
    Rule(State.OFFERED, Kind.ACCEPTANCE, _RECIPIENT, State.ACCEPTED),
    Rule(State.OFFERED, Kind.REFUSAL, _RECIPIENT, State.DECLINED),
    Rule(State.OFFERED, Kind.WITHDRAWAL, _SENDER, State.WITHDRAWN),
    Rule(State.OFFERED, Kind.EXPIRY, _BROKER, State.EXPIRED),
    Rule(State.ACCEPTED, Kind.SHIPMENT, _SENDER, State.SHIPPED),
    Rule(State.ACCEPTED, Kind.WITHDRAWAL, _SENDER, State.WITHDRAWN),
    Rule(State.ACCEPTED, Kind.EXPIRY, _BROKER, State.EXPIRED),
    Rule(State.SHIPPED, Kind.RECEIPT_TAKEN, _RECIPIENT, State.RECEIVED),
    Rule(State.SHIPPED, Kind.RECEIPT_REFUSED, _RECIPIENT, State.REFUSED),
    Rule(State.SHIPPED, Kind.WITHDRAWAL, _SENDER, State.WITHDRAWN),
    Rule(State.SHIPPED, Kind.EXPIRY, _BROKER, State.EXPIRED),
    # A receipt tells what has happened, so it is never refused for being late. One that says "nothing was imported"
    # changes nothing: the transfer stays over for the reason for which it was over.
    Rule(State.WITHDRAWN, Kind.RECEIPT_TAKEN, _RECIPIENT, State.RECEIVED, after=Kind.SHIPMENT),
    Rule(State.WITHDRAWN, Kind.RECEIPT_REFUSED, _RECIPIENT, State.WITHDRAWN, after=Kind.SHIPMENT),
    Rule(State.EXPIRED, Kind.RECEIPT_TAKEN, _RECIPIENT, State.RECEIVED, after=Kind.SHIPMENT),
    Rule(State.EXPIRED, Kind.RECEIPT_REFUSED, _RECIPIENT, State.EXPIRED, after=Kind.SHIPMENT),
    # After delivery a withdrawal, also one that crossed the receipt, is a request to erase. The erasure answers it, or
    # comes unasked, because the case was not for them: then nothing is left that could be withdrawn.
    Rule(State.RECEIVED, Kind.WITHDRAWAL, _SENDER, State.RECEIVED, unless=Kind.ERASURE),
    Rule(State.RECEIVED, Kind.ERASURE, _RECIPIENT, State.RECEIVED),
)

_BY_CELL = {(rule.state, rule.statement, rule.by): rule for rule in RULES}

_STEPS = {
    Kind.ACCEPTANCE: N_("answer"),
    Kind.REFUSAL: N_("answer"),
    Kind.RECEIPT_TAKEN: N_("receipt"),
    Kind.RECEIPT_REFUSED: N_("receipt"),
}


def step_of(kind: Kind) -> str:
    """The step that a kind is one outcome of: "answer", "receipt", or its own name. Each is taken once a transfer."""
    return _STEPS.get(kind, kind.value)


def next_state(state: State | None, kind: Kind, by: Party, *, taken: Collection[Kind]) -> State:
    """What a step makes of a transfer that stands in `state` (None: not offered yet) after the kinds `taken` so far.

    The *same* statement twice is the caller's to notice beforehand, by its digest: it is answered as the first time.

    Raises: AnotherStatement if another statement was taken for this step already; NotInThisState if the table has no
    such step.
    """
    rule = _BY_CELL.get((state, kind, by))
    if any(step_of(kind) == step_of(before) for before in taken):
        raise AnotherStatement(statement=step_of(kind))
    if rule is None or not rule.stands(taken):
        raise NotInThisState(state=state or N_("not offered yet"), statement=kind)
    return rule.then


def may(state: State | None, party: Party, *, taken: Collection[Kind]) -> tuple[Kind, ...]:
    """What this party may do now, in the table's order."""
    steps = {step_of(kind) for kind in taken}
    return tuple(
        rule.statement
        for rule in RULES
        if rule.state == state and rule.by == party and step_of(rule.statement) not in steps and rule.stands(taken)
    )


def replay(steps: Iterable[tuple[Kind, Party]]) -> State | None:
    """The state after these steps, in the order in which the broker took them. Raises as `next_state`."""
    state: State | None = None
    taken: list[Kind] = []
    for kind, by in steps:
        state = next_state(state, kind, by, taken=taken)
        taken.append(kind)
    return state


def expires_at(
    state: State, *, offer_expires: datetime, token_expires: datetime, key_expires: datetime | None = None
) -> datetime | None:
    """When the broker ends a transfer that stays in this state; None where time ends nothing any more.

    The offer's end counts while it waits for an answer, the one-time key's end from then on (that key is the
    acceptance's own due date), the token's end always: consent has run out.

    Raises: ValueError if an accepted transfer is asked about without its key's end.
    """
    if state in END_STATES:
        return None
    if state is State.OFFERED:
        return min(offer_expires, token_expires)
    if key_expires is None:
        raise ValueError("an accepted transfer has a one-time key, and the key an end")
    return min(key_expires, token_expires)


_ALONE = {
    v1.Offer.DESCRIPTOR.full_name: Kind.OFFER,
    v1.Shipment.DESCRIPTOR.full_name: Kind.SHIPMENT,
    v1.Withdrawal.DESCRIPTOR.full_name: Kind.WITHDRAWAL,
}
_WITH_OUTCOME = {
    (v1.Answer.DESCRIPTOR.full_name, "acceptance"): Kind.ACCEPTANCE,
    (v1.Answer.DESCRIPTOR.full_name, "refusal"): Kind.REFUSAL,
    (v1.Receipt.DESCRIPTOR.full_name, "taken"): Kind.RECEIPT_TAKEN,
    (v1.Receipt.DESCRIPTOR.full_name, "refused"): Kind.RECEIPT_REFUSED,
    # Done, refused or done unasked: the state is the same. Which of them stands in clear; all else of it is sealed.
    (v1.Erasure.DESCRIPTOR.full_name, "erased"): Kind.ERASURE,
    (v1.Erasure.DESCRIPTOR.full_name, "refused"): Kind.ERASURE,
    (v1.Erasure.DESCRIPTOR.full_name, "returned"): Kind.ERASURE,
}


def kind_of(statement: Message) -> Kind:
    """The kind of a statement's body (`v1.Offer`, `v1.Answer`, …).

    Raises: MalformedStatement for another message, or an answer, receipt or erasure without outcome.
    """
    name = statement.DESCRIPTOR.full_name
    if name in _ALONE:
        return _ALONE[name]
    if "outcome" not in statement.DESCRIPTOR.oneofs_by_name:
        raise MalformedStatement(what=name, problem=N_("no step of a transfer"))
    outcome = statement.WhichOneof("outcome")
    if outcome is None:
        raise MalformedStatement(what=name, problem=N_("no outcome"))
    return _WITH_OUTCOME[name, outcome]


_SENTENCES = {
    (State.OFFERED, _SENDER): N_("Offered; they have not answered yet, and nothing but the offer has left."),
    (State.OFFERED, _RECIPIENT): N_("Offered to you; nothing has come yet, and nothing will until you accept."),
    (State.ACCEPTED, _SENDER): N_("Accepted; the case is on its way out and is still yours."),
    (State.ACCEPTED, _RECIPIENT): N_("You accepted; the case has not come yet and is still theirs."),
    (State.SHIPPED, _SENDER): N_("Sent in full; their machine has not confirmed it yet, so the case is still yours."),
    (State.SHIPPED, _RECIPIENT): N_("It is waiting to be fetched and checked; until then the case is still theirs."),
    (State.RECEIVED, _SENDER): N_("Received and checked by their machine; the case is theirs now."),
    (State.RECEIVED, _RECIPIENT): N_("Received and checked; the case is yours now."),
    (State.DECLINED, _SENDER): N_("Declined; nothing but the offer has left, and the case is still yours."),
    (State.DECLINED, _RECIPIENT): N_("You declined; nothing came, and the case is still theirs."),
    (State.REFUSED, _SENDER): N_("Their machine refused what came and kept nothing; the case is still yours."),
    (State.REFUSED, _RECIPIENT): N_("What came was refused and nothing was kept; the case is still theirs."),
    (State.WITHDRAWN, _SENDER): N_("Withdrawn before it was received; what was waiting is erased, the case is yours."),
    (State.WITHDRAWN, _RECIPIENT): N_("The sender withdrew it before it was received; nothing was kept."),
    (State.EXPIRED, _SENDER): N_("The time ran out before it was received; the case is still yours."),
    (State.EXPIRED, _RECIPIENT): N_("The time ran out before it was received; nothing was kept."),
}

_REQUESTED = {
    _SENDER: N_("Received, then withdrawn: they were asked to erase it and have not answered yet."),
    _RECIPIENT: N_("Received, then withdrawn: you are asked to erase it, or to say why it must be kept."),
}
_ANSWERED = {
    _SENDER: N_("Received, then withdrawn: they have answered your request to erase it; read their answer."),
    _RECIPIENT: N_("Received, then withdrawn: you have answered the request to erase it."),
}


_RETURNED = {
    _SENDER: N_("Not for them, they say: they have erased it and signed that; the case is yours again."),
    _RECIPIENT: N_("Not for you: erased here, with your signature to them; the case is theirs again."),
}
_SHARED = {
    _SENDER: N_("Received and checked by their machine; you both follow the case now."),
    _RECIPIENT: N_("Received and checked; you both follow the case now."),
}
_SHARED_RETURNED = {
    _SENDER: N_("Not for them, they say: they have erased what you shared and signed that."),
    _RECIPIENT: N_("Not for you: what they shared is erased here, with your signature to them."),
}


class Pause(StrEnum):
    """Why a transfer that is not over does not move at present."""

    HELD = "held"
    """Accepted; its sender wants to let it go by hand."""
    SUSPENDED = "suspended"
    """One of the two is suspended: what is between them stands still (protocol §6)."""
    UNHEARD = "unheard"
    """This node has not heard from the network for too long, or must not believe what it hears (protocol §4)."""


_PAUSED = {
    (Pause.HELD, _SENDER): N_("Accepted; nothing leaves until you let it go, and the case is still yours."),
    (Pause.SUSPENDED, _SENDER): N_("It stands still: one of the two associations is suspended; the case is yours."),
    (Pause.SUSPENDED, _RECIPIENT): N_("It stands still: one of the two associations is suspended; it is still theirs."),
    (Pause.UNHEARD, _SENDER): N_("It stands still until the list of members is fresh again; the case is still yours."),
    (Pause.UNHEARD, _RECIPIENT): N_("It stands still until the list of members is fresh again; it is still theirs."),
}


def sentence(
    state: State, party: Party, *, taken: Collection[Kind] = (), shared: bool = False, pause: Pause | None = None
) -> str:
    """The state told to a party in one sentence (a msgid).

    With `taken`, a case that was received and then withdrawn or returned says so; `shared` is for a referral or an
    update, which hand nothing over; `pause` says why one that is not over does not move, where this party knows it.
    Raises: ValueError for the broker, who reads nothing.
    """
    if party is Party.BROKER:
        raise ValueError("a state is told to the sender or the recipient")
    if pause is not None and state not in END_STATES and (pause, party) in _PAUSED:
        return _PAUSED[pause, party]
    if state is State.RECEIVED and Kind.WITHDRAWAL in taken:
        return (_ANSWERED if Kind.ERASURE in taken else _REQUESTED)[party]
    if state is State.RECEIVED and Kind.ERASURE in taken:
        return (_SHARED_RETURNED if shared else _RETURNED)[party]
    if state is State.RECEIVED and shared:
        return _SHARED[party]
    return _SENTENCES[state, party]
