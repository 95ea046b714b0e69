"""An association's own yearly report, counted from its journal: every number can be checked by whoever verifies that.

What the journal says after the year's close counts for nothing, so the same year gives the same report for ever.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from cordee.errors import N_, NotFound
from cordee.figures.catalogue import ASSOCIATION
from cordee.figures.forms import form_of
from cordee.figures.protection import Count
from cordee.figures.report import Report, Scope, counted, exact
from cordee.figures.years import FIRST, closes, is_closed, require_closed, year_of
from cordee.runtime.texts import LANGUAGES
from node import journal
from node.journal import JournalEntry

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["counts_of", "report_of", "written", "years_of"]

_ENDS: Final = {
    "transfer.received": "received",
    "transfer.declined": "declined",
    "transfer.withdrawn": "withdrawn",
    "transfer.withdrawal_came": "withdrawn",
    "transfer.expired": "not_received",
    "transfer.refused": "not_received",
}
_WITHDRAWING: Final = frozenset({"transfer.withdrawn", "transfer.withdrawal_came"})
_GROUNDS: Final = {"3": "override", "4": "override", "6": "secrecy", "7": "agreement", "8": "agreement"}
"""Row of the decision table that let an offer go → the ground. The others need no act, and are in no row."""
_APART: Final = {
    "case.erased": "cases_erased",
    "transfer.wrong_recipient": "wrong",
    "case.opened_for_reason": "opened",
}
_MACHINE: Final = {"roster.alarm": "alarms", "event.refused": "messages"}
_AGAIN: Final = frozenset({"mended", "tombstone"})
"""Outcomes of what was counted before: an alarm that is over, a case that a backup had brought back."""
_READ: Final = ("transfer.", "statement.", *_APART, *_MACHINE)

Counts = dict[str, Counter[str]]


@dataclass(slots=True)
class _Course:
    """One transfer, as the journal has told of it so far."""

    ours: bool
    offered: datetime
    rule: str = ""
    state: str = ""
    asked: datetime | None = None
    withdrawn: bool = False
    answer: str = ""
    returned: datetime | None = None


def years_of(tx: Connection, now: datetime) -> list[int]:
    """Closed years of which there may be a report, newest first: from the journal's first line on."""
    start = max(year_of(journal.began(tx) or now), FIRST)
    return [year for year in range(now.year - 1, start - 1, -1) if is_closed(year, now)]


def report_of(node: Node, tx: Connection, year: int, *, stamp: str = "") -> Report:
    """The report of one year. Raises: YearNotClosed, InvalidInput; NotFound for a year before the journal."""
    now = node.clock.now()
    require_closed(year, now)
    began = journal.began(tx) or now
    if year < year_of(began):
        raise NotFound(what=N_("figures of that year"))
    numbers = counts_of(journal.until(tx, closes(year), actions=_READ), year)
    return Report(
        scope=Scope.ASSOCIATION,
        year=year,
        name=node.roster.name_of(node.member),
        made=now,
        tables=tuple(
            exact(kind, numbers[kind.code])
            if kind.code == "machine"
            else counted(kind, {row: Count(number) for row, number in numbers[kind.code].items()})
            for kind in ASSOCIATION
        ),
        since=began if year_of(began) == year else None,
        stamp=stamp,
    )


async def written(node: Node, year: int, form: str, language: str, *, by: str, stamp: str = "") -> bytes:
    """One file of a year's report. That somebody took it is journalled.

    Raises: YearNotClosed, InvalidInput, NotFound.
    """
    chosen, now = form_of(form), node.clock.now()
    report = await node.db.read(lambda tx: report_of(node, tx, year, stamp=stamp))
    data = await asyncio.to_thread(chosen.write, report, language if language in LANGUAGES else LANGUAGES[0])
    facts = {"year": str(year), "form": chosen.code}
    await node.db.write(
        lambda tx: journal.append(tx, now=now, actor=by, action="figures.made", subject="", facts=facts)
    )
    return data


def counts_of(lines: Iterable[JournalEntry], year: int) -> Counts:
    """The true numbers of a year, out of the journal's lines up to its close: for each table, of each row."""
    numbers: Counts = {kind.code: Counter() for kind in ASSOCIATION}
    courses: dict[str, _Course] = {}
    for line in lines:
        _follow(courses, line)
        if year_of(line.at) != year or line.outcome in _AGAIN:
            continue
        if line.action in _APART:
            numbers["apart"][_APART[line.action]] += 1
        elif line.action in _MACHINE:
            numbers["machine"][_MACHINE[line.action]] += 1
    for each in courses.values():
        _count(each, year, numbers)
    return numbers


def _follow(courses: dict[str, _Course], line: JournalEntry) -> None:
    if line.action in ("transfer.offered", "transfer.offer_came"):
        ours = line.action == "transfer.offered"
        courses[line.subject] = _Course(ours=ours, offered=line.at, rule=line.facts.get("rule", ""))
        return
    if line.action == "statement.offer":  # the directory never took it: nobody was offered anything
        courses.pop(line.subject, None)
        return
    course = courses.get(line.subject)
    if course is None:
        return
    step = _STEPS.get(line.action)
    if step is not None:
        step(course, line)
    elif line.action in _ENDS:
        _end(course, line)


def _end(course: _Course, line: JournalEntry) -> None:
    if line.action in _WITHDRAWING:
        course.withdrawn = True
    if course.state == "received":  # nothing but a request to erase can follow
        if line.action in _WITHDRAWING and course.asked is None:
            course.asked = line.at
        return
    course.state = _ENDS[line.action]
    if course.state == "received" and course.withdrawn:  # the receipt had crossed the withdrawal
        course.asked = line.at


def _answer(course: _Course, line: JournalEntry) -> None:
    course.answer = "erased" if line.outcome == "done" else "kept"


def _return(course: _Course, line: JournalEntry) -> None:
    course.returned = line.at


def _never_withdrawn(course: _Course, line: JournalEntry) -> None:
    """Our withdrawal came too late for the directory: nothing was asked for."""
    course.withdrawn, course.asked = False, None


def _never_declined(course: _Course, line: JournalEntry) -> None:
    if course.state == "declined":  # the offer stands again, or what overtook it follows
        course.state = ""


_STEPS: Final[dict[str, Callable[[_Course, JournalEntry], None]]] = {
    "transfer.erasure": _answer,
    "transfer.returned": _return,
    "statement.withdrawal": _never_withdrawn,
    "statement.refusal": _never_declined,
}


def _count(course: _Course, year: int, numbers: Counts) -> None:
    if course.state and year_of(course.offered) == year:
        numbers["sent" if course.ours else "came"][course.state] += 1
        if course.ours and course.rule in _GROUNDS:
            numbers["grounds"][_GROUNDS[course.rule]] += 1
    if course.asked is not None and year_of(course.asked) == year:
        # A return that a request has crossed answers it (protocol §5).
        answer = course.answer or ("unanswered" if course.returned is None else "erased")
        numbers["asked" if course.ours else "answered"][answer] += 1
    if course.asked is None and course.returned is not None and year_of(course.returned) == year:
        numbers["apart"]["got_back" if course.ours else "gave_back"] += 1
