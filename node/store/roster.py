"""Tables of the node's own copy of the roster. Nothing in them is secret."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["AlarmRow", "CardRow", "EntryRow", "EvidenceRow", "EvidenceViewRow", "HeadRow"]


class EntryRow(NodeTable, table=True):
    """One leaf of the log, as its bytes were received and verified."""

    __tablename__ = "roster_entry"

    position: int = Field(primary_key=True)
    entry: bytes


class HeadRow(NodeTable, table=True):
    """The newest checkpoint that verified. One row."""

    __tablename__ = "roster_head"

    id: int = Field(default=1, primary_key=True)
    note: str
    card_revision: int = 0


class CardRow(NodeTable, table=True):
    """The newest card of each member, with its profile."""

    __tablename__ = "card"

    member: bytes = Field(primary_key=True)
    number: int
    signed: bytes
    profile: bytes


class EvidenceRow(NodeTable, table=True):
    """What the directory signed and should not have: both checkpoints of a fork or a rollback."""

    __tablename__ = "evidence"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    reason: str
    kept: str  # our own signed checkpoint
    shown: str  # what was shown to us


class EvidenceViewRow(NodeTable, table=True):
    """The log under what was shown, where the directory gave it out: only with it can a longer one be compared."""

    __tablename__ = "evidence_view"

    evidence_id: int = Field(primary_key=True, foreign_key="evidence.id")
    view: bytes  # a serialised cordee.v1.RosterView


class AlarmRow(NodeTable, table=True):
    """Why transfers stand still, until a later look at the roster verifies. At most one row."""

    __tablename__ = "roster_alarm"

    id: int = Field(default=1, primary_key=True)
    at: datetime
    reason: str
    facts: str  # JSON
