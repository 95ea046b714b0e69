"""Table of the cases that were opened for a reason by somebody who is not of their team."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["OpeningRow"]


class OpeningRow(NodeTable, table=True):
    """One opening. It is erased with its case."""

    __tablename__ = "case_opening"

    id: str = Field(primary_key=True)
    case_id: str = Field(index=True, foreign_key="case_record.id")
    account_id: str = Field(index=True)
    at: datetime
    ends_at: datetime
    looked_at: datetime | None = None  # by a lead
    looked_by: str | None = None
    sealed_reason: bytes  # with the case's data key
