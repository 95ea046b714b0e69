"""Table of the node's own secrets, sealed by the vault."""

from __future__ import annotations

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["SecretRow"]


class SecretRow(NodeTable, table=True):
    """One named secret: the identity seed, a sealing seed, the transport key."""

    __tablename__ = "secret"

    name: str = Field(primary_key=True)
    sealed_value: bytes
