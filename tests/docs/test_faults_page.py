"""Every defect of docs/faults.md names a test that there is."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
DEFECTS = PAGE.partition("## Defects found\n")[2].partition("\n## ")[0]
ROWS = [line for line in DEFECTS.splitlines() if line.startswith("| ") and not line.startswith("| ---")][1:]
_NAME = re.compile(r"`(?:(tests/[\w/]+\.py)|([\w/]+\.py))?(?:::)?(test_\w+)?(…)?`")


@lru_cache
def known_tests() -> dict[str, set[str]]:
    """The names of tests, by file."""
    return {
        str(path.relative_to(ROOT)): {
            each.name
            for each in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
        }
        for path in (ROOT / "tests").rglob("test_*.py")
    }


def named(row: str) -> list[str]:
    """What a row names: files of tests, and tests. Raises: AssertionError for one that there is not."""
    found = []
    for whole, short, name, more in _NAME.findall(row.rsplit(" | ", 1)[1]):
        files = [each for each in known_tests() if each == whole or (not whole and each.endswith(f"/{short or ''}"))]
        if whole or short.startswith("test_"):
            assert files, f"there is no {whole or short}"
        if name and not (short and not short.startswith("test_")):
            among = {test for each in (files if whole or short else known_tests()) for test in known_tests()[each]}
            assert any(each.startswith(name) if more else each == name for each in among), f"there is no {name}"
        if name or whole or short.startswith("test_"):
            found.append(name or whole or short)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_every_defect_names_its_test(row: str) -> None:
    assert row.count(" | ") == 3, "what was wrong, what it would have done, found by, the test"
    assert named(row), "no test is named"


def test_a_test_that_is_gone_is_noticed() -> None:
    with pytest.raises(AssertionError, match="test_of_nobody"):
        named("| a | b | c | `tests/docs/test_faults_page.py::test_of_nobody` |")
    assert not named("| a | b | c | mended in `directory/broker.py` |")
