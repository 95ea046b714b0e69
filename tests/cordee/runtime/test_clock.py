from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cordee.runtime.clock import ManualClock, SystemClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_manual_clock_needs_an_aware_time() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 3, 1))  # noqa: DTZ001 - the point of the test


async def test_sleepers_wake_in_the_order_of_their_times_and_not_before() -> None:
    clock = ManualClock(START)
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (30, 10, 20)]
    await asyncio.sleep(0)
    clock.advance(9)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(timedelta(seconds=11))
    await asyncio.sleep(0)
    assert woken == [10, 20]
    tasks[0].cancel()
    await asyncio.sleep(0)
    clock.advance(3600)
    assert woken == [10, 20]
    assert clock.now() == START + timedelta(seconds=3620)
