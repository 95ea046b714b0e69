"""What is fetched, on its way from the network into the thread that opens it, and into the spool for a resumption."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from queue import SimpleQueue

from cordee.runtime.bulk import BlockReader, WriteBehind
from node import spool

__all__ = ["Feed"]

_BLOCK = 2  # pieces that go to the thread together
_BLOCKS = 4  # blocks that may wait for it


class _Stopped(Exception):
    """Nothing more will come."""


class Feed:
    """Runs `opening` in a thread over all the ciphertext: first what the spool file holds already, then what is `put`.

    What is put is appended to the spool before it is opened. It is not synchronised: it can be fetched again, so
    after a power cut the spool may hold something else than what came, and only opening it tells. Without `replay`,
    `opening` sees what is put alone.
    """

    def __init__(
        self,
        path: Path,
        opening: Callable[[Iterator[bytes | memoryview]], None],
        *,
        threads: Executor,
        replay: bool = True,
    ) -> None:
        self.kept = spool.size_of(path)
        """Bytes that were there before."""
        self.size = self.kept
        """Bytes so far: from here on the rest is to be put."""
        self._path = path
        self._replay = replay
        self._batch: list[bytes | memoryview] = []
        self._blocks: SimpleQueue[list[bytes | memoryview] | None] = SimpleQueue()
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(_BLOCKS)
        self._opening = self._loop.run_in_executor(threads, opening, self._pieces())
        self._opening.add_done_callback(lambda _: self._places.release())  # whoever waits for a place is to see it

    async def put(self, piece: bytes | memoryview) -> bool:
        """Hand on the next piece; waits while the thread is behind. False once the thread has ended."""
        self._batch.append(piece)
        self.size += len(piece)
        if len(self._batch) == _BLOCK:
            await self._flush()
        return not self._opening.done()

    async def finish(self) -> None:
        """That was all. Raises what `opening` raises."""
        await self._flush()
        self._blocks.put(None)
        await asyncio.shield(self._opening)

    async def aclose(self) -> None:
        """End the thread, where it still runs, and wait for it. What it had made is the caller's to clear away."""
        self._stopped = True
        self._blocks.put(None)
        await asyncio.wait({self._opening})
        if not self._opening.cancelled():
            self._opening.exception()  # `finish` told it, or nobody asks for it any more

    async def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if not self._opening.done():
            await self._places.acquire()
            self._blocks.put(batch)

    # ---- in the thread ----

    def _pieces(self) -> Iterator[bytes | memoryview]:
        flags = os.O_CREAT | os.O_APPEND | os.O_RDWR
        with (
            open(os.open(self._path, flags, 0o600), "rb", buffering=0) as file,
            WriteBehind(file.fileno()) as behind,
        ):
            if self._replay:
                yield from self._kept_before()
            try:
                while (batch := self._blocks.get()) is not None:
                    self._go_on()
                    for piece in batch:
                        behind.write(piece)
                    yield from batch
                    self._loop.call_soon_threadsafe(self._places.release)
            finally:
                behind.flush()  # also where the connection broke off: it need not be fetched again
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
