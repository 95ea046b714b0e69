"""Table of who wants to be told by e-mail that something waits."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["NoticeRow"]


class NoticeRow(NodeTable, table=True):
    """One person's wish. Whoever wants none has no row, and no address here."""

    __tablename__ = "notice"

    account_id: str = Field(primary_key=True, foreign_key="account.id")
    sealed_wish: bytes  # address and language; by the vault
    sealed_known: bytes  # what they have seen or been told of, as short hashes; by the vault
    sent_at: datetime | None = None
    due_at: datetime | None = None  # when the next one leaves: something waits that they do not know of
