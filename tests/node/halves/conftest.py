from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.store.migrations import node_database

from .stage import Half, Stage, staged


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with nothing in it, made once: to make one takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("empty") / "node.db"
    with node_database(path):
        pass
    return path


@pytest.fixture
async def stage(tmp_path: Path, empty: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Paris and Marseille; Lyon too where a test asks for it."""
    names = ["Paris", "Marseille", *(["Lyon"] if "lyon" in request.fixturenames else [])]
    with staged(tmp_path, *names, empty=empty) as found:
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
