"""The states of every page. A new route needs a row here: in the module that it belongs to, at least one `State`.

A state is a name and a function from the scene to what is asked for: `State("empty", lambda scene: Ask("/cases"))`.
What must be there first, the function brings about, best through the pages (`scene.send`); what several states need is
made once (`scene.once`, `making.py`).
"""

from __future__ import annotations

from tests.web.gallery import State
from tests.web.states import association, casework, coming_in, following, office, sharing

__all__ = ["STATES"]

# Following comes first: one of its states exchanges a node, before people have much open there. The association comes
# last, since who is in a team opens cases that others do not see.
_MODULES = (following, casework, sharing, office, coming_in, association)
_ROUTES = dict.fromkeys(route for module in _MODULES for route in module.STATES)
STATES: dict[str, tuple[State, ...]] = {
    route: tuple(state for module in _MODULES for state in module.STATES.get(route, ())) for route in _ROUTES
}
"""Name of a route → how it can look; a route may have states in several modules."""
