"""A yearly report: tables with what may be told, ready to be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from babel.dates import format_date
from babel.numbers import format_decimal

from cordee.errors import N_
from cordee.figures.catalogue import Kind, Shape
from cordee.figures.protection import RULE, Count, Protected, protect, protect_alone
from cordee.figures.years import closes
from cordee.runtime.texts import text

__all__ = [
    "NOT_TOLD",
    "Report",
    "Row",
    "Scope",
    "Table",
    "counted",
    "day_text",
    "exact",
    "is_plausible",
    "number_text",
    "told",
]

NOT_TOLD = N_("not published")


class Scope(StrEnum):
    """Whose report it is."""

    NETWORK = "network"
    ASSOCIATION = "association"


@dataclass(frozen=True, slots=True)
class Row:
    """One count; None: it may not be told."""

    code: str
    label: str
    meaning: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Texts are marked."""

    kind: Kind
    rows: tuple[Row, ...]
    total: int | None = None

    @property
    def exact(self) -> bool:
        """Nothing in it is rounded or kept back."""
        return self.kind.shape is Shape.EXACT

    @property
    def has_total(self) -> bool:
        """Its counts add up to something."""
        return self.kind.shape is Shape.TOGETHER

    @property
    def status(self) -> str:
        """How to read its counts, as a marked text."""
        return _EXACT if self.exact else _PROTECTED


@dataclass(frozen=True, slots=True)
class Report:
    """What is told of one year. `since`: from when on was counted, where that was later than the year's beginning."""

    scope: Scope
    year: int
    name: str
    made: datetime
    tables: tuple[Table, ...]
    since: datetime | None = None
    stamp: str = ""

    @property
    def closed(self) -> datetime:
        """From when on its figures are told."""
        return closes(self.year)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before comparing or adding anything, as marked texts."""
        return (*_NOTES, *(_NETWORK_NOTES if self.scope is Scope.NETWORK else _ASSOCIATION_NOTES))


_EXACT: Final = N_("Exact numbers.")
_PROTECTED: Final = N_(
    "Rounded to 5. “Not published” is a number below 11, or one that would give another away; it may be nought."
)
_NOTES: Final = (
    N_("No name, no case and no date of a person is in this report, and none can be worked out from it."),
    N_("The year is closed on 1 February of the next one; its figures are then told once and do not change."),
    N_("A transfer counts in the year of its offer, a request in the year in which it was made (both in UTC)."),
    N_("Totals are sums of rounded numbers; two totals of the same thing may differ by a few."),
)
_NETWORK_NOTES: Final = (
    N_("The directory knows who offered something to whom and how it ended, not about whom, why or on which ground."),
    N_("Overrides are therefore in no figure of the network: each association reports its own."),
    N_("A count about transfers is told only where at least three associations are behind it, none of them with most."),
)
_ASSOCIATION_NOTES: Final = (
    N_("Counted from the association’s own journal: who wants to check it has the journal verified on the node."),
    N_(
        "Do not add up the reports of several associations, nor take them from the network’s: that undoes the rounding."
    ),
)


def counted(kind: Kind, counts: Mapping[str, Count]) -> Table:
    """A protected table out of true counts; a row without one has none."""
    whole = {each.code: counts.get(each.code, _nothing_like(counts)) for each in kind.rows}
    if kind.shape is Shape.TOGETHER:
        return told(kind, protect(whole))
    return told(kind, Protected({code: protect_alone(each) for code, each in whole.items()}))


def told(kind: Kind, numbers: Protected) -> Table:
    """A table of numbers that are protected already; what is missing is not told."""
    rows = tuple(Row(each.code, each.label, each.meaning, numbers.cells.get(each.code)) for each in kind.rows)
    return Table(kind, rows, numbers.total)


def exact(kind: Kind, numbers: Mapping[str, int]) -> Table:
    """A table that needs no protection."""
    rows = tuple(Row(each.code, each.label, each.meaning, numbers.get(each.code, 0)) for each in kind.rows)
    return Table(kind, rows)


def number_text(count: int | None, language: str) -> str:
    """A count as people read it."""
    return text(NOT_TOLD, language) if count is None else str(format_decimal(count, locale=language))


def day_text(time: datetime, language: str) -> str:
    """A day in words; in French the first of a month is an ordinal."""
    told = str(format_date(time.date(), "long", locale=language))
    return f"1er{told[1:]}" if language == "fr" and told.startswith("1 ") else told


def _nothing_like(counts: Mapping[str, Count]) -> Count:
    """Nought, looked at in as many ways as the others."""
    ways = max((len(each.behind) for each in counts.values()), default=0)
    return Count(0, tuple({} for _ in range(ways)))


def is_plausible(numbers: Iterable[int | None]) -> bool:
    """Whether these may be protected numbers: none is small, all are rounded."""
    return all(each is None or (each >= RULE.rounded(RULE.least) and each % RULE.step == 0) for each in numbers)
