from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from cordee.errors import TombstonesDamaged
from node.tombstones import CASE, TRANSFER, Tombstones
from tests.flushing import Flushed

from .conftest import NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "tombstones"


def _fill(path: Path, count: int = 3) -> Tombstones:
    stones = Tombstones(path)
    for number in range(count):
        stones.add(CASE, f"case-{number}", NOW + timedelta(minutes=number))
    return stones


def test_what_was_added_is_there_after_a_restart(path: Path) -> None:
    stones = _fill(path)
    stones.add(TRANSFER, "aabb", NOW)
    again = Tombstones(path)
    assert again.contains(CASE, "case-2")
    assert again.contains(TRANSFER, "aabb")
    assert not again.contains(CASE, "aabb")
    assert again.time_of(CASE, "case-1") == NOW + timedelta(minutes=1)
    assert again.time_of(CASE, "other") is None
    assert again.all() == stones.all()
    assert len(again.all()) == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_erasure_of_the_same_case_is_dated_anew(path: Path) -> None:
    stones = _fill(path)
    stones.add(CASE, "case-0", NOW + timedelta(days=1))
    for each in (stones, Tombstones(path)):
        assert each.time_of(CASE, "case-0") == NOW + timedelta(days=1)
        assert len(each.all()) == 3


def test_a_line_cut_off_by_a_crash_is_dropped_at_every_length_and_the_file_goes_on(path: Path) -> None:
    _fill(path)
    whole = path.read_bytes()
    start = whole.index(b"case case-2")
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        stones = Tombstones(path)
        assert stones.contains(CASE, "case-1")
        assert not stones.contains(CASE, "case-2")
        stones.add(CASE, "after", NOW)
        stones.close()
        assert Tombstones(path).contains(CASE, "after")


def test_a_last_line_of_zeros_is_taken_for_a_power_cut(path: Path) -> None:
    _fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20] + bytes(19) + b"\n")
    assert [each.id for each in Tombstones(path).all()] == ["case-0", "case-1"]


def test_an_altered_removed_or_reordered_line_is_refused(path: Path) -> None:
    _fill(path)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    for broken in (
        first.replace(b"case-0", b"case-9") + second + third,
        second + third,
        first + third,
        second + first + third,
        first + second + second + third,
        first + b"\n" + second + third,
        first + second + third.replace(b"case-2", b"case-9"),
        first + second + b"\xff" + third,
    ):
        path.write_bytes(broken)
        with pytest.raises(TombstonesDamaged):
            Tombstones(path)


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "é"])
def test_nothing_but_an_id_goes_into_the_file(path: Path, name: str) -> None:
    stones = Tombstones(path)
    with pytest.raises(ValueError, match="only"):
        stones.add(CASE, name, NOW)
    assert path.read_bytes() == b""


def test_a_tombstone_is_on_the_disk_when_it_is_said_to_be_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = Flushed(monkeypatch)
    _fill(path, count=1)
    assert flushed.whole(path)
    assert flushed.whole(path.parent)
