"""Tables of the accounts and their sessions."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["AccountRow", "SessionRow", "SignInFailureRow"]


class AccountRow(NodeTable, table=True):
    """One person's account. The name is found by a keyed index and stands nowhere in clear."""

    __tablename__ = "account"

    id: str = Field(primary_key=True)
    name_index: bytes = Field(unique=True)
    disabled: bool
    created_at: datetime
    sealed_profile: bytes  # name, roles, bound by secrecy; by the vault
    sealed_password: bytes  # Argon2id string; by the vault, so that a stolen database cannot be searched


class SessionRow(NodeTable, table=True):
    """One session, under a keyed hash of its token."""

    __tablename__ = "session"

    token_index: bytes = Field(primary_key=True)
    account_id: str = Field(index=True, foreign_key="account.id")
    opened_at: datetime
    seen_at: datetime
    stage: str = "command"  # command, half, full or locked
    challenge: bytes | None = None  # that a passkey is to sign, once


class SignInFailureRow(NodeTable, table=True):
    """Wrong passwords for one name, known or not, so that both are paused alike."""

    __tablename__ = "sign_in_failure"

    name_index: bytes = Field(primary_key=True)
    failures: int
    last_at: datetime
