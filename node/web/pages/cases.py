"""Cases: the list, a new one, and the one that is open, section by section."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.act import Act
from cordee.case import SECTIONS, missing_for
from cordee.case.labels import section_label
from cordee.case.record import case_of
from cordee.errors import N_, CordeeError, InvalidInput, InvalidRecord, Problem
from node import acts, drafts, journal, listing, records, teams
from node.web.act_told import can_be_withdrawn, told
from node.web.drafting import Waiting, waiting
from node.web.rendering import page, problems_in_words, refused_in_words
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES", "SHOWN"]

SHOWN = tuple(name for name in SECTIONS if name not in ("meta", "attachments", "consents"))
"""The sections that people fill as forms; files and acts have pages of their own."""

_SCHEMA = "case/1"
_ASKED = ("pseudonym", "channel", "summary", "danger")
_CHANNELS = ("phone", "chat", "email", "visit", "street_outreach", "digital_outreach", "transfer", "letter", "other")
_DRAFT = "case-new"
_ON_A_PAGE = 50


async def _cases(visit: Visit) -> Response:
    """Those that are the visitor's. What is kept to others is told to whoever knows its whole name, and journalled."""
    node, now = visit.node, visit.node.clock.now()
    query = visit.request.query_params
    wanted, state = query.get("q", "").strip()[:100], query.get("state", "open")
    asked = query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdecimal() and 0 < len(asked) < 7 else 1
    start = max(0, number - 1) * _ON_A_PAGE
    found = await node.db.read(
        lambda tx: listing.find(
            tx,
            node.house.cases,
            node.vault,
            visit.handler,
            wanted,
            state=state,
            start=start,
            limit=_ON_A_PAGE,
            now=now,
        )
    )
    if found.kept:
        await node.db.write(lambda tx: listing.note_found(tx, visit.handler, found, now=now))
    return page(
        "cases.html",
        visit.language,
        visit=visit,
        cases=found.lines,
        wanted=wanted,
        state=state,
        count=found.count,
        total=found.total,
        kept=found.kept,
        before=_address(wanted, state, number - 1) if start else "",
        after=_address(wanted, state, number + 1) if start + len(found.lines) < found.count else "",
    )


def _address(wanted: str, state: str, number: int) -> str:
    return f"/cases?{urlencode({'q': wanted, 'state': state, 'page': number})}"


async def _blank(visit: Visit) -> Response:
    draft = await waiting(visit, _DRAFT)
    typed = {name: str(draft.form.get(name, "")) if draft is not None and draft.taken else "" for name in _ASKED}
    return await _new_page(visit, typed, draft=draft)


async def _create(visit: Visit, form: FormData) -> Response:
    """Opened with a pseudonym and what was asked; all else can come while somebody talks."""
    node, now = visit.node, visit.node.clock.now()
    typed = {name: str(form.get(name, "")).strip() for name in _ASKED}
    case_id = str(uuid.UUID(bytes=node.random(16), version=4))
    moment, day = now.isoformat(timespec="seconds"), now.date().isoformat()
    own = node.roster.card(node.member, now=now).profile
    document = {
        "meta": {
            "case_id": case_id,
            "schema_version": _SCHEMA,
            "local_number": f"{now:%Y}-{case_id[:6]}",
            **({"pseudonym": typed["pseudonym"]} if typed["pseudonym"] else {}),  # without one it has no name in lists
            "status": "open",
            "opened_on": day,
            "owner_org_id": own.org_id,
            "owner_user_id": visit.handler.account_id,
            "access_restriction": "team",
            "created_at": moment,
            "updated_at": moment,
            "version": 1,
        },
        "identity": {},
        "situation": {
            "first_contact_on": day,
            "first_contact_channel": typed["channel"] or "other",
            **({"request_summary": typed["summary"]} if typed["summary"] else {}),
        },
        "risk": {"immediate_danger": typed["danger"] or "unknown", "level": "not_assessed"},
    }
    try:
        case = case_of(document)
        lacking = missing_for(case, "open", sections=("meta", "situation"))
        if lacking:
            raise InvalidRecord(problems=[Problem(path, N_("missing")) for path in lacking])

        def step(tx: Connection) -> None:
            by = visit.handler.account_id
            team = teams.choose_for_new(tx, node.vault, visit.handler, str(form.get("team", ""))[:64])
            records.create_case(tx, node.vault, case, by=by, now=now, random=node.random)
            teams.place(tx, case_id, team, now=now, by=by)
            drafts.discard(tx, node.vault, by, _DRAFT)

        await node.db.write(step)
    except (InvalidRecord, InvalidInput) as refused:
        return await _new_page(visit, typed, refused, team=str(form.get("team", "")))
    return RedirectResponse(f"/cases/{case_id}", status_code=HTTPStatus.SEE_OTHER)


async def _new_page(
    visit: Visit,
    typed: dict[str, str],
    refused: CordeeError | None = None,
    draft: Waiting | None = None,
    team: str = "",
) -> Response:
    mine = await visit.node.db.read(lambda tx: teams.teams_of(tx, visit.node.vault, visit.handler.account_id))
    return page(
        "case_new.html",
        visit.language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        visit=visit,
        typed=typed,
        teams=mine,
        team=team,
        draft=draft,
        draft_key=_DRAFT,
        channels=_CHANNELS,
        problems=problems_in_words(refused, visit.language) if refused else [],
        refused=refused_in_words(refused, visit.language) if refused else None,
    )


async def _case(visit: Visit) -> Response:
    """That it was read is journalled in the same step (domain §1.2)."""
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])

    def step(tx: Connection) -> tuple[records.StoredCase, list[Act]]:
        stored = records.read_case(tx, node.vault, case_id)
        journal.append(tx, now=now, actor=visit.handler.account_id, action="case.read", subject=case_id)
        return stored, acts.acts_of(tx, node.vault, case_id)

    stored, kept = await node.db.write(step)
    transfers = await node.transfers.of_case(visit.handler, case_id)
    document = stored.case.to_dict()
    return page(
        "case.html",
        visit.language,
        visit=visit,
        case=stored.case,
        stored=stored,
        acts=[
            told(each, members=node.roster.members(), persons={}, now=now, language=visit.language)
            for each in reversed(kept)
            if can_be_withdrawn(each)
        ],
        acts_count=len(kept),
        transfers=transfers,
        danger=document.get("risk", {}).get("immediate_danger"),
        summary=document.get("situation", {}).get("request_summary", ""),
        sections=[(name, section_label(name), bool(document.get(name))) for name in SHOWN],
    )


PAGES = (
    Page("cases", "/cases", get=_cases),
    Page("case_new", "/cases/new", get=_blank, post=_create),
    Page("case", "/cases/{case:uuid}", get=_case),
)
