from __future__ import annotations

import errno
import fcntl
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.runtime.bulk import BLOCK, Appender, BlockReader, WriteBehind, write_all
from tests.lacking import lacking

CONTENT = random.Random(11).randbytes(3 * BLOCK + 5)


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR)
    yield opened
    os.close(opened)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def is_direct(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)


@pytest.mark.parametrize("size", [1, 4096, 65_551, 262_144, BLOCK, 2 * BLOCK + 3])
def test_what_is_written_behind_is_in_the_file_once_it_is_flushed(path: Path, descriptor: int, size: int) -> None:
    with WriteBehind(descriptor) as behind:
        for part in cut(CONTENT[:300] if size == 1 else CONTENT, size):
            behind.write(part)
        behind.flush()
    assert path.read_bytes() == (CONTENT[:300] if size == 1 else CONTENT)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=12))
def test_flushes_in_between_change_nothing(disk: Path, sizes: list[int]) -> None:
    path = Path(mkdtemp(dir=disk)) / "file"
    opened, written = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR), b""
    with WriteBehind(opened) as behind:
        for size in sizes:
            part = CONTENT[len(written) : len(written) + size]
            behind.write(part)
            behind.flush()
            written += part
    os.close(opened)
    assert path.read_bytes() == written


def test_a_file_that_does_not_end_on_a_page_is_gone_on_from(path: Path, descriptor: int) -> None:
    write_all(descriptor, [CONTENT[:777]])
    with WriteBehind(descriptor) as behind:
        behind.write(CONTENT[777:])
        behind.flush()
    assert path.read_bytes() == CONTENT


def test_whole_pages_go_past_the_cache_and_others_do_not(path: Path, descriptor: int) -> None:
    appender = Appender(descriptor)
    appender.append(cut(CONTENT[:BLOCK], 262_144), position=0)
    able = is_direct(descriptor)
    appender.append([CONTENT[BLOCK : BLOCK + 5]], position=BLOCK)
    assert not is_direct(descriptor)
    appender.append([CONTENT[BLOCK + 5 : 2 * BLOCK]], position=BLOCK + 5)
    assert path.read_bytes() == CONTENT[: 2 * BLOCK]
    if not able:
        lacking("this file system cannot do without the page cache")


def test_where_the_system_refuses_the_page_cache_is_used(
    path: Path, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "not on this file system")

    monkeypatch.setattr(os, "write", refuse)
    with WriteBehind(descriptor) as behind:
        behind.write(CONTENT)
        behind.flush()
    monkeypatch.undo()
    assert path.read_bytes() == CONTENT


def test_a_full_disk_is_told_by_the_next_call(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "writev", full)
    with WriteBehind(descriptor) as behind:
        behind.write(CONTENT[:BLOCK])
        with pytest.raises(OSError, match="full"):
            behind.flush()


@pytest.mark.parametrize("size", [0, 1, 4096, BLOCK, BLOCK + 4096, 3 * BLOCK + 5])
def test_a_file_is_read_whole(path: Path, size: int) -> None:
    path.write_bytes(CONTENT[:size])
    with closing(BlockReader(path)) as reader:
        pieces = list(reader.pieces(piece=100_000))
    assert b"".join(pieces) == CONTENT[:size]
    assert all(len(piece) <= 100_000 for piece in pieces)


@pytest.mark.parametrize("offset", [0, 1, 4095, 4096, BLOCK - 1, 3 * BLOCK, 3 * BLOCK + 4, 3 * BLOCK + 5, 9 * BLOCK])
def test_a_block_is_read_from_anywhere(path: Path, offset: int) -> None:
    path.write_bytes(CONTENT)
    with closing(BlockReader(path)) as reader:
        block = reader.read(offset, piece=262_144)
    assert b"".join(block) == CONTENT[offset : offset + BLOCK]
    assert all(len(piece) == 262_144 for piece in block[:-1])


def test_an_abandoned_reading_ends(path: Path) -> None:
    path.write_bytes(CONTENT)
    with closing(BlockReader(path)) as reader:
        pieces = reader.pieces(piece=262_144)
        assert next(pieces) == CONTENT[:262_144]
        pieces.close()


def test_what_is_missing_is_told(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BlockReader(path)
