"""`python -m bench`: measure, print the table, write the JSON, and fail where something is below its floor."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import grpc
from rich.console import Console

from bench.cases import measure_cases
from bench.crowd.network import CrowdFailed
from bench.driver import TransferFailed
from bench.goals import GOALS
from bench.place import GB, NotEnoughSpace, place, require_space
from bench.report import Report
from bench.scale import FULL, QUICK, Scale
from bench.searching import measure_searching
from bench.services import PeerFailed
from bench.suspending import measure_suspending
from bench.transfers import measure_transfers
from cordee.errors import CordeeError
from cordee.runtime import logs
from node.demo.processes import CommandFailed

__all__ = ["main"]

_ROWS = tuple(dict.fromkeys(goal.row for goal in GOALS.values()))
_RESULTS = Path(__file__).resolve().parent / "results"
# Other rows can still be measured. The last two come from the stage.
_BROKEN = (PeerFailed, TransferFailed, CrowdFailed, CordeeError, grpc.RpcError, CommandFailed, RuntimeError)
_OTHERS = frozenset({"W4", "W8", "W9"})  # those that carry no single large case
_COPIES = 8  # of the largest file: itself, attached, two spools, mailbox, imported, and what a peer makes of it


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 where a figure is below its floor or a contender failed."""
    given = _parser().parse_args(arguments)
    scale = QUICK if given.quick else FULL
    if given.rounds:
        scale = dataclasses.replace(scale, rounds=given.rounds, huge_rounds=min(given.rounds, scale.huge_rounds))
    report = Report(quick=given.quick, rounds=scale.rounds)
    logs.configure(level="warning")  # of what is done in this process itself
    signal.signal(signal.SIGTERM, _leave)  # so that whatever was started is ended
    failures = _measure(scale, report, given.only)
    report.show(Console(width=None if sys.stdout.isatty() else 200))
    path = given.report or (None if given.quick else _RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json")
    if path is not None:
        report.write(path)
        print(f"Written to {path}")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures or report.below_floor else 0


def _measure(scale: Scale, report: Report, wanted: frozenset[str]) -> list[str]:
    """What could not be measured because something broke."""
    failures = []
    with place() as folder:
        try:
            largest = scale.huge if wanted & {"W3b", "W7"} else max(scale.slope_sizes)
            require_space(folder, _COPIES * largest + GB)
        except NotEnoughSpace as full:
            return [str(full)]
        try:
            if wanted - _OTHERS:
                measure_transfers(folder, scale, report, wanted - _OTHERS)
        except* _BROKEN as broken:
            failures += [f"one at a time: {each}" for each in _told(broken)]
        try:
            if "W4" in wanted:
                measure_cases(folder, scale, report)
        except* _BROKEN as broken:
            failures += [f"W4: {each}" for each in _told(broken)]
        try:
            if "W8" in wanted:
                measure_searching(folder, scale, report)
        except* _BROKEN as broken:
            failures += [f"W8: {each}" for each in _told(broken)]
        try:
            if "W9" in wanted:
                measure_suspending(folder, scale, report)
        except* _BROKEN as broken:
            failures += [f"W9: {each}" for each in _told(broken)]
    return failures


def _told(broken: BaseExceptionGroup[Exception]) -> list[str]:
    """Each error of a group, and of the groups within, in a line."""
    lines = []
    for each in broken.exceptions:
        lines += _told(each) if isinstance(each, BaseExceptionGroup) else [f"{type(each).__name__}: {each}"]
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: only shows that everything works")
    parser.add_argument("--only", type=_rows, default=frozenset(_ROWS), metavar="ROWS", help=",".join(_ROWS))
    parser.add_argument("--rounds", type=int, metavar="N", help="instead of 5 (3 for 1 GB)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="JSON file [bench/results/DATE.json]")
    return parser


def _rows(text: str) -> frozenset[str]:
    """W3 stands for W3a, W3b and W3c."""
    named = {row for word in text.split(",") for row in _ROWS if row == word or row.rstrip("abc") == word}
    if not named or not all(any(row.startswith(word) for row in _ROWS) for word in text.split(",")):
        raise argparse.ArgumentTypeError(f"rows are {', '.join(_ROWS)}")
    return frozenset(named)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
