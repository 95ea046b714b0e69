"""Ciphertext on its way, as files: written and read in threads, never more than a few pieces in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from cordee.runtime.bulk import BlockReader, WriteBehind

__all__ = ["PIECE", "Growth", "head", "pieces", "size_of", "write"]

PIECE = 262_144  # bytes of one message on the wire


class Growth:
    """How far a spool file can be read that is still being written. Make it where the reader runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._size = 0
        self._ended = False

    @property
    def size(self) -> int:
        """Bytes that can be read: whole blocks, until it is final."""
        return self._size

    async def beyond(self, offset: int) -> int:
        """The size, as soon as it is more than `offset` or final."""
        while self._size <= offset and not self._ended:
            self._news.clear()
            await self._news.wait()
        return self._size

    def grown(self, size: int) -> None:
        """So many bytes can be read. From any thread."""
        self._loop.call_soon_threadsafe(self._tell, size)

    def end(self) -> None:
        """No more will come, whatever the reason."""
        self._ended = True
        self._news.set()

    def _tell(self, size: int) -> None:
        self._size = max(self._size, size)
        self._news.set()


def write(path: Path, parts: Iterable[bytes], *, grown: Callable[[int], None] = lambda size: None) -> int:
    """Write a spool file from the start and put it on disk for good; its size. Run it in a thread.

    `grown` hears how many bytes can be read already; they are not durable before this returns.
    """
    size = 0
    with (
        open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb", buffering=0) as file,
        WriteBehind(file.fileno(), written=grown) as behind,
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


async def pieces(path: Path, *, offset: int, growth: Growth | None = None) -> AsyncIterator[bytes]:
    """The file from an offset on, in pieces of 256 KiB; one block is read while the one before is used.

    With `growth`, from the start, while it is being written: as far as it comes.
    """
    if growth is not None and not await growth.beyond(offset):
        return
    reader = await asyncio.to_thread(BlockReader, path)
    ahead: asyncio.Task[list[bytes]] | None = None
    try:
        while ahead is not None or offset < (await growth.beyond(offset) if growth else reader.size):
            block = await (ahead or _read(reader, offset))
            if not block:
                return  # it became shorter
            offset += sum(map(len, block))
            far = growth.size if growth else reader.size
            ahead = asyncio.create_task(_read(reader, offset)) if offset < far else None
            for piece in block:
                yield piece
    finally:
        if ahead is not None:
            await asyncio.wait({ahead})
        reader.close()


async def _read(reader: BlockReader, offset: int) -> list[bytes]:
    return await asyncio.to_thread(reader.read, offset, piece=PIECE)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
