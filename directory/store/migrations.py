"""The directory's database from one version of its tables to the next."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database, Migration
from directory.store import DirectoryTable

__all__ = ["MIGRATIONS", "directory_database"]

_FIGURES = (
    """CREATE TABLE tally (
        year INTEGER NOT NULL, figure VARCHAR NOT NULL, side VARCHAR NOT NULL, member BLOB NOT NULL,
        number INTEGER NOT NULL, PRIMARY KEY (year, figure, side, member))""",
    "CREATE TABLE counting (id INTEGER NOT NULL PRIMARY KEY, since INTEGER NOT NULL)",
    """CREATE TABLE closed_year (
        year INTEGER NOT NULL PRIMARY KEY, closed_at INTEGER NOT NULL, figures BLOB NOT NULL)""",
)


def _figures(tx: Connection) -> None:
    """What is counted for the yearly report. What happened before is in no figure, and the report says since when."""
    for statement in _FIGURES:
        tx.exec_driver_sql(statement)


MIGRATIONS: tuple[Migration, ...] = (_figures,)
"""In order; what is appended makes the next version."""


def directory_database(path: Path, *, crashpoints: Crashpoints | None = None) -> Database:
    """The directory's database, brought up to date when it is opened."""
    return Database(path, DirectoryTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS)
