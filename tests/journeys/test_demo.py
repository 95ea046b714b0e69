"""`make demo` itself, whole: every command that it types is one that a person can type."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from node.demo.processes import command_line

# With other work beside it, a slow machine takes minutes.
pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]
_SECONDS = 840
ROOT = Path(__file__).parents[2]


def test_the_demonstration_holds_on_all_six_points_and_says_how(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", f"ARGS=--plain --report {report}"],
        env={**os.environ, "TMPDIR": str(tmp_path), "LC_ALL": "fr_FR.UTF-8"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(report.read_text())
    assert told["ok"]
    assert [point["point"] for point in told["points"]] == [1, 2, 3, 4, 5, 6]
    assert all(point["verified"] for point in told["points"])
    ends = [transfer["states"][-1] for transfer in told["transfers"]]
    assert ends == ["received", "declined", "received", "withdrawn", "refused"]
    assert max(told["peak_memory_bytes"].values()) <= told["memory_limit_bytes"]
    assert "\x1b[" not in done.stdout  # plain lines where there is no terminal
    assert "Les six points tiennent" in done.stdout
    assert not list(tmp_path.glob("cordee-demo-*")), "the folder is removed"


def test_where_it_fails_the_last_line_says_why_and_so_does_the_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        command_line("--lang", "en", "demo", "--plain", "--megabytes", "1", "--report", str(report)),
        # The directory dies as it admits the first association.
        env={**os.environ, "TMPDIR": str(tmp_path), "CORDEE_CRASH_AT": "directory.roster.after_append:2"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    told = json.loads(report.read_text())
    assert not told["ok"]
    assert "admin admit" in told["failure"]
    assert done.stderr.splitlines()[-1] == f"This does not hold: {told['failure']}"
    assert "--- directory" in done.stderr, "its log comes before"
    assert "All six points hold" not in done.stdout
