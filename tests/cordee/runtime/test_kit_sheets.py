"""Sheets on paper: one page each, with every word in its place, in both languages, without a letter that fails."""

from __future__ import annotations

import errno
import os
import re
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import StorageFull
from cordee.runtime import kit_command
from cordee.runtime.kit_sheets import Purpose, printed
from cordee.shares import split
from tests.flushing import Flushed


def text_in(pdf: bytes) -> str:
    """What stands in a PDF with the readers' own fonts."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    pages = b"".join(zlib.decompress(each) for each in streams)
    shown = re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", pages)
    return "\n".join(re.sub(rb"\\(.)", rb"\1", each).decode("windows-1252") for each in shown)


@pytest.mark.parametrize("size", [16, 64])
def test_a_sheet_bears_its_words_in_order_its_kit_and_both_languages(size: int) -> None:
    sheets = split(bytes(range(size)), needed=2, count=3)
    purpose = Purpose(
        opens="for the records of this association",
        name="L’Abri d’Œuvre Łódź 山",
        count=3,
        made_at=datetime(2026, 11, 26, 10, 0, tzinfo=UTC),
        on_the_day="cordee node restore BACKUP --kit",
        to_try="cordee node recovery-kit --rehearse",
    )
    pdf = printed(sheets[1], purpose)
    told = text_in(pdf)
    assert pdf.count(b"/Type /Page\n") == 1
    places = [told.index(f"\n{at}\n{word}\n") for at, word in enumerate(sheets[1].words, start=1)]
    assert places == sorted(places)
    for expected in (sheets[1].kit, "2026-11-26", "L’Abri d’Œuvre", "sheet 2 of 3", "cordee node restore BACKUP --kit"):
        assert expected in told
    assert "n’ouvre rien" in told
    assert "opens nothing" in told
    for other in (sheets[0], sheets[2]):
        assert "\n".join(other.words[4:8]) not in told


PURPOSE = Purpose(
    opens="for the records of this association",
    name="L’Abri",
    count=3,
    made_at=datetime(2026, 11, 26, 10, 0, tzinfo=UTC),
    on_the_day="cordee node restore BACKUP --kit",
    to_try="cordee node recovery-kit --rehearse",
)


def given_out(folder: Path) -> list[str]:
    nobody: Any = None
    sheets = split(bytes(range(16)), needed=2, count=3)
    told = kit_command.give_out(nobody, sheets, PURPOSE, folder=folder, on_paper=False, show=False)
    return [str(each) for each in told["files"]]


def test_sheets_in_a_folder_last_with_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = Flushed(monkeypatch)
    files = given_out(tmp_path / "kit")
    assert len(files) == 3
    assert all(flushed.whole(Path(each)) for each in (*files, tmp_path / "kit", tmp_path))
    assert flushed.too_early == []


def test_sheets_that_find_no_room_are_gone_and_the_same_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:  # the first sheet and its folder are synchronised by then
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as while_it_is_full:
        while_it_is_full.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            given_out(tmp_path / "kit")
    assert list((tmp_path / "kit").iterdir()) == []
    assert len(given_out(tmp_path / "kit")) == 3
