"""Transfers: all of them, what waits first; and one, with its steps, its proof and what its sender may still do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response, StreamingResponse

from cordee.errors import N_, CordeeError, NotFound
from cordee.ids import MemberId, TransferId
from cordee.runtime.texts import translate
from cordee.summary import DECLINE_REASONS, KEEPING_REASONS
from cordee.transfer import END_STATES, State
from node import journal, mistakes, records, transfer_store
from node.listing import pseudonyms_of
from node.people import Role
from node.transfers import TransferLine
from node.web.following import ARRIVAL_CHECKS, REASONS, areas_of, course_of, id_of, sections_of, told
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES", "Answer", "show", "to_transfer", "transfer_of"]

_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})
_PIECE = 64 * 1024
_STATES = ("waiting", "under_way", "ended", "all")
_WITHDRAWING = {
    State.OFFERED: (
        (N_("They can no longer accept it."), N_("They see that it was withdrawn, and not why.")),
        (N_("The summary that they may have read stays read; it names nobody."),),
    ),
    State.ACCEPTED: (
        (N_("Nothing of the case leaves any more."), N_("What is packed to leave is erased here, with its key.")),
        (N_("They know that a case was offered to them, and what its summary says; it names nobody."),),
    ),
    State.SHIPPED: (
        (N_("What waits for them is erased, with its key."),),
        (
            N_("If their machine fetches it at this very moment, it has arrived: they are then asked to erase it."),
            N_("The statements signed so far stay, on both sides."),
        ),
    ),
    State.RECEIVED: (
        (
            N_("They are asked to erase it, and have to answer with a signature: erased, or kept and why."),
            N_("Nothing more is sent to them on this ground."),
        ),
        (
            N_("What they have read, copied or printed is not undone."),
            N_("The case stays theirs until they have erased it; the law may oblige them to keep it."),
            N_("The proof of what was sent stays, on both sides."),
        ),
    ),
}
"""What a withdrawal does at each state, and what it does not undo."""


@dataclass(frozen=True)
class Answer:
    """A form that came back: what was typed, and what is wrong with it, by the id of a field."""

    form: str = ""
    typed: Mapping[str, Any] = field(default_factory=dict)
    faults: Sequence[tuple[str, str]] = ()
    refused: CordeeError | None = None


_FRESH = Answer()


def transfer_of(visit: Visit) -> TransferId:
    """The transfer that the address names. Raises NotFound."""
    found = id_of(str(visit.request.path_params["transfer"]))
    if found is None:
        raise NotFound(what=N_("transfer"))
    return found


def to_transfer(transfer: TransferId) -> Response:
    """Back to its page, after something was done."""
    return RedirectResponse(f"/transfers/{transfer.hex()}", status_code=HTTPStatus.SEE_OTHER)


async def _list(visit: Visit) -> Response:
    node, query = visit.node, visit.request.query_params
    state = query.get("state") if query.get("state") in _STATES else "all"
    direction = query.get("direction") if query.get("direction") in ("in", "out") else ""
    lines = await node.transfers.list(visit.handler)
    shown = [
        each
        for each in lines
        if direction in ("", each.direction)
        and (state in ("all", "waiting") or (each.state in END_STATES) is (state == "ended"))
        and (state != "waiting" or _waits_for_us(each))
    ]
    shown.sort(key=lambda each: (not _waits_for_us(each), each.state in END_STATES))  # stable: newest first in each
    return page(
        "transfers.html",
        visit.language,
        visit=visit,
        now=node.clock.now(),
        transfers=shown,
        waiting={each.transfer_id for each in shown if _waits_for_us(each)},
        total=len(lines),
        names=await _pseudonyms(visit),
        state=state,
        direction=direction,
    )


def _waits_for_us(line: TransferLine) -> bool:
    """A person here has to answer."""
    return line.direction == "in" and (line.state is State.OFFERED or line.erasure == "asked")


async def _show(visit: Visit) -> Response:
    return await show(visit, transfer_of(visit))


async def show(visit: Visit, transfer: TransferId, answer: Answer = _FRESH) -> Response:
    """The page of one transfer; with what was typed, where a form came back. Raises NotFound."""
    node, now, team = visit.node, visit.node.clock.now(), bool(visit.handler.roles & _CASE_TEAM)
    line = await node.transfers.get(visit.handler, transfer)
    came = line.direction == "in"
    row, course = await node.db.read(
        lambda tx: (
            found := transfer_store.read_transfer(tx, transfer),
            course_of(tx, node, found),
        )
    )
    wrongly = await node.db.read(lambda tx: mistakes.noted(tx, [line]))
    # What associations write to each other is for those who work on cases; auditors see who did what and when.
    summary = await node.transfers.summary(visit.handler, transfer) if came and team else None
    reason = await node.transfers.reason(visit.handler, transfer) if team else None
    names = await _pseudonyms(visit)
    first = None
    if came and team and line.state is State.RECEIVED and line.case_id in names:
        first = await _instructions(visit, line.case_id or "")
    offered = came and line.state is State.OFFERED and row.job is None and line.expires_at > now
    areas = areas_of(summary) if summary is not None else ()
    own = node.roster.card(node.member, now=now).profile.departement if offered else ""
    return page(
        "transfer.html",
        visit.language,
        status=HTTPStatus.OK if answer is _FRESH else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        now=now,
        line=line,
        came=came,
        course=course,
        wrongly=wrongly.get(transfer.hex()),
        pseudonym=names.get(line.case_id or ""),
        summary=summary,
        told=told(summary) if summary is not None else [],
        sections=sections_of(summary) if summary is not None else [],
        areas=areas,
        areas_name_us=own in areas,
        offered=offered,
        answers_itself=came and line.state is State.OFFERED and row.job is not None,
        decline_reasons=DECLINE_REASONS,
        keeping_reasons=KEEPING_REASONS,
        reason=reason,
        reason_words=REASONS.get(reason.code, reason.code) if reason is not None else "",
        checks=ARRIVAL_CHECKS,
        instructions=first,
        contact=contact_of(visit, line.peer),
        answer=answer,
        refused=translate(answer.refused, visit.language) if answer.refused is not None else None,
    )


async def _pseudonyms(visit: Visit) -> Mapping[str, str]:
    """Of our own cases, for those who may see cases."""
    node = visit.node
    if not visit.handler.roles & _CASE_TEAM:
        return {}
    now = node.clock.now()
    return await node.db.read(lambda tx: pseudonyms_of(tx, node.house.cases, node.vault, visit.handler, now=now))


async def _instructions(visit: Visit, case_id: str) -> str:
    """How to reach the minor without harm comes first (domain §4, W1). That it was read is journalled with it."""
    node, now = visit.node, visit.node.clock.now()

    def step(tx: Connection) -> str:
        stored = records.read_case(tx, node.vault, case_id)
        facts = {"section": "contact"}
        journal.append(tx, now=now, actor=visit.handler.account_id, action="case.read", subject=case_id, facts=facts)
        return str(stored.case.value("contact.instructions") or "")

    return await node.db.write(step)


def contact_of(visit: Visit, member: MemberId) -> Mapping[str, str]:
    """How an association says that it can be reached; nothing where its card has run out."""
    try:
        profile = visit.node.roster.card(member, now=visit.node.clock.now()).profile
    except CordeeError:
        return {}
    public = json.loads(profile.data).get("public_contact") or {}
    return {name: str(public[name]) for name in ("phone", "email") if public.get(name)}


# ---- what the sender may still do ----


async def _before_withdrawing(visit: Visit) -> Response:
    """What it does and does not undo, before anybody presses."""
    node, transfer = visit.node, transfer_of(visit)
    line = await node.transfers.get(visit.handler, transfer)
    course = await node.db.read(
        lambda tx: course_of(tx, node, transfer_store.read_transfer(tx, transfer)),
    )
    if not course.may_withdraw:
        return to_transfer(transfer)
    does, stays = _WITHDRAWING[line.state]
    return page(
        "transfer_withdraw.html",
        visit.language,
        visit=visit,
        line=line,
        pseudonym=(await _pseudonyms(visit)).get(line.case_id or ""),
        does=does,
        stays=stays,
    )


async def _withdraw(visit: Visit, form: FormData) -> Response:
    """And, where its sender says so, that it went to the wrong association: that is so even if it comes too late."""
    node, now, transfer = visit.node, visit.node.clock.now(), transfer_of(visit)
    if form.get("wrong") == "on" and (await node.transfers.get(visit.handler, transfer)).direction == "out":
        await node.db.write(lambda tx: mistakes.note(tx, transfer, by=visit.handler.account_id, now=now))
    await visit.node.sending.withdraw(visit.handler, transfer)
    return to_transfer(transfer)


async def _ship(visit: Visit, form: FormData) -> Response:
    """Let go what was held until somebody here says so."""
    transfer = transfer_of(visit)
    await visit.node.sending.ship(visit.handler, transfer)
    return to_transfer(transfer)


async def _proof(visit: Visit) -> Response:
    """As a file: it holds nothing of the case, and anybody checks it offline."""
    return await _proof_file(visit, "proof", erasure=False)


async def _erased(visit: Visit) -> Response:
    """What the recipient signed about the erasure."""
    return await _proof_file(visit, "erasure", erasure=True)


async def _proof_file(visit: Visit, suffix: str, *, erasure: bool) -> Response:
    transfer = transfer_of(visit)
    proof = await visit.node.transfers.proof(visit.handler, transfer, erasure=erasure)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(proof), _PIECE):
            yield proof[start : start + _PIECE]

    headers = {
        "Content-Disposition": f'attachment; filename="{transfer.short}.{suffix}"',
        "Content-Length": str(len(proof)),
    }
    return StreamingResponse(pieces(), media_type="application/octet-stream", headers=headers)


PAGES = (
    Page("transfers", "/transfers", get=_list),
    Page("transfer", "/transfers/{transfer}", get=_show),
    Page("transfer_withdraw", "/transfers/{transfer}/withdraw", get=_before_withdrawing, post=_withdraw),
    Page("transfer_ship", "/transfers/{transfer}/ship", post=_ship),
    Page("transfer_proof", "/transfers/{transfer}/proof", get=_proof),
    Page("transfer_erased", "/transfers/{transfer}/erasure-receipt", get=_erased),
)
