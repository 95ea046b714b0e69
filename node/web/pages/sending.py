"""Sending a case: who can help, what for, exactly what will leave, and the last look before it is offered.

One screen for each. All that was chosen stands in the address as ids and codes; nothing is kept, and nothing leaves,
before the last button. Each step asks the domain anew, so that no address decides anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from babel import Locale
from babel.dates import format_date
from sqlalchemy import Connection
from starlette.datastructures import FormData, QueryParams
from starlette.responses import RedirectResponse, Response

from cordee.act import Act, Decision, decide
from cordee.case import PURPOSES
from cordee.case.labels import value_label
from cordee.errors import N_, CordeeError, StaleRecord, filled
from cordee.profile import departement_name
from cordee.runtime.texts import text
from node import acts, journal, records, transfer_store
from node.roster_sync import MemberView
from node.sending import Preview, recipient_facts
from node.web.choice import Choice, address, sections_of
from node.web.criteria import Criteria, departement_code
from node.web.lines import is_vital, summary_lines
from node.web.pages.search import facts_of, found, is_shelter, member_of, seats_of
from node.web.refusals import Refusal, refusal_of
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

FLAGS: Final[Mapping[str, str]] = {
    "notify_referent": N_("Tell the person who follows this case here."),
    "notify_manager": N_("Tell your manager."),
    "complete_within_24h": N_("The act is not complete: complete it within 24 hours."),
    "minor_refused": N_("The minor said no. Tell them what you do and why."),
    "minor_not_able": N_("The minor was judged not able to decide: the holders of parental authority agreed."),
    "holders_not_asked": N_("The holders of parental authority were not asked; the act says why."),
    "other_holder_presumed": N_("One parent agreed; the other one is presumed to agree."),
    "holder_not_reached": N_("A holder of parental authority could not be reached."),
    "recipient_named_in_words": N_("The act describes the recipient in words: check that this is who was meant."),
    "recipient_in_area_to_avoid": N_("This association is where the minor has to keep away from."),
}
_STEPS: Final = (
    ("", N_("Who")),
    ("/why", N_("What for")),
    ("/what", N_("What leaves")),
    ("/confirm", N_("Confirm")),
)
_AREAS: Final = "housing.areas_to_avoid"
_MANY: Final = 50
_OTHERWISE: Final = 10  # the last row of the decision table


class _Opened:
    """A case that was opened to be sent: read and journalled in one step."""

    def __init__(self, visit: Visit, stored: records.StoredCase, on_record: list[Act]) -> None:
        self.visit = visit
        self.stored = stored
        self.case = stored.case
        self.acts = on_record
        self.params: QueryParams = visit.request.query_params
        self.base = f"/cases/{stored.case.case_id}/send"

    def link(self, step: str, *without: str, **changes: str) -> str:
        """Another step with the same choices."""
        query = address(self.params, *without, **changes)
        return f"{self.base}{step}{'?' if query else ''}{query}"

    def page(self, template: str, step: int, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """One step as a page; the steps before it are links back."""
        return page(
            template,
            self.visit.language,
            status=status,
            visit=self.visit,
            case=self.case,
            base=self.base,
            trail=[
                (number, words, self.link(path) if number < step else "") for number, (path, words) in enumerate(_STEPS)
            ],
            step=step,
            link=self.link,
            query=address(self.params),
            **values,
        )


async def _open(visit: Visit, *, viewed: Collection[str] = ()) -> _Opened:
    """That the case was read, and which vital fields were shown, is journalled in the same step. Raises NotFound."""
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])

    def step(tx: Connection) -> tuple[records.StoredCase, list[Act]]:
        stored = records.read_case(tx, node.vault, case_id)
        by = visit.handler.account_id
        journal.append(tx, now=now, actor=by, action="case.read", subject=case_id, facts={"section": "sending"})
        for field in sorted(viewed):
            journal.append(tx, now=now, actor=by, action="field.viewed", subject=case_id, facts={"field": field})
        return stored, acts.acts_of(tx, node.vault, case_id)

    stored, on_record = await node.db.write(step)
    return _Opened(visit, stored, on_record)


# ---- 1: who ----


async def _who(visit: Visit) -> Response:
    return _who_page(await _open(visit), frozenset())


def _who_page(opened: _Opened, revealed: Collection[str]) -> Response:
    visit, choice = opened.visit, Choice.read(opened.params)
    today = visit.node.clock.now().date()
    own = Criteria.of_case(opened.case, today=today, purpose=choice.purpose)
    criteria = Criteria.read(opened.params, own)
    avoided = opened.case.value(_AREAS) or []
    lines, mistakes = found(visit, criteria, avoided)
    shown = [f"{departement_name(each)} ({each})" for each in avoided] if _AREAS in revealed else []
    return opened.page(
        "send_who.html",
        0,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        mistakes=mistakes,
        avoids=bool(avoided),
        avoided=shown,
        choice=choice,
        **facts_of(visit, criteria, lines, seats_of(visit, lines)),
    )


# ---- 2: what for, and under which act ----


async def _why(visit: Visit) -> Response:
    opened = await _open(visit)
    choice = Choice.read(opened.params)
    if not choice.to:
        return _from_the_start(opened)
    recipient = member_of(visit, choice.recipient)
    try:
        if recipient.profile is None:
            visit.node.roster.card(recipient.member, now=visit.node.clock.now())
        visit.node.roster.roster.active(recipient.member)
    except CordeeError as refused:
        refusal = refusal_of(visit, opened.case.case_id, refused, back=opened.link(""))
        return opened.page(
            "send_why.html", 1, status=HTTPStatus.CONFLICT, recipient=recipient, refusal=refusal, ready=[], other=[]
        )
    ways = [_way(opened, recipient, name) for name, each in PURPOSES.items() if each.needs_act]
    asked = [each for each in ways if each["name"] == choice.purpose]
    ready = [each for each in ways if each["acts"]]
    return opened.page(
        "send_why.html",
        1,
        recipient=recipient,
        refusal=None,
        # What was asked for on the first screen comes first, then what an act on record allows.
        ready=sorted(ready, key=lambda each: each not in asked),
        other=sorted((each for each in ways if not each["acts"]), key=lambda each: each not in asked),
    )


def _way(opened: _Opened, recipient: MemberView, purpose: str) -> dict[str, Any]:
    """One purpose: the acts that allow it for this recipient, or what the decision table says is missing."""
    visit, now = opened.visit, opened.visit.node.clock.now()
    assert recipient.profile is not None  # noqa: S101  # it has a card in force: the page looked
    facts = recipient_facts(visit.node.house, recipient.member, recipient.profile)

    def judged(act: Act | None) -> Decision:
        return decide(act=act, acts_on_record=opened.acts, case=opened.case, purpose=purpose, recipient=facts, now=now)

    allowed = [each for each in reversed(opened.acts) if judged(each).allowed]
    named = [each for each in reversed(opened.acts) if purpose in each.purposes]
    refused = None if allowed else judged(named[0] if named else None)
    kinds = ("transfer", "referral") if PURPOSES[purpose].moves_responsibility else ("referral",)
    return {
        "name": purpose,
        "acts": allowed,
        "links": [
            (kind, act, opened.link("/what", *_CONTENT, purpose=purpose, kind=kind, act=act.act_id))
            for act in allowed
            for kind in kinds
        ],
        # That there is no act at all need not be said of every purpose.
        "missing": _missing(visit, refused) if refused and (named or refused.rule < _OTHERWISE) else "",
        "record": _new_act(opened, purpose, recipient.member.hex()),
    }


_CONTENT: Final = ("own", "s", "x", "file", "v")  # what was chosen for another purpose does not fit this one


def _missing(visit: Visit, refused: Decision) -> str:
    facts = dict(refused.facts)
    if "day" in facts:
        facts["day"] = format_date(date.fromisoformat(facts["day"]), "long", locale=visit.language)
    if "who" in facts:
        facts["who"] = ", ".join(_role(each, visit.language) for each in facts["who"].split(", "))
    return filled(refused.missing, facts, partial(text, language=visit.language))


def _role(code: str, language: str) -> str:
    try:
        return text(value_label("consents.decided_by.role", code), language)
    except KeyError:
        return text(code, language)  # “not told”


def _new_act(opened: _Opened, purpose: str, to: str) -> str:
    return f"/cases/{opened.case.case_id}/acts/new?purpose={purpose}&to={to}"


# ---- 3: exactly what leaves ----


async def _what(visit: Visit) -> Response:
    return await _what_page(await _open(visit), frozenset())


async def _what_page(opened: _Opened, revealed: Collection[str], refused: CordeeError | None = None) -> Response:
    visit, choice = opened.visit, Choice.read(opened.params)
    if not (choice.purpose and choice.to):
        return _from_the_start(opened)
    recipient = member_of(visit, choice.recipient)
    preview: Preview | None = None
    try:
        preview = await visit.node.sending.preview(visit.handler, case_id=opened.case.case_id, **choice.asked())
    except CordeeError as refusal:
        refused = refused or refusal
    act = next((each for each in opened.acts if each.act_id == choice.act), None)
    refusal_told = _told(opened, choice, refused)
    return opened.page(
        "send_what.html",
        2,
        status=HTTPStatus.CONFLICT if refused else HTTPStatus.OK,
        recipient=recipient,
        choice=choice,
        preview=preview,
        act=act,
        refusal=refusal_told,
        sections=sections_of(opened.case, choice, preview, act, revealed=revealed),
        files=_files(opened, choice, act),
        flags=_flags(preview),
        revealed=revealed,
        carried=[(k, v) for k, v in opened.params.multi_items()[:_MANY] if k in _BEFORE],
        language_names=Locale.parse(visit.language).languages,
    )


_BEFORE: Final = frozenset(
    {"q", "need", "dep", "far", "age", "gender", "lang", "name", "tonight", "runaways", "free", "avoid"}
    | {"to", "purpose", "kind", "act"}
)


def _files(opened: _Opened, choice: Choice, act: Act | None) -> list[dict[str, Any]]:
    """Each attachment with its size, whether it was chosen, and why it cannot be."""
    possible = (
        PURPOSES[choice.purpose].modes["attachments"] != "X" and act is not None and "attachments" in act.sections
    )
    found_files = []
    for each in opened.stored.attachments:
        why = ""
        if not possible:
            why = N_("files do not leave for this purpose, or under this act")
        elif act is None or each.attachment_id not in act.attachment_ids:
            why = N_("the act does not name it")
        elif not each.may_be_sent:
            why = N_("it is not marked “may be sent”")
        found_files.append({"file": each, "why": why, "chosen": each.attachment_id in choice.files})
    return found_files


# ---- 4: the last look ----


async def _confirm(visit: Visit) -> Response:
    return await _confirm_page(await _open(visit), frozenset())


async def _confirm_page(
    opened: _Opened, revealed: Collection[str], *, typed: str = "", mistake: str = "", hold: bool = False
) -> Response:
    visit, choice = opened.visit, Choice.read(opened.params)
    if not (choice.purpose and choice.to):
        return _from_the_start(opened)
    if not choice.version:  # an address of this step that did not come from the one before it
        return RedirectResponse(opened.link("/what"), status_code=HTTPStatus.SEE_OTHER)
    try:
        preview = await visit.node.sending.preview(visit.handler, case_id=opened.case.case_id, **choice.asked())
        if choice.version != preview.version:
            raise StaleRecord(present=preview.version, given=choice.version)
    except CordeeError as refused:
        return await _what_page(opened, frozenset(), refused)
    recipient = member_of(visit, choice.recipient)
    before = await visit.node.db.read(transfer_store.all_transfers)
    return opened.page(
        "send_confirm.html",
        3,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if mistake else HTTPStatus.OK,
        recipient=recipient,
        departement=departement_name(recipient.departement),
        choice=choice,
        preview=preview,
        life=preview.expires - visit.node.clock.now(),
        flags=_flags(preview),
        first_time=not any(each.outgoing and each.peer == recipient.member for each in before),
        retype=is_shelter(recipient),
        typed=typed,
        mistake=mistake,
        hold=hold,
        summary=preview.summary,
        lines=summary_lines(preview.summary, revealed=revealed),
        language_names=Locale.parse(visit.language).languages,
    )


async def _offer(visit: Visit, form: FormData) -> Response:
    """The only step that sends anything: the sealed summary; the case itself waits for a person there."""
    choice = Choice.read(visit.request.query_params)
    if not (choice.purpose and choice.to):
        return _from_the_start(await _open(visit))
    recipient = member_of(visit, choice.recipient)
    typed, hold = str(form.get("departement", ""))[:100], form.get("hold") == "on"
    if is_shelter(recipient) and departement_code(typed) != recipient.departement:
        mistake = N_("this is not the département of this association: check who it is")
        return await _confirm_page(await _open(visit), frozenset(), typed=typed, mistake=mistake, hold=hold)
    try:
        transfer = await visit.node.sending.offer(
            visit.handler,
            case_id=str(visit.request.path_params["case"]),
            hold=hold,
            expected_version=choice.version,
            **choice.asked(),
        )
    except CordeeError as refused:
        return await _what_page(await _open(visit), frozenset(), refused)
    return RedirectResponse(f"/transfers/{transfer.hex()}", status_code=HTTPStatus.SEE_OTHER)


# ---- vital fields ----


async def _reveal(visit: Visit, form: FormData) -> Response:
    """A step again, with the vital fields that were asked for; each view is journalled (domain §1.2)."""
    wanted = frozenset(each for each in map(str, form.getlist("field")[:_MANY]) if is_vital(each))
    opened = await _open(visit, viewed=wanted)
    step = form.get("step")
    if step == "what":
        return await _what_page(opened, wanted)
    if step == "confirm":
        return await _confirm_page(opened, wanted)
    return _who_page(opened, wanted)


async def _unrevealed(visit: Visit) -> Response:
    """Where a browser asks for that page again without its form."""
    return _from_the_start(await _open(visit))


def _from_the_start(opened: _Opened) -> Response:
    """For an address of a late step that leaves out what an early one chose."""
    return RedirectResponse(opened.link(""), status_code=HTTPStatus.SEE_OTHER)


def _flags(preview: Preview | None) -> list[str]:
    return [FLAGS[each] for each in sorted(preview.flags) if each in FLAGS] if preview else []


def _told(opened: _Opened, choice: Choice, refused: CordeeError | None) -> Refusal | None:
    if refused is None:
        return None
    return refusal_of(
        opened.visit,
        opened.case.case_id,
        refused,
        back=opened.link(""),
        purpose=opened.link("/why"),
        record=_new_act(opened, choice.purpose, choice.to),
        again=opened.link("/what", *(("v",) if isinstance(refused, StaleRecord) else _CONTENT)),
    )


PAGES = (
    Page("send_who", "/cases/{case:uuid}/send", get=_who),
    Page("send_why", "/cases/{case:uuid}/send/why", get=_why),
    Page("send_what", "/cases/{case:uuid}/send/what", get=_what),
    Page("send_confirm", "/cases/{case:uuid}/send/confirm", get=_confirm, post=_offer),
    Page("send_reveal", "/cases/{case:uuid}/send/reveal", get=_unrevealed, post=_reveal),
)
