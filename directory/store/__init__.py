"""The directory's tables: storage, not the domain. Times are whole microseconds since 1970, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Table
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

__all__ = ["DirectoryTable", "micros", "moment", "table_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class DirectoryTable(SQLModel, registry=registry()):
    """Base of every table of the directory, apart from a node's: `DirectoryTable.metadata` holds them all."""


def table_of(row: type[DirectoryTable]) -> Table:
    """The Core table behind a row class: statements on it cost a tenth of an ORM session."""
    return DirectoryTable.metadata.tables[str(row.__tablename__)]


def micros(time: datetime) -> int:
    """A time as it stands in a column: SQLite has no type that keeps the time zone."""
    return (time - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """A column's time."""
    return _EPOCH + value * _MICROSECOND
