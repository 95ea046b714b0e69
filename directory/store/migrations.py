"""What brings an older database up to date. Frozen SQL: it does not change when the tables change again."""

from __future__ import annotations

from pathlib import Path

from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.runtime.prepared import Connection
from directory.store import DirectoryTable

__all__ = ["MIGRATIONS", "directory_database"]


def _restoration(tx: Connection) -> None:
    """From 1 to 2: a database knows that it came back from a backup."""
    tx.exec_driver_sql("CREATE TABLE restoration (id INTEGER NOT NULL PRIMARY KEY, since INTEGER, restored_at INTEGER)")


MIGRATIONS = (_restoration,)
"""In order; what is appended makes the next version."""


def directory_database(path: Path, *, crashpoints: Crashpoints | None = None) -> Database:
    """The directory's database, not yet open. Whoever opens it brings it up to date."""
    return Database(path, DirectoryTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS)
