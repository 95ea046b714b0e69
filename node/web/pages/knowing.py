"""Who may open a case, the reason that somebody else gives, and what leads look at afterwards."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.case.labels import field_label, values_of
from cordee.errors import CordeeError, InvalidInput, InvalidRecord, StaleRecord
from cordee.runtime.texts import translate
from cordee.web.request import inside
from node import journal, need_to_know, people, records, teams
from node.case_access import team_of
from node.people import Account, Role
from node.web.rendering import page, problems_in_words, refused_in_words
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_RESTRICTION = "meta.access_restriction"
_MANY = 200


async def _ask(visit: Visit) -> Response:
    return _reason_page(visit, inside(visit.request.query_params.get("next")), "")


def _reason_page(visit: Visit, following: str, typed: str, refused: CordeeError | None = None) -> Response:
    """It tells nothing of the case, not even its pseudonym."""
    return page(
        "reason.html",
        visit.language,
        status=HTTPStatus.FORBIDDEN if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        case_id=str(visit.request.path_params["case"]),
        following=following,
        typed=typed,
        refused=translate(refused, visit.language) if refused else None,
    )


async def _open(visit: Visit, form: FormData) -> Response:
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])
    reason, following = str(form.get("reason", "")), inside(str(form.get("next", "")))
    try:
        await node.db.write(
            lambda tx: need_to_know.open_for_reason(
                tx, node.vault, visit.handler, case_id, reason, now=now, random=node.random
            )
        )
    except InvalidInput as refused:
        return _reason_page(visit, following, reason, refused)
    return RedirectResponse(following or f"/cases/{case_id}", status_code=HTTPStatus.SEE_OTHER)


async def _team(visit: Visit) -> Response:
    return await _team_page(visit)


async def _team_page(visit: Visit, refused: CordeeError | None = None) -> Response:
    node, case_id = visit.node, str(visit.request.path_params["case"])

    def query(tx: Connection) -> tuple[records.StoredCase, list[Account], list[teams.Team], str | None]:
        return (
            records.read_case(tx, node.vault, case_id),
            _colleagues(people.list_accounts(tx, node.vault)),
            teams.list_teams(tx, node.vault),
            team_of(tx, case_id),
        )

    stored, colleagues, there, team = await node.db.read(query)
    owner = stored.case.value("meta.owner_user_id") or "-"
    return page(
        "case_team.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        case=stored.case,
        stored=stored,
        teams=there,
        team=team,
        colleagues=colleagues,
        owner=owner,
        unknown=owner not in {each.account_id for each in colleagues},
        others=stored.case.value("meta.co_handler_ids") or [],
        restriction=stored.case.value(_RESTRICTION) or "team",
        restrictions=values_of(_RESTRICTION),
        label=field_label(_RESTRICTION),
        refused=refused_in_words(refused, visit.language) if refused else None,
        problems=problems_in_words(refused, visit.language) if refused else [],
    )


async def _change_team(visit: Visit, form: FormData) -> Response:
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])
    by = visit.handler.account_id
    told = str(form.get("version", ""))
    version = int(told) if told.isascii() and told.isdecimal() and len(told) < 10 else 0  # 0: never the present one
    restriction, owner = str(form.get("restriction", "team")), str(form.get("owner", "-"))[:64]
    others = [str(each)[:64] for each in form.getlist("others")][:_MANY]
    team = str(form.get("team", ""))[:64] or None

    def step(tx: Connection) -> None:
        stored = records.read_case(tx, node.vault, case_id)
        need_to_know.require_to_change_team(tx, visit.handler, stored.case, now=now)
        changed = need_to_know.with_team(
            stored.case,
            restriction=restriction,
            owner=owner,
            others=[each for each in others if each != owner],
            now=now,
        )
        records.update_case(tx, node.vault, case_id, changed, expected_version=version, by=by, now=now)
        teams.place(tx, case_id, team, now=now, by=by)
        facts = {"restriction": restriction}
        journal.append(tx, now=now, actor=by, action="case.team_changed", subject=case_id, facts=facts)

    try:
        await node.db.write(step)
    except (InvalidRecord, StaleRecord) as refused:
        return await _team_page(visit, refused)
    return RedirectResponse(f"/cases/{case_id}", status_code=HTTPStatus.SEE_OTHER)


async def _openings(visit: Visit) -> Response:
    return await _openings_page(visit)


async def _openings_page(visit: Visit, refused: CordeeError | None = None) -> Response:
    """That reasons were read is no secret of a case's content: they are the reader's to judge."""
    node = visit.node

    def query(
        tx: Connection,
    ) -> tuple[list[need_to_know.Opening], list[need_to_know.Opening], dict[str, str]]:
        names = {each.account_id: each.name for each in people.list_accounts(tx, node.vault)}
        done = need_to_know.openings(tx, node.vault, looked_at=True)[-20:]
        return need_to_know.openings(tx, node.vault), done[::-1], names

    waiting, done, names = await node.db.read(query)
    return page(
        "openings.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        waiting=waiting,
        done=done,
        names=names,
        refused=translate(refused, visit.language) if refused else None,
    )


async def _look_at(visit: Visit, form: FormData) -> Response:
    node, now, opening = visit.node, visit.node.clock.now(), str(form.get("opening", ""))
    try:
        await node.db.write(lambda tx: need_to_know.look_at(tx, opening, now=now, by=visit.handler.account_id))
    except InvalidInput as refused:
        return await _openings_page(visit, refused)
    return RedirectResponse("/openings", status_code=HTTPStatus.SEE_OTHER)


def _colleagues(accounts: list[Account]) -> list[Account]:
    """Whoever can work on a case."""
    return [each for each in accounts if not each.disabled and each.roles & {Role.HANDLER, Role.LEAD}]


PAGES = (
    Page("case_reason", "/cases/{case:uuid}/reason", get=_ask, post=_open),
    Page("case_team", "/cases/{case:uuid}/team", get=_team, post=_change_team),
    Page("openings", "/openings", get=_openings, post=_look_at),
)
