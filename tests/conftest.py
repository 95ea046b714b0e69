"""For every test: gRPC is told which TLS it may speak before anybody imports it (see cordee.runtime), and folders of
tests lie in memory where there is room: the servers flush to disk at each step, and a disk takes longer than they do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest

import cordee.runtime  # noqa: F401 - first of all

_MEMORY = Path("/dev/shm")
_ROOM = 6 << 30  # bytes that must be free there, and in the machine; a whole run takes less than two thirds of it
_TEMPORARY = "PYTEST_DEBUG_TEMPROOT"  # whoever names a folder in it, or with --basetemp, is given that one


def pytest_configure() -> None:
    if _TEMPORARY not in os.environ and _has_room(_MEMORY):
        os.environ[_TEMPORARY] = str(_MEMORY)


def _has_room(folder: Path) -> bool:
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _ROOM:
        return False
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(told["MemAvailable"].split()[0]) << 10 >= _ROOM


@pytest.fixture(scope="session")
def disk() -> Iterator[Path]:
    """Where temporary files lie otherwise: for tests of what the system does differently with files in memory."""
    with TemporaryDirectory(prefix="pytest-") as folder:
        yield Path(folder)


@pytest.fixture
def on_disk(disk: Path) -> Path:
    """A folder of one test, not in memory."""
    return Path(mkdtemp(dir=disk))
