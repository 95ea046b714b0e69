"""What a handler answers to another association: accept, decline, return, erase or keep."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, AnotherStatement, CordeeError, NotFound, NotInThisState, RoleMissing, TransferOver
from cordee.ids import TransferId
from cordee.runtime.texts import translate
from cordee.summary import DECLINE_REASONS, KEEPING_REASONS, RETURN_REASONS
from cordee.transfer import State
from node import journal
from node.web.following import areas_of, needed_of
from node.web.pages.transfers import Answer, contact_of, show, to_transfer, transfer_of
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_TEXT_LIMIT = 2000
_YES_NO = ("yes", "no")
_OVER = (NotFound, RoleMissing, NotInThisState, AnotherStatement, TransferOver)  # no form to give back: it is no use


async def _accept(visit: Visit, form: FormData) -> Response:
    """Accept, all of it or fewer sections, once a person has answered the questions of compatibility."""
    node, transfer = visit.node, transfer_of(visit)
    summary = await node.transfers.summary(visit.handler, transfer)
    wanted = {str(each) for each in form.getlist("section")} | (needed_of(summary.purpose) & set(summary.sections))
    typed = {"section": wanted, "conflict": str(form.get("conflict", "")), "areas": str(form.get("areas", ""))}
    asked = ["conflict", *(["areas"] if areas_of(summary) else [])]
    faults = [(each, _unanswered(each, typed[each])) for each in asked if typed[each] != "no"]
    if faults:
        return await show(visit, transfer, Answer("accept", typed, faults))
    try:
        await node.receiving.accept(visit.handler, transfer, sections=wanted)
    except _OVER:
        raise
    except CordeeError as refused:
        return await show(visit, transfer, Answer("accept", typed, refused=refused))
    await _note(visit, transfer, "transfer.compatible", dict.fromkeys(asked, "no"))
    return to_transfer(transfer)


def _unanswered(question: str, answer: object) -> str:
    """What to do about a question that keeps an offer from being accepted."""
    if answer not in _YES_NO:
        return N_("Answer this question first; ask a colleague if you do not know.")
    if question == "conflict":
        return N_("Then they must not meet. Decline with the reason “conflict”, or talk with them before you accept.")
    return N_("Then the minor is not safe with you. Decline, or talk with them before you accept.")


async def _decline(visit: Visit, form: FormData) -> Response:
    transfer = transfer_of(visit)
    typed = {"code": str(form.get("code", "")), "text": str(form.get("text", "")).replace("\r\n", "\n").strip()}
    faults = _reason_faults("decline", typed, DECLINE_REASONS)
    if faults:
        return await show(visit, transfer, Answer("decline", typed, faults))
    try:
        await visit.node.receiving.decline(visit.handler, transfer, code=typed["code"], text=typed["text"])
    except _OVER:
        raise
    except CordeeError as refused:
        return await show(visit, transfer, Answer("decline", typed, refused=refused))
    return to_transfer(transfer)


def _reason_faults(form: str, typed: dict[str, str], reasons: dict[str, str]) -> list[tuple[str, str]]:
    faults = []
    if typed["code"] not in reasons:
        faults.append((f"{form}-code", N_("Choose a reason.")))
    if typed["code"] == "other" and not typed["text"]:
        faults.append((f"{form}-text", N_("Say in a few words which.")))
    if len(typed["text"]) > _TEXT_LIMIT:
        faults.append((f"{form}-text", N_("This is too long: 2,000 characters at most.")))
    return faults


# ---- not for us ----


async def _before_returning(visit: Visit) -> Response:
    return await _return_page(visit, transfer_of(visit))


async def _return_page(visit: Visit, transfer: TransferId, answer: Answer | None = None) -> Response:
    """What it will do, and the reason. Before it was received it is declined; what was asked for is answered."""
    node = visit.node
    line = await node.transfers.get(visit.handler, transfer)
    if line.direction != "in":
        raise NotFound(what=N_("offer"))
    if line.state is not State.RECEIVED or line.erasure:
        return to_transfer(transfer)
    answer = answer or Answer()
    return page(
        "transfer_return.html",
        visit.language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if answer.form else HTTPStatus.OK,
        visit=visit,
        line=line,
        contact=contact_of(visit, line.peer),
        beside=line.kind == "update",
        written=await node.db.read(lambda tx: _written_since(tx, line.case_id or "")),
        return_reasons=RETURN_REASONS,
        answer=answer,
        refused=translate(answer.refused, visit.language) if answer.refused else None,
    )


def _written_since(tx: Connection, case_id: str) -> bool:
    """Whether somebody here changed the case after it came."""
    actions = [each.action for each in journal.of_subject(tx, case_id)]
    last = max((number for number, action in enumerate(actions) if action == "case.imported"), default=0)
    return any(action in ("case.changed", "case.attached") for action in actions[last:])


async def _return(visit: Visit, form: FormData) -> Response:
    """Erase it unasked, for a reason from the list: the sender holds it again."""
    transfer = transfer_of(visit)
    typed = {"code": str(form.get("code", "")), "text": str(form.get("text", "")).replace("\r\n", "\n").strip()}
    faults = _reason_faults("return", typed, RETURN_REASONS)
    if form.get("sure") != "on":
        faults.append(("sure", N_("Tick that you know that this cannot be undone.")))
    if faults:
        return await _return_page(visit, transfer, Answer("return", typed, faults))
    try:
        await visit.node.receiving.give_back(visit.handler, transfer, code=typed["code"], text=typed["text"])
    except _OVER:
        raise
    except CordeeError as refused:
        return await _return_page(visit, transfer, Answer("return", typed, refused=refused))
    return to_transfer(transfer)


async def _note(visit: Visit, transfer: TransferId, action: str, facts: dict[str, str]) -> None:
    node, now = visit.node, visit.node.clock.now()

    def step(tx: Connection) -> None:
        known = {each.action for each in journal.of_subject(tx, transfer.hex())}
        if action not in known:  # once is enough, however often somebody presses
            actor = visit.handler.account_id
            journal.append(tx, now=now, actor=actor, action=action, subject=transfer.hex(), facts=facts)

    await node.db.write(step)


# ---- asked to erase ----


async def _before_erasing(visit: Visit) -> Response:
    return await _erasure_page(visit, transfer_of(visit))


async def _erasure_page(visit: Visit, transfer: TransferId, answer: Answer | None = None) -> Response:
    node = visit.node
    line = await node.transfers.get(visit.handler, transfer)
    if line.direction != "in":
        raise NotFound(what=N_("offer"))
    if line.erasure != "asked":
        return to_transfer(transfer)
    answer = answer or Answer()
    return page(
        "transfer_erasure.html",
        visit.language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if answer.form else HTTPStatus.OK,
        visit=visit,
        line=line,
        beside=line.kind == "update",
        keeping_reasons=KEEPING_REASONS,
        answer=answer,
        refused=translate(answer.refused, visit.language) if answer.refused else None,
    )


async def _answer_erasure(visit: Visit, form: FormData) -> Response:
    """Erase for good, or keep with the legal reason: the domain says who may do which."""
    transfer, erase = transfer_of(visit), form.get("answer") == "erase"
    typed = {"code": str(form.get("code", "")), "text": str(form.get("text", "")).replace("\r\n", "\n").strip()}
    if erase and form.get("sure") != "on":
        fault = ("sure", N_("Tick that you know that this cannot be undone."))
        return await _erasure_page(visit, transfer, Answer("erase", typed, [fault]))
    faults = [] if erase else _reason_faults("keep", typed, KEEPING_REASONS)
    if faults:
        return await _erasure_page(visit, transfer, Answer("keep", typed, faults))
    try:
        if erase:
            await visit.node.receiving.answer_erasure(visit.handler, transfer, erase=True)
        else:
            await visit.node.receiving.answer_erasure(
                visit.handler, transfer, erase=False, code=typed["code"], text=typed["text"]
            )
    except _OVER:
        raise
    except CordeeError as refused:
        return await _erasure_page(visit, transfer, Answer("erase" if erase else "keep", typed, refused=refused))
    return to_transfer(transfer)


PAGES = (
    Page("transfer_accept", "/transfers/{transfer}/accept", post=_accept),
    Page("transfer_decline", "/transfers/{transfer}/decline", post=_decline),
    Page("transfer_return", "/transfers/{transfer}/return", get=_before_returning, post=_return),
    Page("transfer_erasure", "/transfers/{transfer}/erasure", get=_before_erasing, post=_answer_erasure),
)
