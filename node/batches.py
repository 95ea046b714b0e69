"""What comes one after the other, taken together as far as it is there already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

__all__ = ["in_batches"]

T = TypeVar("T")


async def in_batches(source: AsyncIterator[T], *, most: int) -> AsyncIterator[list[T]]:
    """Lists of at least one: what has come while the one before was used, up to `most`. Nothing waits to be joined.

    What the source raises is raised after everything that it gave.
    """
    came: asyncio.Queue[T | None] = asyncio.Queue()  # None: that was all
    room = asyncio.Semaphore(most)

    async def take() -> None:
        async for each in source:
            await room.acquire()
            came.put_nowait(each)

    taking = asyncio.create_task(take())
    taking.add_done_callback(lambda _: came.put_nowait(None))
    try:
        each = await came.get()
        while each is not None:
            batch = [each]
            while not came.empty() and (each := came.get_nowait()) is not None:
                batch.append(each)
            for _ in batch:
                room.release()
            yield batch
            if each is not None:
                each = await came.get()
        taking.result()
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
