"""What brings an older database up to date. Frozen SQL: it does not change when the tables change again."""

from __future__ import annotations

from pathlib import Path

from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.runtime.prepared import Connection
from directory.store import DirectoryTable

__all__ = ["MIGRATIONS", "directory_database"]

_HELD = (
    """CREATE TABLE held_checkpoint (
        member BLOB NOT NULL PRIMARY KEY, size INTEGER NOT NULL, heard_at INTEGER NOT NULL, held BLOB NOT NULL)""",
    "CREATE INDEX ix_held_checkpoint_heard_at ON held_checkpoint (heard_at)",
)


def _who_knows(tx: Connection) -> None:
    """How much of the log each member's node says it holds."""
    for statement in _HELD:
        tx.exec_driver_sql(statement)


MIGRATIONS = (_who_knows,)


def directory_database(path: Path, *, crashpoints: Crashpoints | None = None) -> Database:
    """The directory's database, made or brought up to date when it is opened."""
    return Database(path, DirectoryTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS)
