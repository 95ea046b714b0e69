"""The model's side: in which of its states the model may be, after each thing that was done for real.

The code does in one go what the model does in several steps, and where it was cut off nobody can see. So what is
followed is the set of all states in which the model may be; it must never be empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from tests.faults.model.mutants import Mutant
from tests.faults.model.scenes import Scene

__all__ = ["Abstract", "Plan", "State"]

State = tuple[Any, ...]
"""The values of the model's parts, in their order."""


@dataclass(frozen=True)
class Plan:
    """What a thing that is done for real may be in the model. Each is a pattern of the words of its steps."""

    before: str = ""
    """Any number of these first."""
    step: str = ""
    """Then this one; where the model has none just now, nothing, if that is `optional`."""
    after: str = ""
    """Then all of these that there are; any number of them if it was `cut` off."""
    optional: bool = False
    cut: bool = False
    stalls: bool = False
    """It was cut off by an answer, not by a death: had there been anything to do, something was done."""


class Abstract:
    """One of the model's scenes, walked through beside the code."""

    def __init__(self, scene: Scene, mutant: Mutant | None = None) -> None:
        self._planting: Callable[[], AbstractContextManager[None]] = mutant.planted if mutant else nullcontext
        with self._planting():
            self._model = scene.model(mutant.name if mutant else "")
        self.names = tuple(self._model.begin)
        self.states: list[State] = [tuple(self._model.begin.values())]
        self.taken: set[str] = set()
        """The words of every step that the code was seen to take."""
        self._known: dict[State, list[tuple[str, State]]] = {}

    def part(self, state: State, name: str) -> Any:
        return state[self.names.index(name)]

    def changed(self, state: State, **parts: Any) -> State:
        return tuple(parts.get(name, value) for name, value in zip(self.names, state, strict=True))

    def moves(self, state: State) -> list[tuple[str, State]]:
        """Every step that there is from a state: its words, and where it leads."""
        known = self._known.get(state)
        if known is None:
            values = dict(zip(self.names, state, strict=True))
            known = self._known[state] = []
            with self._planting():
                for rule in self._model.rules:
                    for move in rule.moves(*(values[name] for name in rule.reads)):
                        known.append((move.words, self.changed(state, **move.parts)))
        return known

    def offers(self, pattern: str) -> bool:
        """Whether there is such a step, from any of the states in which the model may be."""
        return any(re.fullmatch(pattern, words) for state in self.states for words, _ in self.moves(state))

    def follow(self, plan: Plan) -> dict[State, frozenset[str]]:
        """Where the model may be once this was done, and by which steps it came there."""
        reached = dict.fromkeys(self.states, frozenset[str]())
        if plan.before:
            reached = self._all(reached, plan.before)
        if plan.step:
            steps = {
                then: by | {words}
                for state, by in reached.items()
                for words, then in self.moves(state)
                if re.fullmatch(plan.step, words)
            }
            reached = steps or (reached if plan.optional else {})
        if plan.after:
            reached = self._all(reached, plan.after)
            if plan.stalls:
                idle = {state for state in self.states if any(self._others(state, plan.after))}
                reached = {state: by for state, by in reached.items() if state not in idle}
            elif not plan.cut:
                reached = {state: by for state, by in reached.items() if not any(self._others(state, plan.after))}
        return reached

    def keep(self, states: Iterable[tuple[State, frozenset[str]]]) -> None:
        """These of them are what was seen."""
        found = dict(states)
        self.states = list(found)
        self.taken |= frozenset[str]().union(*found.values())

    def _all(self, begin: dict[State, frozenset[str]], pattern: str) -> dict[State, frozenset[str]]:
        reached, left = dict(begin), list(begin)
        while left:
            state = left.pop()
            for words, then in self._others(state, pattern):
                if then not in reached:
                    reached[then] = reached[state] | {words}
                    left.append(then)
        return reached

    def _others(self, state: State, pattern: str) -> Iterator[tuple[str, State]]:
        """Steps that change something."""
        for words, then in self.moves(state):
            if then != state and re.fullmatch(pattern, words):
                yield words, then
