"""docs/threats.md: each promise has a test that is there, or says plainly that it has none yet."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "threats.md"
PLAIN_WORDS = "not tested yet"
_NAMED = re.compile(r"`([^`\s]*(?:\.py|::)[^`\s]*)`")
"""Whatever looks like a test's id or a file of tests, well formed or not."""
_NEVER_RUN = ("skip", "xfail")
_HEAD = ("What is to hold", "What happens, and what is to hold")


@dataclass(frozen=True)
class Row:
    """One promise of a table, under the heading of its threat."""

    heading: str
    promise: str
    tests: str

    @property
    def named(self) -> list[str]:
        """The ids of tests in the second column."""
        return _NAMED.findall(self.tests)


def rows_of(page: str) -> list[Row]:
    """The rows of every table. Fails where a line of a table is none of two columns."""
    rows, heading = [], ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("|") and not line.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            assert len(cells) == 2, f"{heading}: not two columns: {line[:60]}"
            if cells[0] not in _HEAD:
                rows.append(Row(heading, *cells))
    return rows


@cache
def defined_in(path: str) -> frozenset[str]:
    """The tests that a module of tests defines and runs, as pytest names them; empty where there is no such module."""
    file = ROOT / path
    if not (path.startswith("tests/") and file.name.startswith("test_") and file.is_file()):
        return frozenset()
    found: set[str] = set()

    def look(body: list[ast.stmt], within: str = "") -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{within}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marks = {ast.unparse(each).partition("(")[0].rpartition(".")[2] for each in node.decorator_list}
                if not marks & set(_NEVER_RUN):
                    found.add(f"{within}{node.name}")

    look(ast.parse(file.read_text(encoding="utf-8")).body)
    return frozenset(found)


def gone(page: str) -> list[str]:
    """What the page names, wherever on it, and is no test that is there and is run."""
    named = (each.partition("::") for each in _NAMED.findall(page))
    return [f"{path}::{test}" for path, _, test in named if test not in defined_in(path)]


def bare(page: str) -> list[Row]:
    """Rows that have neither a test nor the plain words."""
    return [row for row in rows_of(page) if not row.named and PLAIN_WORDS not in row.tests]


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_test_that_is_named_is_there_and_is_run(page: str) -> None:
    assert len(set(_NAMED.findall(page))) > 150
    assert gone(page) == []


def test_every_promise_has_a_test_or_says_plainly_that_it_has_none(page: str) -> None:
    assert bare(page) == []


def test_every_threat_has_its_promises_and_says_what_is_still_possible(page: str) -> None:
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    threats = [heading for heading in sections if heading != "Faults"]
    assert len(threats) >= 19
    assert [heading.partition(".")[0] for heading in threats] == [str(at + 1) for at in range(len(threats))]
    assert {row.heading for row in rows_of(page)} == set(sections)
    assert [heading for heading in threats if "**Still possible.** " not in sections[heading]] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tests/cordee/test_words.py::test_either", "tests/cordee/test_words.py::test_neither"),
        ("tests/cordee/test_words.py::test_either", "tests/cordee/test_word.py::test_either"),
        ("tests/cordee/test_words.py::test_either", "cordee/test_words.py::test_either"),
        ("tests/cordee/test_words.py::test_either", "tests/cordee/test_words.py:test_either"),
    ],
    ids=["another name", "another file", "another folder", "badly written"],
)
def test_a_test_that_is_not_there_is_found_out(page: str, before: str, after: str) -> None:
    assert before in page
    assert len(gone(page.replace(before, after))) == page.count(before)


@pytest.mark.parametrize("cell", ["", "tested", "of course"])
def test_a_row_without_test_or_plain_words_is_found_out(page: str, cell: str) -> None:
    row = next(row for row in rows_of(page) if row.tests == PLAIN_WORDS)
    (found,) = bare(page.replace(f"| {row.promise} | {PLAIN_WORDS} |", f"| {row.promise} | {cell} |"))
    assert found.promise == row.promise


def test_a_test_that_is_never_run_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.skip(reason='later')\ndef test_later(): ...\n"
        "@pytest.mark.xfail\ndef test_broken(): ...\n"
        "class Things:\n    def test_inside(self): ...\n"
        "def helper():\n    def test_nested(): ...\n"
        "async def test_sound(): ...\n"
    )
    monkeypatch.setattr("tests.docs.test_threats_page.ROOT", tmp_path)
    defined_in.cache_clear()
    try:
        assert defined_in("tests/test_it.py") == {"test_sound", "Things::test_inside"}
    finally:
        defined_in.cache_clear()
