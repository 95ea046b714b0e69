"""Sending a case: exactly what will leave, and the last look before it is offered. `choosing.py` comes before.

One screen for each. All that was chosen stands in the address as ids and codes; nothing is kept, and nothing leaves,
before the last button. Each step asks the domain anew, so that no address decides anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from babel import Locale
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.act import Act
from cordee.case import PURPOSES, encode_sections
from cordee.errors import N_, CordeeError, OfferAlreadyOpen, StaleRecord
from cordee.profile import departement_name
from node import drafts, transfer_store
from node.sending import Preview
from node.web.choice import Choice, sections_of
from node.web.criteria import departement_code
from node.web.drafting import waiting
from node.web.lines import is_vital, summary_lines
from node.web.pages.choosing import who_page
from node.web.pages.search import is_shelter, member_of, telephone_of
from node.web.refusals import Refusal, refusal_of
from node.web.site import Page
from node.web.steps import CONTENT, Opened, from_the_start, key_of, new_act, open_to_send
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
_MANY: Final = 50


# ---- 3: exactly what leaves ----


async def _what(visit: Visit) -> Response:
    return await _what_page(await open_to_send(visit), ())


async def _what_page(opened: Opened, revealed: Collection[str], refused: CordeeError | None = None) -> Response:
    visit, choice = opened.visit, Choice.read(opened.params)
    if not (choice.purpose and choice.to):
        return from_the_start(opened)
    recipient = member_of(visit, choice.recipient)
    preview: Preview | None = None
    try:
        preview = await visit.node.sending.preview(visit.handler, case_id=opened.case.case_id, **choice.asked())
    except CordeeError as found_now:
        refused = refused or found_now
    act = next((each for each in opened.acts if each.act_id == choice.act), None)
    refusal = await _told(opened, choice, refused)
    return opened.page(
        "send_what.html",
        2,
        status=HTTPStatus.CONFLICT if refused else HTTPStatus.OK,
        recipient=recipient,
        choice=choice,
        preview=preview,
        act=act,
        refusal=refusal,
        weight=_weight(preview),
        sections=sections_of(opened.case, choice, preview, act, revealed=revealed),
        files=_files(opened, choice, act),
        flags=_flags(preview),
        revealed=revealed,
        newest=list(revealed)[-1:],
        carried=[(k, v) for k, v in opened.params.multi_items()[:_MANY] if k in _BEFORE],
        language_names=Locale.parse(visit.language).languages,
    )


_BEFORE: Final = frozenset(
    {"q", "need", "dep", "far", "age", "gender", "lang", "name", "tonight", "runaways", "free", "avoid"}
    | {"to", "purpose", "kind", "act"}
)


def _weight(preview: Preview | None) -> int:
    """Bytes of what leaves before it is sealed and filled up to a size that says nothing."""
    if preview is None:
        return 0
    sections = sum(map(len, encode_sections(preview.package).values()))
    return sections + sum(each.size for each in preview.attachments)


def _files(opened: Opened, choice: Choice, act: Act | None) -> list[dict[str, Any]]:
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
    return await _confirm_page(await open_to_send(visit), ())


async def _confirm_page(
    opened: Opened, revealed: Collection[str], *, typed: str = "", mistake: str = "", hold: bool = False
) -> Response:
    visit, choice = opened.visit, Choice.read(opened.params)
    if not (choice.purpose and choice.to):
        return from_the_start(opened)
    if not choice.version:  # an address of this step that did not come from the one before it
        return RedirectResponse(opened.link("/what"), status_code=HTTPStatus.SEE_OTHER)
    try:
        preview = await visit.node.sending.preview(visit.handler, case_id=opened.case.case_id, **choice.asked())
        if choice.version != preview.version:
            raise StaleRecord(present=preview.version, given=choice.version)
    except CordeeError as refused:
        return await _what_page(opened, (), refused)
    recipient = member_of(visit, choice.recipient)
    draft = await waiting(visit, _typed_key(opened.case.case_id, choice))
    if draft is not None and not mistake and not typed:  # what was typed here before something cut it off
        typed, hold = str(draft.form.get("departement", ""))[:100], draft.form.get("hold") == "on"
    before = await visit.node.db.read(transfer_store.all_transfers)
    return opened.page(
        "send_confirm.html",
        3,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if mistake else HTTPStatus.OK,
        recipient=recipient,
        telephone=telephone_of(recipient.profile),
        departement=departement_name(recipient.departement),
        choice=choice,
        preview=preview,
        life=_to_the_minute(preview.expires - visit.node.clock.now()),
        flags=_flags(preview),
        first_time=not any(each.outgoing and each.peer == recipient.member for each in before),
        retype=is_shelter(recipient),
        typed=typed,
        draft_key=_typed_key(opened.case.case_id, choice),
        mistake=mistake,
        hold=hold,
        summary=preview.summary,
        lines=summary_lines(preview.summary, revealed=revealed),
        newest=list(revealed)[-1:],
        act=next(each for each in opened.acts if each.act_id == choice.act),  # the preview found it
        language_names=Locale.parse(visit.language).languages,
    )


async def _offer(visit: Visit, form: FormData) -> Response:
    """The only step that sends anything: the sealed summary; the case itself waits for a person there."""
    choice = Choice.read(visit.request.query_params)
    if not (choice.purpose and choice.to):
        return from_the_start(await open_to_send(visit))
    recipient = member_of(visit, choice.recipient)
    typed, hold = str(form.get("departement", ""))[:100], form.get("hold") == "on"
    if is_shelter(recipient) and departement_code(typed) != recipient.departement:
        mistake = N_("this is not the département of this association: check who it is")
        return await _confirm_page(await open_to_send(visit), (), typed=typed, mistake=mistake, hold=hold)
    case_id = str(visit.request.path_params["case"])
    try:
        transfer = await visit.node.sending.offer(
            visit.handler,
            case_id=case_id,
            hold=hold,
            expected_version=choice.version,
            **choice.asked(),
        )
    except CordeeError as refused:
        return await _what_page(await open_to_send(visit), (), refused)
    await _forget(visit, case_id, choice)
    return RedirectResponse(f"/transfers/{transfer.hex()}", status_code=HTTPStatus.SEE_OTHER)


def _typed_key(case_id: str, choice: Choice) -> str:
    """Which draft holds what was typed in the last screen: of this recipient alone."""
    return f"{case_id}/send-confirm/{choice.to}"


async def _forget(visit: Visit, case_id: str, choice: Choice) -> None:
    """It was offered: nothing is to be taken up any more."""
    node, by = visit.node, visit.handler.account_id

    def step(tx: Connection) -> None:
        for key in (key_of(case_id), _typed_key(case_id, choice)):
            drafts.discard(tx, node.vault, by, key)

    await node.db.write(step)


# ---- vital fields ----


async def _reveal(visit: Visit, form: FormData) -> Response:
    """A step again, with the vital fields that were asked for; each view is journalled (domain §1.2)."""
    wanted = [each for each in map(str, form.getlist("field")[:_MANY]) if is_vital(each)]
    opened = await open_to_send(visit, viewed=frozenset(wanted))
    step = form.get("step")
    if step == "what":
        return await _what_page(opened, wanted)
    if step == "confirm":
        return await _confirm_page(opened, wanted)
    return who_page(opened, wanted)


async def _unrevealed(visit: Visit) -> Response:
    """Where a browser asks for that page again without its form."""
    return from_the_start(await open_to_send(visit))


def _flags(preview: Preview | None) -> list[str]:
    return [FLAGS[each] for each in sorted(preview.flags) if each in FLAGS] if preview else []


async def _told(opened: Opened, choice: Choice, refused: CordeeError | None) -> Refusal | None:
    if refused is None:
        return None
    under_way = ""
    if isinstance(refused, OfferAlreadyOpen):  # which tells the beginning of its id
        offers = await opened.visit.node.db.read(lambda tx: transfer_store.open_offers(tx, opened.case.case_id))
        under_way = next((each.id.hex() for each in offers if each.peer == choice.recipient), "")
    return refusal_of(
        opened.visit,
        opened.case.case_id,
        refused,
        back=opened.link(""),
        purpose=opened.link("/why"),
        record=new_act(opened, choice.purpose, choice.to),
        transfer=under_way,
        again=opened.link("/what", *(("v",) if isinstance(refused, StaleRecord) else CONTENT)),
    )


def _to_the_minute(life: timedelta) -> timedelta:
    """As it was set: of ten minutes, some moments have passed when the page is shown."""
    return timedelta(minutes=round(life / timedelta(minutes=1)))


PAGES = (
    Page("send_what", "/cases/{case:uuid}/send/what", get=_what),
    Page("send_confirm", "/cases/{case:uuid}/send/confirm", get=_confirm, post=_offer),
    Page("send_reveal", "/cases/{case:uuid}/send/reveal", get=_unrevealed, post=_reveal),
)
