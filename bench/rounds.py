"""Interleaved rounds: in each, every contender runs once, so that a slow minute of the machine hits all of them."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spread", "interleaved", "ratios", "slope"]


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several figures, and the figures."""

    median: float
    least: float
    greatest: float
    each: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises: ValueError where there are none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values), tuple(values))


def interleaved(
    contenders: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    say: Callable[[str], None] = lambda line: None,
    settle: Callable[[], None] = os.sync,
) -> dict[str, list[float]]:
    """Run every contender once a round, in an order that turns by one each round. Each returns its own figure.

    `settle` runs before each, untimed: dirty pages of one contender must not be written back in another's time.
    """
    names = list(contenders)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            settle()
            measured[name].append(contenders[name]())
            say(f"  round {number + 1}/{rounds}  {name}: {measured[name][-1]:.3f}")
    return measured


def ratios(peer: Sequence[float], ours: Sequence[float]) -> Spread:
    """Peer's seconds over ours, round by round: 2 means that we take half of the time."""
    return Spread.of([theirs / mine for theirs, mine in zip(peer, ours, strict=True)])


def slope(seconds_by_size: Mapping[int, float]) -> float:
    """The exponent that fits best (least squares of the logarithms): 1 is linear, 2 is quadratic, below 1 fixed cost.

    Raises: ValueError for fewer than two sizes.
    """
    if len(seconds_by_size) < 2:
        raise ValueError("a slope needs two sizes")
    points = [(math.log(size), math.log(seconds)) for size, seconds in seconds_by_size.items()]
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope
