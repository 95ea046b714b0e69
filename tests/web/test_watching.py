"""The watcher for clear copies can fail: it finds each kind of copy that somebody may leave."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.watching import Watcher

MARKER = b"marked-7f3a91c5d2e8"
_SOON = 20.0  # seconds


def watched(folder: Path, *, pids: tuple[int, ...] = (), left_out: tuple[Path, ...] = ()) -> Watcher:
    return Watcher(MARKER, [folder], lambda: pids, left_out=left_out)


def until_found(watcher: Watcher) -> None:
    deadline = time.monotonic() + _SOON
    while not watcher.found and time.monotonic() < deadline:
        time.sleep(0.01)


def filled() -> bytes:
    """Large enough that the marker lies across the edge of two blocks."""
    return bytes((1 << 20) - 5) + MARKER + bytes(1000)


def test_it_finds_a_copy_that_is_there_for_a_moment_only(tmp_path: Path) -> None:
    with watched(tmp_path) as watcher:
        copy = tmp_path / "deep" / "copy"
        copy.parent.mkdir()
        copy.write_bytes(filled())
        until_found(watcher)
        copy.unlink()
    assert watcher.found == {str(copy)}


def test_it_finds_what_is_written_into_a_file_that_it_knows(tmp_path: Path) -> None:
    file = tmp_path / "database"
    file.write_bytes(bytes(3 << 20))
    with watched(tmp_path) as watcher:
        while not watcher.rounds:
            time.sleep(0.01)
        with file.open("r+b") as changed:
            changed.seek(1 << 20)
            changed.write(MARKER)
        until_found(watcher)
    assert watcher.found == {str(file)}


def test_it_finds_a_copy_that_was_deleted_and_is_still_open(tmp_path: Path) -> None:
    held = (
        "import sys, tempfile, time\n"
        "with tempfile.TemporaryFile(dir=sys.argv[1]) as file:\n"
        "    file.write(sys.stdin.buffer.read())\n"
        "    file.flush()\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", held, str(elsewhere)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(filled())
            process.stdin.close()
            process.stdout.readline()
            (tmp_path / "watched").mkdir()
            with watched(tmp_path / "watched", pids=(process.pid,)) as watcher:
                until_found(watcher)
        finally:
            process.kill()
    assert len(watcher.found) == 1
    assert "(deleted)" in watcher.found.pop()


@pytest.mark.parametrize("make", [tempfile.mkstemp, tempfile.mkdtemp], ids=["a file", "a folder"])
def test_it_finds_what_appears_in_the_folder_for_temporary_files(tmp_path: Path, make: Callable[..., object]) -> None:
    with watched(tmp_path) as watcher:
        made = make(dir="/tmp", prefix="cordee-watched-")
        if isinstance(made, tuple):
            descriptor, name = made
            os.close(descriptor)
            file = Path(name)
        else:
            file = Path(str(made)) / "copy"
        try:
            file.write_bytes(filled())
            until_found(watcher)
        finally:
            file.unlink()
            if not isinstance(made, tuple):
                file.parent.rmdir()
    assert watcher.found == {str(file)}


def test_it_finds_nothing_where_nothing_is_and_looks_away_where_the_file_is_by_right(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "file").write_bytes(filled())
    (tmp_path / "sealed").write_bytes(os.urandom(1 << 20))
    with watched(tmp_path, left_out=(desk,)) as watcher:
        while watcher.rounds < 3:
            time.sleep(0.01)
    assert watcher.found == set()
    assert watcher.largest == 1 << 20
