"""Processes that are started by the hundred: forked from one that has read all modules, and real ones all the same.

A directory or a node takes a second of processor to read its modules and next to nothing to begin; what a test kills
again and again is therefore forked. `python -m tests.faults.nursery` is the parent: one thread, nothing of gRPC begun.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from node.demo.processes import Program, answer

_HEARD = 60.0  # seconds
_COMMAND_SECONDS = 600.0
_PDEATHSIG = 1  # prctl(2)
_MODULES = (
    "cordee.runtime.command",
    "directory.app",
    "directory.cli.directory",
    "node.app",
    "node.cli.node",
    "node.web.app",
    "node.web.pages.practice",
    "node.web.server",
)


class Child:
    """A process of the nursery, with as much of subprocess.Popen's face as a Program needs."""

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:  # a short command has ended, and is buried
            self._handle, self.returncode = -1, -signal.SIGKILL
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """None while it runs; how it ended is not known here, so it is as if it had been killed."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a child of the nursery", timeout or 0)
        return code

    def _ended(self, seconds: float | None) -> int | None:
        with self._lock:
            if self.returncode is None:
                waiting = select.poll()  # unlike `select`, for any number of open files
                waiting.register(self._handle, select.POLLIN)
                if not waiting.poll(None if seconds is None else seconds * 1000):
                    return None
                os.close(self._handle)
                self.returncode = -signal.SIGKILL
            return self.returncode

    def send_signal(self, number: int) -> None:
        """No other process that has its number by now gets it. One that ends in this moment needs it no more."""
        if self._ended(0) is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The parent process, as the test sees it. It has read the modules of both servers, and `more`."""

    def __init__(self, more: Sequence[str] = ()) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cordee-nursery-"))
        self._lock = threading.Lock()
        self._made = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,  # Ctrl-C is for the test, which ends it
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(_HEARD)
        shutil.rmtree(self._folder, ignore_errors=True)

    def fork(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        code: Path | None = None,
        folder: Path | None = None,
        given: Path | None = None,
    ) -> Child:
        """Start `cordee` with these arguments; its errors go to the end of `log`, what it ends with to `code`.

        Arguments that begin with the interpreter and `-m` are another module's, run as a program.

        It is in `folder`, or where the test is, and reads `given`, or nothing.
        """
        with self._lock:
            self._made += 1
            pipe = self._folder / str(self._made)
            os.mkfifo(pipe, 0o600)
            reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            order = {
                "arguments": list(arguments),
                "environment": dict(environment),
                "log": str(log),
                "stdout": str(pipe),
                "code": "" if code is None else str(code),
                "folder": str(folder or Path.cwd()),
                "given": os.devnull if given is None else str(given),
            }
            if self._process.stdin is None or self._process.stdout is None:
                raise RuntimeError("the nursery has no pipes")
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            pid = int(self._process.stdout.readline())
            os.set_blocking(reading, True)
            pipe.unlink()
        return Child(pid, os.fdopen(reading, "rb"))

    def typed(
        self, *arguments: str, environment: Mapping[str, str], folder: Path | None = None, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """As `subprocess.run` with its output captured: one command from its beginning to its end."""
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            log, code, read = (Path(own, name) for name in ("log", "code", "given"))
            read.write_bytes(given)
            child = self.fork(arguments, environment=environment, log=log, code=code, folder=folder, given=read)
            with child.stdout:
                out = child.stdout.read()
            child.wait(_COMMAND_SECONDS)
            ended = int(code.read_text()) if code.exists() else -signal.SIGKILL
            return subprocess.CompletedProcess(arguments, ended, out, log.read_bytes())

    def run(self, *arguments: str, environment: Mapping[str, str], expect: int = 0, given: bytes | None = None) -> Any:
        """As `node.demo.processes.run`. Raises: CommandFailed."""
        done = self.typed("--output", "json", *arguments, environment=environment, given=given or b"")
        return answer(arguments, done.returncode, done.stdout, done.stderr, expect=expect)


@dataclass
class Forked(Program):
    """A Program whose process comes from the nursery."""

    nursery: Nursery | None = None

    def start(self, **environment: str) -> dict[str, Any]:
        """As a Program's, only sooner."""
        if self.nursery is None:
            raise RuntimeError("a forked program needs its nursery")
        if self.process is not None:
            raise RuntimeError(f"{self.name} runs already")
        child: Any = self.nursery.fork(self.arguments, environment={**self.environment, **environment}, log=self.log)
        self.process = child
        self.ready = self._wait_until_ready()
        return self.ready


@contextmanager
def nursery(more: Sequence[str] = ()) -> Iterator[Nursery]:
    """As long as the block lasts; `more` are modules that its children use. They are their owners' to end; what is left
    of them ends with the block, or with the test's process, however that ends.
    """
    with Nursery(more) as made:
        yield made


def forked(program: Program, place: Nursery) -> Forked:
    """The same program, stopped, to be started from the nursery from now on."""
    program.stop()
    return Forked(program.name, tuple(program.arguments), dict(program.environment), program.log, nursery=place)


def _serve() -> None:
    """Fork what is asked for, line by line, until nobody asks any more."""
    for module in (*_MODULES, *sys.argv[1:]):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    own = os.getpid()
    for line in sys.stdin.buffer:
        order = json.loads(line)
        out = os.open(order["stdout"], os.O_WRONLY)
        pid = os.fork()
        if pid:
            os.close(out)
            sys.stdout.buffer.write(b"%d\n" % pid)
            sys.stdout.buffer.flush()
            continue
        _become(order, out, own)


def _become(order: dict[str, Any], out: int, parent: int) -> None:
    """The child's own life, which ends with its parent's, and so with the test's. It never returns."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    given = os.open(order["given"], os.O_RDONLY)
    for source, target in ((given, 0), (out, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, 64)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    from cordee.runtime.command import main

    code = 1
    try:
        if order["arguments"][:2] == [sys.executable, "-m"]:
            sys.argv = order["arguments"][2:]
            runpy.run_module(sys.argv[0], run_name="__main__")
        else:
            main(order["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if order["code"]:
            Path(order["code"]).write_text(str(code))
        os._exit(code)


if __name__ == "__main__":
    _serve()
    sys.exit(0)
