"""The first two screens of sending: who can help, and what for under which act."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from cordee.act import Act, ActLimits, Decision, decide
from cordee.case import PURPOSES
from cordee.errors import CordeeError, filled
from cordee.profile import Profile, departement_name
from cordee.runtime.texts import facts_in_words, text
from node import transfer_store
from node.roster_sync import MemberView
from node.sending import recipient_facts
from node.web.choice import Choice
from node.web.criteria import Criteria
from node.web.pages.search import facts_of, found, member_of, seats_of, telephone_of
from node.web.refusals import refusal_of
from node.web.site import Page
from node.web.steps import CONTENT, Opened, from_the_start, new_act, open_to_send
from node.web.visit import Visit

__all__ = ["PAGES", "who_page"]

_AREAS: Final = "housing.areas_to_avoid"
_OTHERWISE: Final = 10  # the last row of the decision table


async def _who(visit: Visit) -> Response:
    return who_page(await open_to_send(visit), ())


def who_page(opened: Opened, revealed: Collection[str]) -> Response:
    """The first screen; the départements to avoid are on it only where they are `revealed`."""
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
    opened = await open_to_send(visit)
    choice = Choice.read(opened.params)
    if not choice.to:
        return from_the_start(opened)
    recipient = member_of(visit, choice.recipient)
    try:
        profile = visit.node.roster.card(recipient.member, now=visit.node.clock.now()).profile
        visit.node.roster.roster.active(recipient.member)
    except CordeeError as refused:
        refusal = refusal_of(visit, opened.case.case_id, refused, back=opened.link(""))
        return opened.page(
            "send_why.html",
            1,
            status=HTTPStatus.CONFLICT,
            recipient=recipient,
            refusal=refusal,
            telephone="",
            under_way=[],
            ready=[],
            other=[],
        )
    offers = await visit.node.db.read(lambda tx: transfer_store.open_offers(tx, opened.case.case_id))
    ways = [
        _way(opened, recipient, profile, name, asked=choice.purpose)
        for name, each in PURPOSES.items()
        if each.needs_act
    ]
    asked = [each for each in ways if each["name"] == choice.purpose]
    ready = [each for each in ways if each["acts"]]
    return opened.page(
        "send_why.html",
        1,
        recipient=recipient,
        telephone=telephone_of(profile),
        refusal=None,
        under_way=[
            (each.id.hex(), visit.node.roster.name_of(each.peer), each.peer == recipient.member) for each in offers
        ],
        # What was asked for on the first screen comes first, then what an act on record allows.
        ready=sorted(ready, key=lambda each: each not in asked),
        other=sorted((each for each in ways if not each["acts"]), key=lambda each: each not in asked),
    )


def _way(opened: Opened, recipient: MemberView, profile: Profile, purpose: str, *, asked: str) -> dict[str, Any]:
    """One purpose: the acts that allow it for this recipient, or what the decision table says is missing."""
    visit, now = opened.visit, opened.visit.node.clock.now()
    facts = recipient_facts(visit.node.house, recipient.member, profile)
    limits = ActLimits.of(visit.node.roster.roster.policy)

    def judged(act: Act | None) -> Decision:
        return decide(
            act=act,
            acts_on_record=opened.acts,
            case=opened.case,
            purpose=purpose,
            recipient=facts,
            now=now,
            limits=limits,
        )

    allowed = [each for each in reversed(opened.acts) if judged(each).allowed]
    named = [each for each in reversed(opened.acts) if purpose in each.purposes]
    refused = None if allowed else judged(named[0] if named else None)
    kinds = ("transfer", "referral") if PURPOSES[purpose].moves_responsibility else ("referral",)
    return {
        "name": purpose,
        "acts": allowed,
        "links": [
            (kind, act, opened.link("/what", *CONTENT, purpose=purpose, kind=kind, act=act.act_id))
            for act in allowed
            for kind in kinds
        ],
        # That there is no act at all need not be said of every purpose.
        "missing": _missing(visit, refused) if refused and (named or refused.rule < _OTHERWISE) else "",
        "record": new_act(opened, purpose, recipient.member.hex()),
        # What was asked for on the first screen may be urgent: its agreement is one step nearer.
        "agreed": new_act(opened, purpose, recipient.member.hex(), kind="consent") if purpose == asked else "",
    }


def _missing(visit: Visit, refused: Decision) -> str:
    facts = facts_in_words(dict(refused.facts), visit.language)
    return filled(refused.missing, facts, partial(text, language=visit.language))


PAGES = (
    Page("send_who", "/cases/{case:uuid}/send", get=_who),
    Page("send_why", "/cases/{case:uuid}/send/why", get=_why),
)
