"""The last checkpoint that was signed, in a file of its own (protocol §10).

The database can be restored from a backup; this file must not be. It is flushed before a checkpoint leaves, so the
directory never signs a log that is shorter than one it signed before, or another one. It is made with the network: a
database that has entries and no such file came without it from a backup, and nobody knows here what was signed since.
"""

from __future__ import annotations

import errno
import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cordee.errors import LogBehind
from cordee.ids import Digest
from cordee.log import MerkleTree
from directory import files

__all__ = ["LastSigned"]

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class _Head:
    size: int
    root: Digest
    time: datetime | None = None  # none of a log that was not signed here yet, or by an earlier version


class LastSigned:
    """The guard. One process holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = _read(path)
        self._writing = threading.Lock()

    @property
    def size(self) -> int:
        """Entries under the last signature; 0 before the first."""
        return self._head.size if self._head else 0

    @property
    def time(self) -> datetime | None:
        """Of the last signature, to the second, where it is known."""
        return self._head.time if self._head else None

    def begin(self) -> None:
        """The network is about to be founded: nothing was signed yet, and from here on the file is there."""
        if self._head is None:
            self._write(_Head(size=0, root=Digest(MerkleTree().root())))

    def is_ahead(self, tree: MerkleTree) -> bool:
        """More was signed than is here, or, without the file, perhaps more."""
        return tree.size < self._head.size if self._head is not None else tree.size > 0

    def check(self, tree: MerkleTree) -> None:
        """The log continues what was signed. Raises: LogBehind."""
        if self._head is None:
            if tree.size:
                raise LogBehind(size=tree.size, signed="?")
            return
        if tree.size < self._head.size or tree.root(self._head.size) != self._head.root:
            raise LogBehind(size=tree.size, signed=self._head.size)

    def settle(self, tree: MerkleTree) -> None:
        """After a restore without the file: this log is the longest that anybody holds. Only people can know that."""
        if self._head is None:
            self._write(_Head(size=tree.size, root=Digest(tree.root())))

    def _write(self, head: _Head) -> None:
        plain = {"size": head.size, "root": head.root.hex()}
        if head.time is not None:
            plain["time"] = int(head.time.timestamp())
        files.replace(self._path, json.dumps(plain).encode())
        self._head = head

    def advance(self, tree: MerkleTree, *, time: datetime) -> None:
        """Remember, durably, that this log is about to be signed, under this time. Raises: LogBehind, OSError.

        On a full disk the same log is signed all the same, under a time that is remembered by this process alone: a
        directory that stays silent would stop everybody.
        """
        with self._writing:  # two that are signed at once have one file beside this one
            self.check(tree)
            head = _Head(size=tree.size, root=Digest(tree.root()), time=time)
            if head == self._head:
                return
            try:
                self._write(head)
            except OSError as failed:
                if (
                    failed.errno not in _NO_ROOM
                    or self._head is None
                    or replace(head, time=self._head.time) != self._head
                ):
                    raise
                self._head = head


def _read(path: Path) -> _Head | None:
    if not path.exists():
        return None
    try:
        plain = json.loads(files.read_whole(path))
        time = datetime.fromtimestamp(int(plain["time"]), UTC) if "time" in plain else None
        return _Head(size=int(plain["size"]), root=Digest(bytes.fromhex(plain["root"])), time=time)
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        # Unreadable is not the same as absent: whoever truncates this file must not switch the guard off.
        raise LogBehind(size="?", signed="?") from error
