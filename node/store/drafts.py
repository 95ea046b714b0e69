"""Table of what was typed and not yet saved."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["DraftRow"]


class DraftRow(NodeTable, table=True):
    """One form of one person, as it was last typed. Which form it is stands nowhere in clear."""

    __tablename__ = "draft"

    account_id: str = Field(primary_key=True)
    key_index: bytes = Field(primary_key=True)
    case_id: str | None = Field(default=None, index=True, foreign_key="case_record.id")
    saved_at: datetime = Field(index=True)
    sealed_fields: bytes  # with the case's data key; by the vault where there is no case yet
    sealed_form: bytes | None = None  # which form it is, sealed alike; None where it was typed before version 4
