"""Tables of the second factor: codes from a telephone, passkeys, recovery codes."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["PasskeyRow", "RecoveryCodeRow", "SecondFactorRow"]


class SecondFactorRow(NodeTable, table=True):
    """One account's codes from a telephone (RFC 6238). Unconfirmed until one of them was typed in."""

    __tablename__ = "second_factor"

    account_id: str = Field(primary_key=True, foreign_key="account.id")
    confirmed: bool
    last_counter: int  # of the newest code that was taken: none is taken twice
    sealed_secret: bytes  # by the vault


class RecoveryCodeRow(NodeTable, table=True):
    """One recovery code under a keyed hash; deleted when it is used."""

    __tablename__ = "recovery_code"

    code_index: bytes = Field(primary_key=True)
    account_id: str = Field(index=True, foreign_key="account.id")


class PasskeyRow(NodeTable, table=True):
    """One passkey: the public half, and what its owner calls it."""

    __tablename__ = "passkey"

    credential_index: bytes = Field(primary_key=True)  # keyed hash of the credential's id
    account_id: str = Field(index=True, foreign_key="account.id")
    added_at: datetime
    sealed_passkey: bytes  # JSON: id, key, count, host, name; by the vault
