"""What a machine does not have or forbids: a test that needs it is skipped and says so; with CI=true it fails."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["lacking"]


def lacking(what: str) -> NoReturn:
    """Raises: Failed in continuous integration, Skipped elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"not to be skipped here: {what}")
    pytest.skip(what)
