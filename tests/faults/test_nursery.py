"""What a test knows of a process that was forked for it."""

from __future__ import annotations

import io
import signal
import subprocess

from .nursery import Child


def test_a_command_that_ended_before_anybody_looked_is_over() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    child = Child(ended.pid, io.BytesIO())
    assert child.poll() == -signal.SIGKILL
    child.kill()
    assert child.wait(0) == -signal.SIGKILL
