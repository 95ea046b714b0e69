from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from node.batches import in_batches


async def counting(to: int, *, pause: float = 0.0, fails: bool = False) -> AsyncIterator[int]:
    for number in range(to):
        await asyncio.sleep(pause)
        yield number
    if fails:
        raise ValueError("the line broke")


async def test_all_of_it_comes_in_order_however_it_is_cut() -> None:
    assert [each async for batch in in_batches(counting(50), most=8) for each in batch] == list(range(50))


async def test_what_came_meanwhile_comes_together_and_never_more_than_the_most() -> None:
    sizes = []
    async for batch in in_batches(counting(20), most=8):
        sizes.append(len(batch))
        await asyncio.sleep(0.01)
    assert max(sizes) == 8
    assert sum(sizes) == 20


async def test_one_that_comes_alone_does_not_wait_for_others() -> None:
    sizes = [len(batch) async for batch in in_batches(counting(3, pause=0.01), most=8)]
    assert sizes == [1, 1, 1]


async def test_an_error_comes_after_all_that_was_given() -> None:
    came: list[int] = []

    async def listen() -> None:
        async for batch in in_batches(counting(5, fails=True), most=2):
            came.extend(batch)

    with pytest.raises(ValueError, match="the line broke"):
        await listen()
    assert came == [0, 1, 2, 3, 4]


async def test_nothing_comes_of_nothing() -> None:
    assert [batch async for batch in in_batches(counting(0), most=2)] == []


async def test_leaving_early_ends_the_source() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            ended.set()

    batches = in_batches(endless(), most=4)
    await anext(batches)
    await batches.aclose()  # type: ignore[attr-defined]  # a generator
    await asyncio.wait_for(ended.wait(), 1)
