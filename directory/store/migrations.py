"""What brings an older database up to date. Frozen SQL: it does not change when the tables change again."""

from __future__ import annotations

from pathlib import Path

from cordee.runtime.ballast import Ballast
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database, Migration
from cordee.runtime.prepared import Connection
from directory.store import DirectoryTable

__all__ = ["MIGRATIONS", "directory_database"]

_HELD = (
    """CREATE TABLE held_checkpoint (
        member BLOB NOT NULL PRIMARY KEY, size INTEGER NOT NULL, heard_at INTEGER NOT NULL, held BLOB NOT NULL)""",
    "CREATE INDEX ix_held_checkpoint_heard_at ON held_checkpoint (heard_at)",
)


def _who_knows(tx: Connection) -> None:
    """2: how much of the log each member's node says it holds."""
    for statement in _HELD:
        tx.exec_driver_sql(statement)


def _joining(tx: Connection) -> None:
    """3: when a request to join was compared, decided, and its node connected."""
    for column in ("compared_at", "decided_at", "connected_at"):
        tx.exec_driver_sql(f"ALTER TABLE join_request ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def _refusals(tx: Connection) -> None:
    """4: a card that an administrator refused."""
    tx.exec_driver_sql("ALTER TABLE card ADD COLUMN refusal BLOB")


_FIGURES = (
    """CREATE TABLE tally (
        year INTEGER NOT NULL, figure VARCHAR NOT NULL, side VARCHAR NOT NULL, member BLOB NOT NULL,
        number INTEGER NOT NULL, PRIMARY KEY (year, figure, side, member))""",
    "CREATE TABLE counting (id INTEGER NOT NULL PRIMARY KEY, since INTEGER NOT NULL)",
    """CREATE TABLE closed_year (
        year INTEGER NOT NULL PRIMARY KEY, closed_at INTEGER NOT NULL, figures BLOB NOT NULL)""",
)


def _figures(tx: Connection) -> None:
    """5: what is counted for the yearly report. What happened before is in no figure; the report says since when."""
    for statement in _FIGURES:
        tx.exec_driver_sql(statement)


def _restoration(tx: Connection) -> None:
    """6: a database knows that it came back from a backup."""
    tx.exec_driver_sql("CREATE TABLE restoration (id INTEGER NOT NULL PRIMARY KEY, since INTEGER, restored_at INTEGER)")


MIGRATIONS: tuple[Migration, ...] = (_who_knows, _joining, _refusals, _figures, _restoration)
"""In order; what is appended makes the next version."""


def directory_database(
    path: Path, *, crashpoints: Crashpoints | None = None, ballast: Ballast | None = None
) -> Database:
    """The directory's database, made or brought up to date when it is opened."""
    return Database(path, DirectoryTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS, ballast=ballast)
