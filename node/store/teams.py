"""Tables of the association's teams: who is in which, and which case is whose."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from node.store import NodeTable

__all__ = ["CaseTeamRow", "TeamMemberRow", "TeamRow"]


class TeamRow(NodeTable, table=True):
    """One team. Its name is found by a keyed index and stands nowhere in clear."""

    __tablename__ = "team"

    id: str = Field(primary_key=True)
    name_index: bytes = Field(unique=True)
    created_at: datetime
    sealed_name: bytes  # by the vault


class TeamMemberRow(NodeTable, table=True):
    """Somebody is in a team."""

    __tablename__ = "team_member"

    team_id: str = Field(primary_key=True, foreign_key="team.id")
    account_id: str = Field(primary_key=True, index=True, foreign_key="account.id")


class CaseTeamRow(NodeTable, table=True):
    """A case is a team's. Without a row it is nobody's in particular: every handler's and lead's."""

    __tablename__ = "case_team"

    case_id: str = Field(primary_key=True, foreign_key="case_record.id")
    team_id: str = Field(index=True, foreign_key="team.id")
