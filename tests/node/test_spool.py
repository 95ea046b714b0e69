"""A spool file that is read while it is written: from memory as long as the reader keeps up, then from the file."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from cordee.runtime.bulk import BLOCK, BlockReader
from node import spool
from node.spool import FIRST, PIECE, Growth, Packed, ReaderGone, growing_pieces

CONTENT = random.Random(9).randbytes(12 * BLOCK + 4321)
SOON = 20.0  # seconds, on a slow machine too

Packing = asyncio.Task[Packed]


def parts(data: bytes = CONTENT) -> Iterator[bytes]:
    for start in range(0, len(data), 300_000):
        yield data[start : start + 300_000]


class Watched(Growth):
    """Remembers how long its writer was held up, and how much it has kept."""

    def __init__(self) -> None:
        super().__init__()
        self.held_up: list[float] = []  # seconds, of each block
        self.kept: list[int] = []  # blocks

    def grown(self, size: int, block: memoryview) -> None:
        before = time.monotonic()
        super().grown(size, block)
        self.held_up.append(time.monotonic() - before)
        self.kept.append(len(self._pieces))


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@contextlib.asynccontextmanager
async def written(path: Path, growth: Growth, source: Iterator[bytes]) -> AsyncIterator[asyncio.Task[int]]:
    """A writer at work; what it raises comes at the block's end."""

    async def write() -> int:
        try:
            return await asyncio.to_thread(spool.write, path, source, grown=growth.grown)
        finally:
            growth.end()

    task = asyncio.create_task(write())
    yield task
    await asyncio.wait_for(task, SOON)


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets at which the file itself was read."""
    offsets: list[int] = []
    read = BlockReader.read

    def counted(self: BlockReader, offset: int, *, piece: int) -> list[bytes]:
        offsets.append(offset)
        return read(self, offset, piece=piece)

    monkeypatch.setattr(BlockReader, "read", counted)
    return offsets


async def test_a_reader_that_keeps_up_gets_each_block_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_read: list[int]
) -> None:
    monkeypatch.setattr(spool, "FAST", SOON)
    growth = Watched()
    async with written(tmp_path / "spool", growth, parts()) as writing:
        got = [piece async for piece in growing_pieces(tmp_path / "spool", growth)]
    assert b"".join(got) == CONTENT
    assert max(map(len, got)) == PIECE
    assert files_read == []
    assert writing.result() == len(CONTENT)
    assert (tmp_path / "spool").read_bytes() == CONTENT


async def test_a_slow_reader_reads_the_file_and_the_writer_waits_for_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_read: list[int]
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.5)
    growth = Watched()
    async with written(tmp_path / "spool", growth, parts()) as writing:
        pieces = growing_pieces(tmp_path / "spool", growth)
        got = [await anext(pieces)]
        await asyncio.wait_for(asyncio.shield(writing), SOON)  # over a slow line the next piece is asked for much later
        got += [piece async for piece in pieces]
    assert b"".join(got) == CONTENT
    assert len([seconds for seconds in growth.held_up if seconds >= 0.5]) == 1
    assert files_read == [place * BLOCK for place in range(1, 13)]


async def test_no_more_than_a_few_blocks_are_held_for_a_reader_however_large_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.05)
    growth = Watched()
    async with written(tmp_path / "spool", growth, parts()):
        got, rng = b"", random.Random(1)
        async for piece in growing_pieces(tmp_path / "spool", growth):
            got += piece
            await asyncio.sleep(rng.random() * 0.02)
    assert got == CONTENT
    assert max(growth.kept) == 1
    assert growth._pieces == type(growth._pieces)(), "and nothing once it has been read"


async def test_without_any_reader_the_writer_ends_and_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.5)
    growth = Watched()
    async with written(tmp_path / "spool", growth, parts()):
        pass
    assert len([seconds for seconds in growth.held_up if seconds >= 0.5]) == 1
    assert max(growth.kept) == 1
    assert not growth._pieces
    assert b"".join([piece async for piece in growing_pieces(tmp_path / "spool", growth)]) == CONTENT


async def test_a_writer_that_waits_goes_on_at_once_when_the_reader_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 2 * SOON)
    growth = Watched()
    async with written(tmp_path / "spool", growth, parts()) as writing:
        pieces = growing_pieces(tmp_path / "spool", growth)
        await anext(pieces)
        await until(lambda: len(growth._pieces) == 1)
        assert not writing.done()
        await pieces.aclose()  # type: ignore[attr-defined]
        assert await asyncio.wait_for(asyncio.shield(writing), SOON) == len(CONTENT)
    assert not growth._pieces


@pytest.mark.parametrize("size", [0, 1, PIECE, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7])
@pytest.mark.parametrize("seed", [1, 2])
async def test_whoever_is_faster_all_bytes_come_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, seed: int
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.004)
    chance = random.Random(seed)

    def unsteady() -> Iterator[bytes]:
        for part in parts(CONTENT[:size]):
            time.sleep(chance.random() * 0.006)
            yield part

    growth = Growth()
    async with written(tmp_path / "spool", growth, unsteady()):
        got = b""
        async for piece in growing_pieces(tmp_path / "spool", growth):
            got += piece
            await asyncio.sleep(chance.random() * 0.006)
    assert got == CONTENT[:size]


async def test_a_reader_ends_with_a_writer_that_fails(tmp_path: Path) -> None:
    may_fail = threading.Event()

    def broken() -> Iterator[bytes]:
        yield CONTENT[: 2 * BLOCK + 5]
        may_fail.wait(SOON)
        raise ZeroDivisionError

    growth, got = Growth(), b""

    async def read() -> None:
        nonlocal got
        async with asyncio.timeout(SOON), written(tmp_path / "spool", growth, broken()):
            async for piece in growing_pieces(tmp_path / "spool", growth):
                got += piece
                if len(got) == 2 * BLOCK:
                    may_fail.set()

    with pytest.raises(ZeroDivisionError):
        await read()
    assert got == CONTENT[: 2 * BLOCK]


# ---- packing: the file is written only where the line is not fast ----


@contextlib.asynccontextmanager
async def packed(path: Path, growth: Growth, data: bytes = CONTENT, *, keep: bool = False) -> AsyncIterator[Packing]:
    async def pack() -> Packed:
        try:
            return await asyncio.to_thread(spool.pack, path, parts(data), growth, keep=keep)
        finally:
            growth.end()

    task = asyncio.create_task(pack())
    yield task
    await asyncio.wait({task}, timeout=SOON)


async def test_for_a_fast_reader_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FAST", SOON)
    growth, path = Growth(), tmp_path / "spool"
    async with packed(path, growth) as packing:
        got = [piece async for piece in growing_pieces(path, growth)]
    assert b"".join(got) == CONTENT
    assert max(map(len, got)) == PIECE
    assert packing.result() == Packed(len(CONTENT), CONTENT[:4096], spooled=False)
    assert not path.exists()


@pytest.mark.parametrize("taken", [0, 2, 4])
async def test_for_a_reader_that_is_slow_at_first_all_of_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(spool, "FAST", 0.3)
    growth, path = Growth(), tmp_path / "spool"
    async with packed(path, growth) as packing:
        pieces = growing_pieces(path, growth)
        got = [await anext(pieces) for _ in range(taken)]
        assert (await asyncio.wait_for(asyncio.shield(packing), SOON)).spooled, "though nobody reads on"
        got += [piece async for piece in pieces]
    assert b"".join(got) == CONTENT
    assert packing.result() == Packed(len(CONTENT), CONTENT[:4096], spooled=True)
    assert path.read_bytes() == CONTENT


async def test_what_is_to_be_kept_is_written_for_a_fast_reader_too(tmp_path: Path) -> None:
    growth, path = Growth(), tmp_path / "spool"
    async with packed(path, growth, keep=True) as packing:
        got = [piece async for piece in growing_pieces(path, growth)]
    assert b"".join(got) == path.read_bytes() == CONTENT
    assert packing.result().spooled


@pytest.mark.parametrize("size", [0, 1, PIECE, BLOCK, 3 * BLOCK + 7])
async def test_a_small_content_is_not_written_and_kept_for_one_more_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(spool, "FAST", SOON)
    growth, path, got = Growth(), tmp_path / "spool", b""
    async with packed(path, growth, CONTENT[:size]) as packing:
        async for piece in growing_pieces(path, growth):
            got += piece
    assert got == b"".join(packing.result().kept) == CONTENT[:size]
    assert not path.exists()


async def test_a_small_content_for_a_slow_reader_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FAST", 0.3)
    growth, path = Growth(), tmp_path / "spool"
    async with packed(path, growth, CONTENT[: 2 * BLOCK]) as packing:
        pieces = growing_pieces(path, growth)
        got = [await anext(pieces)]
        assert (await asyncio.wait_for(asyncio.shield(packing), SOON)).spooled
        got += [piece async for piece in pieces]
    assert b"".join(got) == path.read_bytes() == CONTENT[: 2 * BLOCK]
    assert packing.result().kept == ()


async def test_a_reader_that_leaves_early_finds_it_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FAST", 2 * SOON)
    growth, path = Growth(), tmp_path / "spool"
    async with packed(path, growth) as packing:
        pieces = growing_pieces(path, growth)
        await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]
        assert (await asyncio.wait_for(asyncio.shield(packing), SOON)).spooled
    assert path.read_bytes() == CONTENT


async def test_a_reader_that_leaves_a_fast_line_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FAST", SOON)
    growth, path = Growth(), tmp_path / "spool"
    async with packed(path, growth) as packing:
        pieces, got = growing_pieces(path, growth), 0
        while got < (FIRST + 1) * BLOCK:
            got += len(await anext(pieces))
        assert not packing.done(), "it waits for the reader, and has written nothing"
        await pieces.aclose()  # type: ignore[attr-defined]
        with pytest.raises(ReaderGone):
            await asyncio.wait_for(asyncio.shield(packing), SOON)
    assert not path.exists()


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not found():  # noqa: ASYNC110 - a thread fills it
            await asyncio.sleep(0.005)
