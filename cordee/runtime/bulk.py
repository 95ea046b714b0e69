"""Large files that are written once and read once: in blocks of 1 MiB, past the page cache where that is possible.

A copy of each byte in the page cache would cost a page of fresh memory for every 4 KiB and push out what others need.
Where a file system cannot do without it (some cannot), or where a block does not begin and end on a multiple of
4 KiB, the page cache is used: the bytes are the same. Nothing here is durable before the caller has called fsync.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from mmap import mmap
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["BLOCK", "Appender", "BlockReader", "WriteBehind", "Written", "room", "write_all"]

BLOCK = 1_048_576
"""Bytes of one block."""

_SPARE = 32 << 20  # bytes that bulk leaves free, and of a small disk no more than a sixteenth
_ALIGNED = 4096  # bytes: what offsets, lengths and memory must be multiples of, on every disk that we know of
_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux
_REFUSED = frozenset({errno.EINVAL, errno.EOPNOTSUPP})

Buffer = bytes | memoryview
Written = Callable[[int, memoryview], None]


class Appender:
    """Writes to the end of an open file. The descriptor stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._able = bool(_DIRECT)
        self._direct = False
        self._memory: mmap | None = None

    def append(self, parts: Sequence[Buffer], *, position: int) -> None:
        """Write all of it at the file's end, which is at `position`. Raises: OSError, as where the disk is full but for
        what the databases beside it may need.
        """
        size = sum(map(len, parts))
        _require_room(self._descriptor, size)
        if not self._able or size > BLOCK or position % _ALIGNED or size % _ALIGNED:
            self._switch(direct=False)
            write_all(self._descriptor, parts)
            return
        if self._memory is None:
            self._memory = mmap(-1, BLOCK)
        with memoryview(self._memory) as block:
            filled = 0
            for part in parts:
                block[filled : filled + len(part)] = part
                filled += len(part)
            self.append_block(block[:size], position=position)

    def append_block(self, block: memoryview, *, position: int) -> None:
        """As `append`, of memory that begins at a page."""
        _require_room(self._descriptor, len(block))
        done = 0
        if not position % _ALIGNED and not len(block) % _ALIGNED and self._switch(direct=True):
            try:
                done = os.write(self._descriptor, block)
            except OSError as failed:
                if failed.errno not in _REFUSED:
                    raise
                self._able = False
        if done < len(block):
            self._switch(direct=False)
            write_all(self._descriptor, [block[done:]])

    def _switch(self, *, direct: bool) -> bool:
        """Whether the file is now written past the page cache."""
        wanted = direct and self._able
        if wanted != self._direct:
            flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | _DIRECT if wanted else flags & ~_DIRECT)
            except OSError as failed:
                if failed.errno not in _REFUSED:
                    raise
                self._able = False
                return False
            self._direct = wanted
        return wanted


class WriteBehind:
    """Appends to an open file while the caller goes on: one block is written in a thread, the next is being filled.

    Holds two blocks at most. What the disk refuses is raised by the next call, whichever that is. Not for two threads.
    `written` sees, in either thread, each block that has been written, and how many bytes of the file can be read; it
    may hold the block no longer than the call lasts.
    """

    def __init__(self, descriptor: int, *, written: Written = lambda size, block: None) -> None:
        self._descriptor = descriptor
        self._appender = Appender(descriptor)
        self._written = written
        self._position = os.fstat(descriptor).st_size
        self._memory: list[mmap] = []
        self._filled = 0
        self._room = BLOCK - self._position % BLOCK
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: Buffer) -> None:
        """Add bytes, any number of them. Raises: OSError."""
        view = memoryview(data)
        while view:
            if not self._memory:
                self._memory.append(mmap(-1, BLOCK))
            part = view[: self._room - self._filled]
            self._memory[0][self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == self._room:
                self._hand_over()

    def flush(self) -> None:
        """Hand the rest to the system and wait for all of it. Raises: OSError."""
        self._wait()
        if self._filled:
            self._write_block(self._memory[0], self._filled, self._position)
            self._advance()

    def close(self) -> None:
        """End the thread. What was not flushed may be lost; the descriptor stays open."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _hand_over(self) -> None:
        """Let the thread write the block that is full, and go on in the other."""
        self._wait()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
            self._memory.append(mmap(-1, BLOCK))
        self._pending = self._thread.submit(self._write_block, self._memory[0], self._filled, self._position)
        self._memory.reverse()
        self._advance()

    def _write_block(self, memory: mmap, size: int, position: int) -> None:
        with memoryview(memory) as block:
            self._appender.append_block(block[:size], position=position)
            self._written(position + size, block[:size])

    def _advance(self) -> None:
        self._position += self._filled
        self._room = BLOCK - self._position % BLOCK
        self._filled = 0

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


class BlockReader:
    """Reads a file in blocks. Close it."""

    def __init__(self, path: Path, *, flags: int = 0) -> None:
        """`flags` are added to those of reading. Raises: OSError, FileNotFoundError among them."""
        flags |= os.O_RDONLY | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags | _DIRECT)
        except OSError as failed:
            if failed.errno not in _REFUSED:
                raise
            self._descriptor = os.open(path, flags)
        self._memory = mmap(-1, BLOCK + _ALIGNED)

    @property
    def size(self) -> int:
        """Bytes of the file now."""
        return os.fstat(self._descriptor).st_size

    @property
    def erased(self) -> bool:
        """Whether nobody else can find it any more."""
        return os.fstat(self._descriptor).st_nlink == 0

    def read(self, offset: int, *, piece: int) -> list[bytes]:
        """Up to a block from `offset` on, cut in pieces. Fewer bytes only at the file's end; none beyond it."""
        lead = offset % _ALIGNED
        with memoryview(self._memory) as block:
            wanted = BLOCK + _ALIGNED if lead else BLOCK
            got = self._fill(block[:wanted], offset - lead)
            end = min(got, lead + BLOCK)
            return [bytes(block[start : min(start + piece, end)]) for start in range(lead, end, piece)]

    def pieces(self, *, piece: int) -> Iterator[bytes]:
        """The whole file; one block is read in a thread while the one before is used."""
        block, offset = self.read(0, piece=piece), 0
        if self.size <= BLOCK:
            yield from block
            return
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
            while block:
                offset += sum(map(len, block))
                ahead = thread.submit(self.read, offset, piece=piece)
                yield from block
                block = ahead.result()

    def close(self) -> None:
        """Raises nothing that matters: nothing was written."""
        os.close(self._descriptor)

    def _fill(self, block: memoryview, offset: int) -> int:
        got = 0
        while got < len(block):
            try:
                more = os.preadv(self._descriptor, [block[got:]], offset + got)
            except OSError as failed:
                flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
                if failed.errno not in _REFUSED or not flags & _DIRECT:
                    raise
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~_DIRECT)
                continue
            got += more
            if not more or more % _ALIGNED:  # the end
                break
        return got


def room(folder: Path | int) -> int:
    """Bytes that bulk may still take on the disk of a folder or an open file."""
    disk = os.statvfs(folder)
    spare = min(_SPARE, disk.f_blocks * disk.f_frsize // 16)
    return max(disk.f_bavail * disk.f_frsize - spare, 0)


def _require_room(descriptor: int, size: int) -> None:
    if size > room(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_all(descriptor: int, parts: Sequence[Buffer]) -> None:
    """Append all of it, however little the system takes at a time. Run it in a thread. Raises: OSError."""
    views = [memoryview(part) for part in parts if len(part)]
    while views:
        written = os.writev(descriptor, views)
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if views:
            views[0] = views[0][written:]
