"""Recording an act of sharing: first for what and to whom, then a short form with what is left to say."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

from babel import Locale
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.act import CATEGORIES, Act, parse_act
from cordee.act.form import LEGAL
from cordee.case import PURPOSES
from cordee.case.labels import value_label
from cordee.errors import N_, Conflict, InvalidRecord, Problem, RecordClosed, filled
from cordee.profile import departement_name
from cordee.runtime.texts import problems as problems_of
from cordee.runtime.texts import text
from cordee.web.wall import HERE
from node import acts, drafts, journal, records
from node.roster_sync import MemberView
from node.web.act_form import Typed, document_of, place_of
from node.web.act_offer import BASES, DURATIONS, Choice, holders_of, of_age_on, offered
from node.web.act_told import recipient_told
from node.web.act_words import ALOUD, HINTS, KINDS, say
from node.web.act_words import PURPOSES as SAID
from node.web.drafting import Waiting, waiting
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_DEPARTEMENTS = ("01", "02", "03", "04", "05", "06", "07", "08", "09", *map(str, range(10, 20)), "2A", "2B",
                 *map(str, range(21, 96)), "971", "972", "973", "974", "976")  # fmt: skip
_LANGUAGES = ("fr", "en", "ar", "bm", "es", "it", "ln", "pt", "ro", "ru", "sq", "tr", "uk", "vi", "wo", "zh")
_FIRST = ("kind", "purpose", "to", "category", "departement")
_LONGEST = 64  # of what the first step gives: ids and codes
_REVIEW = timedelta(days=7)
_URGENT = frozenset({"emergency_shelter", "missing_child"})
_MINOR_ANSWERS = {
    "consent": ("agrees", "assents", "refuses", "dissents", "not_reached", "not_asked"),
    "refusal": ("refuses", "dissents", "agrees", "not_reached", "not_asked"),
    "information_only": ("informed", "agrees", "refuses", "not_reached", "not_asked"),
    "override": ("informed", "agrees", "refuses", "not_reached", "not_asked"),
}
_HOLDER_ANSWERS = ("not_asked", "agrees", "refuses", "informed", "not_reached")
_CHANNELS = ("in_person", "phone", "video", "message", "paper")
_EVIDENCE = ("oral_recorded_by_handler", "oral_with_witness", "signed_paper", "electronic_signature", "court_document",
             "none_emergency")  # fmt: skip
_OTHERS = ("ase", "judge", "prosecutor", "guardian", "ad_hoc_administrator")
_OTHER_ANSWERS = ("agrees", "refuses", "orders", "informed", "not_reached")
_LABELS = {
    "to": N_("To whom"),
    "purpose": N_("What for"),
    "kind": N_("What was decided"),
    "minor_answer": N_("The minor’s answer"),
    "function": N_("Your function"),
    "duration": N_("For how long"),
    "decided": N_("When they answered"),
    "justification": N_("The reason, in writing"),
    "validated_by": N_("Who decided with you"),
    "review": N_("To be looked at again on"),
    "basis": N_("On what ground"),
    "informed_minor": N_("Was the minor told?"),
    "informed_parents": N_("Were the parents told?"),
    "reason_not_informed": N_("Why somebody was not told"),
    "protection": N_("It serves their protection"),
    "necessity": N_("It is strictly necessary"),
    "words": N_("In their own words"),
    "witness": N_("The witness’s function"),
    "evidence": N_("How it was given"),
    "notice_language": N_("Language in which it was said"),
    "attachments": N_("Files"),
    "other_authority": N_("Name of the service or court"),
}


async def _blank(visit: Visit) -> Response:
    """The first step without a choice in the address, the form with one. The reading is journalled in the same step."""
    stored, kept = await _read(visit)
    members = visit.node.roster.members()
    asked = {name: visit.request.query_params.get(name, "")[:_LONGEST] for name in _FIRST}
    asked["to"] = _org_id(asked["to"], members)
    choice, problems = _choice(asked, members)
    if choice is None:  # without a kind nobody has filled the first step: a link that knows the rest led here
        return _start(
            visit, stored, Typed({key: [each] for key, each in asked.items()}), problems if asked["kind"] else ()
        )
    draft = await waiting(visit, _draft_key(visit, choice))
    if draft is not None and draft.taken:
        typed = Typed({key: [str(each) for each in draft.form.getlist(key)] for key in draft.form})
    else:
        typed = _defaults(choice, stored, kept, visit.node.clock.now(), _new_id(visit))
    return _form(visit, stored, choice, typed, (), draft=draft)


async def _record(visit: Visit, form: FormData) -> Response:
    node, now = visit.node, visit.node.clock.now()
    typed = Typed({key: [str(each) for each in form.getlist(key)] for key in form})
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, _case_id(visit)))
    given = {name: typed.one(name) for name in _FIRST}
    choice, problems = _choice(given, node.roster.members())
    if choice is None:
        stored, _ = await _read(visit)  # shown again, it is read, whether or not the form was opened before
        return _start(visit, stored, typed, problems)
    act_id = typed.one("act_id") or _new_id(visit)
    document, found = document_of(choice, typed, case=stored.case, act_id=act_id, by=visit.handler.account_id, now=now)
    try:
        act = parse_act(document)
    except InvalidRecord as refused:
        named = {each.path for each in found}
        told = [Problem(place_of(each.path), each.problem) for each in problems_of(refused, visit.language)]
        found += [each for each in dict.fromkeys(told) if each.path not in named]
    if found:
        stored, _ = await _read(visit)
        return _form(visit, stored, choice, typed, found)

    def also(tx: Connection) -> None:
        if records.read_case(tx, node.vault, act.case_id).read_only:
            raise RecordClosed()
        drafts.discard(tx, node.vault, visit.handler.account_id, _draft_key(visit, choice))

    try:
        await node.sending.record_act(visit.handler, act, also=also)
    except RecordClosed:
        raise
    except Conflict:
        pass  # the same form, sent twice: it is recorded, and its page says what
    return RedirectResponse(f"/cases/{act.case_id}/acts/{act_id}", status_code=HTTPStatus.SEE_OTHER)


async def _read(visit: Visit) -> tuple[records.StoredCase, list[Act]]:
    node, now, case_id = visit.node, visit.node.clock.now(), _case_id(visit)

    def step(tx: Connection) -> tuple[records.StoredCase, list[Act]]:
        stored = records.read_case(tx, node.vault, case_id)
        facts = {"section": "consents"}
        journal.append(tx, now=now, actor=visit.handler.account_id, action="case.read", subject=case_id, facts=facts)
        return stored, acts.acts_of(tx, node.vault, case_id)

    return await node.db.write(step)


def _choice(given: Mapping[str, str], members: Sequence[MemberView]) -> tuple[Choice | None, Sequence[Problem]]:
    """What was chosen first, or what is wrong with it."""
    problems = []
    kind, purpose = given.get("kind", ""), given.get("purpose", "")
    org_id, category, departement = given.get("to", ""), given.get("category", ""), given.get("departement", "")
    if kind not in KINDS:
        problems.append(Problem("kind", N_("choose an answer")))
    if purpose not in PURPOSES or not PURPOSES[purpose].needs_act:
        problems.append(Problem("purpose", N_("choose an answer")))
    if org_id and not any(each.profile and each.profile.org_id == org_id for each in members):
        problems.append(Problem("to", N_("this association is not in the network")))
    elif not org_id and category not in CATEGORIES:
        problems.append(Problem("to", N_("choose an association, or what kind of association it may be")))
    if departement and departement not in _DEPARTEMENTS:
        problems.append(Problem("to", N_("there is no such département")))
    if problems:
        return None, problems
    return Choice(kind, purpose, org_id, "" if org_id else category, "" if org_id else departement), ()


def _org_id(given: str, members: Sequence[MemberView]) -> str:
    """A recipient as an act names it; a link may name the member instead."""
    return next((each.profile.org_id for each in members if each.profile and each.member.hex() == given), given)


def _start(visit: Visit, stored: records.StoredCase, typed: Typed, problems: Sequence[Problem]) -> Response:
    node = visit.node
    return page(
        "act_start.html",
        visit.language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        visit=visit,
        case=stored.case,
        stored=stored,
        typed=typed,
        troubles=_told(problems, visit.language),
        kinds=KINDS,
        hints=HINTS,
        purposes=[name for name, rule in PURPOSES.items() if rule.needs_act],
        members=[each for each in node.roster.members() if each.profile and each.member != node.member],
        categories=_sorted_categories(visit.language),
        departements=[(code, departement_name(code)) for code in _DEPARTEMENTS],
    )


def _draft_key(visit: Visit, choice: Choice) -> str:
    return f"act/{_case_id(visit)}/{choice.kind}/{choice.purpose}"


def _form(
    visit: Visit,
    stored: records.StoredCase,
    choice: Choice,
    typed: Typed,
    problems: Sequence[Problem],
    *,
    draft: Waiting | None = None,
) -> Response:
    node, language, case = visit.node, visit.language, stored.case
    known = {each.profile.org_id: each for each in node.roster.members() if each.profile}
    who = recipient_told(choice.recipient, known, language)
    member = known.get(choice.org_id)
    return page(
        "act_form.html",
        language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        visit=visit,
        case=case,
        stored=stored,
        choice=choice,
        draft=draft,
        draft_key=_draft_key(visit, choice),
        kind_label=KINDS[choice.kind],
        who=who,
        aloud=[
            say(each, language, who=who, purpose=text(SAID[choice.purpose], language)) for each in ALOUD[choice.kind]
        ],
        typed=typed,
        troubles=_told(problems, language),
        labels=_LABELS,
        minor_answers=_MINOR_ANSWERS[choice.kind],
        holder_answers=_HOLDER_ANSWERS,
        channels=_CHANNELS,
        holders=holders_of(case),
        rows=offered(case, choice.purpose),
        files=case.attachments if PURPOSES[choice.purpose].modes["attachments"] != "X" else (),
        own_files=case.attachments,
        durations=tuple(DURATIONS),
        bases=[each for each in BASES if choice.purpose in LEGAL["bases"][each].get("purposes", PURPOSES)],
        evidence=_EVIDENCE,
        others=_OTHERS,
        other_answers=_OTHER_ANSWERS,
        languages=_languages(typed.one("notice_language"), language),
        of_age_on=of_age_on(case, after=node.clock.now().date(), within=max(DURATIONS.values())),
        recipient_bound=member.bound_by_secrecy if member else None,
        urgent=choice.purpose in _URGENT,
    )


def _defaults(choice: Choice, stored: records.StoredCase, kept: Sequence[Act], now: datetime, act_id: str) -> Typed:
    """What most often holds; never an answer that somebody has to give."""
    case = stored.case
    spoken = [each for each in case.value("identity.languages") or ["fr"] if each]
    duration = {"joint_followup": "180d"}.get(choice.purpose, "72h" if choice.purpose in _URGENT else "90d")
    last = max(kept, key=lambda each: each.decided_at, default=None)
    function = last.to_dict()["events"][0]["by_role"] if last and last.to_dict()["events"] else ""
    return Typed(
        {
            "act_id": [act_id],
            "minor_channel": ["in_person"],
            "function": [function],
            "sections": [each.name for each in offered(case, choice.purpose) if each.mode in ("D", "M")],
            "duration": [duration],
            "evidence": ["oral_recorded_by_handler"],
            "notice_language": [spoken[0]],
            "read_aloud": ["on"],
            "interpreter": ["on"] if case.value("identity.interpreter_needed") == "yes" else [],
            "informed_parents": [] if holders_of(case) else ["none_known"],
            "review": [
                f"{(now + (DURATIONS['72h'] if choice.purpose in _URGENT else _REVIEW)).astimezone(HERE):%Y-%m-%d}"
            ],
        }
    )


def _told(problems: Sequence[Problem], language: str) -> list[dict[str, str]]:
    """Each problem in words, with the field it belongs to."""
    return [
        {
            "field": each.path,
            "label": text(_LABELS.get(each.path, N_("This act")), language),
            "problem": filled(text(each.problem, language), dict(each.facts)),
        }
        for each in problems
    ]


def _sorted_categories(language: str) -> list[tuple[str, str]]:
    told = [(each, text(value_label("consents.recipients.category", each), language)) for each in CATEGORIES]
    return sorted(told, key=lambda each: each[1].casefold())


def _languages(chosen: str, language: str) -> list[tuple[str, str]]:
    """Languages by name, as the reader writes them."""
    locale = Locale(language)
    codes = [chosen, *_LANGUAGES] if chosen and chosen not in _LANGUAGES else _LANGUAGES
    return sorted(((each, locale.languages.get(each, each)) for each in codes), key=lambda each: each[1].casefold())


def _new_id(visit: Visit) -> str:
    return str(uuid.UUID(bytes=visit.node.random(16), version=4))


def _case_id(visit: Visit) -> str:
    return str(visit.request.path_params["case"])


PAGES = (Page("act_new", "/cases/{case:uuid}/acts/new", get=_blank, post=_record),)
