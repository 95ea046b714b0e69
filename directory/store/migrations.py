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


MIGRATIONS: tuple[Migration, ...] = (_joining, _refusals)
"""In order; what is appended makes the next version."""


def directory_database(path: Path, *, crashpoints: Crashpoints | None = None) -> Database:
    """The directory's database, brought up to date when it is opened."""
    return Database(path, DirectoryTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS)
