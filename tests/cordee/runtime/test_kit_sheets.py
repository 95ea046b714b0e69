"""Sheets on paper: one page each, with every word in its place, in both languages, without a letter that fails."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime

import pytest

from cordee.runtime.kit_sheets import Purpose, printed
from cordee.shares import split


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
