"""The association's teams, and the cases that nobody may open any more."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.errors import N_, CordeeError, InvalidInput, NotFound, TeamExists, TeamInUse
from cordee.runtime.texts import translate
from node import orphans, people, teams
from node.orphans import Heir
from node.people import Account
from node.records import CaseLine
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_MOST = 1000  # boxes of one form
_DONE = {
    "added": N_("The team is there. Now say who is in it."),
    "members": N_("Saved: who is in the team counts at once."),
    "renamed": N_("The team has its new name."),
    "dissolved": N_("The team is dissolved."),
    "given": N_("Given. Whoever has them now finds them among their cases."),
}


async def _list(visit: Visit) -> Response:
    return await _list_page(visit, "")


async def _list_page(visit: Visit, typed: str, refused: CordeeError | None = None) -> Response:
    node = visit.node
    there, alone = await node.db.read(
        lambda tx: (teams.list_teams(tx, node.vault), orphans.orphans(tx, node.vault, node.house.cases))
    )
    return page(
        "teams.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        teams=there,
        alone=len(alone),
        typed=typed,
        done=_done(visit),
        refused=translate(refused, visit.language) if refused else None,
    )


async def _add(visit: Visit, form: FormData) -> Response:
    node, now, by = visit.node, visit.node.clock.now(), visit.handler.account_id
    name = str(form.get("name", ""))[:200]
    try:
        team = await node.db.write(lambda tx: teams.add_team(tx, node.vault, name, now=now, random=node.random, by=by))
    except (InvalidInput, TeamExists) as refused:
        return await _list_page(visit, name, refused)
    return RedirectResponse(f"/teams/{team}?done=added", status_code=HTTPStatus.SEE_OTHER)


async def _show(visit: Visit) -> Response:
    return await _team_page(visit)


async def _team_page(
    visit: Visit, refused: CordeeError | None = None, typed: str | None = None, at: str = ""
) -> Response:
    node, team_id = visit.node, str(visit.request.path_params["team"])

    def query(tx: Connection) -> tuple[teams.Team, list[Account]]:
        team = next((each for each in teams.list_teams(tx, node.vault) if each.team_id == team_id), None)
        if team is None:
            raise NotFound(what=N_("team"))
        there = people.list_accounts(tx, node.vault)
        return team, [each for each in there if orphans.works_on_cases(each) or each.account_id in team.members]

    team, colleagues = await node.db.read(query)
    return page(
        "team.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        team=team,
        typed=team.name if typed is None else typed,
        at=at,
        colleagues=colleagues,
        done=_done(visit),
        refused=translate(refused, visit.language) if refused else None,
    )


async def _change(visit: Visit, form: FormData) -> Response:
    """Whatever the page's buttons ask for."""
    node, now, by = visit.node, visit.node.clock.now(), visit.handler.account_id
    team_id, wanted = str(visit.request.path_params["team"]), str(form.get("do", ""))
    name = str(form.get("name", ""))[:200]
    members = {str(each)[:64] for each in form.getlist("members")[:_MOST]}

    def step(tx: Connection) -> None:
        match wanted:
            case "members":
                teams.set_members(tx, team_id, members, now=now, by=by)
            case "renamed":
                teams.rename(tx, node.vault, team_id, name, now=now, by=by)
            case "dissolved":
                teams.dissolve(tx, team_id, now=now, by=by)
            case _:
                raise NotFound(what=N_("change"))

    try:
        await node.db.write(step)
    except (InvalidInput, TeamExists, TeamInUse) as refused:
        return await _team_page(visit, refused, name if wanted == "renamed" else None, wanted)
    there = "/teams" if wanted == "dissolved" else f"/teams/{team_id}"
    return RedirectResponse(f"{there}?done={wanted}", status_code=HTTPStatus.SEE_OTHER)


async def _orphans(visit: Visit) -> Response:
    return await _orphans_page(visit)


async def _orphans_page(
    visit: Visit, refused: CordeeError | None = None, chosen: frozenset[str] | None = None, heir: str = ""
) -> Response:
    """By pseudonym alone: who gives them to somebody needs not know more."""
    node = visit.node

    def query(tx: Connection) -> tuple[list[CaseLine], list[Heir]]:
        return orphans.orphans(tx, node.vault, node.house.cases), orphans.heirs(tx, node.vault)

    alone, heirs = await node.db.read(query)
    return page(
        "orphans.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        alone=alone,
        heirs=heirs,
        chosen=frozenset(each.case_id for each in alone) if chosen is None else chosen,
        heir=heir,
        wrong=refused.facts.get("field", "") if refused else "",
        done=_done(visit),
        refused=translate(refused, visit.language) if refused else None,
    )


async def _give(visit: Visit, form: FormData) -> Response:
    node, now, by = visit.node, visit.node.clock.now(), visit.handler.account_id
    chosen = frozenset(str(each)[:64] for each in form.getlist("cases")[:_MOST])
    to = str(form.get("heir", ""))[:80]
    heir = Heir.parse(to) or Heir("", "")
    try:
        await node.db.write(lambda tx: orphans.give(tx, node.vault, node.house.cases, chosen, heir, now=now, by=by))
    except InvalidInput as refused:
        return await _orphans_page(visit, refused, chosen, to)
    return RedirectResponse("/orphans?done=given", status_code=HTTPStatus.SEE_OTHER)


def _done(visit: Visit) -> str:
    return _DONE.get(visit.request.query_params.get("done", ""), "")


PAGES = (
    Page("teams", "/teams", get=_list),
    Page("team_new", "/teams/new", post=_add),
    Page("team", "/teams/{team}", get=_show),
    Page("team_change", "/teams/{team}/change", post=_change),
    Page("orphans", "/orphans", get=_orphans, post=_give),
)
