"""Where measurements happen: a folder of their own under the system's temporary folder, removed in the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["GB", "KB", "MB", "NotEnoughSpace", "free_port", "make_file", "place", "require_space"]

KB = 1_000
MB = 1_000_000
GB = 1_000_000_000

_PIECE = 1 << 20


class NotEnoughSpace(Exception):
    """The disk is too full for a measurement."""


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """The folder. Whatever is in it in the end is removed."""
    folder = Path(tempfile.mkdtemp(prefix="cordee-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_space(folder: Path, wanted: int) -> None:
    """Raises: NotEnoughSpace if fewer than `wanted` bytes are free where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise NotEnoughSpace(f"{wanted / GB:.1f} GB are needed in {folder}, {free / GB:.1f} GB are free")


def make_file(path: Path, size: int) -> Path:
    """A file of `size` random bytes: nothing on the way can compress it."""
    with path.open("wb") as file:
        left = size
        while left:
            piece = min(left, _PIECE)
            file.write(os.urandom(piece))
            left -= piece
    return path


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now: for programs that cannot be asked which one they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
