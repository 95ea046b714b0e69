"""The acts of a case in words; one of them, its receipt for the family, and its withdrawal."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.act import Act, ActLimits
from cordee.errors import N_, Conflict, InvalidRecord, NotFound, Problem
from cordee.runtime.texts import LANGUAGES, text
from cordee.transfer import State
from node import acts, journal, records, transfer_store
from node.transfer_store import Transfer
from node.web.act_told import can_be_withdrawn, persons_of, state_of, told, verdicts
from node.web.receipt import House, receipt
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_BY = ("minor", "parental_authority_holder", "guardian", "ase", "judge", "ad_hoc_administrator", "professional")
_REASON_LIMIT = 2000
_WHAT_ENDS = {
    State.OFFERED: N_("not answered yet: the offer is taken back, nothing of the case was sent"),
    State.ACCEPTED: N_("accepted, but not sent yet: nothing is sent"),
    State.SHIPPED: N_("on its way: it is called back; if they have opened it meanwhile, they are asked to erase it"),
    State.RECEIVED: N_("received: they are asked to erase it, and must answer"),
}


class _Seen(NamedTuple):
    stored: records.StoredCase
    kept: list[Act]
    resting: list[Transfer]


async def _list(visit: Visit) -> Response:
    seen = await _read(visit, "acts.read", _case_id(visit))
    node, now = visit.node, visit.node.clock.now()
    members, persons = node.roster.members(), persons_of(seen.stored.case, visit.language)
    return page(
        "act_list.html",
        visit.language,
        visit=visit,
        case=seen.stored.case,
        stored=seen.stored,
        acts=[
            told(each, members=members, persons=persons, now=now, language=visit.language)
            for each in reversed(seen.kept)
        ],
    )


async def _show(visit: Visit) -> Response:
    seen = await _read(visit, "act.read", _act_id(visit))
    act = _one(seen, visit)
    node, now, language = visit.node, visit.node.clock.now(), visit.language
    members = node.roster.members()
    judged = state_of(act, now=now) in ("active", "used", "future") and not seen.stored.read_only
    return page(
        "act_show.html",
        language,
        visit=visit,
        case=seen.stored.case,
        stored=seen.stored,
        act=told(act, members=members, persons=persons_of(seen.stored.case, language), now=now, language=language),
        kind=act.kind,
        verdicts=verdicts(
            act,
            acts_on_record=seen.kept,
            case=seen.stored.case,
            members=[each for each in members if each.member != node.member],
            now=now,
            language=language,
            limits=ActLimits.of(node.roster.roster.policy),
        )
        if judged
        else (),
        judged=judged,
        languages=LANGUAGES,
        transfers=[(node.roster.name_of(each.peer), str(each.state), each.id.hex()) for each in seen.resting],
    )


async def _receipt(visit: Visit) -> Response:
    """Made in memory and shown at once; nothing of it is kept, here or, as far as we can say, by the browser."""
    seen = await _read(visit, "act.printed", _act_id(visit))
    act = _one(seen, visit)
    node, now = visit.node, visit.node.clock.now()
    wanted = visit.request.query_params.get("language", visit.language)
    language = wanted if wanted in LANGUAGES else visit.language
    shown = told(act, members=node.roster.members(), persons={}, now=now, language=language)
    own = House.of(node.roster.card(node.member, now=now).profile)
    made = receipt(act, shown, own, now=now, language=language, stamp=visit.stamp)
    return Response(made, media_type="application/pdf", headers={"Content-Disposition": 'inline; filename="notes.pdf"'})


async def _before(visit: Visit) -> Response:
    seen = await _read(visit, "act.read", _act_id(visit))
    return _withdrawal(visit, seen, _one(seen, visit), {}, ())


async def _withdraw(visit: Visit, form: FormData) -> Response:
    """Ends the act and what rests on it, in one step of the node."""
    seen = await _seen(visit)
    act = _one(seen, visit)
    typed = {name: str(form.get(name, "")).strip() for name in ("by_role", "reason")}
    problems = []
    if typed["by_role"] not in _BY:
        problems.append(Problem("by_role", N_("choose an answer")))
    if len(typed["reason"]) > _REASON_LIMIT:
        problems.append(Problem.of("reason", N_("must have at most {limit} character(s)"), limit=_REASON_LIMIT))
    if problems:
        seen = await _read(visit, "act.read", act.act_id)  # shown again, it is read, opened before or not
        return _withdrawal(visit, seen, act, typed, problems)
    try:
        await visit.node.sending.withdraw_act(visit.handler, act.act_id, **typed)
    except Conflict:
        node = visit.node
        if not await node.db.read(lambda tx: acts.is_withdrawn(tx, act.act_id)):
            raise  # one of its transfers took another step at this moment
    except InvalidRecord:
        seen = await _read(visit, "act.read", act.act_id)
        return _withdrawal(visit, seen, act, typed, [Problem("reason", N_("this cannot be kept: shorten it"))])
    return RedirectResponse(f"/cases/{act.case_id}/acts/{act.act_id}", status_code=HTTPStatus.SEE_OTHER)


def _withdrawal(
    visit: Visit, seen: _Seen, act: Act, typed: dict[str, str], problems: list[Problem] | tuple[()]
) -> Response:
    node, now, language = visit.node, visit.node.clock.now(), visit.language
    asked = [each.role for each in act.deciders]
    labels = {"by_role": N_("Who takes it back"), "reason": N_("Reason")}
    return page(
        "act_withdraw.html",
        language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        visit=visit,
        case=seen.stored.case,
        act=told(act, members=node.roster.members(), persons={}, now=now, language=language),
        kind=act.kind,
        ends=[
            (node.roster.name_of(each.peer), text(_WHAT_ENDS[each.state], language))
            for each in seen.resting
            if each.erasure is None
        ],
        asked_already=[node.roster.name_of(each.peer) for each in seen.resting if each.erasure is not None],
        roles=sorted(_BY, key=lambda each: (each not in asked, _BY.index(each))),
        by_role=typed.get("by_role", ""),
        reason=typed.get("reason", ""),
        possible=can_be_withdrawn(act),
        troubles=[
            {
                "field": each.path,
                "label": text(labels[each.path], language),
                "problem": text(each.problem, language).format(**dict(each.facts)),
            }
            for each in problems
        ],
    )


async def _read(visit: Visit, action: str, subject: str) -> _Seen:
    """The case's acts; that they were read is journalled in the same step (domain §1.2)."""
    node, now = visit.node, visit.node.clock.now()

    def step(tx: Connection) -> _Seen:
        journal.append(tx, now=now, actor=visit.handler.account_id, action=action, subject=subject)
        return _look(tx, visit)

    return await node.db.write(step)


async def _seen(visit: Visit) -> _Seen:
    return await visit.node.db.read(lambda tx: _look(tx, visit))


def _look(tx: Connection, visit: Visit) -> _Seen:
    node, case_id = visit.node, _case_id(visit)
    stored = records.read_case(tx, node.vault, case_id)
    kept = acts.acts_of(tx, node.vault, case_id)
    wanted = visit.request.path_params.get("act")
    if wanted is not None and not any(each.act_id == str(wanted) for each in kept):
        raise NotFound(what=N_("act"))  # an act is shown with its own case only
    resting = [
        each
        for each in transfer_store.of_case(tx, case_id)
        if each.outgoing and each.act_id == str(wanted) and (not each.over or each.state is State.RECEIVED)
    ]
    return _Seen(stored, kept, resting)


def _one(seen: _Seen, visit: Visit) -> Act:
    return next(each for each in seen.kept if each.act_id == _act_id(visit))


def _case_id(visit: Visit) -> str:
    return str(visit.request.path_params["case"])


def _act_id(visit: Visit) -> str:
    return str(visit.request.path_params["act"])


PAGES = (
    Page("acts", "/cases/{case:uuid}/acts", get=_list),
    Page("act", "/cases/{case:uuid}/acts/{act:uuid}", get=_show),
    Page("act_receipt", "/cases/{case:uuid}/acts/{act:uuid}/receipt", get=_receipt),
    Page("act_withdraw", "/cases/{case:uuid}/acts/{act:uuid}/withdraw", get=_before, post=_withdraw),
)
