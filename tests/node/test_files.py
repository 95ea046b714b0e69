from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from node import files
from node.store import NodeTable
from tests.flushing import Flushed


def test_a_new_file_is_private_whole_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key"
    files.write_new(path, b"first")
    with pytest.raises(FileExistsError):
        files.write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "membership"
    for data in (b"first, and longer", b"second"):
        files.replace(path, data)
        assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_a_crash_left_is_no_obstacle_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".key.draft").write_bytes(b"half of something much longer")
    files.write_new(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"new"
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    (tmp_path / ".other.draft").symlink_to(victim)
    files.write_new(tmp_path / "other", b"new")
    assert victim.read_bytes() == b"kept"
    assert not (tmp_path / "other").is_symlink()


def test_a_draft_that_is_the_file_itself_under_a_second_name_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key"
    files.write_new(path, b"first")
    os.link(path, tmp_path / ".key.draft")  # the power went between the link and the end of the draft
    with pytest.raises(FileExistsError):
        files.write_new(path, b"second")
    assert path.read_bytes() == b"first"
    os.link(path, tmp_path / ".key.draft")
    kept = path.open("rb")
    files.replace(path, b"third")
    assert kept.read() == b"first"  # the old bytes were left alone until the new ones were in place
    assert path.read_bytes() == b"third"


def test_whoever_makes_the_database_knows_every_table() -> None:
    modules = {path.stem for path in Path(files.__file__).parent.glob("store/*.py")} - {"__init__", "migrations"}
    known = {mapper.class_.__module__.rsplit(".", 1)[1] for mapper in NodeTable._sa_registry.mappers}
    assert known == modules


def test_a_file_is_flushed_before_it_is_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = Flushed(monkeypatch)
    files.write_new(tmp_path / "key", b"a key")
    files.replace(tmp_path / "key", b"another key")
    assert flushed.too_early == []
    assert flushed.whole(tmp_path / "key")
    assert flushed.whole(tmp_path), "nor does its name get lost"


@pytest.mark.parametrize("write", [files.write_new, files.replace])
def test_a_draft_that_finds_no_room_is_gone_and_the_same_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as while_it_is_full:
        while_it_is_full.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "key", b"a key" * 1000)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "key", b"a key")
    assert (tmp_path / "key").read_bytes() == b"a key"
