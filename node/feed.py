"""What is fetched, on its way from the network into the thread that opens it, and into the spool for a resumption."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from cordee.runtime.bulk import BlockReader, WriteBehind
from node import spool

__all__ = ["FIRST", "Feed"]

FIRST = 3
"""Pieces of 1 MiB that are kept until it is known whether the line is a fast one."""

_WAITING = 2  # pieces that may wait for it

Piece = bytes | memoryview


class _Stopped(Exception):
    """Nothing more will come."""


class Feed:
    """Runs `opening` in a thread over all the ciphertext: first what the spool file holds already, then what is `put`.

    What is put is appended to the spool before it is opened. It is not synchronised: it can be fetched again, so
    after a power cut the spool may hold something else than what came, and only opening it tells. Without `replay`,
    `opening` sees what is put alone.

    Unless it is to `keep` it, nothing of the first 3 MiB is written while they come from a fast line, nor what follows
    them: such a line brings all of it again sooner than the disk would have done its part (docs/decisions/0016).
    """

    def __init__(
        self,
        path: Path,
        opening: Callable[[Iterator[Piece]], None],
        *,
        threads: Executor,
        replay: bool = True,
        keep: bool = True,
    ) -> None:
        self.kept = spool.size_of(path)
        """Bytes that were there before."""
        self.size = self.kept
        """Bytes so far: from here on the rest is to be put."""
        self._path = path
        self._replay = replay
        self._queue: SimpleQueue[Piece | None] = SimpleQueue()
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._waited = 0.0  # seconds, for the network
        self._asked = self._loop.time()
        self._places = asyncio.Semaphore(_WAITING)
        self._file = _File(path, choosing=not keep and not self.kept, waited=lambda: self._waited)
        self._opening = self._loop.run_in_executor(threads, opening, self._pieces())
        self._opening.add_done_callback(lambda _: self._places.release())  # whoever waits for a place is to see it

    async def put(self, piece: Piece) -> bool:
        """Hand on the next piece; waits while the thread is behind. False once the thread has ended."""
        self._waited += self._loop.time() - self._asked
        self.size += len(piece)
        if not self._opening.done():
            await self._places.acquire()
            self._queue.put(piece)
        self._asked = self._loop.time()
        return not self._opening.done()

    async def finish(self) -> None:
        """That was all. Raises what `opening` raises."""
        self._queue.put(None)
        await asyncio.shield(self._opening)

    async def aclose(self) -> None:
        """End the thread, where it still runs, and wait for it. What it had made is the caller's to clear away."""
        self._stopped = True
        self._queue.put(None)
        await asyncio.wait({self._opening})
        if not self._opening.cancelled():
            self._opening.exception()  # `finish` told it, or nobody asks for it any more

    # ---- in the thread ----

    def _pieces(self) -> Iterator[Piece]:
        with self._file as file:
            if self._replay:
                yield from self._kept_before()
            while (piece := self._queue.get()) is not None:
                file.add(piece)
                if self._stopped:
                    continue  # it has come, and need not be fetched again
                yield piece
                self._loop.call_soon_threadsafe(self._places.release)
            self._go_on()

    def _kept_before(self) -> Iterator[bytes]:
        if not self.kept:
            return
        with contextlib.closing(BlockReader(self._path)) as reader:
            for piece in reader.pieces(piece=spool.PIECE):
                self._go_on()
                yield piece

    def _go_on(self) -> None:
        if self._stopped:
            raise _Stopped


class _File:
    """The end of a spool file. While it is `choosing`, it keeps the first 3 MiB in memory; then it writes them and all
    that follows, or nothing at all where the network let nobody wait. What `waited` gives is in seconds.
    """

    def __init__(self, path: Path, *, choosing: bool, waited: Callable[[], float]) -> None:
        self._path = path
        self._choosing = choosing
        self._waited = waited
        self._first: list[Piece] = []
        self._behind: WriteBehind | None = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if not self._choosing:
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if isinstance(error, _Stopped) and self._choosing:
                self._begin()
            if self._behind is not None:
                self._behind.flush()  # also where the connection broke off: it need not be fetched again

    def add(self, piece: Piece) -> None:
        """Raises: OSError."""
        if self._behind is not None:
            self._behind.write(piece)
        elif self._choosing:
            self._first.append(piece)
            if sum(map(len, self._first)) >= FIRST * spool.PIECE:
                if self._waited() > spool.FAST * FIRST:
                    self._begin()
                self._choosing = False
                self._first.clear()

    def _begin(self) -> None:
        flags = os.O_CREAT | os.O_APPEND | os.O_RDWR
        file = self._open.enter_context(open(os.open(self._path, flags, 0o600), "rb", buffering=0))  # noqa: SIM115 - the stack does
        self._behind = self._open.enter_context(WriteBehind(file.fileno()))
        for piece in self._first:
            self._behind.write(piece)
