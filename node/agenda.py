"""What waits in the cases: kept beside each case and act in the step that writes it, and found without opening others.

In clear stands the week in which something first has to be told; the rest is sealed with the case's data key and erased
with it. `cordee.case.due` says what is asked for; nothing here decides it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.act import Act
from cordee.case import Case
from cordee.case.due import Due, Needs, due_of_acts, due_of_case, needs_of
from cordee.runtime.prepared import prepared
from node import case_sealing as sealing
from node import need_to_know
from node.need_to_know import Team
from node.people import Handler
from node.store import table_of
from node.store.agenda import AgendaRow
from node.store.records import CaseKeyRow, CaseRow
from node.vault import DataKey, Vault

__all__ = ["Asked", "Waiting", "forget_agenda", "give_up", "keep_acts", "keep_case", "tidy", "to_make", "waiting"]

_AGENDA = table_of(AgendaRow)
_CASE = table_of(CaseRow)
_KEY = table_of(CaseKeyRow)
_PLACE = "agenda.sealed_due"
_PADDED = 512  # bytes, and multiples of it
_OPEN, _HANDED_OVER = "open", "handed_over"
_NO_TEAM, _NO_NEEDS = Team("", frozenset()), Needs()

_COLUMNS = (_AGENDA.c.id, _AGENDA.c.case_id, _AGENDA.c.sealed_due, _KEY.c.sealed_key)
_WITH_KEY = _AGENDA.join(_KEY, _KEY.c.case_id == _AGENDA.c.case_id)
_ONE = prepared(select(*_COLUMNS).select_from(_WITH_KEY).where(_AGENDA.c.id == bindparam("row")))
_BEFORE = prepared(select(_AGENDA.c.sealed_due).where(_AGENDA.c.id == bindparam("row")))
_DUE = prepared(
    select(*_COLUMNS)
    .select_from(_WITH_KEY.join(_CASE, _CASE.c.id == _AGENDA.c.case_id))
    .where(
        _AGENDA.c.week <= bindparam("week"),
        _CASE.c.state == _OPEN,
        _CASE.c.holder != _HANDED_OVER,
    )
)
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
    """All that somebody may see, what is most urgent first. `complete`: nothing is still to be made."""

    asked: tuple[Asked, ...]
    complete: bool


@dataclass(frozen=True)
class _Kept:
    """What is sealed in a row. Of an act: only what is due."""

    due: tuple[Due, ...]
    pseudonym: str = ""
    team: Team = _NO_TEAM
    needs: Needs = _NO_NEEDS


def keep_case(tx: Connection, key: DataKey, case: Case, *, now: datetime) -> None:
    """What a case asks for, in the same step as the case itself."""
    before = tx.execute(_BEFORE, {"row": case.case_id}).scalar()
    needs = needs_of(case, _opened(key, case.case_id, before).needs if before else _NO_NEEDS, now)
    kept = _Kept(due_of_case(case, needs), case.pseudonym, Team.of(case), needs)
    _keep(tx, key, case.case_id, case.case_id, kept)


def keep_acts(tx: Connection, key: DataKey, case_id: str, acts: Sequence[Act]) -> None:
    """What all the acts of a case ask for, in the same step as the one that was recorded or withdrawn."""
    for act_id, due in due_of_acts(acts).items():
        _keep(tx, key, act_id, case_id, _Kept(due))


def forget_agenda(tx: Connection, case_id: str) -> None:
    """A case is erased: what it asked for goes with it."""
    tx.execute(delete(_AGENDA).where(_AGENDA.c.case_id == case_id))


def waiting(tx: Connection, vault: Vault, handler: Handler, *, today: date, now: datetime) -> Waiting:
    """What is to be told today to somebody, of the cases that they may open. `today`: on their wall.

    Opens what is due and nothing else. Raises CannotOpen.
    """
    opened_for_reason = need_to_know.opened_by(tx, handler, now=now)
    cases: dict[str, _Kept | None] = {}  # None: not theirs to know, nor how many there are
    found: list[Asked] = []
    for row in tx.execute(_DUE, {"week": week_of(today)}):
        if not row.sealed_due:
            continue
        own = _open(vault, row)
        if row.case_id not in cases:
            # An act's row says neither pseudonym nor team.
            kept = own if row.id == row.case_id else _of_case(tx, vault, row.case_id)
            known = kept is not None and (kept.team.has(handler) or row.case_id in opened_for_reason)
            cases[row.case_id] = kept if known else None
        case = cases[row.case_id]
        if case is not None:
            mine = not case.team.named or case.team.names(handler)
            found += [Asked(row.case_id, case.pseudonym, mine, each) for each in own.due if _is_told(each, today)]
    complete = not tx.execute(_MAKE, {"many": 1}).all()
    return Waiting(tuple(sorted(found, key=lambda each: _moment(each.due.at))), complete)


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
        if not row.sealed_due:
            continue
        ahead = [each for each in _open(vault, row).due if each.tell_until is None or each.tell_until >= today]
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


def _keep(tx: Connection, key: DataKey, row: str, case_id: str, kept: _Kept) -> None:
    plain = json.dumps(
        {
            "pseudonym": kept.pseudonym,
            "team": [kept.team.restriction, *sorted(kept.team.named)],
            "needs": [kept.needs.shelter, kept.needs.care],
            "due": [[_written(value) for value in asdict(each).values()] for each in kept.due],
        },
        ensure_ascii=False,
    ).encode()
    sealed = key.seal(plain.ljust(-(-len(plain) // _PADDED) * _PADDED), place=_PLACE, row=row)
    values = {"id": row, "case_id": case_id, "week": _first_week(kept.due), "sealed_due": sealed}
    tx.execute(_KEEP, values)


def _of_case(tx: Connection, vault: Vault, case_id: str) -> _Kept | None:
    row = tx.execute(_ONE, {"row": case_id}).one_or_none()
    return _open(vault, row) if row is not None and row.sealed_due else None


def _open(vault: Vault, row: Any) -> _Kept:
    return _opened(sealing.unwrap(vault, row.case_id, row.sealed_key), row.id, row.sealed_due)


def _opened(key: DataKey, row: str, sealed: bytes) -> _Kept:
    document = json.loads(key.unseal(sealed, place=_PLACE, row=row))
    restriction, *named = document["team"]
    shelter, care = document["needs"]
    return _Kept(
        due=tuple(_due(each) for each in document["due"]),
        pseudonym=document["pseudonym"],
        team=Team(restriction, frozenset(named)),
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
