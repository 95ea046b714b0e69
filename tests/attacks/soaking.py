"""How long the hostile suites run: the same examples each time, or others for as long as one likes.

CORDEE_SOAK=50 pytest -m fault tests/attacks        # fifty times as many, drawn anew
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

__all__ = ["FACTOR", "examples"]

FACTOR = int(os.environ.get("CORDEE_SOAK", "1"))
"""How many times as much as in continuous integration; there it is 1, and nothing is left to chance."""


def examples(count: int, *, steps: int = 50) -> settings:
    """Settings for a suite that shares real servers between its examples.

    Nothing is shrunk: what one example did to a node would be met by the next, and the first failure is the true one.
    """
    return settings(
        max_examples=count * FACTOR,
        stateful_step_count=steps,
        derandomize=FACTOR == 1,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
