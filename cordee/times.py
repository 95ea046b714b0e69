"""Moments and lengths of time as they stand in statements, turned into Python's own and back, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cordee.errors import N_, MalformedStatement

__all__ = ["duration_of", "length_of", "moment_of", "span_text", "timestamp_of", "zoned"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the end of Timestamp's range
_LONGEST = timedelta(days=36_500)


def moment_of(timestamp: Timestamp) -> datetime:
    """The aware UTC time of a timestamp.

    Raises: MalformedStatement before 1970, after 9999, or with a fraction finer than a microsecond (Python would cut
    it off, and another implementation would not).
    """
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if not 0 <= seconds <= _LAST_SECOND or not 0 <= nanos < 1_000_000_000 or nanos % 1000:
        raise MalformedStatement(what=N_("Timestamp"), problem=N_("it is out of range or too fine"))
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def zoned(text: str) -> datetime:
    """A time in ISO 8601 with its zone: without one it could not be compared. Raises: ValueError, TypeError."""
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("a time without its zone")
    return moment


def timestamp_of(moment: datetime) -> Timestamp:
    """The timestamp of an aware time. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a statement needs an aware time")
    past = moment - _EPOCH
    return Timestamp(seconds=past.days * 86_400 + past.seconds, nanos=past.microseconds * 1000)


def length_of(duration: Duration) -> timedelta:
    """The length of time of a duration, whole seconds. Raises: MalformedStatement if negative, broken or absurd."""
    if duration.nanos or not 0 <= duration.seconds <= _LONGEST.total_seconds():
        raise MalformedStatement(what=N_("Duration"), problem=N_("it is out of range or no whole number of seconds"))
    return timedelta(seconds=duration.seconds)


def span_text(length: timedelta) -> str:
    """A length of time as people read it in any of our languages, in hours and minutes: `27 h 05 min`."""
    hours, minutes = divmod(length // timedelta(minutes=1), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def duration_of(length: timedelta) -> Duration:
    """The duration of a length of time, cut to whole seconds."""
    return Duration(seconds=length // timedelta(seconds=1))
