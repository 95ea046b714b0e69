"""Small cells: which counts may be told, so that nobody reads a person out of a table.

The rules of domain §5.2, for anything that leaves an association or the network:

1. a count below eleven is not told, and neither is nought;
2. a count is not told either where what is left of its table without it is below eleven: "all of them" tells as much;
3. where associations stand behind a count: at least three, none with more than 85 of a hundred, and without any one of
   them eleven at least are left (each knows its own number, and may have told it);
4. what is told is rounded to five, and a total is the sum of what was rounded;
5. what is not told stands together in one remainder. One count at least joins it that could have been told, then
   more until the remainder is twice eleven and fulfils 3: the last of the table first, whatever their size. Nothing can
   then be had by subtracting, nor by asking why just these were chosen: each count that is not told may have eleven
   different values, for all that anybody can work out who knows the table and these rules.

A table whose total may not be told is not told at all; one of which nothing but the total may be told tells that.
Counts that are in no table stand alone, and 1, 3 and 4 hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["RULE", "Count", "Protected", "Rule", "protect", "protect_alone"]


@dataclass(frozen=True, slots=True)
class Count:
    """A true count, and which associations are behind it, once for each way of looking: as senders, as recipients.

    Each way adds up to `value`. Without any way of looking all of it is one association's own.
    """

    value: int
    behind: tuple[Mapping[bytes, int], ...] = ()

    def __add__(self, other: Count) -> Count:
        ways = tuple(Counter(one) + Counter(another) for one, another in zip(self.behind, other.behind, strict=True))
        return Count(self.value + other.value, ways)


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers of the rules above. A network may ask for more; nobody should ask for less."""

    least: int = 11
    """The smallest count that is told."""
    step: int = 5
    """What is told is a multiple of it."""
    associations: int = 3
    """How many are behind a count at least."""
    share: int = 85
    """Per cent of a count that one of them may have at most."""

    def holds(self, count: Count) -> bool:
        """Whether a count may be told by itself: rules 1 and 3."""
        return count.value >= self.least and all(self._mixed(way, count.value) for way in count.behind)

    def rounded(self, value: int) -> int:
        """To the nearest step."""
        return self.step * ((value + self.step // 2) // self.step)

    def _mixed(self, way: Mapping[bytes, int], value: int) -> bool:
        shares = [each for each in way.values() if each]
        largest = max(shares, default=0)
        return (
            len(shares) >= self.associations and 100 * largest <= self.share * value and value - largest >= self.least
        )


RULE: Final = Rule()


@dataclass(frozen=True, slots=True)
class Protected:
    """A table as it may be told: rounded counts, None for what is not told."""

    cells: Mapping[str, int | None] = field(default_factory=dict)
    total: int | None = None


def protect(cells: Mapping[str, Count], *, rule: Rule = RULE) -> Protected:
    """A table whose cells add up to a total, as it may be told.

    Raises: ValueError for fewer than two cells: they have no total of their own.
    """
    if len(cells) < 2:
        raise ValueError("a table has two cells at least")
    total = _together(cells.values())
    if not rule.holds(total):
        return Protected(dict.fromkeys(cells))
    hidden = {name for name, each in cells.items() if not rule.holds(each) or total.value - each.value < rule.least}
    others = [name for name in cells if name not in hidden]
    few = set(hidden)
    while few and others and (hidden == few or not _hides(rule, _together(cells[name] for name in hidden))):
        hidden.add(others.pop())
    told = {name: None if name in hidden else rule.rounded(each.value) for name, each in cells.items()}
    remainder = rule.rounded(sum(cells[name].value for name in hidden))
    return Protected(told, remainder + sum(each for each in told.values() if each is not None))


def _hides(rule: Rule, remainder: Count) -> bool:
    """Whether a remainder gives none of its counts away: rule 5."""
    return remainder.value >= 2 * rule.least and rule.holds(remainder)


def protect_alone(count: Count, *, rule: Rule = RULE) -> int | None:
    """A count that is in no table, as it may be told; None where it may not."""
    return rule.rounded(count.value) if rule.holds(count) else None


def _together(counts: Iterable[Count]) -> Count:
    first, *others = counts
    for each in others:
        first = first + each
    return first
