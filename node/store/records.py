"""Tables of the cases and their attachments."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["AttachmentRow", "CaseKeyRow", "CaseRow", "ImportRow", "VersionRow"]


class CaseRow(NodeTable, table=True):
    """One case. An erased one keeps its id, its state and its times; the sealed columns are then empty."""

    __tablename__ = "case_record"

    id: str = Field(primary_key=True)
    state: str  # open, closed or erased
    holder: str  # here, handed_over or shared
    version: int
    handed_to: bytes | None = None  # the transfer that took it away
    created_at: datetime
    updated_at: datetime
    change: int = Field(index=True)  # grows with every write to any case: what changed since is found by it
    sealed_body: bytes | None  # the case as JSON, with the case's data key
    sealed_line: bytes | None  # what lists show, with the case's data key


class CaseKeyRow(NodeTable, table=True):
    """A case's data key, sealed by the vault. Deleting this row is what makes a case unreadable for good."""

    __tablename__ = "case_key"

    case_id: str = Field(primary_key=True, foreign_key="case_record.id")
    sealed_key: bytes


class AttachmentRow(NodeTable, table=True):
    """One attachment: which file holds it, and its description sealed with the case's data key."""

    __tablename__ = "attachment"

    case_id: str = Field(primary_key=True, foreign_key="case_record.id")
    id: str = Field(primary_key=True)
    file_id: str = Field(unique=True)
    position: int
    added_at: datetime
    sealed_description: bytes


class VersionRow(NodeTable, table=True):
    """What a transfer put beside a case: the other association's version, or ours from before the case came back."""

    __tablename__ = "case_version"

    transfer: bytes = Field(primary_key=True)
    case_id: str = Field(index=True, foreign_key="case_record.id")
    author: bytes
    at: datetime
    ours: bool
    sealed_content: bytes  # sections and the ids of new attachments, with the case's data key


class ImportRow(NodeTable, table=True):
    """A transfer whose case was imported. Its primary key is why that happens once; it outlives the case."""

    __tablename__ = "imported"

    transfer: bytes = Field(primary_key=True)
    case_id: str = Field(index=True)
    sender: bytes
    at: datetime
