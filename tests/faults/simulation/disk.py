"""The disks of the processes: what was written and not synchronised can be lost; they fill up, fail, and die midway.

Every process has a folder in memory. At a death the folder is copied as it stands just then, and the next life begins
in the copy: what the corpse still does is nobody's. A kill loses nothing that was written. A power cut may lose what
was not synchronised: bytes that SQLite has written since its last sync, the last of them torn at 512 bytes, and the
ends of other files. Names are durable at once: what power cuts do to folders, tests/faults/power tries.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

from cordee.runtime.ballast import BALLAST

from . import sqlite_vfs
from .owner import PROCESS, Owner

__all__ = ["Disk", "Watching", "copied", "install"]

_SECTOR = 512
_REAL = {name: getattr(os, name) for name in ("open", "write", "writev", "fsync", "unlink", "replace", "link")}


def copied(folder: Path, target: Path, *ignored: str) -> None:
    """Copy a folder, but for shared memory and the names that are `ignored`."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*-shm", *ignored), copy_function=_copy)


def _copy(source: str, target: str) -> None:
    """One file. The ballast's megabytes are zeros: a hole of the same size reads the same and is made in no time."""
    if os.path.basename(source) != BALLAST:
        shutil.copy2(source, target)
        return
    with open(target, "wb") as hole:
        hole.truncate(os.path.getsize(source))
    shutil.copystat(source, target)


class Disk:
    """One process's, for one life. `dies_in` counts its changes down: at 0 the process dies, before that change."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self.folder = folder
        self.chance = chance
        self.full = False
        self.fails = 0  # of 1000 changes
        self.dies_in: int | None = None
        self._unsynced: dict[str, list[tuple[int, bytes, int]]] = {}  # of SQLite's files, since it is to die
        self._made: set[int] = set()
        self._synced: dict[int, int] = {}

    # -- each change --

    @property
    def watched(self) -> bool:
        """Whether anything may go wrong with it just now."""
        return self.full or self.fails > 0 or self.dies_in is not None

    def due(self) -> bool:
        """One change more. Whether it is the one at which the process dies."""
        if self.dies_in is None:
            return False
        self.dies_in -= 1
        return self.dies_in <= 0

    def fault(self, grows: bool) -> int:
        """The error number with which the disk answers, or 0."""
        if self.full and grows:
            return errno.ENOSPC
        if self.fails and self.chance.randrange(1000) < self.fails:
            return errno.EIO
        return 0

    def wrote(self, path: str, offset: int, size: int) -> None:
        """SQLite is about to write: what stands there now is kept, should the power go before the next sync."""
        if self.dies_in is not None and Path(path).is_relative_to(self.folder):  # a copy elsewhere outlives it
            with open(path, "rb", buffering=0) as file:
                file.seek(offset)
                self._unsynced.setdefault(path, []).append((offset, file.read(size), size))

    def synced(self, path: str) -> None:
        self._unsynced.pop(path, None)

    def opened(self, descriptor: int, new: bool) -> None:
        if new:
            self._made.add(os.fstat(descriptor).st_ino)

    def fsynced(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        self._synced[state.st_ino] = state.st_size

    # -- the end --

    def image(self, target: Path, *, power_cut: bool) -> None:
        """What the next life finds."""
        copied(self.folder, target, "run")
        if not power_cut:
            return
        for path, writes in self._unsynced.items():
            copy = target / Path(path).relative_to(self.folder)
            if copy.exists():
                self._undo(copy, writes)
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.name.endswith((".db", "-wal", "-shm", "-journal")):
                self._shorten(path, target)

    def _undo(self, copy: Path, writes: list[tuple[int, bytes, int]]) -> None:
        how = self.chance.randrange(3)
        with copy.open("r+b") as file:
            for offset, before, size in reversed(writes):
                if how == 0 or (how == 1 and self.chance.random() < 0.5):
                    continue
                kept = self.chance.randrange(size // _SECTOR + 1) * _SECTOR if how == 1 else 0
                file.seek(offset + kept)
                file.write(before[kept:].ljust(size - kept, b"\0"))

    def _shorten(self, path: Path, target: Path) -> None:
        state = path.stat()
        durable = self._synced.get(state.st_ino, 0 if state.st_ino in self._made else state.st_size)
        copy = target / path.relative_to(self.folder)
        if durable < state.st_size and copy.exists():
            os.truncate(copy, self.chance.choice((durable, self.chance.randint(durable, state.st_size))))


class Watching:
    """SQLite's changes, asked of whichever process makes them."""

    def writes(self, path: str, offset: int, size: int) -> int:
        return self._ask(path, offset, size)

    def truncates(self, path: str, size: int) -> int:
        return self._ask(path)

    def syncs(self, path: str) -> int:
        answer = self._ask(path)
        disk = _disk()
        if disk is not None and not answer:
            disk.synced(path)
        return answer

    def _ask(self, path: str, offset: int = 0, size: int = 0) -> int:
        owner = PROCESS.get()
        if owner is None:
            return 0
        if not owner.alive:
            return sqlite_vfs.IOERR
        disk = owner.disk
        if not disk.watched:
            return 0
        try:
            owner.touches_disk("sqlite", grows=bool(size))
        except OSError as failed:
            return sqlite_vfs.FULL if failed.errno == errno.ENOSPC else sqlite_vfs.IOERR
        if size:
            disk.wrote(path, offset, size)
        return 0


def _disk() -> Any:
    owner = PROCESS.get()
    return None if owner is None else owner.disk


def install() -> bool:
    """Stand between this interpreter and its disk. False where SQLite's own writes cannot be watched."""

    def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
        owner: Owner | None = PROCESS.get()
        new = owner is not None and bool(flags & os.O_CREAT) and not os.path.exists(path)
        if new and owner is not None:
            owner.touches_disk("open", grows=True)
        descriptor: int = _REAL["open"](path, flags, *args, **options)
        if owner is not None:
            _disk().opened(descriptor, new or bool(flags & os.O_TRUNC))
        return descriptor

    def asking(name: str, grows: bool) -> Any:
        real = _REAL[name]

        def changed(*args: Any, **options: Any) -> Any:
            owner = PROCESS.get()
            if owner is not None:
                owner.touches_disk(name, grows=grows)
            return real(*args, **options)

        return changed

    def fsync(descriptor: int) -> None:
        owner = PROCESS.get()
        if owner is not None:
            owner.touches_disk("fsync", grows=False)
            _disk().fsynced(descriptor)
        # What is in memory is not synchronised any better by asking for it.

    os.open = open_
    os.fsync = fsync
    for name in ("write", "writev", "unlink", "replace", "link"):
        setattr(os, name, asking(name, name in ("write", "writev", "link")))
    return sqlite_vfs.install(Watching())
