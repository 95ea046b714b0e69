"""Tables of the roster log, of entries that still want signatures, of who knows of it, and of the members' cards."""

from __future__ import annotations

from sqlmodel import Field

from directory.store import DirectoryTable

__all__ = ["CardRow", "EntryRow", "HeldRow", "PendingEntryRow", "RestorationRow", "RevisionRow"]


class EntryRow(DirectoryTable, table=True):
    """One entry of the log. Rows are only ever added."""

    __tablename__ = "entry"

    position: int = Field(primary_key=True)  # from 0
    digest: bytes = Field(unique=True)  # over type and body: a statement stands in the log once
    entry: bytes  # serialised


class PendingEntryRow(DirectoryTable, table=True):
    """An entry that administrators have begun to sign."""

    __tablename__ = "pending_entry"

    digest: bytes = Field(primary_key=True)
    entry: bytes
    changed_at: int


class CardRow(DirectoryTable, table=True):
    """A member's newest card and its profile. Deleted when the member is removed."""

    __tablename__ = "card"

    member: bytes = Field(primary_key=True)
    revision: int = Field(unique=True)
    number: int
    key_digest: bytes = Field(unique=True)  # of the transport key: who is calling
    former_key_digest: bytes | None = None  # counts until the new key is first used
    shown_name: str = Field(unique=True)  # folded
    org_id: str = Field(unique=True)
    card: bytes  # Signed
    profile: bytes
    refusal: bytes | None = None  # Signed RefuseCard: whoever does not have the card yet does not get it


class RevisionRow(DirectoryTable, table=True):
    """The last revision given to a card; one row. It outlives the cards that are deleted."""

    __tablename__ = "card_revision"

    id: int = Field(primary_key=True)
    last: int


class RestorationRow(DirectoryTable, table=True):
    """The newest restore of this database from a backup; at most one row. A copy says of itself that it is one."""

    __tablename__ = "restoration"

    id: int = Field(primary_key=True)
    since: int | None = None  # when the copy was made; none where that is not known
    restored_at: int | None = None  # none: it has not been noticed yet


class HeldRow(DirectoryTable, table=True):
    """How much of the log a member's node holds, as it said last. Deleted when the member is removed."""

    __tablename__ = "held_checkpoint"

    member: bytes = Field(primary_key=True)
    size: int
    heard_at: int = Field(index=True)
    held: bytes  # Signed HeldCheckpoint
