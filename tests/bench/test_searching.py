"""W8 measures what it says: among rows that this node can open, in a process of its own."""

from __future__ import annotations

from pathlib import Path

from bench.goals import GOALS
from bench.report import Report
from bench.scale import QUICK
from bench.searching import measure_searching, p95


def test_one_in_twenty_is_above_the_ninety_fifth_percentile() -> None:
    assert p95([float(each) for each in range(100)]) == 94
    assert p95([3.0]) == 3.0
    assert p95([2.0, 1.0]) == 2.0


def test_a_quick_run_finds_and_opens_cases_and_gives_each_figure(tmp_path: Path) -> None:
    report = Report(quick=True, rounds=1)
    measure_searching(tmp_path, QUICK, report)
    found = {each.goal.id: each for each in report.results}
    assert set(found) == {name for name, goal in GOALS.items() if goal.row == "W8"}
    assert all(each.spread is not None and each.spread.median > 0 for each in found.values())
    assert found["W8 p95"].slope is not None
    assert {int(name.partition(" ")[0]) for name in report.seconds} == set(QUICK.searched)
