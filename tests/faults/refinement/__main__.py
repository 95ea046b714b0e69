"""Walk through the model and the real code side by side: `python -m tests.faults.refinement [--walks 60] [--jobs 2]`.

`--walk N --trace` goes one of them again; `--with model:NAME` with one of the model's mistakes, `--with code:NAME` with
one of the code's, so that they differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tests.faults.simulation.running import child, founded, place

_FIXED = {"PYTHONHASHSEED": "0"}  # the order of a set of bytes is a walk's too


def main() -> int:
    """1 where model and code differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.refinement", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first of --walks")
    parser.add_argument("--walks", type=int, default=60, help="how many")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--trace", action="store_true", help="tell everything that happens")
    parser.add_argument("--with", action="append", dest="variants", help="model:NAME or code:NAME; as often as wanted")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in _FIXED.items()):
        os.execve(sys.executable, [sys.executable, "-m", "tests.faults.refinement", *sys.argv[1:]], os.environ | _FIXED)
    differs = False
    with place() as folder:
        template = founded(folder)
        for variant in options.variants or [""]:
            differs |= _walks(variant, options, template, folder)
    return 1 if differs else 0


def _walks(variant: str, options: argparse.Namespace, template: Any, folder: Path) -> bool:
    began, found = time.monotonic(), []
    numbers = range(options.first, options.first + options.walks)
    jobs = 1 if variant else options.jobs  # a mistake is looked for until it is seen
    shares = [numbers[job::jobs] for job in range(jobs)]
    with contextlib.ExitStack() as stack:
        works = [_share(variant, share, options.trace, template, folder) for share in shares]
        for answer in [stack.enter_context(child(work, group=True)) for work in works]:
            found += [json.loads(line) for line in answer]
    found.sort(key=lambda each: each["number"])
    wrong = [each for each in found if each["wrong"]]
    told = {
        "variant": variant,
        "walks": len(found),
        "steps": sum(each["steps"] for each in found),
        "taken": sorted({words for each in found for words in each["taken"]}),
        "wrong": [{name: each[name] for name in ("number", "scene", "said", "wrong")} for each in wrong],
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return bool(wrong)


def _share(variant: str, numbers: range, trace: bool, template: Any, folder: Path) -> Callable[[IO[bytes]], None]:
    def work(answer: IO[bytes]) -> None:
        for number in numbers:
            with child(lambda inner, number=number: _one(inner, variant, number, trace, template, folder)) as walked:
                raw = walked.read()
            if not raw:
                failed = {"number": number, "scene": "", "steps": 0, "said": [], "taken": [], "wrong": "it failed"}
                raw = json.dumps(failed).encode() + b"\n"
            answer.write(raw)
            if variant and json.loads(raw)["wrong"]:
                return

    return work


def _one(answer: IO[bytes], variant: str, number: int, trace: bool, template: Any, folder: Path) -> None:
    from tests.faults.model.mutants import MUTANTS
    from tests.faults.simulation.planted import plant

    from .walk import walk

    where, _, name = variant.partition(":")
    mutant = next(each for each in MUTANTS if each.name == name) if where == "model" else None
    if where == "code":
        plant(name)
    own = folder / f"walk-{number}"
    own.mkdir()

    def told(line: str) -> None:
        if trace:
            sys.stdout.write(line + "\n")

    try:
        walked = asdict(walk(number, template, own, mutant=mutant, told=told))
    finally:
        shutil.rmtree(own, ignore_errors=True)
    answer.write(json.dumps(walked, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
