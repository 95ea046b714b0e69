"""Which year something belongs to, and when a year is closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cordee.errors import N_, InvalidInput, YearNotClosed

__all__ = ["FIRST", "LAST", "begin", "closes", "is_closed", "require_closed", "year_of"]

FIRST: Final = 2020
LAST: Final = 2999

_UNTIL_CLOSED: Final = timedelta(days=31)  # an offer of the last second has ended: offer and key live 14 days each
"""How long after its end a year is closed."""


def year_of(time: datetime) -> int:
    """The calendar year of a time, in UTC: the same for everybody who counts."""
    return time.astimezone(UTC).year


def begin(year: int) -> datetime:
    """The first moment of a year."""
    return datetime(year, 1, 1, tzinfo=UTC)


def closes(year: int) -> datetime:
    """From when on a year's figures do not change any more, and may be told: 1 February of the next one."""
    return begin(year + 1) + _UNTIL_CLOSED


def is_closed(year: int, now: datetime) -> bool:
    """Whether its figures may be told."""
    return now >= closes(year)


def require_closed(year: int, now: datetime) -> None:
    """Raises: YearNotClosed, InvalidInput for no year of ours."""
    if not FIRST <= year <= LAST:
        raise InvalidInput(field="year", problem=N_("must be between {least} and {most}"), least=FIRST, most=LAST)
    if not is_closed(year, now):
        raise YearNotClosed(year=year, day=closes(year).date().isoformat())
