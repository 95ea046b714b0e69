"""Files in blocks of four chunks, read and written in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

__all__ = ["PIECE", "append", "pieces"]

PIECE = 262_144
_AT_ONCE = 4


async def append(path: Path, chunks: AsyncIterator[bytes], *, durable: bool) -> int:
    """Write a new file; its size. `durable`: fsync before returning."""
    size, batch = 0, []
    with await asyncio.to_thread(path.open, "wb", 0) as file:
        async for chunk in chunks:
            size += len(chunk)
            batch.append(chunk)
            if len(batch) == _AT_ONCE:
                await asyncio.to_thread(_write, file.fileno(), batch)
                batch = []
        await asyncio.to_thread(_write, file.fileno(), batch)
        if durable:
            await asyncio.to_thread(os.fsync, file.fileno())
    return size


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """A file in chunks of 256 KiB."""
    with await asyncio.to_thread(path.open, "rb", 0) as file:
        while block := await asyncio.to_thread(file.read, _AT_ONCE * PIECE):
            for start in range(0, len(block), PIECE):
                yield block[start : start + PIECE]


def _write(descriptor: int, batch: list[bytes]) -> None:
    wanted = sum(map(len, batch))
    written = os.writev(descriptor, batch) if batch else 0
    if written < wanted:  # a regular file takes all of it, but the kernel promises nothing
        rest = memoryview(b"".join(batch))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
