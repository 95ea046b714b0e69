"""Moments and spans as a hurried person reads them: to the minute, on the clock on the wall, never longer than true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from babel.dates import format_date, format_datetime, format_time, get_datetime_format
from babel.units import format_unit

from cordee.errors import N_
from cordee.runtime.texts import text
from cordee.web.wall import HERE

__all__ = ["exact_moment", "moment_text", "span_text"]

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_IN_DAYS: Final = timedelta(days=4)  # a clock of 72 hours is read in hours
_LESS = N_("less than a minute")


def moment_text(value: datetime | str, language: str) -> str:
    """A day and a time of day, without seconds. A time without an offset is in UTC."""
    known = _known(value)
    day = format_date(known.date(), "medium", locale=language)
    time = format_time(known, "short", locale=language, tzinfo=HERE)
    return str(get_datetime_format("medium", locale=language)).replace("{1}", day).replace("{0}", time)


def exact_moment(value: datetime | str, language: str) -> str:
    """The same to the second, where it stands as evidence or beside another one."""
    return str(format_datetime(_known(value), "medium", locale=language, tzinfo=HERE))


def span_text(value: timedelta, language: str) -> str:
    """How long: minutes, hours with minutes below a day, hours below four days, then days. Rounded down, so that time
    left is not told as longer than it is.
    """
    if value < _MINUTE:
        return text(_LESS, language)
    if value < _HOUR:
        return _unit(value // _MINUTE, "minute", language)
    hours, minutes = value // _HOUR, value % _HOUR // _MINUTE
    if value < _DAY and minutes:
        told = (_unit(hours, "hour", language, "short"), _unit(minutes, "minute", language, "short"))
        return "\u00a0".join(told)
    if value < _IN_DAYS:
        return _unit(hours, "hour", language)
    return _unit(value // _DAY, "day", language)


def _unit(count: int, unit: str, language: str, length: str = "long") -> str:
    return str(format_unit(count, f"duration-{unit}", length, locale=language))  # type: ignore[arg-type]  # its annotation wants a literal


def _known(value: datetime | str) -> datetime:
    known = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (known if known.tzinfo else known.replace(tzinfo=UTC)).astimezone(HERE)
