"""One section of a case as a form: filled while somebody talks, saved without losing what another wrote meanwhile."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.case.form import LIST_SECTIONS
from cordee.case.labels import section_label
from cordee.errors import N_, CordeeError, InvalidRecord, NotFound, StaleRecord
from cordee.runtime.texts import problems, translate
from node import journal, records
from node.web.forms import entries_of, fields_of, is_hidden, section_from
from node.web.pages.cases import SHOWN
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]


async def _show(visit: Visit) -> Response:
    case_id, section = _where(visit)
    node, now = visit.node, visit.node.clock.now()

    def step(tx: Connection) -> records.StoredCase:
        stored = records.read_case(tx, node.vault, case_id)
        facts = {"section": section}
        journal.append(tx, now=now, actor=visit.handler.account_id, action="case.read", subject=case_id, facts=facts)
        return stored

    stored = await node.db.write(step)
    return _form(visit, section, stored, stored.case.section(section), stored.version)


async def _reveal(visit: Visit, form: FormData) -> Response:
    """Show vital fields of a section; each view is journalled (domain §1.2)."""
    case_id, section = _where(visit)
    node, now = visit.node, visit.node.clock.now()
    wanted = {each for each in map(str, form.getlist("field")) if is_hidden(each) and each.startswith(f"{section}.")}

    def step(tx: Connection) -> records.StoredCase:
        stored = records.read_case(tx, node.vault, case_id)
        for each in sorted(wanted):
            facts = {"field": each}
            journal.append(
                tx, now=now, actor=visit.handler.account_id, action="field.viewed", subject=case_id, facts=facts
            )
        return stored

    stored = await node.db.write(step)
    return _form(visit, section, stored, stored.case.section(section), stored.version, revealed=wanted)


async def _save(visit: Visit, form: FormData) -> Response:
    case_id, section = _where(visit)
    node, now = visit.node, visit.node.clock.now()
    version = _version(str(form.get("version", "")))
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    typed = section_from(section, stored.case.section(section), form, now=now, random=node.random)
    revealed = {str(each) for each in form.getlist("revealed")}
    try:
        if stored.version != version:
            raise StaleRecord(present=stored.version, given=version)
        changed = stored.case.with_section(section, typed if typed or section in LIST_SECTIONS else {})
        await node.db.write(
            lambda tx: records.update_case(
                tx, node.vault, case_id, changed, expected_version=version, by=visit.handler.account_id, now=now
            )
        )
    except (InvalidRecord, StaleRecord) as refused:
        # What was typed comes back; with the present version, so that saving again is a decision, not an accident.
        return _form(visit, section, stored, typed, stored.version, revealed=revealed, refused=refused)
    return RedirectResponse(f"/cases/{case_id}#{section}", status_code=HTTPStatus.SEE_OTHER)


def _form(
    visit: Visit,
    section: str,
    stored: records.StoredCase,
    content: Any,
    version: int,
    *,
    revealed: set[str] | frozenset[str] = frozenset(),
    refused: CordeeError | None = None,
) -> Response:
    conflict = isinstance(refused, StaleRecord)
    listed = section in LIST_SECTIONS
    place = SHOWN.index(section)
    return page(
        "section.html",
        visit.language,
        status=HTTPStatus.OK
        if refused is None
        else HTTPStatus.CONFLICT
        if conflict
        else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        case=stored.case,
        stored=stored,
        section=section,
        label=section_label(section),
        version=version,
        fields=() if listed else fields_of(section, content, revealed=revealed),
        entries=entries_of(section, content, revealed=revealed) if listed else (),
        listed=listed,
        revealed=sorted(revealed),
        refused=translate(refused, visit.language) if refused else None,
        problems=problems(refused, visit.language) if refused else [],
        theirs=(
            entries_of(section, stored.case.section(section))
            if listed
            else fields_of(section, stored.case.section(section))
        )
        if conflict
        else None,
        before=SHOWN[place - 1] if place else None,
        after=SHOWN[place + 1] if place + 1 < len(SHOWN) else None,
    )


def _version(given: str) -> int:
    """What is no version is none that is kept: the form comes back as after a conflict."""
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0


def _where(visit: Visit) -> tuple[str, str]:
    case_id, section = str(visit.request.path_params["case"]), str(visit.request.path_params["section"])
    if section not in SHOWN:
        raise NotFound(what=N_("section"))
    return case_id, section


PAGES = (
    Page("case_section", "/cases/{case:uuid}/sections/{section}", get=_show, post=_save),
    Page("case_reveal", "/cases/{case:uuid}/sections/{section}/reveal", post=_reveal),
)
