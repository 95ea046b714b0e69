"""Many seeds, a few after each other in a process that begins as all the others did: forked from one that has all."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tests.faults.tally import Row, count

__all__ = ["FAULT", "child", "founded", "place", "run"]

FAULT = "simulated network, disks, clocks and kills"
_MEMORY = Path("/dev/shm")  # a file system in memory, where there is one, and
_ROOM = 200_000_000  # bytes of it
_WARM_UPS = 2
_TOGETHER = 8  # seeds in one process: what it has touched of its parent's memory was copied, which costs some 30 ms
_LONGEST = 120  # seconds of processor time, for a seed that goes round in circles


def run(options: Namespace) -> int:
    """All that was asked for. 1 where something was wrong."""
    with place() as folder:
        template = founded(folder, options.plant, warm=options.seed is None)
        if options.seed is not None:
            return _one(options, template, folder)
        return _many(options, template, folder)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def place() -> Iterator[Path]:
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM
    folder = Path(tempfile.mkdtemp(prefix="cordee-simulation-", dir=_MEMORY if in_memory else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def founded(folder: Path, defect: str | None = None, *, warm: bool = True) -> Any:
    """The template, founded by another process, so that each seed begins with nothing of that one's.

    Not `warm` where only one seed is to be played: it would inherit from others what it can make itself.
    """

    def found(answer: IO[bytes]) -> None:
        from . import template

        pickle.dump(template.found(folder), answer)

    from . import platform

    _quiet()
    if not platform.install():
        _say("SQLite's own writes cannot be watched here: disks fail between its calls only")
    with child(found) as answer:
        template = pickle.load(answer)
    if defect:
        from .planted import plant

        plant(defect)
    gc.collect()
    gc.disable()  # a `finally` of a process that has died must not run
    if warm:
        _warm_up(template, folder)
    gc.freeze()
    return template


def _warm_up(template: Any, folder: Path) -> None:
    """What every seed compiles and parses once, it inherits."""
    from .seed import play

    for number in range(_WARM_UPS):
        own = folder / f"warm-up-{number}"
        own.mkdir()
        play(-1 - number, template, own, told=lambda _: None)
        shutil.rmtree(own)


def _quiet() -> None:
    from cordee.runtime import logs

    logs.configure(level="error", stream=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


@contextlib.contextmanager
def child(work: Callable[[IO[bytes]], None], *, group: bool = False) -> Iterator[IO[bytes]]:
    """What another process answers. It ends without Python's clearing up; a `group` with its own children."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        if group:
            os.setpgid(0, 0)
        os.close(reading)
        code = 1
        try:
            with os.fdopen(writing, "wb") as answer:
                try:
                    work(answer)
                except (KeyboardInterrupt, BrokenPipeError):
                    pass  # nobody wants to know any more
                except BaseException:
                    traceback.print_exc()  # before the pipe is closed: whoever reads there kills this process then
                    sys.stderr.flush()
                else:
                    code = 0
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(code)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as answer:
            yield answer
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has said all, or nobody wants to hear the rest
            (os.killpg if group else os.kill)(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _played(numbers: list[int], template: Any, folder: Path, told: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Some seeds, one after the other, in a process of their own: what it inherits is copied once for all of them."""

    def play(answer: IO[bytes]) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the dead keep their files open
        for number in numbers:
            answer.write(json.dumps(_outcome(number, template, folder, told)).encode() + b"\n")
            answer.flush()

    rest = list(numbers)
    while rest:
        with child(play) as answer:
            for line in answer:
                outcome = json.loads(line)
                rest.remove(outcome["seed"])
                yield outcome
        if rest:
            broken = {"kind": "stuck", "what": "the simulation itself failed"}
            yield {"seed": rest.pop(0), "wrong": [broken], "seconds": 0.0}
            numbers = list(rest)


def _outcome(number: int, template: Any, folder: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """One seed, in this process."""
    from .seed import play

    trace = hashlib.sha256()

    def heard(line: str) -> None:
        trace.update(line.encode() + b"\n")
        told(line)

    before = _used()
    resource.setrlimit(resource.RLIMIT_CPU, (int(before) + _LONGEST, resource.RLIM_INFINITY))
    own = folder / f"seed-{number}"
    own.mkdir()
    try:
        outcome = asdict(play(number, template, own, told=heard))
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return outcome | {"seconds": _used() - before, "trace": trace.hexdigest()}


def _used() -> float:
    """Seconds of processor time, of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _one(options: Namespace, template: Any, folder: Path) -> int:
    def told(line: str) -> None:
        if options.trace:
            sys.stdout.write(line + "\n")

    (outcome,) = _played([options.seed], template, folder, told)
    _say(json.dumps(outcome, ensure_ascii=False))
    return 1 if outcome["wrong"] else 0


def _many(options: Namespace, template: Any, folder: Path) -> int:
    first = options.first if options.first >= 0 else int.from_bytes(os.urandom(4), "big")
    _say(f"seeds from {first} on")
    wrong: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    began = time.monotonic()

    def share(job: int) -> Callable[[IO[bytes]], None]:
        def work(answer: IO[bytes]) -> None:
            ends = first + options.seeds if options.seeds else sys.maxsize
            numbers = iter(range(first + job, ends, options.jobs))
            while some := list(itertools.islice(numbers, _TOGETHER)):
                for outcome in _played(some, template, folder, lambda _: None):
                    if outcome["wrong"] and outcome["seed"] != some[0]:
                        _again_alone(outcome, template, folder)
                    answer.write(json.dumps(outcome).encode() + b"\n")
                    answer.flush()

        return work

    with contextlib.ExitStack() as open_pipes:
        answers = [open_pipes.enter_context(child(share(job), group=True)) for job in range(options.jobs)]
        for outcome in _until_interrupted(_merged(answers)):
            for each in outcome["wrong"]:
                wrong[each["kind"]] += 1
                _say(f"seed {outcome['seed']}: {each['kind']}: {each['what']}")
            if options.trace:
                _say(f"seed {outcome['seed']}: {outcome.get('trace')}")
            totals["seeds"] += 1
            for name in ("deaths", "steps", "calls", "received", "transfers", "seconds"):
                totals[name] += outcome.get(name, 0)
            totals["well"] += not outcome["wrong"]
            if outcome["wrong"] and options.until_wrong:
                break
    seconds = time.monotonic() - began
    _say(
        f"{totals['seeds']} seeds in {seconds:.0f} s ({totals['seconds'] / max(1, totals['seeds']):.3f} s of processor "
        f"each): {totals['well']} well; {totals['transfers']} transfers, {totals['received']} received, "
        f"{totals['deaths']} deaths, {totals['calls']} calls, {totals['steps']} steps said to be done"
    )
    if options.count:
        count(Row(FAULT, totals["seeds"], **{name: wrong[name] for name in ("lost", "twice", "leaked", "stuck")}))
    if wrong:
        _say("again: python -m tests.faults.simulation --trace --seed N")
    return 1 if wrong else 0


def _again_alone(outcome: dict[str, Any], template: Any, folder: Path) -> None:
    """Whoever looks for the reason plays that seed alone: where it is well then, it says so."""
    (alone,) = _played([outcome["seed"]], template, folder, lambda _: None)
    if not alone["wrong"]:
        for each in outcome["wrong"]:
            each["what"] += " (not when it is played alone)"


def _until_interrupted(outcomes: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(KeyboardInterrupt):
        yield from outcomes


def _merged(answers: list[IO[bytes]]) -> Iterator[dict[str, Any]]:
    """Whatever comes first."""
    import selectors

    with selectors.DefaultSelector() as selector:
        for each in answers:
            selector.register(each, selectors.EVENT_READ)
        rest = dict.fromkeys(answers, b"")
        while rest:
            for key, _ in selector.select():
                pipe: Any = key.fileobj
                data = os.read(pipe.fileno(), 1 << 16)
                if not data:
                    selector.unregister(pipe)
                    del rest[pipe]
                    continue
                *lines, rest[pipe] = (rest[pipe] + data).split(b"\n")
                yield from map(json.loads, lines)
