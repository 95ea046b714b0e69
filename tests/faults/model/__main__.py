"""Explore every scene and count what was found: `python -m tests.faults.model [--jobs 2]`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys

from rich.console import Console

from tests.faults.model.engine import Found
from tests.faults.model.scenes import EXHAUSTIVE, explored
from tests.faults.tally import Row, count

__all__ = ["FAULT", "main"]

FAULT = "transfer, every order of steps (model)"


def row_of(found: list[Found]) -> Row:
    """The line of the table. A promise that does not hold is what it is told as; what else is broken counts as lost."""
    broken = [each.broken for each in found if each.broken]
    twice = sum("twice" in each or "two" in each for each in broken)
    leaked = sum(each.startswith(("I3", "I8")) for each in broken)
    stuck = sum(each.startswith("stuck") for each in broken)
    edges = sum(each.edges for each in found)
    return Row(
        FAULT,
        tries=sum(each.states for each in found),
        lost=len(broken) - twice - leaked - stuck,
        twice=twice,
        leaked=leaked,
        stuck=stuck,
        note=f"states; {edges:,} steps between them",
    )


def main() -> int:
    """Print a line for each scene; 1 with the shortest way to it, if anything is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.model", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    jobs = parser.parse_args().jobs
    console = Console(width=140, highlight=False)
    found = []
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for scene, each, seconds in pool.imap_unordered(explored, EXHAUSTIVE):
            found.append(each)
            console.print(f"{each.states:>9,} states {each.edges:>10,} steps {seconds:5.1f} s  {scene.name}")
            if each.broken:
                console.print(each.told(), markup=False)
    row = row_of(found)
    count(row)
    console.print(f"{row.tries:>9,} states, {row.note.partition('; ')[2]}: {row.bad} broken", markup=False)
    return 1 if row.bad else 0


if __name__ == "__main__":
    sys.exit(main())
