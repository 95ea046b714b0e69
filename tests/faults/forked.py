"""Run tests against changed texts, each in a process of its own forked from one that has imported the libraries.

`python -m tests.faults.forked TRIALS RESULTS --jobs 2`: a line of JSON for each trial in, one for each result out. A
process is spared two seconds of imports so; and nothing of the product is imported before its text is changed.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.planting import ROOT, environment, install

__all__ = ["Result", "Trial", "run", "run_apart"]

_LIBRARIES = (
    *("attr", "babel", "click", "cryptography.hazmat.primitives.asymmetric.ed25519", "cryptography.x509", "fpdf"),
    *("google.protobuf.json_format", "google.rpc.status_pb2", "grpc.aio", "grpc_health.v1.health", "grpc_status"),
    *("grpc_reflection.v1alpha.reflection", "grpc_status.rpc_status", "html5lib", "httpx", "hypothesis.stateful"),
    *("hypothesis.strategies", "jinja2", "jsonschema_rs", "mnemonic", "nacl.bindings", "nacl.secret", "nacl.signing"),
    *("prometheus_client", "pydantic", "pyotp", "pytest_asyncio", "python_multipart", "rich.console", "segno"),
    *("shamir_mnemonic", "sqlalchemy.dialects.sqlite", "sqlmodel", "starlette.applications", "structlog", "uvicorn"),
    *("webauthn", "cordee.v1.statements_pb2", "cordee.v1.node_pb2", "cordee.v1.directory_pb2", "cordee.v1.mailbox_pb2"),
)
_TICK = 0.02
_PDEATHSIG = 1  # prctl(2)
_LONGEST = 300  # characters of a failure's text
# A defect whose text is no code at all would be "caught" by anything.
_BROKEN_CODE = ("SyntaxError", "ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError")


@dataclass(frozen=True)
class Trial:
    """Tests to run, and the module whose text is another meanwhile; none to run them as everything is."""

    name: str
    tests: tuple[str, ...]
    module: str = ""
    text: str = ""
    stop: bool = True  # at the first failure
    trace: tuple[str, ...] = ()  # files: which of their lines each test runs


@dataclass
class Result:
    """What became of them, by their ids."""

    name: str
    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # the test itself failed: by what error
    errors: dict[str, str] = field(default_factory=dict)  # it could not be collected, set up or taken down
    took: dict[str, float] = field(default_factory=dict)  # seconds
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)  # of each file traced; "" before any test
    late: bool = False
    seconds: float = 0.0

    @property
    def broken_code(self) -> bool:
        """Whether a failure says that the changed text is no sound code, not that it does the wrong thing."""
        return any(each.split(":", 1)[0] in _BROKEN_CODE for each in [*self.failed.values(), *self.errors.values()])


class _Recorder:
    """The plugin that writes down what pytest finds."""

    def __init__(self, result: Result, traced: Sequence[str] = ()) -> None:
        self.result = result
        self._traced = traced
        self._coverage = _coverage_of(traced) if traced else None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self._coverage is not None:
            self._coverage.switch_context(nodeid)

    def pytest_sessionfinish(self) -> None:
        if self._coverage is None:
            return
        self._coverage.stop()
        for file in self._traced:
            lines: dict[str, list[int]] = {}
            for line, tests in self._coverage.get_data().contexts_by_lineno(str(ROOT / file)).items():
                for test in tests:
                    lines.setdefault(test, []).append(line)
            self.result.lines[file] = lines

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report = yield  # type: ignore[misc]
        name = item.nodeid
        if report.skipped:
            self.result.skipped.append(name)
        elif report.failed:
            where = self.result.failed if report.when == "call" else self.result.errors
            where[name] = _told(call.excinfo.value if call.excinfo else None)
        elif report.when == "call":
            self.result.passed.append(name)
        self.result.took[name] = round(self.result.took.get(name, 0.0) + call.duration, 3)
        return report  # type: ignore[return-value]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        report = yield  # type: ignore[misc]
        if report.failed:
            self.result.errors[collector.nodeid] = str(report.longrepr)[-_LONGEST:]
        return report  # type: ignore[return-value]


def _coverage_of(files: Sequence[str]) -> Any:
    """Begins to note which lines of these files are run."""
    from coverage import Coverage  # installed by `make mutants` alone

    started = Coverage(data_file=None, include=[str(ROOT / file) for file in files], config_file=False, messages=False)
    started.start()
    return started


def _told(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST]


def run(trials: Iterable[Trial], keep: Callable[[Result], None], *, jobs: int, seconds: float) -> None:
    """Each trial in a fork of this process, `jobs` at a time, for `seconds` at most; each result goes to `keep`.

    This process must have one thread only, and nothing of the product imported but the generated messages.
    """
    for name in _LIBRARIES:
        importlib.import_module(name)
    waiting, under_way = iter(trials), dict[int, tuple[Trial, Path, float]]()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    folder = Path(tempfile.mkdtemp(prefix="cordee-trials-"))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")  # what a defect breaks is not kept
    try:
        while True:
            while len(under_way) < jobs and (trial := next(waiting, None)) is not None:
                place = folder / f"{time.monotonic_ns()}"
                place.mkdir()
                sys.stdout.flush()
                pid = os.fork()
                if pid == 0:
                    _in_child(trial, place, seconds)
                under_way[pid] = (trial, place, time.monotonic())
            if not under_way:
                return
            time.sleep(_TICK)
            for pid, (trial, place, since) in list(under_way.items()):
                ended = os.waitpid(pid, os.WNOHANG)[0] != 0
                late = not ended and time.monotonic() - since > seconds
                if not ended and not late:
                    continue
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # with whatever it has started and left
                if late:
                    os.waitpid(pid, 0)
                del under_way[pid]
                keep(_result(trial, place, since, late=late))
                shutil.rmtree(place, ignore_errors=True)
    finally:
        for pid in under_way:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _result(trial: Trial, place: Path, since: float, *, late: bool) -> Result:
    try:
        result = Result(**json.loads((place / "result.json").read_text()))
    except FileNotFoundError:
        result = Result(trial.name)
        if not late:
            output = (place / "output").read_text(errors="replace")
            result.errors["the process"] = f"it ended without a result: {output[-_LONGEST:]}"
    result.late, result.seconds = late, round(time.monotonic() - since, 2)
    return result


def _in_child(trial: Trial, place: Path, seconds: float) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))  # should nobody be there any more
        output = os.open(place / "output", os.O_CREAT | os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.chdir(ROOT)
        if trial.module:
            text = place / "text.py"
            text.write_text(trial.text, encoding="utf-8")
            os.environ.update(environment(trial.module, text))
            install()
        result = Result(trial.name)
        options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--tb=short"]
        options += [f"--basetemp={place / 'tests'}", *(["-x"] if trial.stop else [])]
        ended = pytest.main([*options, *trial.tests], plugins=[_Recorder(result, trial.trace)])
        if ended == pytest.ExitCode.USAGE_ERROR and trial.module and not result.errors:
            # With this text a test has another id (a limit stands in it), so that none was run: their files, whole.
            files = dict.fromkeys(each.partition("::")[0] for each in trial.tests)
            pytest.main([*options, *files], plugins=[_Recorder(result, trial.trace)])
        draft = place / "result.draft"
        draft.write_text(json.dumps(asdict(result)))
        draft.rename(place / "result.json")
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def run_apart(trials: Iterable[Trial], *, jobs: int, seconds: float, folder: Path) -> list[Result]:
    """`run` in a fresh process, for callers that have threads or the product imported. Raises CalledProcessError."""
    given, found = folder / "trials.jsonl", folder / "results.jsonl"
    given.write_text("".join(json.dumps(asdict(each)) + "\n" for each in trials), encoding="utf-8")
    arguments = [str(given), str(found), "--jobs", str(jobs), "--seconds", str(seconds)]
    subprocess.run([sys.executable, "-m", "tests.faults.forked", *arguments], cwd=ROOT, check=True)
    return [Result(**json.loads(line)) for line in found.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """See the module."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)  # whoever asked is gone: nobody wants the rest
    parser = argparse.ArgumentParser(prog="python -m tests.faults.forked")
    parser.add_argument("trials", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120)
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = [json.loads(line) for line in chosen.trials.read_text(encoding="utf-8").splitlines()]
    trials = [Trial(**(row | {"tests": tuple(row["tests"])})) for row in rows]
    with chosen.results.open("w", encoding="utf-8") as results:

        def keep(result: Result) -> None:
            results.write(json.dumps(asdict(result)) + "\n")
            results.flush()

        run(trials, keep, jobs=chosen.jobs, seconds=chosen.seconds)


if __name__ == "__main__":
    main()
