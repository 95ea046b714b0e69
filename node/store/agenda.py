"""Table of what cases and acts ask for, and when."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import Field

from node.store import NodeTable

__all__ = ["AgendaRow"]


class AgendaRow(NodeTable, table=True):
    """One case (under its own id) or one act, whatever it asks for: there is always exactly one row.

    In clear stands one number, the week in which it first has to be told. How many things there are, of what kind and
    for when is sealed, and padded, so that a stolen disk does not tell an emergency from a yearly review.
    """

    __tablename__ = "agenda"
    __table_args__ = (
        Index("agenda_by_week", "week"),
        Index("agenda_to_make", "id", sqlite_where=text("sealed_due IS NULL")),
    )

    id: str = Field(primary_key=True)
    case_id: str = Field(index=True, foreign_key="case_record.id")
    week: int | None = None  # counted from the year 1; None: nothing is asked for
    sealed_due: bytes | None = None  # with the case's data key; None in a database of before, until it is made
