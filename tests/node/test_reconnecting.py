"""When nodes whose streams ended in the same moment come back to the directory."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from node.listening import Listener


def pauses(nodes: int, *, pause: float = 0.2) -> list[float]:
    """How long each of so many waits."""
    clock = SimpleNamespace(now=lambda: datetime(2026, 3, 2, tzinfo=UTC))
    house: Any = SimpleNamespace(random=os.urandom, roster=SimpleNamespace(crowd=nodes), clock=clock)
    nobody: Any = None
    listener = Listener(house, nobody, nobody, nobody, nobody, nobody)
    return [listener._spread(pause) for _ in range(nodes)]


@pytest.mark.parametrize("members", [100, 500, 1000])
def test_no_more_than_a_hundred_of_them_in_one_second(members: int) -> None:
    waits = pauses(members)
    assert max(sum(at <= each < at + 1 for each in waits) for at in waits) <= 100


def test_in_a_small_network_nobody_waits_long() -> None:
    assert max(pauses(3)) <= 0.3


def test_the_longer_the_directory_is_away_the_longer_they_wait() -> None:
    assert min(pauses(500, pause=30.0)) >= 15.0
