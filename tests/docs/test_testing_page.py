"""What docs/testing.md promises is there: each browser test that it names, run in both languages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "testing.md"
_NAMED = re.compile(r"`(test_\w+\.py::test_\w+)`")
_FILE = re.compile(r"`((?:tests/[\w/]+/)?(?:states/)?\w+\.py)`")
_COLLECTED = re.compile(r"tests/web/(test_\w+\.py::test_\w+)(?:\[(.*)\])?$")
_LANGUAGES = {"fr": "fr", "French": "fr", "en": "en", "English": "en"}
"""How the ids of the tests call them."""


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The cells of each row of the table."""
    told = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in told[2:]]


@pytest.fixture(scope="module")
def collected() -> dict[str, set[str]]:
    """Each browser test → the languages in which it is run."""
    asked = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/web")
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout
    found: dict[str, set[str]] = defaultdict(set)
    for line in told.splitlines():
        if each := _COLLECTED.match(line):
            words = re.split(r"[-\s]", each[2] or "")
            found[each[1]] |= {_LANGUAGES[word] for word in words if word in _LANGUAGES}
    return found


def test_each_test_of_the_middle_column_is_there_and_is_run_in_both_languages(
    rows: list[list[str]], collected: dict[str, set[str]]
) -> None:
    named = [each for cells in rows for each in _NAMED.findall(cells[1])]
    assert len(named) > 40
    wrong = {each: collected.get(each, "gone") for each in named if collected.get(each) != {"fr", "en"}}
    assert not wrong


def test_what_stands_in_the_last_column_is_there(rows: list[list[str]], collected: dict[str, set[str]]) -> None:
    last = [cells[2] for cells in rows if len(cells) > 2]
    assert not [each for cell in last for each in _NAMED.findall(cell) if each not in collected]
    files = [each for cell in last for each in _FILE.findall(cell)]
    assert not [each for each in files if not (ROOT / each).exists() and not (ROOT / "tests" / "web" / each).exists()]


def test_no_row_is_without_a_test(rows: list[list[str]]) -> None:
    assert not [cells for cells in rows if "`" not in "".join(cells[1:])]
