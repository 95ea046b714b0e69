from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cordee.runtime.crashpoint import Crashpoints, register, registered

PROGRAM = """
from cordee.runtime.crashpoint import Crashpoints
points = Crashpoints.from_environment()
for turn in range(3):
    print(turn, flush=True)
    points.reach("other")
    points.reach("here")
"""


def run(armed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"CORDEE_CRASH_AT": armed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_unarmed_it_does_nothing() -> None:
    assert run("").returncode == 0


def test_it_kills_at_the_named_point() -> None:
    ended = run("here")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == ["0"]


def test_it_can_wait_for_the_third_time() -> None:
    ended = run("elsewhere,here:3")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == ["0", "1", "2"]


def test_a_point_never_reached_is_refused() -> None:
    with pytest.raises(ValueError, match="never reached"):
        Crashpoints.from_environment({"CORDEE_CRASH_AT": "here:0"})


def test_registered_points_are_listed() -> None:
    assert register("a.test.point") in registered()
