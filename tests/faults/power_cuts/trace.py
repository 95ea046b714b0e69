"""What one or several machines asked of their disks, in order: the story that power cuts are made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

__all__ = ["ROOT", "Add", "Event", "Mark", "Op", "Remove", "Sync", "Trace", "Truncate", "Write"]

ROOT = 0
"""The folder that holds every machine's folder."""


@dataclass(frozen=True)
class Write:
    """Bytes of a file. Where they begin beyond its end, there are zeros between."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """A file has another length."""

    file: int
    size: int


@dataclass(frozen=True)
class Add:
    """A folder has a name more, or another thing under it. A rename takes `instead_of` away at once."""

    folder: int
    name: str
    thing: int
    instead_of: str = ""


@dataclass(frozen=True)
class Remove:
    """A folder has that name no more."""

    folder: int
    name: str
    thing: int


@dataclass(frozen=True)
class Sync:
    """fsync or fdatasync, of a file or of a folder."""

    thing: int
    only_data: bool = False


@dataclass(frozen=True)
class Mark:
    """The program says where it stands. `machine` is the name of a folder in the root; empty: every machine."""

    machine: str
    text: str


Op = Write | Truncate | Add | Remove | Sync | Mark


@dataclass(frozen=True)
class Event:
    """One call that succeeded: between `begun` and `ended` it may be done or not, half done too."""

    begun: int
    ended: float  # infinite where the process ended first
    op: Op

    @property
    def thing(self) -> int:
        """What must be synchronised so that it lasts."""
        if isinstance(self.op, Write | Truncate):
            return self.op.file
        return self.op.folder if isinstance(self.op, Add | Remove) else -1


@dataclass
class Trace:
    """Events in the order in which they began; which things are folders, and whose each is."""

    events: list[Event] = field(default_factory=list)
    folders: set[int] = field(default_factory=lambda: {ROOT})
    machine_of: dict[int, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Positions: one for each beginning and each end."""
        ends = [each.begun if each.ended == inf else int(each.ended) for each in self.events]
        return max(ends, default=-1) + 1

    @property
    def machines(self) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(self.machine_of.values()))

    def of(self, machine: str) -> list[Event]:
        """What concerns one machine's disk, and what was said of it."""
        return [each for each in self.events if self._concerns(each.op, machine)]

    def without(self, *forgotten: Event) -> Trace:
        """The same, as if some calls had not been made: how a defect is planted."""
        gone = {id(each) for each in forgotten}
        kept = [each for each in self.events if id(each) not in gone]
        return Trace(kept, self.folders, self.machine_of)

    def named(self, name: str) -> list[int]:
        """The things that ever had a name which ends so."""
        adds = (each.op for each in self.events if isinstance(each.op, Add))
        return [op.thing for op in adds if op.name.endswith(name)]

    def syncs(self, things: Sequence[int]) -> Iterator[Event]:
        """The calls that made these things last."""
        yield from (each for each in self.events if isinstance(each.op, Sync) and each.op.thing in things)

    def _concerns(self, op: Op, machine: str) -> bool:
        if isinstance(op, Mark):
            return op.machine in ("", machine)
        if isinstance(op, Sync):
            return op.thing == ROOT or self.machine_of.get(op.thing) == machine
        if isinstance(op, Add | Remove) and op.folder == ROOT:
            return op.name == machine
        return self.machine_of.get(op.folder if isinstance(op, Add | Remove) else op.file) == machine
