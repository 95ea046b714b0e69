"""Counting for the yearly report, in the step that makes something countable: later nobody could count it.

What is kept is how often, in which year, and which association, as sender and as recipient; no transfer and no day.
When the year is closed it is replaced by what may be told: nothing finer is left to be subtracted from (decision 24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.figures.years import is_closed, year_of
from cordee.runtime.prepared import prepared
from cordee.signing import Signed
from cordee.statements import Erasure, Statement, time_of
from cordee.transfer import END_STATES, Kind, State
from directory.store import table_of
from directory.store.figures import TallyRow

if TYPE_CHECKING:
    from directory.transfers import Taken, Transfer

__all__ = ["ASKED", "ERASED", "KEPT", "OF_STATE", "RETURNED", "SIDES", "count"]

_TALLY = table_of(TallyRow)
_INTO = upsert(_TALLY)
_ADD = prepared(
    _INTO.on_conflict_do_update(
        index_elements=["year", "figure", "side", "member"],
        set_={"number": _TALLY.c.number + _INTO.excluded.number},
    )
)

OF_STATE: Final[Mapping[State, str]] = {
    State.RECEIVED: "received",
    State.DECLINED: "declined",
    State.WITHDRAWN: "withdrawn",
    State.EXPIRED: "not_received",
    State.REFUSED: "not_received",
}
"""Each end of a transfer → the row of the report that counts it."""

ASKED, ERASED, KEPT, RETURNED = "asked", "erased", "kept", "returned"
SIDES: Final = ("sender", "recipient")


def count(
    tx: Connection,
    transfer: Transfer,
    *,
    after: State,
    kind: Kind,
    statement: Statement | None,
    before: Sequence[Taken],
    now: datetime,
) -> None:
    """Count what a step has made of a transfer. `before`: its statements so far; no `statement`: time has ended it."""
    if after in END_STATES and after is not transfer.state:
        year = year_of(_first(before, Kind.OFFER))
        if transfer.state in END_STATES:  # a receipt came late: it tells what had happened
            _add(tx, transfer, year, OF_STATE[transfer.state], -1, now)
        _add(tx, transfer, year, OF_STATE[after], 1, now)
    if statement is None or after is not State.RECEIVED:
        return
    taken = {each.kind for each in before}
    if kind is Kind.WITHDRAWAL or (kind is Kind.RECEIPT_TAKEN and Kind.WITHDRAWAL in taken):
        _add(tx, transfer, year_of(statement.time), ASKED, 1, now)
    elif isinstance(statement, Erasure):
        asked = Kind.WITHDRAWAL in taken
        year = year_of(_asked_at(before) if asked else statement.time)
        _add(tx, transfer, year, RETURNED if not asked else ERASED if statement.erased else KEPT, 1, now)


def _add(tx: Connection, transfer: Transfer, year: int, figure: str, number: int, now: datetime) -> None:
    if is_closed(year, now):
        return  # it was told already, and what was told stays
    for side, member in zip(SIDES, (transfer.sender, transfer.recipient), strict=True):
        tx.execute(_ADD, {"year": year, "figure": figure, "side": side, "member": member, "number": number})


def _first(before: Sequence[Taken], kind: Kind) -> datetime:
    return time_of(next(each.signed for each in before if each.kind is kind))


def _asked_at(before: Sequence[Taken]) -> datetime:
    """A request to erase is one from the later of withdrawal and receipt on, as the broker took them."""
    last: Signed = [each.signed for each in before if each.kind in (Kind.WITHDRAWAL, Kind.RECEIPT_TAKEN)][-1]
    return time_of(last)
