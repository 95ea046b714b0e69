"""Each page in every state: Today, transfers, acts, who can help and sending (`every_state.py`)."""

from __future__ import annotations

import pytest

from tests.web.every_state import EveryState
from tests.web.states.table import SENDING

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]


class TestSending(EveryState):
    """What leaves and what comes in."""

    part = SENDING
