"""Moments and lengths of time survive the way there and back, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from cordee.errors import MalformedStatement
from cordee.times import duration_of, length_of, moment_of, timestamp_of


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), timezones=st.just(UTC)))  # noqa: DTZ001  # bounds are naive by contract
def test_a_moment_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert moment_of(timestamp_of(moment)) == moment


def test_a_moment_elsewhere_is_the_same_moment() -> None:
    paris = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert moment_of(timestamp_of(paris)) == datetime(2026, 7, 1, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        timestamp_of(paris.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(-1, 0), (253_402_300_800, 0), (2**62, 0), (0, -1), (0, 1), (0, 999), (0, 1_000_000_000), (-(2**63), 0)],
)
def test_a_timestamp_that_python_would_bend_is_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(MalformedStatement):
        moment_of(Timestamp(seconds=seconds, nanos=nanos))


def test_lengths_are_whole_seconds() -> None:
    assert length_of(duration_of(timedelta(days=14))) == timedelta(days=14)
    for broken in (Duration(seconds=-1), Duration(seconds=1, nanos=1), Duration(seconds=2**62)):
        with pytest.raises(MalformedStatement):
            length_of(broken)
