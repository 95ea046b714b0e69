"""What each row is out for, and below what it is broken: docs/performance.md §7. The only place with these numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["GOALS", "Better", "Goal"]


class Better(StrEnum):
    """Which way a figure is good."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Goal:
    """One figure of a row: what it is, what it is measured against, and its two limits."""

    row: str  # as people name it with --only
    id: str  # a row may hold several figures
    workload: str
    against: str
    unit: str
    goal: float
    floor: float
    better: Better = Better.HIGHER

    def reaches_goal(self, value: float) -> bool:
        """Whether the figure is where it should be."""
        return self._as_good_as(value, self.goal)

    def above_floor(self, value: float) -> bool:
        """Whether nothing is broken."""
        return self._as_good_as(value, self.floor)

    def _as_good_as(self, value: float, limit: float) -> bool:
        return value >= limit if self.better is Better.HIGHER else value <= limit


_PLAIN = "plain gRPC relay, same bytes"
_NGINX = "age + curl PUT, curl GET + age -d (nginx, mutual TLS)"
_WORMHOLE = "magic-wormhole by relay, whole process"
_CLEAR = "the same rows in clear, by an index of SQLite"
_EMPTY = "an event that asks for nothing, to the same nodes over the same streams"
_STRIPPED = "same RPCs, no database, no cryptography"

GOALS: dict[str, Goal] = {
    goal.id: goal
    for goal in (
        Goal("W1", "W1", "100 MB, store and forward", _PLAIN, "×", 0.85, 0.70),
        Goal("W2", "W2", "100 MB, store and forward", _NGINX, "×", 1.2, 0.8),
        Goal("W3a", "W3a", "100 MB, nodes running", _WORMHOLE, "×", 2.5, 1.5),
        Goal("W3b", "W3b", "1 GB, nodes running", _WORMHOLE, "×", 1.2, 0.75),
        Goal("W3c", "W3c 20 kB", "20 kB, nodes running", _WORMHOLE, "×", 50, 10),
        Goal("W3c", "W3c 1 MB", "1 MB, nodes running", _WORMHOLE, "×", 25, 5),
        Goal("W4", "W4", "1,000 cases of 20 kB, 16 at a time", _STRIPPED, "×", 0.65, 0.5),
        Goal("W7", "W7 growth", "peak memory, 1 GB minus 100 MB", "-", "MiB", 32, 64, Better.LOWER),
        Goal("W7", "W7 peak", "peak memory in all, any process", "-", "MiB", 150, 200, Better.LOWER),
        Goal("W8", "W8 p95", "50,000 sealed cases: search and open, p95", "-", "ms", 50, 200, Better.LOWER),
        Goal("W8", "W8 ratio", "50,000 sealed cases: search and open, p95", _CLEAR, "×", 20, 80, Better.LOWER),
        Goal("W8", "W8 memory", "50,000 sealed cases: the list in memory", "-", "MiB", 40, 60, Better.LOWER),
        Goal("W9", "W9", "a suspension, until the last of 200 nodes refuses", "-", "s", 2, 5, Better.LOWER),
        Goal("W9", "W9 ratio", "a suspension, until the last of 200 nodes refuses", _EMPTY, "×", 15, 50, Better.LOWER),
    )
}
