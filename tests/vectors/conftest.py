"""Where the published vectors are, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest

HERE = Path(__file__).parent
PACKAGE = Path(cryptography_vectors.__file__).parent

Load = Callable[[str], Any]


@pytest.fixture
def wycheproof() -> Load:
    """Reads a JSON file of the folder `wycheproof`."""
    return lambda name: json.loads((HERE / "wycheproof" / name).read_bytes())


@pytest.fixture
def published() -> Callable[[str], str]:
    """Reads a text file of the package cryptography-vectors."""
    return lambda name: (PACKAGE / name).read_text(encoding="ascii")
