"""The association's people: who they are, what they may do, and help for those who cannot come in."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.errors import N_, AccountExists, CasesLeftAlone, CordeeError, InvalidInput, LastAdministrator, NotFound
from cordee.runtime.texts import translate
from node import orphans, people, second_factor, staff, teams
from node.orphans import Heir
from node.passwords import SHORTEST
from node.people import Role
from node.records import CaseLine
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_LATER = "later"  # the cases of who leaves are given to nobody yet
_ENOUGH = 2  # administrators: where the only one loses telephone and codes, nobody lets them in again
_TOLD = {
    Role.HANDLER: N_("works on cases, sends and receives them"),
    Role.LEAD: N_("works on cases, decides what the law makes us keep, looks at who opened what"),
    Role.ADMINISTRATOR: N_("looks after people, places and the node; opens no case"),
    Role.AUDITOR: N_("reads the journal and the transfers, changes nothing"),
}
_FIELDS = (N_("roles"), N_("name"), N_("password"))  # what the domain calls them, for the catalogue
_DONE = {
    "added": N_(
        "The account is there. Tell the person their name here and their password. "
        "At their first sign-in they set up the second step."
    ),
    "changed": N_("Changed."),
    "disabled": N_("The account is disabled, and its sessions have ended."),
    "enabled": N_("The account can sign in again."),
    "password": N_("The password is changed, and the sessions have ended. Tell the person; they should change it."),
    "second": N_("The second step is reset. The person sets up another at their next sign-in."),
    "pause": N_("The pause is lifted."),
}


async def _people(visit: Visit) -> Response:
    node, now = visit.node, visit.node.clock.now()
    everybody = await node.db.read(lambda tx: staff.people_of(tx, node.vault, now=now))
    administrators = [
        each for each in everybody if Role.ADMINISTRATOR in each.account.roles and not each.account.disabled
    ]
    return page(
        "people.html",
        visit.language,
        visit=visit,
        people=everybody,
        alone=len(administrators) < _ENOUGH,
        done=_done(visit),
    )


async def _blank(visit: Visit) -> Response:
    return _new_page(visit, {"name": "", "roles": (), "bound": False})


async def _add(visit: Visit, form: FormData) -> Response:
    node, now = visit.node, visit.node.clock.now()
    name, password = str(form.get("name", "")), str(form.get("password", ""))
    roles, bound = _roles(form), form.get("bound") == "on"
    try:
        await node.db.write(
            lambda tx: people.add_account(
                tx, node.vault, name, password, roles, bound, now, node.random, by=visit.handler.account_id
            )
        )
    except (InvalidInput, AccountExists) as refused:
        return _new_page(visit, {"name": name, "roles": roles, "bound": bound}, refused)
    return RedirectResponse("/people?done=added", status_code=HTTPStatus.SEE_OTHER)


def _new_page(visit: Visit, typed: dict[str, object], refused: CordeeError | None = None) -> Response:
    return page(
        "person_new.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        typed=typed,
        roles=_TOLD,
        shortest=SHORTEST,
        wrong=_wrong(refused),
        refused=translate(refused, visit.language) if refused else None,
    )


async def _person(visit: Visit) -> Response:
    return await _shown(visit)


async def _shown(visit: Visit, refused: CordeeError | None = None) -> Response:
    node, now = visit.node, visit.node.clock.now()
    account_id = str(visit.request.path_params["account"])

    def query(tx: Connection) -> tuple[staff.Person, list[CaseLine], list[Heir], list[teams.Team]]:
        return (
            staff.person_of(tx, node.vault, account_id, now=now),
            orphans.orphans(tx, node.vault, node.house.cases, without=account_id),
            orphans.heirs(tx, node.vault, without=account_id),
            teams.teams_of(tx, node.vault, account_id),
        )

    person, left, heirs, mine = await node.db.read(query)
    return page(
        "person.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        person=person,
        left=left,
        heirs=heirs,
        teams=mine,
        roles=_TOLD,
        shortest=SHORTEST,
        done=_done(visit),
        wrong=_wrong(refused),
        refused=translate(refused, visit.language) if refused else None,
    )


async def _change(visit: Visit, form: FormData) -> Response:
    """Whatever the page's buttons ask for."""
    node, now, by = visit.node, visit.node.clock.now(), visit.handler.account_id
    account_id, wanted = str(visit.request.path_params["account"]), str(form.get("do", ""))
    to = str(form.get("heir", ""))[:80]
    heir = Heir.parse(to)

    def step(tx: Connection) -> None:
        name = people.account_named(tx, node.vault, account_id).name
        match wanted:
            case "changed":
                roles, bound = _roles(form), form.get("bound") == "on"
                staff.change(tx, node.vault, account_id, roles=roles, bound_by_secrecy=bound, now=now, by=by)
            case "disabled":
                leave = to == _LATER
                orphans.close_account(
                    tx, node.vault, node.house.cases, account_id, heir=heir, leave=leave, now=now, by=by
                )
            case "enabled":
                staff.enable(tx, node.vault, account_id, now=now, by=by)
            case "password":
                people.set_password(tx, node.vault, name, str(form.get("password", "")), now=now, by=by)
            case "second":
                second_factor.reset(tx, account_id, now=now, by=by)
            case "pause":
                staff.lift_pause(tx, account_id, now=now, by=by)
            case _:
                raise NotFound(what=N_("change"))

    try:
        await node.db.write(step)
    except (InvalidInput, LastAdministrator, CasesLeftAlone) as refused:
        return await _shown(visit, refused)
    return RedirectResponse(f"/people/{account_id}?done={wanted}", status_code=HTTPStatus.SEE_OTHER)


def _roles(form: FormData) -> set[Role]:
    return {Role(each) for each in map(str, form.getlist("roles")) if each in set(Role)}


def _wrong(refused: CordeeError | None) -> str:
    """Which field the refusal is about."""
    if isinstance(refused, AccountExists):
        return "name"
    if isinstance(refused, LastAdministrator):
        return "roles"
    if isinstance(refused, CasesLeftAlone):
        return "heir"
    return refused.facts.get("field", "") if isinstance(refused, InvalidInput) else ""


def _done(visit: Visit) -> str:
    return _DONE.get(visit.request.query_params.get("done", ""), "")


PAGES = (
    Page("people", "/people", get=_people),
    Page("person_new", "/people/new", get=_blank, post=_add),
    Page("person", "/people/{account}", get=_person),
    Page("person_change", "/people/{account}/change", post=_change),
)
