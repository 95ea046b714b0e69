"""W9 measures what it says: the nodes of a network that listens decide by their own rosters, and each figure comes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench.goals import GOALS
from bench.report import Report
from bench.scale import QUICK
from bench.suspending import measure_suspending


def test_a_quick_run_suspends_and_reinstates_and_gives_each_figure(tmp_path: Path) -> None:
    report = Report(quick=True, rounds=1)
    measure_suspending(tmp_path, dataclasses.replace(QUICK, listening=4), report)
    found = {each.goal.id: each for each in report.results}
    assert set(found) == {name for name, goal in GOALS.items() if goal.row == "W9"}
    assert all(each.spread is not None and each.spread.median > 0 for each in found.values())
    assert set(report.seconds) == {f"W9, 4 nodes: {name}" for name in ("ours", "an empty event", "reinstated")}
