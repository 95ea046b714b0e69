"""The service Teams: who works with whom, and the cases that nobody may open any more."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import Connection

from cordee.errors import N_, InvalidInput
from cordee.v1 import node_pb2, node_pb2_grpc
from node import orphans, people, teams
from node.orphans import Heir
from node.rpc.desk import Context, Desk
from node.rpc.wire import instant
from node.vault import Vault

__all__ = ["Teams", "heir_named"]


class Teams(Desk, node_pb2_grpc.TeamsServicer):
    """Administrators make them; leads look on, and give cases that nobody may open."""

    async def AddTeam(self, request: node_pb2.AddTeamRequest, context: Context) -> node_pb2.AddTeamResponse:
        """Make a team. Raises InvalidInput, TeamExists."""
        handler = await self._enter(context, "Teams.AddTeam")
        node, now, by = self._node, self._node.clock.now(), handler.account_id
        team = await node.db.write(
            lambda tx: teams.add_team(tx, node.vault, request.name, now=now, random=node.random, by=by)
        )
        return node_pb2.AddTeamResponse(team_id=team)

    async def ListTeams(self, request: node_pb2.ListTeamsRequest, context: Context) -> AsyncIterator[node_pb2.Team]:
        """Every team."""
        await self._enter(context, "Teams.ListTeams")
        for each in await self._node.db.read(lambda tx: teams.list_teams(tx, self._node.vault)):
            yield node_pb2.Team(team_id=each.team_id, name=each.name, members=sorted(each.members), cases=each.cases)

    async def ChangeTeam(self, request: node_pb2.ChangeTeamRequest, context: Context) -> node_pb2.ChangeTeamResponse:
        """Another name, other people; all of it or nothing. Raises NotFound, InvalidInput, TeamExists."""
        handler = await self._enter(context, "Teams.ChangeTeam")
        node, now, by = self._node, self._node.clock.now(), handler.account_id

        def step(tx: Connection) -> None:
            team = teams.team_named(tx, node.vault, request.team)
            joining, leaving = (
                {people.account_row(tx, node.vault, name).id for name in names}
                for names in (request.joining, request.leaving)
            )
            if request.new_name:
                teams.rename(tx, node.vault, team.team_id, request.new_name, now=now, by=by)
            teams.set_members(tx, team.team_id, (team.members | joining) - leaving, now=now, by=by)

        await node.db.write(step)
        return node_pb2.ChangeTeamResponse()

    async def DissolveTeam(
        self, request: node_pb2.DissolveTeamRequest, context: Context
    ) -> node_pb2.DissolveTeamResponse:
        """Do away with an empty team. Raises NotFound, TeamInUse."""
        handler = await self._enter(context, "Teams.DissolveTeam")
        node, now, by = self._node, self._node.clock.now(), handler.account_id

        def step(tx: Connection) -> None:
            teams.dissolve(tx, teams.team_named(tx, node.vault, request.team).team_id, now=now, by=by)

        await node.db.write(step)
        return node_pb2.DissolveTeamResponse()

    async def ListOrphans(
        self, request: node_pb2.ListOrphansRequest, context: Context
    ) -> AsyncIterator[node_pb2.Orphan]:
        """By pseudonym alone: of what is in a case nothing is told."""
        await self._enter(context, "Teams.ListOrphans")
        for line in await self._node.db.read(lambda tx: orphans.orphans(tx, self._node.vault, self._node.house.cases)):
            yield node_pb2.Orphan(
                case_id=line.case_id,
                pseudonym=line.pseudonym,
                state=line.state,
                update_time=instant(line.updated_at),
            )

    async def GiveOrphans(self, request: node_pb2.GiveOrphansRequest, context: Context) -> node_pb2.GiveOrphansResponse:
        """Give them to a team or a person. Raises NotFound, InvalidInput."""
        handler = await self._enter(context, "Teams.GiveOrphans")
        node, now, by = self._node, self._node.clock.now(), handler.account_id

        def step(tx: Connection) -> None:
            heir = heir_named(tx, node.vault, team=request.to_team, account=request.to_account)
            if heir is None:
                raise InvalidInput(field="to_team", problem=N_("say to which team or person they go"))
            orphans.give(tx, node.vault, node.house.cases, tuple(request.case_ids), heir, now=now, by=by)

        await node.db.write(step)
        return node_pb2.GiveOrphansResponse()


def heir_named(tx: Connection, vault: Vault, *, team: str, account: str) -> Heir | None:
    """To whom cases go, by name; None where nobody is named. Raises NotFound; InvalidInput where both are."""
    if team and account:
        raise InvalidInput(field="to_team", problem=N_("say a team or a person, not both"))
    if team:
        return Heir("team", teams.team_named(tx, vault, team).team_id)
    return Heir("account", people.account_row(tx, vault, account).id) if account else None
