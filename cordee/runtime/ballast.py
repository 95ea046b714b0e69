"""Room that is held back on a disk, so that a full one can be emptied (docs/decisions/0028).

SQLite needs room to delete, to move its log into its file, and even to open. Where others have filled the disk, nothing
of that works any more, and nobody can erase what fills it. The ballast is given up at the first sign of it: steps go
on, cases and files can be erased, the process can be started again. It is taken back as soon as there is room.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cordee.runtime.exhausted import FULL

__all__ = ["BALLAST", "Ballast"]

BALLAST = "ballast"
"""The file's name in a data folder. It holds nothing."""

_SIZE = 8 << 20  # bytes
_TIMES = 4  # as much as the ballast must be free before it is taken back


class Ballast:
    """The file. Its methods do file I/O, a few system calls each."""

    def __init__(self, path: Path, *, size: int = _SIZE) -> None:
        """On a small disk it takes a thirty-second of it at most."""
        self._path = path
        self._size = size

    @property
    def held(self) -> bool:
        """Whether the room is held back now."""
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def keep(self) -> bool:
        """Hold the room back, where there is enough of it. Whether it is held. Raises: OSError, but for a full disk."""
        if self.held:
            return True
        disk = shutil.disk_usage(self._path.parent)
        size = min(self._size, disk.total // 32)
        if disk.free < size * _TIMES:
            return False
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as failed:
            os.ftruncate(descriptor, 0)
            if failed.errno not in FULL:
                raise
            return False
        finally:
            os.close(descriptor)
        return True

    def release(self) -> bool:
        """Give the room up. Whether there was any. It takes none itself."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            there = os.fstat(descriptor).st_size > 0
            os.ftruncate(descriptor, 0)  # unlike a new name, it needs no block of the folder's
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return there
