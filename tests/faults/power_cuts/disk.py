"""What a disk may hold after a power cut: everything that was synchronised, and any part of the rest.

Two models of a file system, of which the first allows whatever the second does:

* *loose*, all that POSIX promises: a write, a new length, a name that came or went lasts only once its own file or
  folder was synchronised; until then each is there or not, by itself, and a write may be torn between sectors of 512
  bytes, or have left its length and zeros. A rename within one folder is one thing; between two folders it is two.
* *ordered*, ext4 as it is usually mounted: names and lengths reach the disk in the order in which they were made, what
  is synchronised takes all those before it along, and a length never comes before its bytes. Bytes that are written
  over others come in any order.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.power_cuts.trace import ROOT, Add, Event, Mark, Remove, Sync, Trace, Truncate, Write

__all__ = ["DROPPED", "LENGTH", "SECTOR", "WHOLE", "Choice", "Content", "Disk", "Image", "Moment", "unpack"]

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""

_KEPT = 500  # contents
_TEARS = 16  # of a write that is the only thing pending

WHOLE, DROPPED, LENGTH = "whole", "dropped", "length"
Choice = str | frozenset[int]
"""What became of one event that was not synchronised; a set: these sectors of a write, counted from its first."""


@dataclass(frozen=True)
class Content:
    """A file's bytes, and their digest."""

    data: bytes
    digest: bytes


@dataclass(frozen=True)
class Image:
    """One machine's folder. `files` by their path in it; `present` where the folder itself is there."""

    files: Mapping[str, Content]
    present: bool = True

    @property
    def digest(self) -> bytes:
        """Of all names and bytes."""
        whole = hashlib.sha256(bytes([self.present]))
        for path in sorted(self.files):
            whole.update(path.encode() + b"\0" + self.files[path].digest)
        return whole.digest()


@dataclass(frozen=True)
class Moment:
    """The power goes when all stops before `position` are past. `pending`: what was done and is not sure to last."""

    position: int
    pending: tuple[int, ...]


@dataclass
class Disk:
    """One machine's disk, moved through the trace from its beginning."""

    trace: Trace
    machine: str
    events: list[Event] = field(init=False)
    _firm: list[float] = field(init=False)
    _ordered_firm: list[float] = field(init=False)
    _files: dict[int, bytearray] = field(default_factory=dict)
    _versions: dict[int, int] = field(default_factory=dict)
    _names: dict[int, dict[str, int]] = field(default_factory=dict)
    _contents: dict[tuple[object, ...], Content] = field(default_factory=dict)

    _beginnings: dict[tuple[int, int, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.events = self.trace.of(self.machine)
        syncs = [each for each in self.events if isinstance(each.op, Sync)]
        self._firm = [_lasting(each, syncs) for each in self.events]
        self._extends = _extending(self.events)
        self._ordered_firm = self._in_order(syncs)

    # ---- moments ----

    def moments(self) -> Iterator[Moment]:
        """Every one at which something is newly possible, or no more. Ask `image` of the last one only."""
        changing = (Write, Truncate, Add, Remove)
        ops = [index for index, each in enumerate(self.events) if isinstance(each.op, changing)]
        begins = {each.begun + 1 for each in self.events if isinstance(each.op, (*changing, Mark))}
        ends = {int(self._firm[index]) + 1 for index in ops if self._firm[index] != inf}
        becoming = sorted((self._firm[index], index) for index in ops if self._firm[index] != inf)
        pending: list[int] = []
        coming, settled = 0, 0
        for position in sorted(begins | ends):
            while coming < len(ops) and self.events[ops[coming]].begun < position:
                pending.append(ops[coming])
                coming += 1
            while settled < len(becoming) and becoming[settled][0] < position:
                self._settle(becoming[settled][1])
                pending.remove(becoming[settled][1])
                settled += 1
            if len(self._contents) > _KEPT:
                self._contents.clear()
                self._beginnings.clear()
            yield Moment(position, tuple(pending))

    def _settle(self, index: int) -> None:
        op = self.events[index].op
        if isinstance(op, Write | Truncate):
            _apply(self._files.setdefault(op.file, bytearray()), op, WHOLE)
            self._versions[op.file] = self._versions.get(op.file, 0) + 1
        elif isinstance(op, Add | Remove):
            _rename(self._names.setdefault(op.folder, {}), op)

    # ---- images ----

    def image(self, moment: Moment, choices: Mapping[int, Choice]) -> Image:
        """What is found afterwards. An event of `moment.pending` without a choice is whole."""
        taken = {index: choices.get(index, WHOLE) for index in moment.pending}
        names: dict[int, dict[str, int]] = {}
        of_file: dict[int, list[int]] = {}
        for index, choice in taken.items():
            op = self.events[index].op
            if choice == DROPPED:
                continue
            if isinstance(op, Write | Truncate):
                of_file.setdefault(op.file, []).append(index)
            elif isinstance(op, Add | Remove):
                if op.folder not in names:
                    names[op.folder] = dict(self._names.get(op.folder, {}))
                _rename(names[op.folder], op)
        files: dict[str, Content] = {}
        top = names.get(ROOT, self._names.get(ROOT, {})).get(self.machine)
        if top is not None:
            folders = [("", top)]
            while folders:
                before, folder = folders.pop()
                for name, thing in names.get(folder, self._names.get(folder, {})).items():
                    if thing in self.trace.folders:
                        folders.append((f"{before}{name}/", thing))
                    else:
                        files[before + name] = self._content(thing, of_file.get(thing, ()), taken)
        return Image(files, top is not None)

    def _content(self, file: int, indexes: list[int] | tuple[int, ...], taken: Mapping[int, Choice]) -> Content:
        key = (file, self._versions.get(file, 0), *((index, taken[index]) for index in indexes))
        known = self._contents.get(key)
        if known is None:
            data = bytearray(self._files.get(file, b""))
            same = len(data)
            for index in indexes:
                op = self.events[index].op
                assert isinstance(op, Write | Truncate)
                same = min(same, op.offset if isinstance(op, Write) else op.size)
                _apply(data, op, taken[index])
            digest = self._digest_of(file, memoryview(data)[:same])
            digest.update(memoryview(data)[same:])
            known = self._contents[key] = Content(bytes(data), digest.digest())
        return known

    def _digest_of(self, file: int, beginning: memoryview) -> Any:
        """Of the bytes that nothing pending touches; most of a large file is the same from image to image."""
        key = (file, self._versions.get(file, 0), len(beginning))
        known = self._beginnings.get(key)
        if known is None:
            known = self._beginnings[key] = hashlib.sha256(beginning)
        return known.copy()

    def choices(self, moment: Moment, random: Random, *, most: int) -> Iterator[dict[int, Choice]]:
        """Ways in which it may have gone, `most` of them: all and nothing, all in order up to each, each alone and all
        but each, torn ones, lengths without bytes, and others drawn at random.
        """
        pending = moment.pending
        yield {}
        if not pending:
            return
        ways = [("none", -1), ("no bytes", -1), ("no names", -1), ("no bytes but lengths", -1)]
        ways += [("up to", index) for index in pending[:-1]]
        for index in pending:
            ways += [("all but", index), ("only", index)]
            if isinstance(self.events[index].op, Write):
                ways += [("length of", index), ("torn", index), ("cut in", index)]
        if len(pending) > 1:
            ways += [("drawn", -1)] * (most - len(ways))
        elif isinstance(self.events[pending[0]].op, Write) and self._sectors(pending[0]) > 1:
            ways += [("torn", pending[0])] * _TEARS
        if len(ways) > most:
            ways = ways[:1] + random.sample(ways[1:], most - 1)
        for way, index in ways:
            yield self._way(way, index, pending, random)

    def _way(self, way: str, at: int, pending: tuple[int, ...], random: Random) -> dict[int, Choice]:
        if way == "drawn":
            return {index: self._some(index, random) for index in pending}
        if way == "all but":
            return {at: DROPPED}
        if way == "length of":
            return {at: LENGTH}
        if way == "torn":
            return {at: self._torn(at, random)}
        if way == "cut in":
            return {each: DROPPED for each in pending if each > at} | {at: self._begun(at, random)}
        if way == "up to":
            return {each: DROPPED for each in pending if each > at}
        if way == "only":
            return {each: DROPPED for each in pending if each != at}
        data = [each for each in pending if isinstance(self.events[each].op, Write)]
        if way == "no names":
            return {each: DROPPED for each in pending if isinstance(self.events[each].op, Add | Remove)}
        if way == "no bytes":
            return dict.fromkeys(data, DROPPED)
        return dict.fromkeys(data, LENGTH) if way == "no bytes but lengths" else dict.fromkeys(pending, DROPPED)

    def _some(self, index: int, random: Random) -> Choice:
        drawn = random.random()
        if drawn < 0.45 or not isinstance(self.events[index].op, Write):
            return WHOLE if random.random() < 0.5 else DROPPED
        return WHOLE if drawn < 0.7 else LENGTH if drawn < 0.75 else self._torn(index, random)

    def _torn(self, index: int, random: Random) -> Choice:
        sectors = self._sectors(index)
        return frozenset(each for each in range(sectors) if random.random() < 0.5)

    def _begun(self, index: int, random: Random) -> Choice:
        """The first sectors of it."""
        return frozenset(range(random.randrange(self._sectors(index))))

    def _sectors(self, index: int) -> int:
        op = self.events[index].op
        assert isinstance(op, Write)
        return (op.offset + max(len(op.data), 1) - 1) // SECTOR - op.offset // SECTOR + 1

    # ---- the ordered model ----

    def is_ordered(self, moment: Moment, choices: Mapping[int, Choice]) -> bool:
        """Whether ext4 could have left that."""
        missing = False
        for index in moment.pending:
            op, choice = self.events[index].op, choices.get(index, WHOLE)
            if isinstance(op, Write) and not self._extends[index]:
                continue
            if choice == WHOLE:
                if missing:
                    return False
            elif choice != DROPPED or self._ordered_firm[index] < moment.position:
                return False
            else:
                missing = True
        return True

    def _in_order(self, syncs: list[Event]) -> list[float]:
        """From when on each name and length lasts, where each takes those before it along."""
        firm = [inf] * len(self.events)
        ordered = [index for index, extends in enumerate(self._extends) if extends]
        begins = [self.events[index].begun for index in ordered]
        for sync in syncs:
            assert isinstance(sync.op, Sync)
            last = bisect_left(begins, sync.begun) - 1
            while last >= 0 and not _touches(self.events[ordered[last]], sync.op):
                last -= 1
            for index in ordered[: last + 1]:
                if self.events[index].ended < sync.begun:
                    firm[index] = min(firm[index], sync.ended)
        return firm

    # ---- for people ----

    def told(self, index: int) -> str:
        """One event in words."""
        op = self.events[index].op
        if isinstance(op, Write):
            return f"{index}: {len(op.data)} bytes at {op.offset} of {self._known_as(op.file)}"
        if isinstance(op, Truncate):
            return f"{index}: length {op.size} of {self._known_as(op.file)}"
        if isinstance(op, Add):
            return f"{index}: new name {op.name}" + (f" instead of {op.instead_of}" if op.instead_of else "")
        return f"{index}: name gone {op.name}" if isinstance(op, Remove) else f"{index}: {op}"

    def _known_as(self, thing: int) -> str:
        names = [each.op.name for each in self.events if isinstance(each.op, Add) and each.op.thing == thing]
        return " or ".join(dict.fromkeys(names)) or "?"


def unpack(image: Image, folder: Path) -> None:
    """Write an image into a folder that is not there yet; an absent machine leaves none."""
    if image.present:
        folder.mkdir(parents=True)
    for path, content in image.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.data)


def _lasting(event: Event, syncs: list[Event]) -> float:
    """From which position on it lasts, by its own file or folder alone."""
    if event.thing < 0:
        return -1
    own = (each.ended for each in syncs if each.begun > event.ended and each.op.thing == event.thing)  # type: ignore[union-attr]
    return min(own, default=inf)


def _touches(event: Event, sync: Sync) -> bool:
    if event.thing == sync.thing:
        return True
    return not sync.only_data and isinstance(event.op, Add | Remove) and event.op.thing == sync.thing


def _extending(events: list[Event]) -> list[bool]:
    """Whether each changes a name or a length."""
    sizes: dict[int, int] = {}
    found = []
    for each in events:
        op = each.op
        if isinstance(op, Write):
            end = op.offset + len(op.data)
            found.append(end > sizes.get(op.file, 0))
            sizes[op.file] = max(end, sizes.get(op.file, 0))
        else:
            if isinstance(op, Truncate):
                sizes[op.file] = op.size
            found.append(isinstance(op, Truncate | Add | Remove))
    return found


def _apply(data: bytearray, op: Write | Truncate, choice: Choice) -> None:
    if isinstance(op, Truncate):
        if op.size < len(data):
            del data[op.size :]
        else:
            data.extend(bytes(op.size - len(data)))
        return
    end = op.offset + len(op.data)
    if len(data) < end and choice in (WHOLE, LENGTH):
        data.extend(bytes(end - len(data)))
    if choice == WHOLE:
        data[op.offset : end] = op.data
    elif isinstance(choice, frozenset):
        first = op.offset // SECTOR
        for sector in sorted(choice):
            start = max(op.offset, (first + sector) * SECTOR)
            stop = min(end, (first + sector + 1) * SECTOR)
            if len(data) < stop:
                data.extend(bytes(stop - len(data)))
            data[start:stop] = op.data[start - op.offset : stop - op.offset]


def _rename(names: dict[str, int], op: Add | Remove) -> None:
    if isinstance(op, Add):
        names[op.name] = op.thing
        if op.instead_of and names.get(op.instead_of) == op.thing:
            del names[op.instead_of]
    elif names.get(op.name) == op.thing:
        del names[op.name]
