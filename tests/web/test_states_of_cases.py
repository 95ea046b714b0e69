"""Each page in every state: cases, the association, one's own access and the way in (`every_state.py`)."""

from __future__ import annotations

import pytest

from tests.web.every_state import EveryState, every_route_has_its_states
from tests.web.states.table import CASES, STATES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]


def test_every_route_has_its_states() -> None:
    every_route_has_its_states(STATES)


class TestCases(EveryState):
    """All that is not about sending."""

    part = CASES
