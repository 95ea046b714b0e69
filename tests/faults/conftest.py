"""What the tests of faults share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.stage import Stage
from tests.faults.founded import founded_once
from tests.faults.scenes import quick_stage

LONGEST_FIRST = (
    "test_secrets.py",
    "test_kill_points.py",
    "test_kill_points_seldom.py",
    "test_seeds.py",
    "test_planted.py",
    "test_refinement.py",
    "test_flipped_bytes.py",
    "test_byzantine_member.py",
    "test_reconnection.py",
)
"""Files that take minutes. A worker that begins one of them last is waited for by the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make faults` hands the files out in this order."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network at rest, to be copied (tests.faults.founded). The workers of one run share it."""
    own = tmp_path_factory.getbasetemp()
    return founded_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, founded: Path) -> Iterator[Stage]:
    """One directory and its nodes, as real processes, from a copy of that network; each file has its own."""
    with quick_stage(tmp_path_factory.mktemp("stage"), founded) as made:
        yield made
