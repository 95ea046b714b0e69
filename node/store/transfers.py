"""Tables of the two halves of a transfer. In clear: ids, states, times, sizes and signed statements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from node.store import NodeTable

__all__ = ["CursorRow", "PutAsideRow", "StatementRow", "TransferRow", "WithdrawnRow"]


class TransferRow(NodeTable, table=True):
    """One transfer, as this node knows it."""

    __tablename__ = "transfer"
    # One open offer for each case and recipient: the database itself refuses a second one.
    __table_args__ = (
        Index(
            "one_open_offer",
            "case_id",
            "peer",
            unique=True,
            sqlite_where=text("outgoing AND state IN ('offered', 'accepted', 'shipped')"),
        ),
        Index("transfer_by_case", "case_id"),
        Index("transfer_by_job", "job", sqlite_where=text("job IS NOT NULL")),
        Index("transfer_by_time", "updated_at"),
        Index("transfer_open", "state", sqlite_where=text("state IN ('offered', 'accepted', 'shipped')")),
        Index("transfer_to_erase", "erasure", sqlite_where=text("erasure = 'asked'")),
    )

    id: bytes = Field(primary_key=True)
    outgoing: bool
    peer: bytes
    state: str
    case_id: str | None = None
    token_id: bytes
    act_id: str | None = None
    opened_at: datetime
    updated_at: datetime
    expires_at: datetime
    hands_over: bool = False  # responsibility moves with it; known to a recipient once the summary is open
    sealed_terms: bytes  # Terms (sender) or Summary (recipient), sealed by the vault
    sealed_taken: bytes | None = None  # SectionsTaken, sealed by the vault; recipient, once it has accepted
    sealed_reason: bytes | None = None  # why it was declined or refused, sealed by the vault
    sealed_content_key: bytes | None = None  # in-flight key; sender, until the receipt
    sealed_one_time_seed: bytes | None = None  # in-flight key; recipient, until the receipt
    ciphertext_header: bytes | None = None  # sender, once the spool is complete
    manifest_digest: bytes | None = None  # sender, once the spool is complete
    job: str | None = None  # what this node still has to do by itself: "ship", "fetch" or "answer"
    total_bytes: int = 0
    erasure: str | None = None  # of something received: asked, done or refused; returned unasked


class StatementRow(NodeTable, table=True):
    """One signed statement of a transfer; of our own, those not yet taken by the broker are the outbox."""

    __tablename__ = "statement"

    transfer_id: bytes = Field(primary_key=True)
    kind: str = Field(primary_key=True)  # cordee.transfer.Kind
    position: int
    signed: bytes
    digest: bytes
    ours: bool
    waits: bool = Field(index=True)  # ours, and the broker has not answered yet
    at: datetime


class WithdrawnRow(NodeTable, table=True):
    """A withdrawal whose offer this node has not seen: the offer, when it comes, is over already."""

    __tablename__ = "withdrawn_by"

    sender: bytes = Field(primary_key=True)  # who signed it; empty where an older version kept it
    token_id: bytes = Field(primary_key=True)
    transfer_id: bytes
    at: datetime


class PutAsideRow(NodeTable, table=True):
    """A statement of the other party's that waits until nobody concerned is suspended."""

    __tablename__ = "put_aside"

    id: int | None = Field(default=None, primary_key=True)
    digest: bytes = Field(unique=True)
    signed: bytes
    at: datetime


class CursorRow(NodeTable, table=True):
    """How far this node has kept the directory's events."""

    __tablename__ = "event_cursor"

    name: str = Field(primary_key=True)
    sequence: int
