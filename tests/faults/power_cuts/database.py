"""A database after a power cut, opened by SQLite itself: whether it is sound, and what it says."""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.power_cuts.disk import Content, Image

__all__ = ["NOTHING", "Found", "Opener"]

_BESIDE = ("", "-wal", "-journal")


@dataclass(frozen=True)
class Found:
    """What a database says. `said` is the same for two that hold the same rows, wherever they lie in the file."""

    said: bytes
    files: frozenset[str] = frozenset()
    """The attachments that its cases name."""
    days: frozenset[int] = frozenset()
    """The days (ordinals) whose in-flight keys it needs."""
    secrets: int = 0
    """How many secrets of its own it holds, all sealed under the vault's key."""
    entries: int = 0
    """Of the roster log, in the directory."""
    problem: str = ""


NOTHING = Found(hashlib.sha256().digest())
"""No database, or one without a table: as before it was made."""


class Opener:
    """Opens images of one database, which lies under `base`, each different one once. `folder` is its own."""

    def __init__(self, folder: Path, base: str, name: str) -> None:
        self._folder = folder
        self._base = base
        self._name = name
        self._known: dict[tuple[bytes, ...], Found] = {}
        self._there: dict[str, bytes] = {}
        self._seen: dict[tuple[int, int], Found] = {}
        self.opened = 0
        """How many different ones."""

    def found(self, image: Image) -> Found:
        """What it says. Where it does not open or is not sound, that is its `problem`."""
        parts = [image.files.get(self._base + self._name + suffix) for suffix in _BESIDE]
        key = tuple(b"" if each is None else each.digest for each in parts)
        known = self._known.get(key)
        if known is None:
            self.opened += 1
            known = self._known[key] = self._open(dict(zip(_BESIDE, parts, strict=True)))
        return known

    def _open(self, parts: Mapping[str, Content | None]) -> Found:
        path = self._folder / self._name
        for suffix, content in parts.items():
            beside = path.with_name(path.name + suffix)
            if content is None:
                beside.unlink(missing_ok=True)
                self._there.pop(suffix, None)
            elif self._there.get(suffix) != content.digest:
                beside.write_bytes(content.data)
                self._there[suffix] = content.digest
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        if parts[""] is None:
            return NOTHING
        # The log is read by a connection that writes nothing, so that the files need not be laid out anew for the next;
        # a rollback journal asks to be rolled back.
        rolled_back = parts["-journal"] is not None
        if rolled_back:
            self._there.clear()
        place = f"file:{path}?mode={'rw' if rolled_back else 'ro'}"
        try:
            with contextlib.closing(sqlite3.connect(place, isolation_level=None, uri=True)) as connection:
                return self._look(connection)
        except sqlite3.Error as error:
            return Found(b"", problem=f"{type(error).__name__}: {error}")

    def _look(self, connection: sqlite3.Connection) -> Found:
        """What SQLite sees, with what it takes from the log: the same pages are checked and read once."""
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            return NOTHING
        whole = connection.serialize()
        pages = len(whole), hash(whole)  # of 64 bits, keyed in each process: a third of what a digest costs
        if pages not in self._seen:
            self._seen[pages] = _read(connection)
        return self._seen[pages]


def _read(connection: sqlite3.Connection) -> Found:
    found = connection.execute("PRAGMA integrity_check").fetchall()
    if found != [("ok",)]:
        return Found(b"", problem=f"integrity_check: {found[:3]}")
    said = hashlib.sha256()
    tables = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    if not tables:
        return NOTHING
    said.update(repr(tables).encode())
    rows: dict[str, list[tuple[object, ...]]] = {}
    for name, sql in tables:
        if sql is not None and sql.startswith("CREATE TABLE"):
            rows[name] = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            said.update(marshal.dumps((name, rows[name]), 2))  # version 2: the same values, the same bytes
    return Found(
        said.digest(),
        files=_column(connection, rows, "attachment", "file_id"),
        days=frozenset(
            int.from_bytes(each[:4], "big")
            for column in ("sealed_one_time_seed", "sealed_content_key")
            for each in _column(connection, rows, "transfer", column)
        ),
        secrets=len(rows.get("secret", ())),
        entries=len(rows.get("entry", ())),
    )


def _column(connection: sqlite3.Connection, rows: Mapping[str, object], table: str, column: str) -> frozenset[object]:
    if table not in rows:
        return frozenset()
    known = {each[1] for each in connection.execute(f"PRAGMA table_info({table})")}
    if column not in known:
        return frozenset()
    return frozenset(each for (each,) in connection.execute(f"SELECT {column} FROM {table}") if each)
