"""Ciphertext on its way, as files: written and read in threads, never more than a few pieces in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cordee.runtime.bulk import WriteBehind

__all__ = ["PIECE", "head", "pieces", "size_of", "write"]

PIECE = 262_144  # bytes of one message on the wire
_BLOCK = 4 * PIECE


def write(path: Path, parts: Iterable[bytes]) -> int:
    """Write a spool file from the start and put it on disk for good; its size. Run it in a thread."""
    size = 0
    with (
        open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb", buffering=0) as file,
        WriteBehind(file.fileno()) as behind,
    ):
        for part in parts:
            size += len(part)
            behind.write(part)
        behind.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    return size


def size_of(path: Path) -> int:
    """The file's size; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def head(path: Path, size: int) -> bytes:
    """The first bytes of the file."""
    with path.open("rb") as file:
        return file.read(size)


async def pieces(path: Path, *, offset: int) -> AsyncIterator[bytes]:
    """The file from an offset on, in pieces of 256 KiB."""
    with await asyncio.to_thread(path.open, "rb", 0) as file:
        await asyncio.to_thread(file.seek, offset)
        while block := await asyncio.to_thread(file.read, _BLOCK):
            for start in range(0, len(block), PIECE):
                yield block[start : start + PIECE]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
