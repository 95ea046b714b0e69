"""Tables of the audit journal: ids and codes only."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["JournalHeadRow", "JournalRow"]


class JournalRow(NodeTable, table=True):
    """One line; `hash` covers the line and the hash of the one before."""

    __tablename__ = "journal"

    line: int = Field(primary_key=True)
    at: datetime
    actor: str
    action: str
    subject: str = Field(index=True)
    outcome: str
    facts: str  # JSON, sorted keys
    hash: bytes


class JournalHeadRow(NodeTable, table=True):
    """The node's signature over the chain as far as one line."""

    __tablename__ = "journal_head"

    line: int = Field(primary_key=True)
    at: datetime
    hash: bytes
    signature: bytes  # a serialised cordee.v1.Signature
