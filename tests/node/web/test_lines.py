"""What of a record stands on a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cordee.case.form import CASE_FORM
from node.web.lines import Line, is_vital, lines_of
from tests.samples import cases

_FOUND_BY = 4  # the sensitivity of what lets somebody find the minor


def every_line(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        yield line
        for group in line.groups:
            yield from every_line(group)


def sensitivity(path: str) -> int:
    """As the record's schema says it, asked of the schema itself."""
    found = 0
    parts: list[str | int] = []
    for name in path.split("."):
        parts.append(name)
        found = max(found, int((CASE_FORM.node_at(parts) or {}).get("x-sensitivity", 0)))
        if CASE_FORM.node_at([*parts, 0]) is not None:
            parts.append(0)
            found = max(found, int((CASE_FORM.node_at(parts) or {}).get("x-sensitivity", 0)))
    return found


def test_a_vital_field_is_not_among_the_lines_until_it_is_asked_for() -> None:
    hidden: set[str] = set()
    for case in cases():
        for section in case.sections():
            lines = [*every_line(each for group in lines_of(section, case.section(section)) for each in group)]
            assert all(line.values or line.groups or not line.shown for line in lines)
            for line in lines:
                assert line.shown == (sensitivity(line.path) < _FOUND_BY), line.path
                if not line.shown:
                    assert (line.values, line.groups) == ((), ()), line.path
                    hidden.add(line.path)
            told = [
                *every_line(
                    each for group in lines_of(section, case.section(section), revealed=hidden) for each in group
                )
            ]
            assert all(line.shown for line in told if line.path in hidden)
    assert len(hidden) > 5, "the samples hold some"
    assert all(is_vital(each) for each in hidden)
