"""Imported by each Python process that is started with this folder on its path: see `tests/faults/planting.py`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

# By its path: in a child process the root of the tests is not on the path.
_spec = importlib.util.spec_from_file_location("_cordee_planting", Path(__file__).parents[1] / "planting.py")
assert _spec is not None
assert _spec.loader is not None
_planting = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_planting)
_planting.install()
