"""What the association says of itself: as the others see it, edited with a preview, and published."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from babel import Locale
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.case.labels import field_label
from cordee.errors import N_, CardRefused, CordeeError, InvalidInput, InvalidRecord, Unreachable
from cordee.jsonform import canonical, load_json
from cordee.profile import PROFILE_LIMIT, Profile, departement_name
from cordee.runtime.texts import translate
from node import drafts, journal, people, profile_editing
from node.web.drafting import Waiting, waiting
from node.web.pages.search import more_of, place_of, telephone_of
from node.web.profile_form import association_fields, document_from, problems_on_page, service_entries
from node.web.rendering import page, problems_in_words, refused_in_words
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES", "shown_of"]

_LINES = 10
_DRAFT = "profile"
_WARNINGS = {
    "siret_checksum": N_(
        "The check digits of the SIRET number are not right: type it again, unless it is so on paper."
    ),
    "siren_checksum": N_("The check digits of the SIREN number are not right: it is the first nine of the SIRET."),
    "siren_mismatch": N_("The SIREN number is not the beginning of the SIRET number."),
    "rna_form": N_("The RNA number is usually W and nine digits."),
}


def shown_of(visit: Visit, profile: Profile) -> dict[str, Any]:
    """What the page of an association shows of its profile."""
    return {
        **more_of(profile),
        "telephone": telephone_of(profile),
        "place": place_of(profile.commune, profile.departement),
        "language_names": Locale.parse(visit.language).languages,
        "departement_name": departement_name,
    }


async def _profile(visit: Visit) -> Response:
    """What everybody reads now, and what was published when."""
    node = visit.node
    known = node.roster.card(node.member, now=node.clock.now())

    def query(tx: Connection) -> tuple[list[journal.JournalEntry], dict[str, str]]:
        names = {each.account_id: each.name for each in people.list_accounts(tx, node.vault)}
        return profile_editing.history(tx, limit=_LINES), names

    lines, names = await node.db.read(query)
    return page(
        "profile.html",
        visit.language,
        visit=visit,
        card=known.card,
        member=node.roster.view(node.roster.roster.members[node.member]),
        lines=[(each, _labels(each.facts.get("fields", ""))) for each in lines],
        names=names,
        corrected=profile_editing.is_corrected(node),
        asked=node.roster.asked_to_correct,
        done=visit.request.query_params.get("done") == "published",
        **shown_of(visit, known.profile),
    )


def _labels(fields: str) -> list[str]:
    """The names of the fields that a line tells; one that is known no more is left out."""
    found = []
    for each in fields.replace(",", " ").split():
        try:
            found.append(field_label(f"profile.{each}"))
        except KeyError:
            continue
    return found


async def _edit(visit: Visit) -> Response:
    draft = await waiting(visit, _DRAFT)
    if draft is not None and draft.taken:
        typed = _document_of(visit, draft.form)
        return _form(visit, typed, base=_base_of(draft.form), draft=draft)
    document = profile_editing.present(visit.node)
    return _form(visit, document, base=profile_editing.base_of(document), draft=draft)


def _document_of(visit: Visit, form: FormData) -> dict[str, Any]:
    """The profile that a form says, as it was typed."""
    node, given = visit.node, _given(visit, form)
    document = document_from(given, form, now=node.clock.now(), random=node.random)
    if not profile_editing.is_corrected(node):
        document["legal_name"] = given["legal_name"]
    return document


def _base_of(form: FormData) -> str:
    return str(form.get("base", ""))[:64]


def _form(
    visit: Visit,
    document: Mapping[str, Any],
    *,
    base: str,
    refused: CordeeError | None = None,
    draft: Waiting | None = None,
) -> Response:
    """The form with this document in it, errors beside the fields and in a list on top."""
    corrected = profile_editing.is_corrected(visit.node)
    if isinstance(refused, InvalidRecord):
        told = problems_on_page(refused.problems, len(document["services"]), corrected=corrected)
        refused = InvalidRecord(problems=told)
    return page(
        "profile_edit.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        legal_name=document["legal_name"],
        corrected=corrected,
        fields=association_fields(document, corrected=corrected),
        services=service_entries(document),
        document=canonical(document).decode(),
        base=base,
        draft=draft,
        draft_key=_DRAFT,
        problems=problems_in_words(refused, visit.language) if refused else [],
        refused=refused_in_words(refused, visit.language) if refused else None,
    )


async def _preview(visit: Visit, form: FormData) -> Response:
    """Nothing leaves: what was typed, as the others would see it."""
    document, base = _document_of(visit, form), _base_of(form)
    try:
        return _shown(visit, document, base)
    except InvalidRecord as refused:
        return _form(visit, document, base=base, refused=refused)


def _shown(visit: Visit, document: Mapping[str, Any], base: str, refused: CordeeError | None = None) -> Response:
    """Raises InvalidRecord."""
    node = visit.node
    profile = profile_editing.checked(node, document)
    changed = profile_editing.changes(profile_editing.present(node), document)
    return page(
        "profile_preview.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.CONFLICT,
        visit=visit,
        member=node.roster.view(node.roster.roster.members[node.member]),
        document=canonical(document).decode(),
        base=base,
        draft_key=_DRAFT,
        changed=_labels(" ".join(changed)),
        warnings=[_WARNINGS[each] for each in profile.warnings],
        refused=translate(refused, visit.language) if refused else None,
        **shown_of(visit, profile),
    )


async def _publish(visit: Visit, form: FormData) -> Response:
    """As it was previewed; or back to the form with it."""
    document, base = _given(visit, form), _base_of(form)
    if form.get("do") != "publish":
        return _form(visit, document, base=base)
    try:
        await profile_editing.publish(visit.node, visit.handler, document, base=base)
    except InvalidRecord as refused:
        return _form(visit, document, base=base, refused=refused)
    except (InvalidInput, Unreachable, CardRefused) as refused:
        base = profile_editing.base_of(profile_editing.present(visit.node))  # what is shown is against the newest
        return _shown(visit, document, base, refused)
    node, by = visit.node, visit.handler.account_id
    await node.db.write(lambda tx: drafts.discard(tx, node.vault, by, _DRAFT))
    return RedirectResponse("/profile?done=published", status_code=HTTPStatus.SEE_OTHER)


def _given(visit: Visit, form: FormData) -> dict[str, Any]:
    """The document that the form carries from page to page; what everybody reads now where it is none."""
    present = profile_editing.present(visit.node)
    try:
        document = load_json(str(form.get("document", "")).encode(), limit=PROFILE_LIMIT, what=N_("the profile"))
    except CordeeError:
        return present
    if not isinstance(document, dict) or not _is_usable(document):
        return present
    legal_name = document.get("legal_name") if profile_editing.is_corrected(visit.node) else present["legal_name"]
    return {**document, "legal_name": legal_name, "org_id": present["org_id"]}


def _is_usable(document: Mapping[str, Any]) -> bool:
    """Enough of a profile to be shown in the form; the rest is judged by its rules."""
    services = document.get("services")
    return isinstance(services, list) and all(isinstance(each, dict) and "service_id" in each for each in services)


PAGES = (
    Page("profile", "/profile", get=_profile),
    Page("profile_edit", "/profile/edit", get=_edit, post=_preview),
    Page("profile_publish", "/profile/publish", post=_publish),
)
