"""What was erased or withdrawn, in a file of its own: a database restored from a backup must not bring it back."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from cordee.errors import TombstonesDamaged
from cordee.frame import Label, blake2b_256
from cordee.runtime.ballast import Ballast
from cordee.runtime.exhausted import FULL
from node.files import private_folder, sync_folder

__all__ = ["CASE", "TRANSFER", "Tombstone", "Tombstones"]

CASE = "case"
TRANSFER = "transfer"

_START = bytes(32)


@dataclass(frozen=True)
class Tombstone:
    """One thing that must stay gone: what it was, its id, and since when."""

    kind: str
    id: str
    at: datetime


class Tombstones:
    """Append-only lines `kind id time hash`; each hash covers the line and the one before.

    A line that a crash cut off was never acknowledged and is removed; any other damage is refused.
    """

    def __init__(self, path: Path, *, ballast: Ballast | None = None) -> None:
        """Read the file, or start an empty one beside an existing or new folder. `ballast` is given up where there is
        no room: erasing is how people make some. Raises TombstonesDamaged.
        """
        self._ballast = ballast
        private_folder(path.parent)
        self._path = path
        self._lock = Lock()
        self._stones: dict[tuple[str, str], Tombstone] = {}
        self._last = _START
        whole = self._load()
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, whole)
        os.fsync(self._fd)
        sync_folder(path.parent)  # also of an older one: who made it may have been killed before its name was durable

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def add(self, kind: str, id: str, now: datetime) -> None:
        """Set a tombstone, or date an existing one anew. Durable when this returns.

        Raises: ValueError where kind or id hold anything but printable ASCII without spaces.
        """
        for word in (kind, id):
            if not word or not word.isascii() or not word.isprintable() or " " in word:
                raise ValueError("a tombstone holds a kind and an id only")
        with self._lock:
            stone = Tombstone(kind, id, now.astimezone(UTC))
            text = f"{kind} {id} {stone.at.isoformat(timespec='microseconds')}"
            chained = _chain(self._last, text)
            line = f"{text} {chained.hex()}\n".encode("ascii")
            try:
                self._append(line)
            except OSError as failed:
                if failed.errno not in FULL or self._ballast is None or not self._ballast.release():
                    raise
                self._append(line)
            self._last = chained
            self._stones[kind, id] = stone

    def _append(self, line: bytes) -> None:
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
            if written != len(line):  # the rest finds no room
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, before)  # half a line must not stand before the next one
            raise

    def contains(self, kind: str, id: str) -> bool:
        """Whether this was erased or withdrawn."""
        return (kind, id) in self._stones

    def time_of(self, kind: str, id: str) -> datetime | None:
        """Since when, or None."""
        stone = self._stones.get((kind, id))
        return stone.at if stone else None

    def all(self) -> tuple[Tombstone, ...]:
        """Every tombstone; of one that was dated anew, the newest."""
        return tuple(self._stones.values())

    def _load(self) -> int:
        """Read all lines; how many bytes of the file are whole lines."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        whole = 0
        lines = data.split(b"\n")
        torn = lines.pop()  # empty where the last line ended properly
        for number, raw in enumerate(lines, start=1):
            if b"\0" in raw and number == len(lines) and not torn:
                break  # a power cut left the length but not the bytes
            self._read_line(number, raw)
            whole += len(raw) + 1
        return whole

    def _read_line(self, number: int, raw: bytes) -> None:
        try:
            text, _, given = raw.decode("ascii").rpartition(" ")
            kind, name, at = text.split(" ")
            chained = _chain(self._last, text)
            if bytes.fromhex(given) != chained:
                raise TombstonesDamaged(line=number)
            self._stones[kind, name] = Tombstone(kind, name, datetime.fromisoformat(at))
        except ValueError as malformed:
            raise TombstonesDamaged(line=number) from malformed
        self._last = chained


def _chain(previous: bytes, text: str) -> bytes:
    return blake2b_256(Label.TOMBSTONE, previous, text.encode("ascii"))
