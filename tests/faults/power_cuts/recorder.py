"""From system calls to a trace: which file, which bytes, which name, and when the program said that it was done."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from tests.faults.power_cuts.ptrace import Entry, Exit, NotPossible, traced
from tests.faults.power_cuts.telling import MARKS
from tests.faults.power_cuts.trace import ROOT, Add, Event, Mark, Op, Remove, Sync, Trace, Truncate, Write

__all__ = ["Recorder", "record"]

_AT_FDCWD = 0xFFFFFF9C
_NOT_MODELLED = frozenset({"sync", "syncfs", "splice", "copy_file_range", "truncate", "symlink"})
_SHARED, _WRITABLE = 0x01, 0x2


def record(work: Callable[[], None], root: Path) -> Trace:
    """Run `work` in a child and record what it does to files under `root`, which is empty.

    Raises: NotPossible, also where the child ended otherwise than well or did what the model does not know.
    """
    recorder = Recorder(root)
    descriptor = os.open("/dev/null", os.O_WRONLY)
    statuses: list[int] = []

    def child() -> None:
        os.dup2(descriptor, MARKS)
        work()

    try:
        for stop in traced(child, ended=statuses.append):
            recorder.see(stop)
    finally:
        os.close(descriptor)
    if statuses != [0]:
        raise NotPossible(f"what was to be recorded ended with {statuses}")
    return recorder.trace()


@dataclass
class _Pending:
    begun: int
    ops: list[Op]
    finish: Callable[[int], None] | None = None


@dataclass
class Recorder:
    """Follows the calls, with its own picture of the folders."""

    root: Path
    _position: int = 0
    _events: list[Event] = field(default_factory=list)
    _under_way: dict[int, _Pending] = field(default_factory=dict)
    _things: dict[tuple[int, int], int] = field(default_factory=dict)
    _children: dict[int, dict[str, int]] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)
    _trace: Trace = field(default_factory=Trace)
    _next: int = ROOT
    _made_anew: set[int] = field(default_factory=set)  # SQLite's index of the log, which no start believes

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        if any(self.root.iterdir()):
            raise ValueError("the folder that is recorded must be empty")
        self._things[self._key(self.root)] = ROOT
        self._children[ROOT] = {}

    def trace(self) -> Trace:
        """What was seen; calls that had no end are kept, as they may have been done."""
        for pending in self._under_way.values():
            self._events += [Event(pending.begun, inf, op) for op in pending.ops]
        self._under_way.clear()
        self._trace.events = sorted(self._events, key=lambda each: each.begun)
        return self._trace

    def see(self, stop: Entry | Exit) -> None:
        """One stop of the child."""
        if isinstance(stop, Entry):
            pending = self._begun(stop)
            if pending is not None:
                self._under_way[stop.thread] = pending
                self._position += 1
            return
        ended = self._under_way.pop(stop.entry.thread, None)
        if ended is None or stop.result < 0:
            return
        if ended.finish is not None:
            ended.finish(stop.result)
        self._events += [Event(ended.begun, self._position, op) for op in ended.ops]
        self._position += 1

    # ---- what a call is about to do ----

    def _begun(self, entry: Entry) -> _Pending | None:
        name = entry.name
        if name in ("open", "openat", "openat2", "creat"):
            return self._opening(entry)
        if name in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile"):
            return self._writing(entry)
        if name in ("fsync", "fdatasync"):
            thing = self._open_thing(entry, entry.arguments[0])
            return None if thing is None else self._pending(Sync(thing, only_data=name == "fdatasync"))
        if name == "ftruncate":
            thing = self._open_thing(entry, entry.arguments[0])
            if thing is None or thing in self._made_anew:
                return None
            self._sizes[thing] = entry.arguments[1]
            return self._pending(Truncate(thing, entry.arguments[1]))
        if name == "fallocate":
            return self._making_room(entry)
        if name in ("mmap", "sync_file_range"):
            return self._mapping(entry) if name == "mmap" else None
        if name in _NOT_MODELLED:
            self._require_elsewhere(entry)
            return None
        return self._naming(entry)

    def _pending(self, *ops: Op, finish: Callable[[int], None] | None = None) -> _Pending:
        return _Pending(self._position, list(ops), finish)

    def _opening(self, entry: Entry) -> _Pending | None:
        folder, path, flags = _AT_FDCWD, entry.arguments[0], entry.arguments[1]
        if entry.name == "creat":
            flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
        elif entry.name != "open":
            folder, path, flags = entry.arguments[:3]
        if entry.name == "openat2":
            (flags,) = struct.unpack("Q", entry.read(flags, 8))
        if not flags & (os.O_CREAT | os.O_TRUNC):
            return None
        place = self._place(entry, folder, path)
        if place is None:
            return None
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise NotPossible("a file without a name is not modelled")
        inside, name = place
        known = self._children[inside].get(name)
        if known is not None:
            if flags & os.O_TRUNC and self._sizes.get(known):
                self._sizes[known] = 0
                return self._pending(Truncate(known, 0))
            return None
        if not flags & os.O_CREAT:
            return None
        pending = self._pending()

        def finish(result: int) -> None:
            thing = self._new(inside, name, self._key(Path(f"/proc/{entry.thread}/fd/{result}")))
            if thing not in self._made_anew:
                pending.ops.append(Add(inside, name, thing))

        pending.finish = finish
        return pending

    def _writing(self, entry: Entry) -> _Pending | None:
        descriptor = entry.arguments[0]
        if entry.name == "write" and descriptor == MARKS:
            machine, text = json.loads(entry.read(*entry.arguments[1:3]))
            return self._pending(Mark(machine, text))
        thing = self._open_thing(entry, descriptor)
        if thing is None or thing in self._made_anew:
            return None
        if entry.name == "sendfile":
            raise NotPossible("sendfile into a file is not modelled")
        if entry.name in ("write", "pwrite64"):
            data = entry.read(*entry.arguments[1:3])
        else:
            data = _gathered(entry, *entry.arguments[1:3])
        at_its_place = entry.name in ("write", "writev")
        offset = self._offset(entry, descriptor, thing) if at_its_place else entry.arguments[3]
        self._sizes[thing] = max(self._sizes.get(thing, 0), offset + len(data))
        pending = self._pending(Write(thing, offset, data))

        def finish(result: int) -> None:
            pending.ops[:] = [Write(thing, offset, data[:result])]

        pending.finish = finish
        return pending

    def _naming(self, entry: Entry) -> _Pending | None:
        arguments = entry.arguments
        name = entry.name
        at = name.endswith(("at", "at2"))
        place = self._place(entry, *(arguments[:2] if at else (_AT_FDCWD, arguments[0])))
        if name in ("mkdir", "mkdirat"):
            return None if place is None else self._made(*place)
        if name in ("unlink", "unlinkat", "rmdir"):
            return None if place is None else self._removed(*place)
        target = self._place(entry, *(arguments[2:4] if at else (_AT_FDCWD, arguments[1])))
        if place is None and target is None:
            return None
        if place is None or target is None or (name == "renameat2" and arguments[4] & 2):
            raise NotPossible(f"{name} over the edge of what is recorded is not modelled")
        if name in ("link", "linkat"):
            thing = self._children[place[0]].get(place[1])
            if thing is None or target[1] in self._children[target[0]]:
                return None  # it will fail
            self._children[target[0]][target[1]] = thing
            return self._pending(Add(*target, thing))
        return self._renamed(*place, *target)

    def _made(self, folder: int, name: str) -> _Pending | None:
        if name in self._children[folder]:
            return None
        pending = self._pending()

        def finish(_: int) -> None:
            thing = self._new(folder, name, self._key(self._path_of(folder) / name))
            self._trace.folders.add(thing)
            self._children[thing] = {}
            pending.ops.append(Add(folder, name, thing))

        pending.finish = finish
        return pending

    def _removed(self, folder: int, name: str) -> _Pending | None:
        thing = self._children[folder].get(name)
        if thing is None:
            return None
        ops = [] if thing in self._made_anew else [Remove(folder, name, thing)]
        return self._pending(*ops, finish=lambda _: self._forget(folder, name))

    def _renamed(self, folder: int, name: str, to_folder: int, to_name: str) -> _Pending | None:
        thing = self._children[folder].get(name)
        if thing is None:
            return None
        if folder == to_folder:
            ops: list[Op] = [Add(folder, to_name, thing, instead_of=name)]
        else:  # two folders, each with its own pages on the disk: one may last without the other
            ops = [Add(to_folder, to_name, thing), Remove(folder, name, thing)]

        def finish(_: int) -> None:
            self._forget(folder, name)
            self._children[to_folder][to_name] = thing

        return self._pending(*ops, finish=finish)

    def _making_room(self, entry: Entry) -> _Pending | None:
        """A file grows by zeros: what fallocate(2) promises without a mode."""
        descriptor, mode, offset, length = entry.arguments[:4]
        thing = self._open_thing(entry, descriptor)
        if thing is None or thing in self._made_anew:
            return None
        if mode:
            raise NotPossible("fallocate with a mode is not modelled")
        self._sizes[thing] = max(self._sizes[thing], offset + length)
        return self._pending(Truncate(thing, self._sizes[thing]))

    def _mapping(self, entry: Entry) -> None:
        _, _, rights, flags, descriptor, _ = entry.arguments
        if not flags & _SHARED or not rights & _WRITABLE or descriptor >= 1 << 31:
            return
        thing = self._open_thing(entry, descriptor)
        if thing is not None and thing not in self._made_anew:
            raise NotPossible("a file that is written through memory is not modelled")

    def _require_elsewhere(self, entry: Entry) -> None:
        if entry.name in ("sync", "syncfs"):
            raise NotPossible("sync of everything is not modelled")
        if entry.name in ("truncate", "symlink"):
            inside = self._place(entry, _AT_FDCWD, entry.arguments[0 if entry.name == "truncate" else 1])
        else:
            inside = self._open_thing(entry, entry.arguments[2 if entry.name in ("splice", "copy_file_range") else 0])
        if inside is not None:
            raise NotPossible(f"{entry.name} is not modelled")

    # ---- which file ----

    def _new(self, folder: int, name: str, key: tuple[int, int]) -> int:
        self._next += 1
        thing = self._things[key] = self._next
        self._children[folder][name] = thing
        self._sizes[thing] = 0
        if name.endswith("-shm"):
            self._made_anew.add(thing)
        self._trace.machine_of[thing] = name if folder == ROOT else self._trace.machine_of[folder]
        return thing

    def _forget(self, folder: int, name: str) -> None:
        self._children[folder].pop(name, None)

    def _open_thing(self, entry: Entry, descriptor: int) -> int | None:
        try:
            return self._things.get(self._key(Path(f"/proc/{entry.thread}/fd/{descriptor}")))
        except OSError:
            return None

    def _offset(self, entry: Entry, descriptor: int, thing: int) -> int:
        """Where a write without an offset goes."""
        told = dict(
            line.split(":", 1) for line in Path(f"/proc/{entry.thread}/fdinfo/{descriptor}").read_text().splitlines()
        )
        return self._sizes.get(thing, 0) if int(told["flags"], 8) & os.O_APPEND else int(told["pos"])

    def _place(self, entry: Entry, folder: int, path: int) -> tuple[int, str] | None:
        """The folder, as its number, and the name in it; None for what lies elsewhere."""
        text = entry.text(path)
        if not text.startswith("/"):
            at = "cwd" if folder & 0xFFFFFFFF == _AT_FDCWD else f"fd/{folder}"
            text = f"{os.readlink(f'/proc/{entry.thread}/{at}')}/{text}"
        parts = Path(os.path.normpath(text)).parts
        base = self.root.parts
        if parts[: len(base)] != base or len(parts) == len(base):
            return None
        inside: int | None = ROOT
        for part in parts[len(base) : -1]:
            inside = self._children.get(inside, {}).get(part)
            if inside is None:
                return None  # it will fail
        return (inside, parts[-1]) if inside in self._children else None

    def _path_of(self, folder: int) -> Path:
        if folder == ROOT:
            return self.root
        for parent, names in self._children.items():
            for name, thing in names.items():
                if thing == folder:
                    return self._path_of(parent) / name
        raise NotPossible("a folder that was removed")

    def _key(self, path: Path) -> tuple[int, int]:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            return found.st_dev, found.st_ino
        return -1, -1


def _gathered(entry: Entry, address: int, count: int) -> bytes:
    raw = entry.read(address, 16 * count)
    return b"".join(entry.read(*struct.unpack_from("QQ", raw, 16 * index)) for index in range(count))
