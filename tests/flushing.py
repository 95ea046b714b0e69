"""Which files were flushed to disk, and what was put in its place before it was: for tests of what a power cut leaves.

What a file system makes of it is shown elsewhere; here it is only seen that it was asked to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Flushed"]


class Flushed:
    """Watches `os.fsync`, and the names that are given to files."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._sizes: dict[tuple[int, int], int] = {}
        self.too_early: list[str] = []
        """Names that a file got before all of it was flushed."""
        fsync = os.fsync

        def flush(descriptor: int) -> None:
            fsync(descriptor)
            state = os.fstat(descriptor)
            self._sizes[state.st_dev, state.st_ino] = state.st_size

        patch.setattr(os, "fsync", flush)
        for name in ("link", "rename", "replace"):
            patch.setattr(os, name, self._watched(getattr(os, name)))

    def whole(self, path: Path) -> bool:
        """Whether a file was flushed when it had the size that it has now; a folder, whether it was at all."""
        state = os.stat(path)
        flushed = self._sizes.get((state.st_dev, state.st_ino))
        return flushed is not None and (path.is_dir() or flushed == state.st_size)

    def _watched(self, name: Any) -> Any:
        def named(source: Any, target: Any, *arguments: Any, **options: Any) -> Any:
            if not self.whole(Path(source)):
                self.too_early.append(os.fsdecode(target))
            return name(source, target, *arguments, **options)

        return named
