"""The directory's database from one version of its tables to the next."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database, Migration
from directory.store import DirectoryTable

__all__ = ["MIGRATIONS", "directory_database"]


def _joining(tx: Connection) -> None:
    """2: when a request to join was compared, decided, and its node connected."""
    for column in ("compared_at", "decided_at", "connected_at"):
        tx.exec_driver_sql(f"ALTER TABLE join_request ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def _refusals(tx: Connection) -> None:
    """3: a card that an administrator refused."""
    tx.exec_driver_sql("ALTER TABLE card ADD COLUMN refusal BLOB")


_HELD = (
    """CREATE TABLE held_checkpoint (
        member BLOB NOT NULL PRIMARY KEY, size INTEGER NOT NULL, heard_at INTEGER NOT NULL, held BLOB NOT NULL)""",
    "CREATE INDEX ix_held_checkpoint_heard_at ON held_checkpoint (heard_at)",
)


def _who_knows(tx: Connection) -> None:
    """4: how much of the log each member's node says it holds."""
    for statement in _HELD:
        tx.exec_driver_sql(statement)


MIGRATIONS: tuple[Migration, ...] = (_joining, _refusals, _who_knows)
"""In order; what is appended makes the next version."""


def directory_database(path: Path, *, crashpoints: Crashpoints | None = None) -> Database:
    """The directory's database, brought up to date when it is opened."""
    return Database(path, DirectoryTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS)
