"""Ciphertext on its way, as files: written and read in threads, never more than a few pieces in memory."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cordee.runtime.bulk import BlockReader, WriteBehind, Written
from cordee.runtime.contract import CHUNK

__all__ = ["PIECE", "Growth", "growing_pieces", "head", "pieces", "size_of", "write"]

PIECE = CHUNK
_BLOCKS = 3  # kept for a reader that keeps up
_PATIENCE = 0.05  # seconds


class Growth:
    """How far a spool file can be read that is still being written. Make it where the reader runs.

    A reader that keeps up gets each block from memory, and the writer waits a little for it; as soon as the reader
    takes longer than `_PATIENCE` for a block, as over any real network, it reads the file and nobody waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._size = 0
        self._ended = False
        self._lock = threading.Condition()
        self._blocks: deque[tuple[int, list[bytes]]] = deque()  # what follows what the reader has taken
        self._keeping = True

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

    def taken(self, offset: int) -> list[bytes] | None:
        """The block that begins there, cut in pieces; None where the file is to be read."""
        with self._lock:
            if not self._blocks or self._blocks[0][0] != offset:
                self._forget()
                return None
            self._lock.notify()
            return self._blocks.popleft()[1]

    def grown(self, size: int, block: memoryview) -> None:
        """So many bytes can be read, and these are the last of them. From any thread but the reader's."""
        with self._lock:
            if self._keeping and not self._lock.wait_for(self._has_room, _PATIENCE):
                self._forget()
            if self._keeping:
                cut = [bytes(block[start : start + PIECE]) for start in range(0, len(block), PIECE)]
                self._blocks.append((size - len(block), cut))
        self._loop.call_soon_threadsafe(self._tell, size)

    def end(self) -> None:
        """No more will come, whatever the reason."""
        self._ended = True
        self._news.set()

    def leave(self) -> None:
        """Nobody reads any more."""
        with self._lock:
            self._forget()

    def _has_room(self) -> bool:
        return len(self._blocks) < _BLOCKS or not self._keeping

    def _forget(self) -> None:
        self._keeping = False
        self._blocks.clear()
        self._lock.notify()

    def _tell(self, size: int) -> None:
        self._size = max(self._size, size)
        self._news.set()


def write(path: Path, parts: Iterable[bytes], *, grown: Written = lambda size, block: None) -> int:
    """Write a spool file from the start and put it on disk for good; its size. Run it in a thread.

    `grown` hears how many bytes can be read already, and which were the last; they are not durable before this returns.
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


async def pieces(path: Path, *, offset: int) -> AsyncIterator[bytes]:
    """The file from an offset on, in pieces of 512 KiB; one block is read while the one before is used."""
    reader = await asyncio.to_thread(BlockReader, path)
    ahead: asyncio.Task[list[bytes]] | None = None
    try:
        while ahead is not None or offset < reader.size:
            block = await (ahead or _read(reader, offset))
            if not block:
                return  # it became shorter
            offset += sum(map(len, block))
            ahead = asyncio.create_task(_read(reader, offset)) if offset < reader.size else None
            for piece in block:
                yield piece
    finally:
        if ahead is not None:
            await asyncio.wait({ahead})
        reader.close()


async def growing_pieces(path: Path, growth: Growth) -> AsyncIterator[bytes]:
    """A file that is being written, from its start, as far as it comes; in pieces of 512 KiB."""
    offset = 0
    reader: BlockReader | None = None
    try:
        while offset < await growth.beyond(offset):
            block = growth.taken(offset)
            if block is None:
                if reader is None:
                    reader = await asyncio.to_thread(BlockReader, path)
                block = await _read(reader, offset)
            if not block:
                return  # it became shorter
            offset += sum(map(len, block))
            for piece in block:
                yield piece
    finally:
        growth.leave()
        if reader is not None:
            reader.close()


async def _read(reader: BlockReader, offset: int) -> list[bytes]:
    return await asyncio.to_thread(reader.read, offset, piece=PIECE)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
