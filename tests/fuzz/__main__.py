"""Fuzzing with atheris: `python -m tests.fuzz --seconds 300 --jobs 2`, or one target alone, `--only case`.

The seconds are processor time, shared by all targets; with two jobs it takes half as long. What a target takes or
refuses as it must is not told; anything else is written to build/fuzz/TARGET/crash-… and ends the run with 1. Copy such
a file to tests/fuzz/found/TARGET/, where `make test` tries it for ever, and mend the parser.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.tally import Row, count
from tests.fuzz.places import BUILD

_STATS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")
_FEWEST_SECONDS = 2


@dataclass(frozen=True)
class Ran:
    """What a target's run came to."""

    target: str
    runs: int
    covered: int
    crashes: tuple[Path, ...]
    output: str


def _finds(target: str) -> set[Path]:
    return set((BUILD / target).glob("*-*"))


def _ran(target: str, before: set[Path]) -> Ran:
    path = BUILD / target / "said"
    said = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    runs, covered = _STATS.search(said), _COVERED.findall(said)
    new = tuple(sorted(_finds(target) - before))
    return Ran(target, int(runs[1]) if runs else 0, int(covered[-1]) if covered else 0, new, said)


def main() -> int:
    """Run them, print a table; 1 where anything was found."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seconds", type=int, default=300, help="processor time in all")
    given.add_argument("--jobs", type=int, default=2)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--only", action="append", help="a target's name; may be given several times")
    asked = given.parse_args()
    from tests.fuzz.targets import TARGETS

    names = asked.only or list(TARGETS)
    each = max(_FEWEST_SECONDS, asked.seconds // len(names))
    before = {name: _finds(name) for name in names}
    command = [sys.executable, "-m", "tests.fuzz.driver", str(each), str(asked.seed)]
    shares = [names[job :: asked.jobs] for job in range(asked.jobs)]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "said").open("wb") as said:
        started = [subprocess.Popen([*command, *share], stderr=said) for share in shares if share]
    failed = [process.wait() for process in started]
    found = [_ran(name, before[name]) for name in names]
    table = Table("parser", title=f"Fuzzing, {each} s each")
    for name in ("runs", "runs/s", "edges", "found"):
        table.add_column(name, justify="right")
    for ran in found:
        table.add_row(ran.target, f"{ran.runs:,}", str(ran.runs // each), f"{ran.covered:,}", str(len(ran.crashes)))
    console = Console()
    console.print(table)
    for ran in found:
        for crash in ran.crashes:
            console.print(f"{ran.target}: {crash}\n{_told(ran.output)}", markup=False)
    crashes = sum(len(ran.crashes) for ran in found)
    count(Row(f"fuzzing of {len(names)} parsers", sum(ran.runs for ran in found), stuck=crashes))
    never = [ran.target for ran in found if not ran.runs]
    if never:
        console.print(f"Not fuzzed: {', '.join(never)}; what was said stands in {BUILD}")
    return 1 if crashes or never or any(failed) else 0


def _told(output: str) -> str:
    at = output.find("Uncaught Python exception")
    told = output[at:] if at >= 0 else output[-1500:]
    return told.partition("INFO: Instrumenting")[0][:2500]


if __name__ == "__main__":
    sys.exit(main())
