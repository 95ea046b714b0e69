"""A sheet for child protection (CRIP), which is on no network: made here, signed by hand, sent by their own way.

The node sends nothing by itself: it shows what would stand on the sheet, asks for what only a person can say, and makes
it under an act that allows it (domain W10). Which sheet it was is journalled by its digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.act import Act, RecipientFacts, decide
from cordee.case import Case, minimise
from cordee.case.labels import section_label, value_label, values_of
from cordee.case.minimisation import PURPOSES
from cordee.errors import N_, CordeeError, Problem, RecordClosed, filled
from cordee.profile import departement_name
from cordee.runtime.texts import facts_in_words, text, translate
from cordee.web.paper import printed
from node import acts, drafts, journal, records
from node.web.act_told import told
from node.web.drafting import Waiting, waiting
from node.web.receipt import House
from node.web.rendering import page
from node.web.report_sheet import ORDER, Written, report
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_PURPOSE = "crip_ip"
_RESIDENCE = "situation.departement_of_residence"
_PARENTS, _MINOR = "judicial.alerts.parents_informed", "judicial.alerts.minor_informed"
_LONGEST = {"facts": 20_000, "done": 10_000, "parents_words": 2_000, "author": 150, "function": 150}
_LABELS = {
    "facts": N_("Facts, with their dates"),
    "done": N_("What was done already"),
    "parents": N_("Were the parents told?"),
    "parents_words": N_("Why not, or when they will be"),
    "minor": N_("Was the minor told?"),
    "author": N_("Who writes"),
    "function": N_("Function"),
    "act": N_("The decision that it rests on"),
    "departement": N_("Département of residence"),
}
_REASON_NEEDED = ("no_against_child_interest", "pending")
_MANY = 20  # sections


@dataclass(frozen=True)
class _Seen:
    stored: records.StoredCase
    kept: list[Act]

    @property
    def case(self) -> Case:
        return self.stored.case

    @property
    def departement(self) -> str:
        """Where the report goes: of residence, never of exploitation. Empty where it is not known."""
        known = str(self.case.value(_RESIDENCE) or "")
        return known if departement_name(known) != known else ""


async def _blank(visit: Visit) -> Response:
    seen = await _read(visit)
    draft = await waiting(visit, _key(visit))
    typed: dict[str, Any] = {"author": visit.handler.name, "sections": None}
    if draft is not None and draft.taken:
        typed = _typed(draft.form)
    return _form(visit, seen, typed, draft=draft)


async def _make(visit: Visit, form: FormData) -> Response:
    """The sheet, once everything is there; nothing of it is kept but its digest."""
    seen, typed = await _read(visit), _typed(form)
    act = next((each for each in _allowing(visit, seen) if each.act_id == typed["act"]), None)
    problems = _problems(seen, typed, act)
    if problems or act is None:
        return _form(visit, seen, typed, problems=problems)
    modes, chosen = PURPOSES[_PURPOSE].modes, set(typed["sections"])
    offered = {each for each in _offered(seen, act) if modes[each] != "R"}
    try:
        sections = minimise(
            seen.case,
            purpose=_PURPOSE,
            act=act,
            ticked={each for each in offered & chosen if modes[each] == "C"},
            unticked={each for each in offered - chosen if modes[each] == "D"},
        )
    except CordeeError as refused:
        return _form(visit, seen, typed, refused=refused)
    node, now, language = visit.node, visit.node.clock.now(), visit.language
    words = report(
        sections,
        Written(**{name: typed[name] for name in Written.__dataclass_fields__}),
        House.of(node.roster.card(node.member, now=now).profile),
        departement=seen.departement,
        number=str(seen.case.value("meta.local_number") or ""),
        decided=told(act, members=(), persons={}, now=now, language=language).kind,
        now=now,
        language=language,
    )
    made = printed(words, now=now, language=language, stamp=visit.stamp, foot=text(N_("Confidential"), language))
    facts = {
        "act": act.act_id,
        "departement": seen.departement,
        "digest": hashlib.sha256(made).hexdigest(),
        "version": str(seen.stored.version),
    }

    def step(tx: Connection) -> None:
        by, case_id = visit.handler.account_id, seen.case.case_id
        journal.append(tx, now=now, actor=by, action="case.report_made", subject=case_id, facts=facts)
        drafts.discard(tx, node.vault, by, _key(visit))

    await node.db.write(step)
    headers = {"Content-Disposition": 'attachment; filename="notes.pdf"'}
    return Response(made, media_type="application/pdf", headers=headers)


def _typed(form: FormData) -> dict[str, Any]:
    typed: dict[str, Any] = {name: str(form.get(name, "")).replace("\r\n", "\n").strip() for name in _LABELS}
    typed["sections"] = [str(each) for each in form.getlist("sections")[:_MANY]]
    return typed


def _problems(seen: _Seen, typed: dict[str, Any], act: Act | None) -> list[Problem]:
    found = []
    if act is None:
        found.append(Problem("act", N_("choose one that allows it, or record it first")))
    if not seen.departement:
        found.append(Problem("departement", N_("fill it in under “Situation” first: the report goes there")))
    found += [Problem(name, N_("missing")) for name in ("facts", "author", "function") if not typed[name]]
    found += [
        Problem(name, N_("choose an answer"))
        for name, path in (("parents", _PARENTS), ("minor", _MINOR))
        if typed[name] not in values_of(path)
    ]
    if typed["parents"] in _REASON_NEEDED and not typed["parents_words"]:
        found.append(Problem("parents_words", N_("missing")))
    found += [
        Problem.of(name, N_("must have at most {limit} character(s)"), limit=limit)
        for name, limit in _LONGEST.items()
        if len(typed[name]) > limit
    ]
    return found


def _facts(departement: str) -> RecipientFacts:
    """The CRIP of a département: an authority that the law lets know it, and that is on no network."""
    return RecipientFacts("", True, True, True, frozenset({"crip", "public_authority"}), departement)


def _allowing(visit: Visit, seen: _Seen) -> list[Act]:
    return [each for each in reversed(seen.kept) if _judged(visit, seen, each).allowed]


def _judged(visit: Visit, seen: _Seen, act: Act | None) -> Any:
    return decide(
        act=act,
        acts_on_record=seen.kept,
        case=seen.case,
        purpose=_PURPOSE,
        recipient=_facts(seen.departement),
        now=visit.node.clock.now(),
    )


def _offered(seen: _Seen, act: Act) -> list[str]:
    """The sections that may stand on the sheet: not empty, of this purpose, covered by the act."""
    modes = PURPOSES[_PURPOSE].modes
    return [each for each in ORDER if modes[each] != "X" and each in act.sections and seen.case.section(each)]


def _form(
    visit: Visit,
    seen: _Seen,
    typed: dict[str, Any],
    *,
    problems: list[Problem] | None = None,
    refused: CordeeError | None = None,
    draft: Waiting | None = None,
) -> Response:
    node, now, language = visit.node, visit.node.clock.now(), visit.language
    allowing = _allowing(visit, seen)
    missing = ""
    if not allowing:
        named = next((each for each in reversed(seen.kept) if _PURPOSE in each.purposes), None)
        decision = _judged(visit, seen, named)
        missing = filled(text(decision.missing, language), facts_in_words(dict(decision.facts), language))
    chosen, modes = typed["sections"], PURPOSES[_PURPOSE].modes
    shown = _offered(seen, allowing[0]) if allowing else []
    members = node.roster.members()
    return page(
        "report.html",
        language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems or refused else HTTPStatus.OK,
        visit=visit,
        case=seen.case,
        typed={name: typed.get(name, "") for name in _LABELS},
        longest=_LONGEST,
        acts=[(each.act_id, told(each, members=members, persons={}, now=now, language=language)) for each in allowing],
        missing=missing,
        departement=seen.departement,
        where=departement_name(seen.departement) if seen.departement else "",
        sections=[
            (each, section_label(each), modes[each] == "R", modes[each] == "D" if chosen is None else each in chosen)
            for each in shown
        ],
        parents=[(each, text(value_label(_PARENTS, each), language)) for each in values_of(_PARENTS)],
        minor=[(each, text(value_label(_MINOR, each), language)) for each in values_of(_MINOR)],
        draft=draft,
        draft_key=_key(visit),
        refused=translate(refused, language) if refused else None,
        troubles=[
            {
                "field": each.path,
                "label": text(_LABELS[each.path], language),
                "problem": text(each.problem, language).format(**dict(each.facts)),
            }
            for each in problems or ()
        ],
    )


async def _read(visit: Visit) -> _Seen:
    """That it was read is journalled in the same step (domain §1.2). Raises RecordClosed for what is handed over."""
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])

    def step(tx: Connection) -> _Seen:
        stored = records.read_case(tx, node.vault, case_id)
        if stored.holder == "handed_over":
            raise RecordClosed()
        journal.append(tx, now=now, actor=visit.handler.account_id, action="case.read", subject=case_id)
        return _Seen(stored, acts.acts_of(tx, node.vault, case_id))

    return await node.db.write(step)


def _key(visit: Visit) -> str:
    return f"{visit.request.path_params['case']}/report"


PAGES = (Page("report", "/cases/{case:uuid}/report", get=_blank, post=_make),)
