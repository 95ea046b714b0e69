"""What one member may ask of the directory besides calls (cordee/runtime/limits.py): none takes the others' share.

All of them are far beyond what an association needs in its busiest week, and far below what would hurt.
"""

from __future__ import annotations

from cordee.runtime.clock import Clock
from cordee.runtime.limits import Budget

__all__ = ["OPEN", "UNANSWERED", "cards_published", "offers", "own_entries", "uploads"]

OPEN = 5_000
"""Transfers of one sender that have not ended."""
UNANSWERED = 1_000
"""Of these, offers to one recipient that it has not answered."""

_DAY = 24 * 3600
_HOUR = 3600
_GIB = 1024**3


def offers(clock: Clock) -> Budget:
    """Transfers begun: 5,000 at once, 2,000 an hour. Each is kept for years, also one that is taken back at once."""
    return Budget(clock, rate=2_000 / _HOUR, burst=5_000)


def cards_published(clock: Clock) -> Budget:
    """Cards: 30 at once, one a minute. Every node fetches each of them."""
    return Budget(clock, rate=1 / 60, burst=30)


def own_entries(clock: Clock) -> Budget:
    """A member's entries about itself: ten at once, four a day. Every association keeps each of them for ever."""
    return Budget(clock, rate=4 / _DAY, burst=10)


def uploads(clock: Clock) -> Budget:
    """Bytes uploaded, also those that replace others: 64 GiB at once, and as much in a day."""
    return Budget(clock, rate=64 * _GIB / _DAY, burst=64 * _GIB)
