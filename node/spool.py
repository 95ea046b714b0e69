"""Ciphertext on its way: written and read in threads, never more than a few pieces in memory.

It goes through a file, from which it can be sent again from any offset, unless the line turns out to be a fast one:
there it is sooner sent anew than it would have been written and read (docs/decisions/0016).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cordee.runtime.bulk import BLOCK, BlockReader, WriteBehind, Written
from cordee.runtime.contract import CHUNK

__all__ = [
    "FAST",
    "FIRST",
    "PIECE",
    "Growth",
    "Packed",
    "ReaderGone",
    "growing_pieces",
    "pack",
    "pieces",
    "size_of",
    "write",
]

PIECE = CHUNK
FIRST = 6
"""Blocks of 1 MiB that are kept until it is known whether the line is a fast one."""

FAST = 0.05
"""Seconds that a block may take on a fast line: 20 MB a second."""

_HEAD = 4096  # bytes
_BLOCKS = 1  # kept for a reader that keeps up; gRPC takes three before a slow line makes it wait


class ReaderGone(Exception):
    """Nobody reads any more what was written nowhere else: it has to be packed anew."""


@dataclass(frozen=True)
class Packed:
    """All that was encrypted: its size in bytes, its first 4 KiB at most, whether it lies in the spool file.

    Where it does not and is small, `kept` is all of it: it can still be written.
    """

    size: int
    head: bytes
    spooled: bool
    kept: tuple[bytes, ...] = ()


class Growth:
    """How far ciphertext can be read that is still being written. Make it where the reader runs.

    A reader that keeps up gets each block from memory, and the writer waits a little for it; as soon as the reader
    takes longer than `FAST` for a block, it reads the file and nobody waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._in_file = 0
        self._ended = False
        self._lock = threading.Condition()
        self._blocks: deque[tuple[int, list[bytes]]] = deque()  # what follows what the reader has taken
        self._keeping = True

    async def block(self, offset: int) -> list[bytes] | None:
        """The block that begins there, cut in pieces, as soon as it is there: from memory, or None where the file is to
        be read. An empty one at the end.
        """
        while True:
            with self._lock:
                if self._blocks and self._blocks[0][0] == offset:
                    self._lock.notify()
                    return self._blocks.popleft()[1]
                if self._in_file > offset:
                    self._forget()
                    return None
            if self._ended:
                return []
            self._news.clear()
            await self._news.wait()

    def offered(self, offset: int, block: list[bytes], *, seconds: float | None) -> bool:
        """Hand over a block that lies in memory alone, as soon as the reader has taken enough of those before. False if
        that takes longer; the reader then gets the rest from the file. From any thread but the reader's.
        """
        with self._lock:
            if not self._lock.wait_for(self._has_room, seconds) or not self._keeping:
                self._forget()
                return False
            self._blocks.append((offset, block))
        self._loop.call_soon_threadsafe(self._news.set)
        return True

    def drained(self, seconds: float) -> bool:
        """Whether the reader has taken all that was handed over, before so much time is over. From any other thread."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._blocks, seconds) and self._keeping

    def grown(self, size: int, block: memoryview) -> None:
        """So many bytes lie in the file, and these are the last of them. From any thread but the reader's."""
        if self._keeping:
            cut = [bytes(block[start : start + PIECE]) for start in range(0, len(block), PIECE)]
            self.offered(size - len(block), cut, seconds=FAST)
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
        self._in_file = size
        self._news.set()


def pack(path: Path, parts: Iterable[bytes], growth: Growth, *, keep: bool) -> Packed:
    """Write ciphertext for a reader of `growth`. Run it in a thread of its own: it waits for the reader.

    Unless it is to `keep` it, the spool file is written only if the reader is slow with the first 6 MiB, or leaves
    meanwhile; otherwise the rest is for that reader alone. Raises: ReaderGone where that one leaves before the end.
    """
    first: list[list[bytes]] = []
    blocks, size, head = _blocks(parts), 0, b""
    fast = not keep
    while fast and (block := next(blocks, None)) is not None:
        head = head or block[0][:_HEAD]
        kept = size < FIRST * BLOCK
        if kept:
            first.append(block)
        else:
            first.clear()
        fast = growth.offered(size, block, seconds=FAST if kept else None)
        if not fast and not kept:
            raise ReaderGone
        size += sum(map(len, block))
    if fast and (not first or growth.drained(FAST)):
        return Packed(size, head, spooled=False, kept=tuple(piece for block in first for piece in block))
    size = write(path, _rest(first, blocks), grown=growth.grown)
    return Packed(size, _head(path), spooled=True)


def _rest(first: list[list[bytes]], blocks: Iterator[list[bytes]]) -> Iterator[bytes]:
    while first:
        yield from first.pop(0)
    for block in blocks:
        yield from block


def _blocks(parts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The same bytes in blocks of 1 MiB, each cut in the pieces that go over the wire."""
    pieces: list[bytes] = []
    piece: list[memoryview] = []
    room = PIECE
    for part in parts:
        view = memoryview(part)
        while view:
            taken = view[:room]
            piece.append(taken)
            room -= len(taken)
            view = view[len(taken) :]
            if not room:
                pieces.append(b"".join(piece))
                piece, room = [], PIECE
                if len(pieces) * PIECE == BLOCK:
                    yield pieces
                    pieces = []
    if piece:
        pieces.append(b"".join(piece))
    if pieces:
        yield pieces


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


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


async def pieces(path: Path, *, offset: int) -> AsyncIterator[bytes]:
    """The file from an offset on, in pieces of 1 MiB; one block is read while the one before is used."""
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
    """What is being written, from its start, as far as it comes; in pieces of 1 MiB."""
    offset = 0
    reader: BlockReader | None = None
    try:
        while True:
            block = await growth.block(offset)
            if block is None:
                if reader is None:
                    reader = await asyncio.to_thread(BlockReader, path)
                block = await _read(reader, offset)
            if not block:
                return  # the end, or it became shorter
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
