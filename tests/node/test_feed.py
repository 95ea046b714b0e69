"""What comes from the network is spooled unless the line is a fast one: then it is sooner fetched anew."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cordee.runtime.bulk import BLOCK
from node import spool
from node.feed import FIRST, Feed
from node.spool import PIECE

CONTENT = random.Random(5).randbytes(9 * BLOCK + 4321)
PIECES = [CONTENT[start : start + PIECE] for start in range(0, len(CONTENT), PIECE)]


def held(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


class Opening:
    """Remembers what it saw."""

    def __init__(self) -> None:
        self.seen = b""

    def __call__(self, pieces: Iterator[bytes | memoryview]) -> None:
        for piece in pieces:
            self.seen += piece


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@contextlib.asynccontextmanager
async def fed(
    path: Path, opening: Opening, threads: ThreadPoolExecutor, pieces: list[bytes], *, keep: bool = False
) -> AsyncIterator[Feed]:
    feed = Feed(path, opening, threads=threads, keep=keep)
    async with contextlib.aclosing(feed):
        for piece in pieces:
            assert await feed.put(piece)
        yield feed


async def test_from_a_fast_line_nothing_is_written(
    path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 20.0)
    opening = Opening()
    async with fed(path, opening, threads, PIECES) as feed:
        await feed.finish()
    assert opening.seen == CONTENT
    assert held(path) is None


async def test_from_a_slow_line_all_is_written(
    path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.0)
    opening = Opening()
    async with fed(path, opening, threads, PIECES) as feed:
        await feed.finish()
    assert opening.seen == held(path) == CONTENT


async def test_only_the_wait_for_the_network_makes_a_line_slow(
    path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.05)

    class Slow(Opening):
        def __call__(self, pieces: Iterator[bytes | memoryview]) -> None:
            for piece in pieces:
                self.seen += piece
                asyncio.run(asyncio.sleep(0.05))  # twice as long for a block as a fast line has

    opening = Slow()
    async with fed(path, opening, threads, PIECES) as feed:
        await feed.finish()
    assert opening.seen == CONTENT
    assert held(path) is None


async def test_what_is_to_be_kept_is_written_from_a_fast_line_too(path: Path, threads: ThreadPoolExecutor) -> None:
    async with fed(path, Opening(), threads, PIECES, keep=True) as feed:
        await feed.finish()
    assert held(path) == CONTENT


@pytest.mark.parametrize("fast", [0.0, 20.0])
async def test_a_line_that_breaks_early_need_not_bring_again_what_it_brought(
    path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, fast: float
) -> None:
    monkeypatch.setattr(spool, "FAST", fast)
    opening = Opening()
    async with fed(path, opening, threads, PIECES[: FIRST - 1]):
        await until_seen(opening, (FIRST - 1) * BLOCK)
    assert held(path) == CONTENT[: (FIRST - 1) * BLOCK]
    again = Opening()
    async with fed(path, again, threads, []) as feed:
        assert feed.kept == feed.size == (FIRST - 1) * BLOCK
        for piece in PIECES[FIRST - 1 :]:
            await feed.put(piece)
        await feed.finish()
    assert again.seen == CONTENT
    assert held(path) == CONTENT, "what was resumed is written to its end"


async def test_a_fast_line_that_breaks_late_begins_anew(
    path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 20.0)
    opening = Opening()
    async with fed(path, opening, threads, PIECES[: FIRST + 1]):
        await until_seen(opening, FIRST * BLOCK)
    assert spool.size_of(path) == 0
    again = Opening()
    async with fed(path, again, threads, PIECES) as feed:
        assert feed.kept == 0
        await feed.finish()
    assert again.seen == CONTENT


async def until_seen(opening: Opening, size: int) -> None:
    async with asyncio.timeout(20):
        while len(opening.seen) < size:  # noqa: ASYNC110 - a thread fills it
            await asyncio.sleep(0.005)
