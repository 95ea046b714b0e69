"""What a test knows of a process that was forked for it."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from .nursery import Child

FORKS = """
import os, sys
from pathlib import Path
from tests.faults.nursery import nursery
with nursery() as place:
    log, given = (Path(sys.argv[1], name) for name in ("log", "given"))
    child = place.fork(["verify", "--network", "00" * 32, "-"], environment={}, log=log, given=given)
    print(child.pid, flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parents[2]
_ENDS = 60_000  # milliseconds


def test_a_command_that_ended_before_anybody_looked_is_over() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    child = Child(ended.pid, io.BytesIO())
    assert child.poll() == -signal.SIGKILL
    child.kill()
    assert child.wait(0) == -signal.SIGKILL


def test_a_child_does_not_outlive_a_test_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "given")
    given = os.open(tmp_path / "given", os.O_RDWR)  # as long as it is open, the child reads on
    os.write(given, b"x")
    arguments = [sys.executable, "-c", FORKS, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as test:
        assert test.stdout is not None
        child = os.pidfd_open(int(test.stdout.readline()))
        ended = select.poll()
        ended.register(child, select.POLLIN)
        while select.select([given], [], [], 0.01)[0]:  # until it has been read
            assert not ended.poll(0), (tmp_path / "log").read_text()
        test.kill()
    try:
        assert ended.poll(_ENDS)
    finally:
        if not ended.poll(0):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
        os.close(given)
