"""Tables of the consent acts."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["ActRow", "ActUseRow"]


class ActRow(NodeTable, table=True):
    """One act, as it was recorded; what became of it is added beside it and never changes it."""

    __tablename__ = "act"

    id: str = Field(primary_key=True)
    case_id: str = Field(index=True, foreign_key="case_record.id")
    recorded_at: datetime
    sealed_act: bytes  # with the case's data key
    withdrawn_at: datetime | None = None
    sealed_withdrawal: bytes | None = None  # who withdrew and why, with the case's data key


class ActUseRow(NodeTable, table=True):
    """A received transfer that rests on an act."""

    __tablename__ = "act_use"

    act_id: str = Field(primary_key=True, foreign_key="act.id")
    transfer: bytes = Field(primary_key=True)
