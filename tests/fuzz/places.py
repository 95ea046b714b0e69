"""Where the corpus lies, and where a run puts what it makes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BUILD", "HERE"]

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "fuzz"
