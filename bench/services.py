"""Programs of others, run for a measurement: servers while a block lasts, pipes of commands with a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["PeerFailed", "pipe", "service"]

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class PeerFailed(Exception):
    """A peer did not do what it is measured at."""


@contextlib.contextmanager
def service(
    command: Sequence[str | Path], *, port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """A server that listens on `port` of 127.0.0.1, for as long as the block lasts. Gives its process number.

    Raises: PeerFailed, with the end of its log, where it does not listen after half a minute.
    """
    with log.open("ab") as written:
        process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        _wait_for(port, process, log)
        yield process.pid
    finally:
        _end(process)


def pipe(*commands: Sequence[str | Path], seconds: float, environment: Mapping[str, str] | None = None) -> float:
    """Run commands, each one's output being the next one's input, and tell the seconds until the last has ended.

    Raises: PeerFailed where one of them fails, or all of them together take longer than `seconds`.
    """
    running: list[subprocess.Popen[bytes]] = []
    began = time.perf_counter()
    try:
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            running.append(
                subprocess.Popen(
                    [str(word) for word in command],
                    env={**os.environ, **(environment or {})},
                    stdin=running[-1].stdout if running else subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                    stderr=subprocess.PIPE if last else subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
            if number and (before := running[-2].stdout) is not None:
                before.close()  # so that the one before hears when this one ends
        for process, command in zip(reversed(running), reversed(commands), strict=True):
            _, complaint = process.communicate(timeout=max(0.1, seconds - (time.perf_counter() - began)))
            if process.returncode:
                text = (complaint or b"").decode(errors="replace").strip()[-500:]
                raise PeerFailed(f"{command[0]}: exit code {process.returncode} {text}")
        return time.perf_counter() - began
    except subprocess.TimeoutExpired as late:
        raise PeerFailed(f"{commands[0][0]}: took longer than {seconds:.0f} s") from late
    finally:
        for process in running:
            _end(process)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise PeerFailed(f"{process.args!r} does not listen:\n{log.read_text(errors='replace')[-1000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
