"""An explicit-state model checker: every state that a model can reach, each looked at once.

A state is made of *parts* (a node, the broker's desk, the world), each a value that can be hashed. A *rule* names the
parts that it reads and writes; what it makes of them is worked out once for each combination of these parts and kept.
So a state is one integer of the parts' numbers, side by side, and a step is one addition: millions of states fit.

Sound, because a rule's outcome depends on nothing but its parts; complete, because each rule is asked in each state.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Found", "Invariant", "Model", "Move", "Reached", "Rule", "TooManyStates", "explore"]

_WIDTH = 26
"""Bits for the number of a part's value."""
_ONES = (1 << _WIDTH) - 1

Values = Mapping[str, Any]
Moves = tuple[tuple[bool, int], ...]
"""Whether a step is fair, and what it adds to a state's number."""


class Move(NamedTuple):
    """What may happen: in words, to which parts; `fair` if it happens sooner or later once all faults are over."""

    words: str
    parts: Values
    fair: bool = True


class Rule(NamedTuple):
    """A step of somebody's. `moves` is called with the values of `reads`, in this order."""

    reads: tuple[str, ...]
    moves: Callable[..., Iterable[Move]]


class Invariant(NamedTuple):
    """What must hold in every state: `wrong` says in words what does not, or nothing."""

    name: str
    reads: tuple[str, ...]
    wrong: Callable[..., str]


class Reached(NamedTuple):
    """What must happen somewhere: some value of a part for which `there` says yes."""

    missing: str
    part: str
    there: Callable[[Any], bool]


class TooManyStates(Exception):
    """More states than were allowed."""


@dataclass(frozen=True)
class Model:
    """Parts as they are at first, rules, invariants, and where a transfer may come to rest."""

    name: str
    begin: Values
    rules: Sequence[Rule]
    invariants: Sequence[Invariant]
    rest: Invariant
    """`wrong` is empty where nothing is left to be done: from each state such a one must be within reach."""
    reached: Sequence[Reached] = ()


@dataclass
class Found:
    """What an exploration has found."""

    states: int = 0
    edges: int = 0
    resting: int = 0
    broken: str = ""
    """The invariant that does not hold, with what is wrong; "stuck" for a state without a way to rest."""
    trace: list[str] = field(default_factory=list)

    def told(self) -> str:
        """The counterexample, to be read."""
        lines = [f"{number:3}. {step}" for number, step in enumerate(self.trace, start=1)]
        return "\n".join([f"after {len(lines)} steps: {self.broken}", *lines])


def explore(model: Model, *, most: int = 50_000_000, liveness: bool = True) -> Found:
    """Every state, breadth first, so that a counterexample is as short as can be.

    Raises: TooManyStates.
    """
    return _Exploration(model, most, liveness).run()


class _Part:
    """The values of one part, numbered as they come."""

    def __init__(self, shift: int) -> None:
        self.shift = shift
        self.values: list[Hashable] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        known = self._numbers.get(value)
        if known is None:
            known = self._numbers[value] = len(self.values)
            self.values.append(value)
            if known > _ONES:
                raise TooManyStates
        return known << self.shift


class _Exploration:
    def __init__(self, model: Model, most: int, liveness: bool) -> None:
        self.model, self.most, self.liveness = model, most, liveness
        self.parts = {name: _Part(place * _WIDTH) for place, name in enumerate(model.begin)}
        grouped: dict[tuple[str, ...], list[Rule]] = {}
        for rule in model.rules:
            grouped.setdefault(rule.reads, []).append(rule)
        # One look-up for all rules of the same parts.
        self.steps = [(self._mask(reads), reads, rules) for reads, rules in grouped.items()]
        self.order: list[int] = []
        self.came_from = array("i")

    def run(self) -> Found:
        found = Found()
        start = sum(self.parts[name].number(value) for name, value in self.model.begin.items())
        index, order, came_from = {start: 0}, self.order, self.came_from
        order.append(start)
        came_from.append(-1)
        memos: list[tuple[int, dict[int, Moves], tuple[str, ...], list[Rule]]] = [
            (mask, {}, reads, rules) for mask, reads, rules in self.steps
        ]
        checks: list[tuple[int, dict[int, str], Invariant]] = [
            (self._mask(each.reads), {}, each) for each in self.model.invariants
        ]
        rest_mask, rests, resting = self._mask(self.model.rest.reads), dict[int, bool](), bytearray()
        fair_from, fair_to = array("I", [0]), array("I")
        edges, place = 0, 0
        while place < len(order):
            state = order[place]
            for mask, memo, invariant in checks:
                key = state & mask
                wrong = memo.get(key)
                if wrong is None:
                    wrong = memo[key] = self._wrong(invariant, key)
                if wrong:
                    return self._broken(found, place, edges, f"{invariant.name}: {wrong}")
            key = state & rest_mask
            calm = rests.get(key)
            if calm is None:
                calm = rests[key] = not self._wrong(self.model.rest, key)
            resting.append(calm)
            for mask, memo, reads, rules in memos:
                key = state & mask
                moves = memo.get(key)
                if moves is None:
                    moves = memo[key] = self._moves(key, reads, rules)
                for fair, delta in moves:
                    then = state + delta
                    number = index.get(then)
                    if number is None:
                        number = index[then] = len(order)
                        order.append(then)
                        came_from.append(place)
                    if fair:
                        fair_to.append(number)
                    edges += 1
            fair_from.append(len(fair_to))
            place += 1
            if len(order) > self.most:
                raise TooManyStates(f"{self.model.name}: {len(order)}")
        found.states, found.edges, found.resting = len(order), edges, sum(resting)
        for each in self.model.reached:
            if not any(each.there(value) for value in self.parts[each.part].values):
                found.broken = f"never: {each.missing}"
                return found
        if self.liveness:
            stuck = _without_a_way(resting, fair_from, fair_to)
            if stuck is not None:
                return self._broken(found, stuck, edges, f"stuck: {self._wrong(self.model.rest, order[stuck])}")
        return found

    # ---- one combination of parts ----

    def _mask(self, reads: Iterable[str]) -> int:
        return sum(_ONES << self.parts[name].shift for name in reads)

    def _value(self, key: int, name: str) -> Any:
        part = self.parts[name]
        return part.values[key >> part.shift & _ONES]

    def _wrong(self, invariant: Invariant, key: int) -> str:
        return invariant.wrong(*(self._value(key, name) for name in invariant.reads))

    def _worded(self, key: int, reads: tuple[str, ...], rules: Iterable[Rule]) -> Iterator[tuple[Move, int]]:
        """Each move with what it adds to the state's number."""
        values = [self._value(key, name) for name in reads]
        for rule in rules:
            for move in rule.moves(*values):
                delta = 0
                for name, value in move.parts.items():
                    part = self.parts[name]
                    delta += part.number(value) - (key & _ONES << part.shift)
                yield move, delta

    def _moves(self, key: int, reads: tuple[str, ...], rules: Iterable[Rule]) -> Moves:
        moves = {(move.fair, delta) for move, delta in self._worded(key, reads, rules) if delta}
        return tuple(sorted(moves))

    # ---- a counterexample ----

    def _broken(self, found: Found, place: int, edges: int, what: str) -> Found:
        found.states, found.edges, found.broken = len(self.order), edges, what
        steps: list[str] = []
        while self.came_from[place] >= 0:
            before = self.came_from[place]
            steps.append(self._words(self.order[before], self.order[place]))
            place = before
        found.trace = steps[::-1]
        return found

    def _words(self, before: int, after: int) -> str:
        for mask, reads, rules in self.steps:
            for move, delta in self._worded(before & mask, reads, rules):
                if before + delta == after:
                    return move.words
        raise AssertionError("a step was taken that no rule has")


def _without_a_way(resting: bytearray, fair_from: Sequence[int], fair_to: Sequence[int]) -> int | None:
    """The first state from which fair steps lead to no state of rest: backward, until nothing changes."""
    good = bytearray(resting)
    left = [place for place in range(len(good) - 1, -1, -1) if not good[place]]
    while left:
        still = []
        for place in left:
            for to in fair_to[fair_from[place] : fair_from[place + 1]]:
                if good[to]:
                    good[place] = 1
                    break
            else:
                still.append(place)
        if len(still) == len(left):
            return min(still)
        left = still
    return None
