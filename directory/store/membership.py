"""Tables of invitations and of requests to join."""

from __future__ import annotations

from sqlmodel import Field

from directory.store import DirectoryTable

__all__ = ["InvitationRow", "JoinRequestRow"]


class InvitationRow(DirectoryTable, table=True):
    """An invitation. Of its secret only the digest is here; the secret comes with the request that spends it."""

    __tablename__ = "invitation"

    id: bytes = Field(primary_key=True)
    secret_digest: bytes
    command: bytes  # Signed CreateInvitation
    legal_name: str
    registration_number: str
    bound_by_secrecy: bool
    expires_at: int
    spent_by: bytes | None = None  # digest of the one request that used it


class JoinRequestRow(DirectoryTable, table=True):
    """One association that asks to join."""

    __tablename__ = "join_request"

    member: bytes = Field(primary_key=True)
    invitation: bytes = Field(foreign_key="invitation.id", unique=True)
    digest: bytes
    request: bytes  # Signed JoinRequest
    state: str  # waiting, admitted or refused
    refusal_reason: str = ""
    certificate: bytes | None = None  # DER, once issued
    certificate_at: int = 0
    asked_at: int
    compared_at: int = 0  # an administrator signed first
    decided_at: int = 0  # admitted or refused
    connected_at: int = 0  # its first certificate
