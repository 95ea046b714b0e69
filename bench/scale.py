"""How large and how often: a full run, and a quick one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass

from bench.place import GB, MB
from bench.workload import RECORD

__all__ = ["FULL", "QUICK", "Scale"]


@dataclass(frozen=True)
class Scale:
    """Sizes in bytes, `cases` in cases. Of `cases`, the last is the row's own; the others are for its slope."""

    rounds: int
    huge_rounds: int  # for the largest file, and for sizes that only the slope asks for
    small: int
    middle: int
    large: int
    huge: int
    slope_sizes: tuple[int, ...]
    cases: tuple[int, ...]
    searched: tuple[int, ...]  # cases among which one is found; the last is the row's own
    listening: int  # nodes that hear of a suspension


FULL = Scale(
    rounds=5,
    huge_rounds=3,
    small=RECORD,
    middle=MB,
    large=100 * MB,
    huge=GB,
    slope_sizes=(25 * MB, 100 * MB, 400 * MB),
    cases=(250, 500, 1_000),
    searched=(12_500, 25_000, 50_000),
    listening=200,
)
QUICK = Scale(
    rounds=1,
    huge_rounds=1,
    small=RECORD,
    middle=MB,
    large=10 * MB,
    huge=30 * MB,
    slope_sizes=(3 * MB, 10 * MB, 30 * MB),
    cases=(10, 20, 40),
    searched=(500, 1_000, 2_000),
    listening=20,
)
