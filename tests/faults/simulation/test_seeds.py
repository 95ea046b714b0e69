"""The same seed is the same story, in whatever process; and a defect in the code is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def simulated(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def story_of(seed: int) -> tuple[list[str], dict[str, Any]]:
    done = simulated("--seed", str(seed), "--trace")
    *lines, outcome = done.stdout.splitlines()
    return lines, {name: value for name, value in json.loads(outcome).items() if name != "seconds"}


def happens(what: str, lines: list[str]) -> bool:
    return any(re.search(f" {what}.*: (done|[0-9a-f]{{8}})$", line) for line in lines)


def test_a_seed_tells_the_same_story_each_time() -> None:
    for seed in range(9, 21):
        lines, outcome = story_of(seed)
        assert outcome["wrong"] == []
        if outcome["deaths"] and happens("accept", lines) and happens("replaces its identity key", lines):
            break  # somebody dies, and somebody goes on all the same
    else:
        pytest.fail("nothing happens in twelve seeds")
    assert story_of(seed) == (lines, outcome)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("defect", "first"), [("repeats-refused", 140), ("no-retry", 0), ("new-key-at-once", 48), ("no-resumption", 16)]
)
def test_a_planted_defect_is_found(defect: str, first: int) -> None:
    """Among the seeds that CI plays anyway; from `first` on it is found within a few."""
    done = simulated(
        "--plant", defect, "--first", str(first), "--seeds", str(400 - first), "--jobs", "2", "--until-wrong"
    )
    assert done.returncode == 1, done.stdout
    assert "seed " in done.stdout
