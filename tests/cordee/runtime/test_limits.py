from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from cordee.errors import TooManyBytes, TooManyCallsOpen, TooManyRefusals, TooManyRequests
from cordee.runtime import limits
from cordee.runtime.clock import ManualClock
from cordee.runtime.limits import Budget, CallerLimits

START = datetime(2026, 3, 1, tzinfo=UTC)


def call(limit: CallerLimits, caller: str, times: int = 1) -> int:
    """How many of `times` calls, one after another, get through."""
    passed = 0
    for _ in range(times):
        try:
            with limit.taken(caller):
                passed += 1
        except TooManyRequests:
            break
    return passed


def test_a_burst_passes_then_the_rate_counts() -> None:
    clock = ManualClock(START)
    limit = CallerLimits(clock, rate=2, burst=5)
    assert call(limit, "a", 10) == 5
    clock.advance(1.5)
    assert call(limit, "a", 10) == 3
    clock.advance(3600)
    assert call(limit, "a", 10) == 5


def test_one_caller_cannot_take_the_others_share() -> None:
    limit = CallerLimits(ManualClock(START), rate=1, burst=5)
    call(limit, "a", 10)
    assert call(limit, "b", 10) == 5


def test_calls_at_a_time_are_counted_and_given_back() -> None:
    limit = CallerLimits(ManualClock(START), concurrent=3, burst=100)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(limit.taken("a"))
        assert call(limit, "a") == 0
        assert call(limit, "b") == 1
    assert call(limit, "a") == 1


def test_a_call_that_fails_gives_its_place_back() -> None:
    limit = CallerLimits(ManualClock(START), concurrent=1, burst=100)
    with pytest.raises(RuntimeError), limit.taken("a"):
        raise RuntimeError
    assert call(limit, "a") == 1


def test_a_clock_set_back_gives_nothing() -> None:
    clock = ManualClock(START)
    limit = CallerLimits(clock, rate=1, burst=2)
    call(limit, "a", 5)
    clock.advance(-3600)
    assert call(limit, "a") == 0
    clock.advance(1)
    assert call(limit, "a") == 1


def test_the_accounts_are_bounded_and_whoever_is_busy_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MAX_CALLERS", 3)
    limit = CallerLimits(ManualClock(START), rate=1, burst=1, concurrent=1)
    with limit.taken("busy"):
        for name in "abcdef":
            call(limit, name)
        assert len(limit._calls._accounts) == 3
        assert call(limit, "busy") == 0
    assert not limit._running


def test_whoever_has_to_wait_is_told_how_long_and_finds_room_then() -> None:
    clock = ManualClock(START)
    limit = CallerLimits(clock, rate=2, burst=1)
    call(limit, "a")
    with pytest.raises(TooManyRequests) as refused, limit.taken("a"):
        pass
    assert refused.value.reason == "TOO_MANY_REQUESTS"
    assert refused.value.retry_after == 0.5
    clock.advance(0.4)
    assert call(limit, "a") == 0
    clock.advance(0.1)
    assert call(limit, "a") == 1


def test_too_many_at_a_time_is_another_reason_than_too_many_a_second() -> None:
    limit = CallerLimits(ManualClock(START), concurrent=1, burst=100)
    with limit.taken("a"), pytest.raises(TooManyCallsOpen) as refused, limit.taken("a"):
        pass
    assert refused.value.facts == {"limit": "1"}


def test_whoever_is_refused_again_and_again_is_not_listened_to_for_a_moment() -> None:
    clock = ManualClock(START)
    limit = CallerLimits(clock, refusals=60)
    for _ in range(60):
        limit.refused("a")
    with pytest.raises(TooManyRefusals) as refused, limit.taken("a"):
        pass
    assert refused.value.retry_after == 1.0
    assert call(limit, "b") == 1
    clock.advance(1)
    assert call(limit, "a") == 1


def test_a_budget_is_spent_by_the_piece_and_each_caller_has_its_own() -> None:
    clock = ManualClock(START)
    budget = Budget(clock, rate=10, burst=100)
    budget.spend("a", 60, error=TooManyBytes)
    with pytest.raises(TooManyBytes) as refused:
        budget.spend("a", 60, error=TooManyBytes)
    assert refused.value.retry_after == 2.0
    budget.spend("b", 60, error=TooManyBytes)
    clock.advance(2)
    budget.spend("a", 60, error=TooManyBytes)


def test_a_piece_larger_than_the_whole_budget_waits_for_a_full_one() -> None:
    budget = Budget(ManualClock(START), rate=1, burst=10)
    budget.spend("a", 50, error=TooManyBytes)
    assert budget.wait("a", 50) == 50.0
