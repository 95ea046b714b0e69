from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .stage import Half, Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with staged(tmp_path, "Paris", "Marseille", "Lyon") as found:
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
