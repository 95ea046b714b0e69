"""What the tests of faults share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.founded import founded_once


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network at rest, to be copied (tests.faults.founded). The workers of one run share it."""
    own = tmp_path_factory.getbasetemp()
    return founded_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
