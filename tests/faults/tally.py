"""What the tests of faults count, kept in build/faults/ and printed as one table: `python -m tests.faults.tally`.

A row is one fault: how often it was tried, and what came of it. *Lost*: an acknowledged step that is gone. *Twice*:
a case stored, or a step taken, more than once. *Leaked*: a secret or a word of a case where it must not be. *Stuck*:
what reached no end after everything was well again. All four are zero, or `make faults` fails. So it does where a
flood kept the legitimate client from being answered while it went on, though all was answered afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["ANSWERED", "EXPECTED", "FOLDER", "LEAST", "Row", "count", "kept", "wrong_with"]

FOLDER = Path(__file__).parents[2] / "build" / "faults"

EXPECTED: frozenset[str] = frozenset(
    {
        "simulated network, disks, clocks and kills",
        "transfer, every order of steps (model)",
        "power cut at each system call",
        "Byzantine directory",
        "Byzantine member",
        "impostor certificates",
        "network attacker",
        "flood: oversized messages",
        "flood: compression bombs",
        "flood: metadata flood",
        "flood: continuation flood",
        "flood: rapid reset",
        "flood: ping flood",
        "flood: settings flood",
        "flood: empty frames",
        "flood: garbage",
        "flood: held streams",
        "flood: slow senders",
        "flood: slow readers",
        "flood: calls without end",
        "flood: silent connections",
        "flood: handshakes begun",
        "flood: handshakes dropped",
        "flood: connections dropped",
        "flood: idle connections",
        "flood: rapid reset, at the front",
        "flood: held streams, at the front",
        "flood: rapid reset, at a node's mailbox",
        "flood: idle connections, at a node's mailbox",
        "flood: idle connections, at the node's socket",
        "flood: oversized messages, at the node's socket",
        "flood: held streams, at the node's socket",
        "flood: rapid reset, at the node's socket",
        "flood: slow heads, at the pages",
        "flood: slow forms, at the pages",
        "flood: slow readers of pages, at the pages",
        "flood: huge heads, at the pages",
        "flood: many cookies, at the pages",
        "flood: huge forms, at the pages",
        "flood: many parts, at the pages",
        "flood: sign ins, at the pages",
        "flood: handshakes begun, at the pages",
        "defects planted by hand",
        "kill -9 at each point × each restart order",
        "disk full at each write",
        "partition",
        "reply lost after commit",
        "500 nodes reconnect",
        "out of file descriptors or memory",
        "bytes flipped on disk",
        "secrets after each end state (disk)",
        "secrets after each end state (memory)",
    }
)
"""The faults that the table must hold, so that a suite that did not run is not taken for one that found nothing."""

LEAST: Mapping[str, int] = {
    "simulated network, disks, clocks and kills": 2_000,
    "transfer, every order of steps (model)": 1_000_000,
    "power cut at each system call": 100_000,
}
"""As many tries as there must be at least: a run that was cut down is not taken for the whole one."""

ANSWERED = 1
"""As many calls of each kind as must be begun and answered in each third of a flood, at least."""
_FLOOD = "flood: "


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    tries: int
    lost: int = 0
    twice: int = 0
    leaked: int = 0
    stuck: int = 0
    served: str = ""  # of a flood: the legitimate client's calls within their deadline, as "412 of 412"
    during: int | None = None  # of a flood: the fewest of them, of any kind, begun and answered in a third of it
    memory: str = ""  # of a flood: by how much the server grew, as "+9 MiB of 40"
    note: str = ""

    @property
    def bad(self) -> int:
        return self.lost + self.twice + self.leaked + self.stuck


def count(row: Row, *, folder: Path = FOLDER) -> None:
    """Add to what was counted; rows of one fault from several processes are summed."""
    folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(row), ensure_ascii=False) + "\n"
    # One append of less than a block is not torn by another process's.
    descriptor = os.open(folder / "rows.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def kept(folder: Path = FOLDER) -> list[Row]:
    """What was counted since the folder was emptied, a row for each fault, in the order of the first."""
    found: dict[str, Row] = {}
    for row in _rows(folder):
        before = found.get(row.fault)
        found[row.fault] = row if before is None else _sum(before, row)
    return list(found.values())


def wrong_with(rows: list[Row], *, expected: frozenset[str] = EXPECTED, least: Mapping[str, int] = LEAST) -> list[str]:
    """Why the table is not what it must be."""
    wrong = [f"{row.fault}: {row.bad} of {row.tries} went wrong" for row in rows if row.bad]
    wrong += [f"{row.fault}: nothing was tried" for row in rows if row.tries < 1]
    few = [(row, least[row.fault]) for row in rows if row.tries < least.get(row.fault, 0)]
    wrong += [f"{row.fault}: {row.tries:,} tries, and not {enough:,}" for row, enough in few]
    wrong += [
        f"{row.fault}: while it went on {row.during or 0} were answered, and not {ANSWERED}"
        for row in rows
        if row.fault.startswith(_FLOOD) and (row.during or 0) < ANSWERED
    ]
    return wrong + [f"{fault}: it was not run" for fault in sorted(expected - {row.fault for row in rows})]


def _rows(folder: Path) -> Iterator[Row]:
    path = folder / "rows.jsonl"
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield Row(**json.loads(line))


def _sum(one: Row, other: Row) -> Row:
    return Row(
        one.fault,
        one.tries + other.tries,
        one.lost + other.lost,
        one.twice + other.twice,
        one.leaked + other.leaked,
        one.stuck + other.stuck,
        other.served or one.served,
        min((each.during for each in (one, other) if each.during is not None), default=None),
        other.memory or one.memory,
        other.note or one.note,
    )


def _print(rows: list[Row]) -> None:
    table = Table("fault", title="Faults and attacks")
    for name in ("tries", "lost", "twice", "leaked", "stuck"):
        table.add_column(name, justify="right")
    table.add_column("legitimate client")
    table.add_column("memory")
    for row in rows:
        numbers = (f"{row.tries:,}", *(str(each) for each in (row.lost, row.twice, row.leaked, row.stuck)))
        served = row.served if row.during is None else f"{row.served}; in each third of the flood {row.during} or more"
        table.add_row(row.fault + (f" ({row.note})" if row.note else ""), *numbers, served, row.memory)
    console = Console(width=max(140, Console().width))
    console.print(table)


def main() -> int:
    """Print the table; 1 if anything in it is not as it must be."""
    rows = kept()
    _print(rows)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "table.json").write_text(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1) + "\n")
    wrong = wrong_with(rows)
    Console().print("\n".join(wrong) if wrong else f"{len(rows)} faults: nothing lost, twice, leaked or stuck.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
