"""Nothing is left out unseen: a test that cannot be tried says so through `tests.lacking`, and fails with CI=true."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lacking import lacking

TESTS = Path(__file__).parent
_WAYS = {"skip", "skipif", "importorskip", "xfail", "skipTest"}


def left_out(source: str) -> Iterator[int]:
    """The lines that could leave a test out."""
    for each in ast.walk(ast.parse(source)):
        if isinstance(each, ast.Attribute) and each.attr in _WAYS:
            of = each.value
            if (of.id if isinstance(of, ast.Name) else getattr(of, "attr", "")) in ("pytest", "mark", "self"):
                yield each.lineno


def test_no_test_is_skipped_in_a_way_of_its_own() -> None:
    found = {
        f"{path.relative_to(TESTS)}:{line}"
        for path in TESTS.rglob("*.py")
        for line in left_out(path.read_text(encoding="utf-8"))
    }
    assert {each.partition(":")[0] for each in found} == {"lacking.py", "test_skips.py"}, found


@pytest.mark.parametrize(
    "source",
    ["pytest.skip('later')", "@pytest.mark.skipif(True, reason='later')\ndef test(): ...", "pytest.importorskip('x')"],
)
def test_a_way_of_its_own_is_found(source: str) -> None:
    assert list(left_out(source))


def test_what_is_lacking_fails_in_continuous_integration_and_is_skipped_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not to be skipped here: a browser"):
        lacking("a browser")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        lacking("a browser")
