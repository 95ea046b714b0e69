"""The node's tables: storage, not the domain. In clear stand ids, states and times; all else is sealed."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

__all__ = ["NodeTable", "table_of"]


class NodeTable(SQLModel, registry=registry()):
    """Base of every table of the node, apart from the directory's: `NodeTable.metadata` holds them all."""


def table_of(row: type[NodeTable]) -> Table:
    """The Core table behind a row class: statements on it cost a tenth of an ORM session."""
    return NodeTable.metadata.tables[str(row.__tablename__)]


# Whoever makes the database must know every table, whichever modules it uses. At the end, for they import the base.
from node.store import acts, journal, people, records, roster, secrets, transfers  # noqa: E402, F401  # see above
