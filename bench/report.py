"""What a run says: one table for people, one JSON file for comparing runs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.goals import GOALS, Better, Goal
from bench.rounds import Spread

__all__ = ["Line", "Report", "Result"]

_ORDER = tuple(GOALS)
_REMARKS = (
    "Ratios are the peer's time over ours, in the same interleaved run: 2 × means that Cordée takes half of the time.",
    "Where the limits say ≤, ratios are ours over the peer's.",
    "magic-wormhole is timed with its process start and handshake; Cordée's nodes are running, as they are in use.",
    "age piped on this machine, with no network and no store, is faster than any network path: a line to read by.",
    "All programs compared run on the same machine and its loopback: no real network is in the way.",
)


@dataclass(frozen=True)
class Result:
    """One figure of a row, or why there is none. `judged`: the sizes were those that goal and floor are meant for."""

    goal: Goal
    spread: Spread | None = None
    skipped: str = ""
    ours: str = ""  # for reading: our median, in its own unit
    theirs: str = ""
    slope: float | None = None
    judged: bool = True

    @property
    def verdict(self) -> str:
        """At or above the floor, or not."""
        if self.spread is None:
            return f"skipped: {self.skipped}"
        if not self.judged:
            return "works"
        if not self.goal.above_floor(self.spread.median):
            return "BELOW FLOOR"
        return "goal reached" if self.goal.reaches_goal(self.spread.median) else "at or above floor"


@dataclass(frozen=True)
class Line:
    """A ratio to read a row by. It has neither goal nor floor: it says what can be reached, not what was."""

    name: str
    means: str  # what against what
    spread: Spread
    told: str = ""  # for reading: the median behind it, in its own unit

    def __str__(self) -> str:
        spread = self.spread
        text = f"{self.name} ({self.means}): {spread.median:.2f} × ({spread.least:.2f} … {spread.greatest:.2f})"
        return f"{text}, {self.told}" if self.told else text


@dataclass
class Report:
    """All results of a run, and what was seen besides."""

    quick: bool
    rounds: int
    results: list[Result] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)  # every figure that was measured, by name
    memory: dict[str, tuple[float, float]] = field(default_factory=dict)  # MiB by process: before and after 1 GB
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """One more figure; they are kept in the order of the goals. A quick run's are not held against them."""
        self.results.append(replace(result, judged=not self.quick))
        self.results.sort(key=lambda each: _ORDER.index(each.goal.id))

    def tell_slope(self, goal: str, slope: float) -> None:
        """The slope of a figure that is there already; nothing happens where it was skipped."""
        self.results = [
            replace(each, slope=slope) if each.goal.id == goal and each.spread is not None else each
            for each in self.results
        ]

    def keep(self, measured: Mapping[str, list[float]], *, under: str) -> None:
        """Note the seconds of a workload's contenders."""
        for name, each in measured.items():
            self.seconds.setdefault(f"{under}: {name}", []).extend(each)

    @property
    def below_floor(self) -> list[Result]:
        """What is broken."""
        return [each for each in self.results if each.verdict == "BELOW FLOOR"]

    def show(self, console: Console) -> None:
        """Print the table, then what to bear in mind when reading it."""
        title = "Cordée against its peers" + (
            " (quick, small sizes: only shows that everything works)" if self.quick else ""
        )
        table = Table(title=title, caption=f"{_machine()}, {self.rounds} rounds", show_lines=False)
        for column in ("row", "workload", "against", "ratio", "min … max", "goal", "floor", "slope", "ours", "theirs"):
            table.add_column(column, justify="left" if column in ("row", "workload", "against") else "right")
        table.add_column("verdict")
        for each in self.results:
            table.add_row(*self._cells(each))
        console.print(table)
        for note in (*map(str, self.lines), *self.notes, *_REMARKS):
            console.print(f"· {note}", highlight=False)

    def _cells(self, result: Result) -> Iterable[str]:
        goal, spread = result.goal, result.spread
        sign = "≥" if goal.better is Better.HIGHER else "≤"
        figures = ("-", "-")
        if spread is not None:
            unit = f" {goal.unit}"
            figures = (_figure(spread.median) + unit, f"{_figure(spread.least)} … {_figure(spread.greatest)}")
        slope = "-" if result.slope is None else f"{result.slope:.2f}"
        limits = (f"{sign} {goal.goal:g}", f"{sign} {goal.floor:g}")
        return (
            goal.id,
            goal.workload,
            goal.against,
            *figures,
            *limits,
            slope,
            result.ours,
            result.theirs,
            result.verdict,
        )

    def write(self, path: Path) -> None:
        """The JSON file."""
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "quick": self.quick,
            "rounds": self.rounds,
            "machine": _machine(),
            "versions": {name: version(name) for name in ("cordee", "grpcio", "cryptography", "pynacl", "sqlmodel")},
            "results": [_told(each) for each in self.results],
            "lines": [_line(each) for each in self.lines],
            "remarks": _REMARKS,
            "seconds": self.seconds,
            "memory_mib": {name: {"before": old, "after": new} for name, (old, new) in self.memory.items()},
            "notes": self.notes,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _told(result: Result) -> dict[str, object]:
    told = asdict(result.goal) | {"verdict": result.verdict, "slope": result.slope}
    told |= {"ours": result.ours, "theirs": result.theirs}
    if result.spread is not None:
        told["ratio"] = asdict(result.spread)
    return told


def _line(line: Line) -> dict[str, object]:
    return {"name": line.name, "means": line.means, "ratio": asdict(line.spread), "told": str(line)}


def _figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 20 else f"{value:.2f}"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} CPUs, {memory:.0f} GiB, {system}"
