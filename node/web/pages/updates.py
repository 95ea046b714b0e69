"""A case that two associations follow: send what is new, and see what the other wrote beside one's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.case import SECTIONS
from cordee.case.form import LIST_SECTIONS
from cordee.case.labels import section_label
from cordee.errors import N_, CordeeError, NotFound
from cordee.ids import TransferId
from cordee.runtime.texts import translate
from node import journal, records, versions
from node.versions import Version
from node.web.following import id_of
from node.web.forms import Field, entries_of, fields_of, is_hidden
from node.web.pages.transfers import to_transfer, transfer_of
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]


# ---- to the other association ----


async def _before_update(visit: Visit) -> Response:
    return await _update_page(visit, transfer_of(visit))


async def _update_page(visit: Visit, first: TransferId, refused: CordeeError | None = None) -> Response:
    """What would leave, and nothing else. Where nothing may, the reason stands instead."""
    line = await visit.node.transfers.get(visit.handler, first)
    preview = None
    try:
        preview = await visit.node.sending.preview_update(visit.handler, first)
    except NotFound:
        raise
    except CordeeError as problem:
        refused = refused or problem
    return page(
        "transfer_update.html",
        visit.language,
        status=HTTPStatus.CONFLICT if refused else HTTPStatus.OK,
        visit=visit,
        line=line,
        preview=preview,
        refused=translate(refused, visit.language) if refused else None,
    )


async def _update(visit: Visit, form: FormData) -> Response:
    """Send the sections that are ticked, as an update of the referral."""
    first = transfer_of(visit)
    sections = [str(each) for each in form.getlist("section")]
    try:
        return to_transfer(await visit.node.sending.update(visit.handler, first, sections=sections))
    except NotFound:
        raise
    except CordeeError as refused:
        return await _update_page(visit, first, refused)


# ---- from the other association ----


@dataclass(frozen=True)
class Row:
    """One field in words: values that people typed, codes to be translated, or None where it is hidden."""

    path: str
    label: str
    values: tuple[str, ...] | None
    kind: str = "text"
    entry: int | None = None  # which one of a list


@dataclass(frozen=True)
class Pair:
    """A section as it stands here and as the other version says it."""

    name: str
    label: str
    here: tuple[Row, ...]
    there: tuple[Row, ...]
    same: bool  # also in what is hidden: whether it differs is told, how only to those who ask


async def _versions(visit: Visit) -> Response:
    return await _beside(visit, ())


async def _reveal(visit: Visit, form: FormData) -> Response:
    """Show vital fields, on both sides; each view is journalled (domain §1.2)."""
    return await _beside(visit, {str(each) for each in form.getlist("field") if is_field_hidden(str(each))})


async def _beside(visit: Visit, revealed: Collection[str]) -> Response:
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])
    wanted = id_of(visit.request.query_params.get("of", ""))

    def step(tx: Connection) -> tuple[records.StoredCase, list[Version]]:
        actor = visit.handler.account_id
        stored = records.read_case(tx, node.vault, case_id)
        found = versions.versions_of(tx, node.vault, case_id)
        facts = {"section": "versions"}
        journal.append(tx, now=now, actor=actor, action="case.read", subject=case_id, facts=facts)
        for each in sorted(revealed):
            facts = {"field": each}
            journal.append(tx, now=now, actor=actor, action="field.viewed", subject=case_id, facts=facts)
        return stored, found

    stored, found = await node.db.write(step)
    shown = next((each for each in found if each.transfer == wanted), found[0] if found else None)
    return page(
        "case_versions.html",
        visit.language,
        visit=visit,
        case=stored.case,
        versions=found,
        shown=shown,
        authors={each.transfer: node.roster.name_of(each.author) for each in found},
        pairs=_pairs(stored.case.to_dict(), shown.sections, revealed) if shown is not None else [],
        revealed=sorted(revealed),
    )


def is_field_hidden(path: str) -> bool:
    """Whether this is a field that is shown only when somebody asks for it; what is no field is none."""
    try:
        return path.partition(".")[0] in SECTIONS and is_hidden(path)
    except (KeyError, ValueError):
        return False


def _pairs(here: Mapping[str, Any], there: Mapping[str, Any], revealed: Collection[str]) -> list[Pair]:
    names = [name for name in SECTIONS if name in there and name not in ("meta", "attachments", "consents")]
    return [_pair(name, here.get(name), there[name], revealed) for name in names]


def _pair(name: str, here: Any, there: Any, revealed: Collection[str]) -> Pair:
    ours, theirs = tuple(_rows(name, here, revealed)), tuple(_rows(name, there, revealed))
    hidden = {row.path for row in (*ours, *theirs) if row.values is None}
    everything = {*revealed, *hidden}
    same = list(_rows(name, here, everything)) == list(_rows(name, there, everything))
    return Pair(name, section_label(name), ours, theirs, same)


def _rows(section: str, content: Any, revealed: Collection[str]) -> Iterator[Row]:
    if section not in LIST_SECTIONS:
        yield from _told(fields_of(section, content, revealed=revealed))
        return
    for number, entry in enumerate(entries_of(section, content, revealed=revealed)):
        if entry.key != "new":
            yield from _told(entry.fields, entry=number)


def _told(fields: Iterable[Field], entry: int | None = None) -> Iterator[Row]:
    for field in fields:
        if not field.shown:
            yield Row(field.path, field.label, None, entry=entry)
        elif field.kind == "entries":
            for each in field.entries:
                if each.key != "new":
                    yield from _told(each.fields, entry=int(each.key))
        elif field.value not in (None, "", []):
            yield Row(field.path, field.label, _values(field), field.kind, entry)


def _values(field: Field) -> tuple[str, ...]:
    labels = dict(field.choices)
    if isinstance(field.value, bool):
        return (N_("Yes") if field.value else N_("No"),)
    many: Sequence[Any] = field.value if isinstance(field.value, list) else [field.value]
    return tuple(labels.get(str(each), str(each)) for each in many)


PAGES = (
    Page("transfer_update", "/transfers/{transfer}/update", get=_before_update, post=_update),
    Page("case_versions", "/cases/{case:uuid}/versions", get=_versions, post=_reveal),
)
