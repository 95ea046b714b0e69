"""What waits in the cases: kept beside each case and act in the step that writes it, and found without opening others.

In clear stands the week in which something first has to be told; the rest is sealed with the case's data key and erased
with it. `cordee.case.due` says what is asked for; nothing here decides it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.act import Act
from cordee.case import Case
from cordee.case.due import CLOCK, Due, Needs, due_of_acts, due_of_case, needs_of
from cordee.runtime.prepared import prepared
from node import case_sealing as sealing
from node.case_access import Access, Sight
from node.people import Handler
from node.store import table_of
from node.store.agenda import AgendaRow
from node.store.records import CaseKeyRow, CaseRow
from node.vault import DataKey, Vault

if TYPE_CHECKING:
    from node.case_index import CaseIndex

__all__ = [
    "THREE_DAYS",
    "Asked",
    "Opened",
    "Waiting",
    "forget_agenda",
    "give_up",
    "keep_acts",
    "keep_case",
    "tidy",
    "to_make",
    "waiting",
]

_AGENDA = table_of(AgendaRow)
_CASE = table_of(CaseRow)
_KEY = table_of(CaseKeyRow)
_PLACE = "agenda.sealed_due"
_NONCE = 25  # bytes: the format's number, then the nonce
_PADDED = 512  # bytes, and multiples of it
_PIECE = 500  # rows that are opened before somebody else has a turn
THREE_DAYS = frozenset({"act_72h", "accueil_72h"})
"""What is asked for where a case has a clock of 72 hours of its own."""
_OPEN, _HANDED_OVER = "open", "handed_over"
_NOBODYS, _NO_NEEDS = Access("", frozenset(), None), Needs()

_COLUMNS = (_AGENDA.c.id, _AGENDA.c.case_id, _AGENDA.c.sealed_due, _KEY.c.sealed_key)
_WITH_KEY = _AGENDA.join(_KEY, _KEY.c.case_id == _AGENDA.c.case_id)
_ONE = prepared(select(*_COLUMNS).select_from(_WITH_KEY).where(_AGENDA.c.id == bindparam("row")))
_BEFORE = prepared(select(_AGENDA.c.sealed_due).where(_AGENDA.c.id == bindparam("row")))
# What was sealed begins with a nonce: as long as that is the same, so is what was opened.
_START = func.substr(_AGENDA.c.sealed_due, 1, _NONCE)
_OF_THE_WEEK = (
    _AGENDA.c.week <= bindparam("week"),
    _CASE.c.state == _OPEN,
    _CASE.c.holder != _HANDED_OVER,
)
_WITH_CASE = _AGENDA.join(_CASE, _CASE.c.id == _AGENDA.c.case_id)
_DUE = prepared(select(_AGENDA.c.id, _START.label("nonce")).select_from(_WITH_CASE).where(*_OF_THE_WEEK))
_MARK = prepared(select(func.group_concat(func.hex(_START), "")).select_from(_WITH_CASE).where(*_OF_THE_WEEK))
"""All their nonces in one text: the same as before where nothing of it was written, which one row tells fastest."""
_MAKE = prepared(select(_AGENDA.c.id, _AGENDA.c.case_id).where(_AGENDA.c.sealed_due.is_(None)).limit(bindparam("many")))
_ADD = upsert(_AGENDA)
_KEEP = prepared(
    _ADD.on_conflict_do_update(
        index_elements=["id"], set_={"week": _ADD.excluded.week, "sealed_due": _ADD.excluded.sealed_due}
    )
)
_MOVE = prepared(update(_AGENDA).where(_AGENDA.c.id == bindparam("row")))


@dataclass(frozen=True)
class Asked:
    """One thing that a case asks for, as it is shown: under its pseudonym."""

    case_id: str
    pseudonym: str
    mine: bool  # in the reader's name, or in nobody's
    due: Due


@dataclass(frozen=True)
class Waiting:
    """All that somebody may see, or the beginning of each kind, what is most urgent first.

    `complete`: nothing is still to be made. `counts`: of each kind, with those that are not in `asked`. `colleagues`:
    how many more wait in the name of others. `clocks`: ids of the cases that have a clock of three days of their own.
    """

    asked: tuple[Asked, ...]
    complete: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    colleagues: int = 0
    clocks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Kept:
    """What is sealed in a row. Of an act: only what is due."""

    case_id: str
    due: tuple[Due, ...]
    pseudonym: str = ""
    access: Access = _NOBODYS  # as the case says it; its team is asked for each time
    needs: Needs = _NO_NEEDS


def keep_case(tx: Connection, key: DataKey, case: Case, *, now: datetime) -> None:
    """What a case asks for, in the same step as the case itself."""
    before = tx.execute(_BEFORE, {"row": case.case_id}).scalar()
    needs = needs_of(case, _opened(key, case.case_id, before, case.case_id).needs if before else _NO_NEEDS, now)
    kept = _Kept(case.case_id, due_of_case(case, needs), case.pseudonym, Access.of(case, None), needs)
    _keep(tx, key, case.case_id, kept)


def keep_acts(tx: Connection, key: DataKey, case_id: str, acts: Sequence[Act]) -> None:
    """What all the acts of a case ask for, in the same step as the one that was recorded or withdrawn."""
    for act_id, due in due_of_acts(acts).items():
        _keep(tx, key, act_id, _Kept(case_id, due))


def forget_agenda(tx: Connection, case_id: str) -> None:
    """A case is erased: what it asked for goes with it."""
    tx.execute(delete(_AGENDA).where(_AGENDA.c.case_id == case_id))


class Opened:
    """What is due, opened, in its order: most of it is still the same the next time somebody looks.

    In memory only, and only as long as it is due: what is erased is gone from here the next time somebody looks.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, tuple[bytes, _Kept]] = {}
        self._known: tuple[bytes, date] | None = None  # of what is told: all that was due, and the day
        self._told: list[tuple[str, Due]] = []

    def catch_up(self, tx: Connection, vault: Vault, today: date, *, limit: int = _PIECE) -> bool:
        """Open some of what is due and new, `limit` at most. Whether there may be more. Raises CannotOpen."""
        with self._lock:
            rows = tx.execute(_DUE, {"week": week_of(today)}).all()
            new = [row for row in rows if not self._is_known(row)][:limit]
            for row in new:
                self._open(tx, vault, row)
            return len(new) == limit

    def told(self, tx: Connection, vault: Vault, today: date) -> Sequence[tuple[str, Due]]:
        """What is to be told today, each with its case's id, what is most urgent first. Raises CannotOpen."""
        with self._lock:
            week = {"week": week_of(today)}
            mark = hashlib.sha256((tx.execute(_MARK, week).scalar() or "").encode()).digest()
            if (mark, today) != self._known:
                rows = tx.execute(_DUE, week).all()
                for row in rows:
                    if not self._is_known(row):
                        self._open(tx, vault, row)
                self._kept = {row.id: self._kept[row.id] for row in rows if row.id in self._kept}
                told = [
                    (_moment(each.at), kept.case_id, each)
                    for _, kept in self._kept.values()
                    for each in kept.due
                    if _is_told(each, today)
                ]
                self._told = [(case_id, each) for _, case_id, each in sorted(told, key=itemgetter(0))]
                self._known = (mark, today)
            return self._told

    def _is_known(self, row: Any) -> bool:
        known = self._kept.get(row.id)
        return known is not None and known[0] == row.nonce

    def _open(self, tx: Connection, vault: Vault, row: Any) -> None:
        kept = _row(tx, vault, row.id)
        if kept is not None:
            self._kept[row.id] = (row.nonce, kept)


def waiting(
    tx: Connection,
    vault: Vault,
    handler: Handler,
    opened: Opened,
    cases: CaseIndex,
    *,
    today: date,
    now: datetime,
    everybody: bool = True,
    most: int | None = None,
) -> Waiting:
    """What is to be told today to somebody, of the cases that they may open. `today`: on their wall.

    Without `everybody`: what is theirs or nobody's, and every clock. `most`: of each kind, the most urgent of them.
    Raises CannotOpen.
    """
    line_of = cases.seen(tx, vault, sight=Sight(tx, handler, now=now))
    mine: dict[int, bool] = {}  # by the identity of an access that the index keeps once
    found: list[Asked] = []
    counts: Counter[str] = Counter()
    colleagues, clocks = 0, set[str]()
    for case_id, due in opened.told(tx, vault, today):
        line = line_of(case_id)
        if line is None:  # not theirs to know, nor how many there are
            continue
        access = line.access
        its = mine.get(id(access))
        if its is None:
            its = mine[id(access)] = not access.named or access.names(handler)
        if due.what in THREE_DAYS:
            clocks.add(case_id)
        if not (its or everybody or due.kind == CLOCK):
            colleagues += 1
            continue
        counts[due.kind] += 1
        if most is None or counts[due.kind] <= most:
            found.append(Asked(case_id, line.pseudonym, its, due))
    complete = not tx.execute(_MAKE, {"many": 1}).all()
    return Waiting(tuple(found), complete, counts, colleagues, frozenset(clocks))


# ---- by itself ----


def to_make(tx: Connection, *, many: int) -> list[tuple[str, str]]:
    """Rows of a database of before that are still to be made: their ids, and their cases'."""
    return [(row.id, row.case_id) for row in tx.execute(_MAKE, {"many": many})]


def give_up(tx: Connection, row: str) -> None:
    """One that cannot be made, because its case does not open: it is not tried again until the case is written."""
    tx.execute(_MOVE, {"row": row, "week": None, "sealed_due": b""})


def tidy(tx: Connection, vault: Vault, *, today: date) -> int:
    """Take what is over out of the weeks that are read each time; how many rows moved. Raises CannotOpen."""
    moved = 0
    for row in tx.execute(_DUE, {"week": week_of(today)}).all():
        kept = _row(tx, vault, row.id)
        if kept is None:
            continue
        ahead = [each for each in kept.due if each.tell_until is None or each.tell_until >= today]
        week = _first_week(ahead)
        if week is None or week > week_of(today):
            tx.execute(_MOVE, {"row": row.id, "week": week})
            moved += 1
    return moved


def week_of(day: date) -> int:
    """Weeks since the year 1, from Monday to Sunday."""
    return (day.toordinal() - 1) // 7


# ---- rows ----


def _is_told(due: Due, today: date) -> bool:
    return due.tell_from <= today and (due.tell_until is None or today <= due.tell_until)


def _first_week(dues: Iterable[Due]) -> int | None:
    return min((week_of(each.tell_from) for each in dues), default=None)


def _moment(at: datetime | date) -> str:
    return at.isoformat()


def _keep(tx: Connection, key: DataKey, row: str, kept: _Kept) -> None:
    plain = json.dumps(
        {
            "pseudonym": kept.pseudonym,
            "team": [kept.access.restriction, *sorted(kept.access.named)],
            "needs": [kept.needs.shelter, kept.needs.care],
            "due": [[_written(value) for value in asdict(each).values()] for each in kept.due],
        },
        ensure_ascii=False,
    ).encode()
    sealed = key.seal(plain.ljust(-(-len(plain) // _PADDED) * _PADDED), place=_PLACE, row=row)
    values = {"id": row, "case_id": kept.case_id, "week": _first_week(kept.due), "sealed_due": sealed}
    tx.execute(_KEEP, values)


def _row(tx: Connection, vault: Vault, row: str) -> _Kept | None:
    """One row, opened; None where it is not made yet."""
    found = tx.execute(_ONE, {"row": row}).one_or_none()
    if found is None or not found.sealed_due:
        return None
    return _opened(sealing.unwrap(vault, found.case_id, found.sealed_key), found.id, found.sealed_due, found.case_id)


def _opened(key: DataKey, row: str, sealed: bytes, case_id: str) -> _Kept:
    document = json.loads(key.unseal(sealed, place=_PLACE, row=row))
    restriction, *named = document["team"]
    shelter, care = document["needs"]
    return _Kept(
        case_id=case_id,
        due=tuple(_due(each) for each in document["due"]),
        pseudonym=document["pseudonym"],
        access=Access(restriction, frozenset(named), None),
        needs=Needs((shelter[0], shelter[1]), (care[0], care[1])),
    )


def _written(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _due(written: Sequence[Any]) -> Due:
    kind, what, at, tell_from, about, since, tell_until = written
    return Due(
        kind=kind,
        what=what,
        at=_read(at),
        tell_from=date.fromisoformat(tell_from),
        about=about,
        since=None if since is None else _read(since),
        tell_until=None if tell_until is None else date.fromisoformat(tell_until),
    )


def _read(text: str) -> datetime | date:
    return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
