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

from cordee.runtime.bulk import BlockReader, WriteBehind, Written
from cordee.runtime.contract import CHUNK
from cordee.runtime.durable import sync_folder

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
"""Bytes that are written, read and sent at a time: 1 MiB."""

FIRST = 6
"""Pieces that are kept until it is known whether the line is a fast one."""

FAST = 0.05
"""Seconds that a piece may take on a fast line: 20 MB a second."""

_HEAD = 4096  # bytes
_WAITING = 1  # pieces that wait for a reader that keeps up; gRPC takes three before a slow line makes it wait


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

    A reader that keeps up gets each piece from memory, and the writer waits a little for it; as soon as the reader
    takes longer than `FAST` for a piece, it reads the file and nobody waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._in_file = 0
        self._ended = False
        self._lock = threading.Condition()
        self._pieces: deque[tuple[int, bytes]] = deque()  # what follows what the reader has taken
        self._keeping = True

    async def piece(self, offset: int) -> bytes | None:
        """What begins there, as soon as it is there: from memory, or None where the file holds it. Empty at the end."""
        while True:
            with self._lock:
                if self._pieces and self._pieces[0][0] == offset:
                    self._lock.notify()
                    return self._pieces.popleft()[1]
                if self._in_file > offset:
                    self._forget()
                    return None
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()

    def offered(self, offset: int, piece: bytes, *, seconds: float | None) -> bool:
        """Hand over a piece that lies in memory alone, as soon as the reader has taken enough of those before. False if
        that takes longer; the reader then gets the rest from the file. From any thread but the reader's.
        """
        with self._lock:
            if not self._lock.wait_for(self._has_room, seconds) or not self._keeping:
                self._forget()
                return False
            self._pieces.append((offset, piece))
        self._loop.call_soon_threadsafe(self._news.set)
        return True

    def drained(self, seconds: float) -> bool:
        """Whether the reader has taken all that was handed over, before so much time is over. From any other thread."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._pieces, seconds) and self._keeping

    def grown(self, size: int, block: memoryview) -> None:
        """So many bytes lie in the file, and these are the last of them. From any thread but the reader's."""
        if self._keeping:
            self.offered(size - len(block), bytes(block), seconds=FAST)
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
        return len(self._pieces) < _WAITING or not self._keeping

    def _forget(self) -> None:
        self._keeping = False
        self._pieces.clear()
        self._lock.notify()

    def _tell(self, size: int) -> None:
        self._in_file = size
        self._news.set()


def pack(path: Path, parts: Iterable[bytes], growth: Growth, *, keep: bool) -> Packed:
    """Write ciphertext for a reader of `growth`. Run it in a thread of its own: it waits for the reader.

    Unless it is to `keep` it, the spool file is written only if the reader is slow with the first 6 MiB, or leaves
    meanwhile; otherwise the rest is for that reader alone. Raises: ReaderGone where that one leaves before the end.
    """
    first: list[bytes] = []
    pieces, size, head = _cut(parts), 0, b""
    for piece in pieces:
        head = head or piece[:_HEAD]
        kept = size < FIRST * PIECE
        if kept:
            first.append(piece)
        else:
            first.clear()
        if keep or not growth.offered(size, piece, seconds=FAST if kept else None):
            if not kept:
                raise ReaderGone
            break
        size += len(piece)
    else:
        if not first or growth.drained(FAST):
            return Packed(size, head, spooled=False, kept=tuple(first))
    size = write(path, _rest(first, pieces), grown=growth.grown)
    return Packed(size, head, spooled=True)


def _rest(first: list[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    while first:
        yield first.pop(0)
    yield from pieces


def _cut(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of 1 MiB, of which the last may be smaller."""
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
                yield b"".join(piece)
                piece, room = [], PIECE
    if piece:
        yield b"".join(piece)


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
    sync_folder(path.parent)
    return size


def size_of(path: Path) -> int:
    """The file's size; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


async def pieces(path: Path, *, offset: int) -> AsyncIterator[bytes]:
    """The file from an offset on, in pieces of 1 MiB; one is read while the one before is used."""
    reader = await asyncio.to_thread(BlockReader, path)
    ahead: asyncio.Task[bytes] | None = None
    try:
        while ahead is not None or offset < reader.size:
            piece = await (ahead or _read(reader, offset))
            if not piece:
                return  # it became shorter
            offset += len(piece)
            ahead = asyncio.create_task(_read(reader, offset)) if offset < reader.size else None
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
            piece = await growth.piece(offset)
            if piece is None:
                if reader is None:
                    reader = await asyncio.to_thread(BlockReader, path)
                piece = await _read(reader, offset)
            if not piece:
                return  # the end, or it became shorter
            offset += len(piece)
            yield piece
    finally:
        growth.leave()
        if reader is not None:
            reader.close()


async def _read(reader: BlockReader, offset: int) -> bytes:
    return b"".join(await asyncio.to_thread(reader.read, offset, piece=PIECE))
