from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .stage import Half, Stage, staged


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Paris and Marseille; Lyon too where a test asks for it."""
    names = ["Paris", "Marseille", *(["Lyon"] if "lyon" in request.fixturenames else [])]
    with staged(tmp_path, *names) as found:
        await found.look()
        yield found


@pytest.fixture
def paris(stage: Stage) -> Half:
    return stage.halves[0]


@pytest.fixture
def marseille(stage: Stage) -> Half:
    return stage.halves[1]


@pytest.fixture
def lyon(stage: Stage) -> Half:
    return stage.halves[2]
