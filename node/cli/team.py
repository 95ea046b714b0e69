"""`cordee node team`: who works with whom, and the cases that nobody may open any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["team"]


@click.group("team")
def team() -> None:
    """The teams of this association. A case that is a team's is opened by its people and those it names."""


@team.command("add")
@click.argument("name")
@on_node
async def add(client: Client, output: Output, *, name: str) -> None:
    """Make a team.

    JSON: {team_id, name}
    """
    from cordee.v1 import node_pb2

    answer = await client.teams.AddTeam(node_pb2.AddTeamRequest(name=name))
    output.record({"team_id": answer.team_id, "name": name})


@team.command("list")
@on_node
async def list_(client: Client, output: Output) -> None:
    """Every team.

    JSON: [{team_id, name, members: [account_id], cases}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    rows = [shapes.team(each) async for each in client.teams.ListTeams(node_pb2.ListTeamsRequest())]
    output.rows(rows, ("team_id", "name", "members", "cases"))


@team.command("change")
@click.argument("name")
@click.option("--rename", metavar="NAME", help="Its new name.")
@click.option("--in", "joining", multiple=True, metavar="PERSON", help="Put somebody in; may be repeated.")
@click.option("--out", "leaving", multiple=True, metavar="PERSON", help="Take somebody out; may be repeated.")
@on_node
async def change(
    client: Client, output: Output, *, name: str, rename: str | None, joining: tuple[str, ...], leaving: tuple[str, ...]
) -> None:
    """Rename a team, put people in or take them out: all of it or nothing.

    JSON: {team, changed: true}
    """
    from cordee.v1 import node_pb2

    request = node_pb2.ChangeTeamRequest(team=name, new_name=rename or "", joining=joining, leaving=leaving)
    await client.teams.ChangeTeam(request)
    output.record({"team": rename or name, "changed": True})


@team.command("dissolve")
@click.argument("name")
@on_node
async def dissolve(client: Client, output: Output, *, name: str) -> None:
    """Do away with a team that has neither people nor cases.

    JSON: {team, dissolved: true}
    """
    from cordee.v1 import node_pb2

    output.confirm(N_("Dissolve the team {name}?"), name=name)
    await client.teams.DissolveTeam(node_pb2.DissolveTeamRequest(team=name))
    output.record({"team": name, "dissolved": True})


@team.command("orphans")
@on_node
async def orphans(client: Client, output: Output) -> None:
    """The cases that nobody who still comes in may open, by their pseudonyms.

    JSON: [{case_id, pseudonym, state, updated}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    rows = [shapes.orphan(each) async for each in client.teams.ListOrphans(node_pb2.ListOrphansRequest())]
    output.rows(rows, ("case_id", "pseudonym", "state", "updated"))


@team.command("give")
@click.argument("case_ids", nargs=-1, required=True)
@click.option("--to-team", help="The team that gets them.")
@click.option("--to", help="Name of the person who gets them.")
@on_node
async def give(
    client: Client, output: Output, *, case_ids: tuple[str, ...], to_team: str | None, to: str | None
) -> None:
    """Give cases that nobody may open to a team or a person, all in one step.

    JSON: {cases: [], given: true}
    """
    from cordee.v1 import node_pb2

    if (to_team is None) is (to is None):
        raise click.UsageError("Say one of --to-team and --to.")
    request = node_pb2.GiveOrphansRequest(case_ids=case_ids, to_team=to_team or "", to_account=to or "")
    await client.teams.GiveOrphans(request)
    output.record({"cases": list(case_ids), "given": True})
