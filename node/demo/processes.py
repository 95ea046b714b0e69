"""Programs of the demonstration: started, watched, stopped. Nothing here knows what they do."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CommandFailed", "Program", "answer", "command_line", "peak_memory", "run"]

_READY_SECONDS = 180.0  # a slow machine, with other work, has time too
_STOP_SECONDS = 60.0
_COMMAND_SECONDS = 600.0


class CommandFailed(Exception):
    """A command ended with another code than expected."""

    def __init__(self, arguments: Sequence[str], code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"cordee {' '.join(arguments)}: exit code {code}\n{message}")


def command_line(*arguments: str) -> list[str]:
    """The command as a person types it, from the environment that this program runs in."""
    return [str(Path(sys.executable).with_name("cordee")), *arguments]


def run(
    *arguments: str,
    environment: Mapping[str, str],
    expect: int = 0,
    given: bytes | None = None,
) -> Any:
    """Run one command with `--output json` and give what it printed, parsed. With another `expect`, its error.

    Raises: CommandFailed.
    """
    done = subprocess.run(
        command_line("--output", "json", *arguments),
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    return answer(arguments, done.returncode, done.stdout, done.stderr, expect=expect)


def answer(arguments: Sequence[str], code: int, out: bytes, err: bytes, *, expect: int) -> Any:
    """What a command printed, parsed; its error, where another code than 0 was expected. Raises: CommandFailed."""
    if code != expect:
        raise CommandFailed(arguments, code, err.decode(errors="replace").strip())
    text = err.decode() if expect else out.decode()
    lines = [line for line in text.strip().splitlines() if line.startswith(("{", "["))]
    if not lines:
        return None
    try:
        return json.loads(text[text.index(lines[0][0]) :])
    except ValueError:
        return [json.loads(line) for line in lines]


@dataclass
class Program:
    """One process that serves, and that can be stopped or killed and started again."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    peak: int = 0  # bytes, the highest of all its lives

    @property
    def pid(self) -> int:
        """The process's number. Raises RuntimeError where it does not run."""
        if self.process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self.process.pid

    def start(self, **environment: str) -> dict[str, Any]:
        """Start it and wait until it says that it is ready. Raises RuntimeError, with its last lines, where it ends."""
        log = self.log.open("ab")
        self.process = subprocess.Popen(
            self.arguments if self.arguments[0].startswith("/") else command_line(*self.arguments),
            env={**os.environ, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.close()
        self.ready = self._wait_until_ready()
        return self.ready

    def _wait_until_ready(self) -> dict[str, Any]:
        process = self.process
        if process is None or process.stdout is None:
            raise RuntimeError(f"{self.name} does not run")
        deadline = time.monotonic() + _READY_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if not selector.select(timeout=0.2):
                    if process.poll() is not None:
                        break
                    continue
                line = process.stdout.readline()
                if not line:
                    break
                if line.startswith(b"{"):
                    found: dict[str, Any] = json.loads(line)
                    if found.get("ready"):
                        return found
        process.kill()
        code = process.wait()
        self.process = None
        raise RuntimeError(f"{self.name} did not start (exit code {code}):\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of what it wrote to its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def measure(self) -> int:
        """The highest memory of this and earlier lives, in bytes."""
        if self.process is not None and self.process.poll() is None:
            self.peak = max(self.peak, peak_memory(self.process.pid))
        return self.peak

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self.process is None:
            return
        self.measure()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._forget()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.measure()
            self.process.kill()
            self.process.wait()
            self._forget()

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until it has ended by itself. False where it still runs."""
        if self.process is None:
            return True
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._forget()
        return True

    def _forget(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None


def peak_memory(pid: int) -> int:
    """The highest resident memory of a process, in bytes (VmHWM); 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
