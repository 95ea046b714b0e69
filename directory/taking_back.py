"""What was taken of a transfer before the database came back from a backup, given back by one of its parties.

What is here stays. What is added must fit into the table with it, in the table's own order: that in which it first
came is not known any more, and makes no difference to what it led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from cordee.errors import CordeeError
from cordee.policy import Policy
from cordee.statements import Answer, Offer, Statement
from cordee.transfer import END_STATES, Kind, Party, State, replay, step_of
from directory import tally, transfers
from directory.transfers import Taken

__all__ = ["ORDER", "fitting", "merged", "require_within", "state_after", "take_back"]

ORDER = (
    Kind.OFFER,
    Kind.REFUSAL,
    Kind.ACCEPTANCE,
    Kind.SHIPMENT,
    Kind.WITHDRAWAL,
    Kind.RECEIPT_REFUSED,
    Kind.RECEIPT_TAKEN,
    Kind.ERASURE,
)
"""A withdrawal before a receipt that it crossed: what was received is received either way."""
_BY_SENDER = frozenset({Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL})
_BEFORE_AND_SINCE = 2  # quotas: what was open when the backup was made may have ended since


def fitting(kept: Sequence[Kind], given: Sequence[Kind]) -> list[Kind]:
    """Which of the kinds given can be added to those kept, in the table's order."""
    added: list[Kind] = []
    steps = {step_of(kind) for kind in kept}
    for kind in sorted(given, key=ORDER.index):
        if step_of(kind) not in steps and state_after([*kept, *added, kind]) is not None:
            added.append(kind)
            steps.add(step_of(kind))
    return added


def state_after(kinds: Sequence[Kind]) -> State | None:
    """What these steps lead to; None where the table does not have them together."""
    in_order = sorted(kinds, key=ORDER.index)
    try:
        return replay((kind, Party.SENDER if kind in _BY_SENDER else Party.RECIPIENT) for kind in in_order)
    except CordeeError:
        return None


def require_within(given: Sequence[Statement], policy: Policy) -> None:
    """What goes on keeps the limits, as it does for the nodes that read it. Raises: StatementRefused, TooLarge."""
    for each in given:
        if isinstance(each, Offer):
            each.require_within(policy)
        elif isinstance(each, Answer) and each.acceptance is not None:
            each.acceptance.require_within(policy, since=each.time)


def take_back(
    tx: Connection, given: Sequence[Statement], *, now: datetime, quota: int | None
) -> tuple[State | None, int]:
    """Write what is missing, tell the other parties, and give the state with how many were added.

    A transfer that time, or a removal, has ended meanwhile does not begin again. `quota` is the sender's, None for one
    that has ended: those that the backup knows as open and those that were open at the loss are both within it.

    Raises: AnotherStatement where its token is another transfer's here; QuotaExceeded.
    """
    id_ = given[0].transfer_id
    found, taken = transfers.find(tx, id_), transfers.statements_of(tx, id_)
    by_kind = {each.kind: each for each in given}
    kept = [each.kind for each in taken]
    added = fitting(kept, [kind for kind in by_kind if kind not in kept])
    offer = by_kind.get(Kind.OFFER)
    if found is None:
        if not isinstance(offer, Offer) or Kind.OFFER not in added:
            return None, 0
        found = transfers.open_transfer(tx, offer, quota=quota, times=_BEFORE_AND_SINCE)
    if not added:
        return found.state, 0
    before = list(taken)
    for kind in added:
        statement = by_kind[kind]
        state = state_after([each.kind for each in before] + [kind]) or found.state
        if found.state is State.EXPIRED and state not in END_STATES:
            state = State.EXPIRED  # both were told so, and have erased their keys
        transfers.add_statement(tx, statement, position=len(before), state=state, now=now)
        tally.count(tx, found, after=state, kind=kind, statement=statement, before=before, now=now)
        transfers.move(tx, found, state, acceptance=statement if isinstance(statement, Answer) else None)
        before.append(Taken(kind, statement.signed, state))
        found = transfers.find(tx, id_) or found
    return found.state, len(added)


def merged(taken: Sequence[Taken], given: Sequence[Taken]) -> list[Taken]:
    """What is kept, then what is given of other kinds."""
    kept = {each.kind for each in taken}
    return [*taken, *(each for each in given if each.kind not in kept)]
