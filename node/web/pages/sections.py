"""One section of a case as a form: filled while somebody talks, saved without losing what another wrote meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, get_args

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.case.form import LIST_SECTIONS
from cordee.case.labels import section_label, values_of
from cordee.case.threeway import Choice, Merged, merge
from cordee.errors import N_, CannotOpen, CordeeError, InvalidRecord, NotFound, StaleRecord
from node import drafts, journal, records
from node.web import begun
from node.web.differences import as_text, is_prose, is_vital, vital_fields
from node.web.drafting import Waiting, waiting
from node.web.forms import entries_of, fields_of, section_from
from node.web.glance import SIGNALS, TIMELINE, signals_to_tick, timeline
from node.web.pages.cases import SHOWN
from node.web.rendering import page, problems_in_words, refused_in_words
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_CHOSEN = "choose:"
_TRIES = 5
_PRESENT: Any = object()


@dataclass(frozen=True)
class _Place:
    """Which section of which case a request is about."""

    case_id: str
    section: str

    @property
    def key(self) -> str:
        """Of this form's draft."""
        return f"{self.case_id}/{self.section}"

    @classmethod
    def of(cls, visit: Visit) -> _Place:
        """Raises NotFound for a section that is no form."""
        section = str(visit.request.path_params["section"])
        if section not in SHOWN:
            raise NotFound(what=N_("section"))
        return cls(str(visit.request.path_params["case"]), section)


async def _show(visit: Visit) -> Response:
    place = _Place.of(visit)
    draft = await waiting(visit, place.key)
    taken = draft.form if draft is not None and draft.taken else None
    revealed = _revealed(place, taken) if taken is not None else set()
    stored = await _read(visit, place, _reading(place, revealed))
    if taken is None:
        return _form(visit, place, stored, stored.case.section(place.section), draft=draft)
    base, mine = _typed(visit, place, stored, taken)
    return _form(visit, place, stored, mine, base=base, revealed=revealed, draft=draft)


async def _reveal(visit: Visit, form: FormData) -> Response:
    """Show a section with vital fields; the reading and each view are journalled (domain §1.2)."""
    place = _Place.of(visit)
    wanted = {
        each for each in map(str, form.getlist("field")) if each.startswith(f"{place.section}.") and is_vital(each)
    }
    stored = await _read(visit, place, _reading(place, wanted))
    return _form(visit, place, stored, stored.case.section(place.section), revealed=wanted)


async def _save(visit: Visit, form: FormData) -> Response:
    """What was typed, put together with what others saved since the form was opened; a person chooses where need be."""
    place, node = _Place.of(visit), visit.node
    for _ in range(_TRIES):
        stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, place.case_id))
        present = stored.case.section(place.section)
        base, mine = _typed(visit, place, stored, form)
        merged = merge(place.section, base, present, mine, _choices(form, stored.version))
        if merged.differing:
            return await _conflict(visit, place, base, mine, merged, again="mine" in form)
        content = merged.content or ([] if place.section in LIST_SECTIONS else {})
        try:
            await _keep(visit, place, stored, content)
        except StaleRecord:  # somebody saved between our reading and our writing: put it together once more
            continue
        except InvalidRecord as refused:
            return await _once_more(visit, place, stored, content, _revealed(place, form), refused)
        joined = "?joined=1" if merged.taken else f"#{place.section}"
        path = f"/cases/{place.case_id}/sections/{place.section}" if merged.taken else f"/cases/{place.case_id}"
        return RedirectResponse(f"{path}{joined}", status_code=HTTPStatus.SEE_OTHER)
    raise StaleRecord(present=stored.version, given=_version(form))


async def _once_more(
    visit: Visit, place: _Place, stored: records.StoredCase, content: Any, revealed: set[str], refused: CordeeError
) -> Response:
    """The form with what is wrong. It shows the section as opening it does, and is journalled as that is: nobody has to
    have opened a form before they send one.
    """
    await _read(visit, place, _reading(place, revealed))
    return _form(visit, place, stored, content, revealed=revealed, refused=refused)


async def _keep(visit: Visit, place: _Place, stored: records.StoredCase, content: Any) -> None:
    """Raises InvalidRecord, StaleRecord, RecordClosed."""
    node, now = visit.node, visit.node.clock.now()
    changed = stored.case.with_section(place.section, content)
    by, version = visit.handler.account_id, stored.version

    def step(tx: Connection) -> None:
        records.update_case(tx, node.vault, place.case_id, changed, expected_version=version, by=by, now=now)
        drafts.discard(tx, node.vault, by, place.key)

    await node.db.write(step)


def _typed(visit: Visit, place: _Place, stored: records.StoredCase, form: FormData) -> tuple[Any, Any]:
    """What the form began with, and what it says now.

    A form that does not tell what it began with began with what is kept, where nothing was saved since; else all that
    differs is a difference.
    """
    given: dict[str, Any] = {
        "now": visit.node.clock.now(),
        "random": visit.node.random,
        "author": visit.handler.account_id,
    }
    present = stored.case.section(place.section)
    try:
        base = begun.opened(stored.data_key, place.case_id, place.section, str(form.get("base", "")))
    except CannotOpen:
        unchanged = stored.version == _version(form)
        return present if unchanged else None, section_from(place.section, present, form, **given)
    try:
        if "mine" in form:  # both sides were shown, and the form holds choices only
            return base, begun.opened(stored.data_key, place.case_id, place.section, str(form["mine"]))
        filled = str(form.get("filled", ""))
        shown = begun.opened(stored.data_key, place.case_id, place.section, filled) if filled else base
    except CannotOpen:
        shown = base
    return base, section_from(place.section, shown, form, **given)


def _revealed(place: _Place, form: FormData) -> set[str]:
    """The vital fields that the form showed."""
    given = {str(each) for each in form.getlist("revealed")}
    return {each for each in given if each.startswith(f"{place.section}.") and is_vital(each)}


def _choices(form: FormData, version: int) -> Mapping[str, Choice]:
    """What was chosen; of another version than is kept now it means nothing, for paths count entries."""
    if _version(form) != version:
        return {}
    given = {name.removeprefix(_CHOSEN): str(value) for name, value in form.multi_items() if name.startswith(_CHOSEN)}
    return {path: value for path, value in given.items() if value in get_args(Choice)}  # type: ignore[misc]  # just checked


def _version(form: FormData) -> int:
    given = str(form.get("version", ""))[:9]
    return int(given) if given.isascii() and given.isdecimal() else 0


def _reading(place: _Place, vital: Collection[str]) -> list[tuple[str, dict[str, str]]]:
    """The journal's lines of a section that is shown, and of its vital fields that are."""
    return [("case.read", {"section": place.section}), *(("field.viewed", {"field": each}) for each in sorted(vital))]


async def _read(visit: Visit, place: _Place, lines: list[tuple[str, dict[str, str]]]) -> records.StoredCase:
    """Read the case, and journal that in the same step."""
    node, now = visit.node, visit.node.clock.now()

    def step(tx: Connection) -> records.StoredCase:
        stored = records.read_case(tx, node.vault, place.case_id)
        for action, facts in lines:
            journal.append(
                tx, now=now, actor=visit.handler.account_id, action=action, subject=place.case_id, facts=facts
            )
        return stored

    return await node.db.write(step)


async def _conflict(visit: Visit, place: _Place, base: Any, mine: Any, merged: Merged, *, again: bool) -> Response:
    """Both sides of each field, to choose; that vital ones are shown is journalled."""
    vital = {field for each in merged.differing for field in vital_fields(each.path, each.theirs, each.mine)}
    stored = await _read(visit, place, _reading(place, vital))

    def sealed(content: Any) -> str:
        return begun.sealed(stored.data_key, place.case_id, place.section, content)

    language = visit.language
    return page(
        "conflict.html",
        language,
        status=HTTPStatus.CONFLICT,
        visit=visit,
        case=stored.case,
        section=place.section,
        label=section_label(place.section),
        version=stored.version,
        draft_key=place.key,
        base=sealed(base),
        mine=sealed(mine),
        unchosen=again,
        taken=tuple(dict.fromkeys(merged.taken)),
        differing=[
            {
                "path": each.path,
                "theirs": as_text(each.path, each.theirs, language),
                "mine": as_text(each.path, each.mine, language),
                "joinable": each.joinable and is_prose(each.path),
            }
            for each in merged.differing
        ],
    )


def _form(
    visit: Visit,
    place: _Place,
    stored: records.StoredCase,
    content: Any,
    *,
    base: Any = _PRESENT,
    revealed: set[str] | frozenset[str] = frozenset(),
    refused: CordeeError | None = None,
    draft: Waiting | None = None,
) -> Response:
    """The form, filled with `content`. `base` is what a merge starts from: what is kept now where it is not given."""
    present = stored.case.section(place.section)
    base = present if base is _PRESENT else base
    sealed = partial(begun.sealed, stored.data_key, place.case_id, place.section)
    section, listed = place.section, place.section in LIST_SECTIONS
    number = SHOWN.index(section)
    return page(
        "section.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        case=stored.case,
        stored=stored,
        section=section,
        label=section_label(section),
        version=stored.version,
        base=sealed(base),
        filled="" if content == base else sealed(content),
        draft=draft,
        draft_key=place.key,
        joined=visit.request.query_params.get("joined") == "1" and refused is None,
        fields=() if listed else fields_of(section, content, revealed=revealed),
        entries=entries_of(section, content, revealed=revealed) if listed else (),
        to_tick=signals_to_tick(content) if section == SIGNALS else (),
        sources=values_of(f"{SIGNALS}.source"),
        moments=timeline(content) if section == TIMELINE else (),
        revealed=sorted(revealed),
        refused=refused_in_words(refused, visit.language) if refused else None,
        problems=problems_in_words(refused, visit.language) if refused else [],
        before=SHOWN[number - 1] if number else None,
        after=SHOWN[number + 1] if number + 1 < len(SHOWN) else None,
    )


PAGES = (
    Page("case_section", "/cases/{case:uuid}/sections/{section}", get=_show, post=_save),
    Page("case_reveal", "/cases/{case:uuid}/sections/{section}/reveal", post=_reveal),
)
