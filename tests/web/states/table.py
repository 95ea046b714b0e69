"""The states of every page. A new route needs a row here: in the module that it belongs to, at least one `State`.

A state is a name and a function from the scene to what is asked for: `State("empty", lambda scene: Ask("/cases"))`.
What must be there first, the function brings about, best through the pages (`scene.send`); what several states need is
made once (`scene.once`, `making.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from tests.web.gallery import State
from tests.web.states import association, casework, coming_in, following, office, sharing

__all__ = ["CASES", "SENDING", "STATES", "Part"]


@dataclass(frozen=True)
class Part:
    """States that one file of tests brings about; each of its pages is led to by one of them."""

    states: Mapping[str, Sequence[State]]
    not_led_to: frozenset[str]  # routes that no link and no form of these states leads to


def _together(*modules: ModuleType) -> dict[str, tuple[State, ...]]:
    """A route may have states in several modules."""
    routes = dict.fromkeys(route for module in modules for route in module.STATES)
    return {route: tuple(each for module in modules for each in module.STATES.get(route, ())) for route in routes}


# Following comes first: one of its states exchanges a node, before people have much open there. The association comes
# last, since who is in a team opens cases that others do not see. What no state leads to is asked for by the script;
# but the button for objecting stands only while a recovery is announced (tests/node/web/test_key_announced.py).
SENDING = Part(_together(following, sharing), not_led_to=frozenset({"live"}))
CASES = Part(_together(casework, office, coming_in, association), not_led_to=frozenset({"draft", "object"}))
STATES: dict[str, Sequence[State]] = {**SENDING.states, **CASES.states}
"""Name of a route → how it can look."""
