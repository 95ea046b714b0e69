"""Tables of the transfers, their statements, and the events that tell the other party.

There is nothing of a case in them: ids, states, times, sizes and signed statements, in which all else is sealed.
"""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import Field

from directory.store import DirectoryTable

__all__ = ["ErasureRow", "EventRow", "SequenceRow", "StatementRow", "TransferRow"]


class TransferRow(DirectoryTable, table=True):
    """Where one transfer stands."""

    __tablename__ = "transfer"
    # What a sender has under way, without going through everything it ever sent.
    __table_args__ = (Index("open_by_sender", "sender", "counted", sqlite_where=text("ends_at IS NOT NULL")),)

    id: bytes = Field(primary_key=True)
    sender: bytes = Field(index=True)
    recipient: bytes = Field(index=True)
    token_id: bytes = Field(unique=True)  # a consent token is for one transfer
    state: str
    size_bound: int
    offer_expires: int
    token_expires: int
    key_expires: int | None = None
    ends_at: int | None = Field(default=None, index=True)  # when time ends it; none in an end state
    counted: int  # bytes that count against the sender's quota; 0 once it has ended


class StatementRow(DirectoryTable, table=True):
    """One statement that was taken, and what it made of the transfer."""

    __tablename__ = "statement"

    transfer_id: bytes = Field(primary_key=True, foreign_key="transfer.id")
    position: int = Field(primary_key=True)
    kind: str
    digest: bytes = Field(unique=True)
    signed: bytes
    state_after: str  # what was answered: the same statement again is answered the same


class EventRow(DirectoryTable, table=True):
    """One event that a member has not yet said to have kept. `position` null: the transfer expired."""

    __tablename__ = "event"

    member: bytes = Field(primary_key=True)
    sequence: int = Field(primary_key=True)
    time: int
    transfer_id: bytes = Field(foreign_key="transfer.id")
    position: int | None = None


class SequenceRow(DirectoryTable, table=True):
    """The last sequence number given to a member's events. It outlives the events."""

    __tablename__ = "event_sequence"

    member: bytes = Field(primary_key=True)
    last: int


class ErasureRow(DirectoryTable, table=True):
    """Waiting ciphertext that is to be erased: written with the end of a transfer, deleted once the bytes are gone."""

    __tablename__ = "mailbox_erasure"

    transfer_id: bytes = Field(primary_key=True)
