"""A stage that is searched for marks: every place where none may be, as often as asked."""

from __future__ import annotations

import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from node.demo.stage import Stage
from tests.attacks.looking import Found, Look
from tests.attacks.marks import Marks

__all__ = ["PLACES", "WatchedStage"]

_LARGEST_OUTSIDE = 16 << 20  # bytes

PLACES = (
    "the directory's folder",
    "the directory's log",
    "the directory's metrics",
    "the directory's memory",
    "a node's folder",
    "a node's log",
    "a temporary file",
    "a proof",
)


@dataclass
class WatchedStage:
    """The stage, the marks, and what was found where none may be."""

    stage: Stage
    temporary: Path
    metrics_port: int
    marks: Marks = field(default_factory=Marks)
    found: dict[str, set[tuple[str, Found]]] = field(default_factory=lambda: defaultdict(set))  # with the moment
    looked_at: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # bytes of each place
    moments: list[str] = field(default_factory=list)
    metrics: bytes = b""
    touched: int = 0  # when something was last put into the folder for temporary files, as it was at first
    _outside: frozenset[Path] = frozenset()

    def __post_init__(self) -> None:
        self.touched = self.temporary.stat().st_mtime_ns
        self._outside = frozenset(_outside())

    def search(self, moment: str, *, running: bool = True) -> None:
        """Look everywhere. Case, act and attachment ids are no secret in a node's own folder; elsewhere they are."""
        self.moments.append(moment)
        folder, log = self.stage.folder, self.stage.directory.log
        for name in ("directory", "backup"):
            self._look("the directory's folder", partial(Look.in_folder, folder=folder / name, place=name))
        self._look("a proof", partial(Look.in_folder, folder=folder / "proofs", place="proofs"))
        for path in (folder / "logs").iterdir():
            place = "the directory's log" if path == log else "a node's log"
            self._look(place, partial(Look.in_file, path=path, place=path.name))
        for house in self.stage.houses.values():
            self._look("a node's folder", partial(Look.in_folder, folder=house.folder, place=house.name), rows=False)
        self._look("a temporary file", partial(Look.in_folder, folder=self.temporary, place="TMPDIR"))
        if running:
            self._search_processes(moment)

    def _search_processes(self, moment: str) -> None:
        for program in self.stage.programs:
            if program.process is not None:
                self._look("a temporary file", partial(Look.in_open_files, pid=program.pid, place=program.name))
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            self.metrics = answer.read()
        self._look("the directory's metrics", partial(Look.in_bytes, data=self.metrics, place="metrics"))
        # Files of which a program only reads are changed by nothing: looked at once.
        memory = partial(Look.in_memory, pid=self.stage.directory.pid, files=moment == "at the end")
        self._look("the directory's memory", partial(memory, place="memory"))

    def search_outside(self) -> None:
        """What has appeared beside the stage. Other people's files cannot hold marks of this run."""
        for new in _outside() - self._outside:
            for path in (new, *new.rglob("*")):
                with suppress(OSError):
                    if path.is_file() and path.stat().st_size < _LARGEST_OUTSIDE:
                        self._look("a temporary file", partial(Look.in_file, path=path, place=str(path)))

    def _look(self, place: str, looking: Callable[[Look], set[Found]], *, rows: bool = True) -> None:
        look = Look(self.marks, rows=rows)
        self.found[place] |= {(self.moments[-1], each) for each in looking(look)}
        self.looked_at[place] += look.looked_at


def _outside() -> set[Path]:
    """What stands in the folders where programs put temporary files that were told of no other; no test's own."""
    places = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # looked at, not written
    return {path for place in places for path in place.iterdir() if not path.name.startswith("pytest-")}
