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
from node.store import (  # noqa: E402  # see above
    acts,  # noqa: F401
    agenda,  # noqa: F401
    drafts,  # noqa: F401
    journal,  # noqa: F401
    need_to_know,  # noqa: F401
    notices,  # noqa: F401
    people,  # noqa: F401
    records,  # noqa: F401
    roster,  # noqa: F401
    second_factor,  # noqa: F401
    secrets,  # noqa: F401
    teams,  # noqa: F401
    transfers,  # noqa: F401
)
