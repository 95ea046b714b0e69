"""The policy: how many must sign, and the limits that every node keeps."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, InvalidInput
from cordee.runtime.texts import text
from cordee.v1 import statements_pb2 as v1
from directory.administrator.policy_words import SETTINGS, value_text
from directory.console.pages.signing import lead_to_signing
from directory.console.policy_form import UNITS, policy_from, settings_of
from directory.console.site import Page
from directory.console.visit import Visit

__all__ = ["PAGES"]


async def _show(visit: Visit) -> Response:
    policy = visit.roster.policy
    return visit.page(
        "policy.html",
        settings=[(name, value_text(policy, setting, visit.language)) for setting, name in SETTINGS.items()],
        administrators=len(visit.roster.administrators),
    )


async def _form(visit: Visit, *, typed: FormData | None = None, refused: InvalidInput | None = None) -> Response:
    problem = text(refused.facts.get("problem", ""), visit.language) if refused is not None else ""
    return visit.page(
        "policy_form.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        settings=list(settings_of(visit.roster.policy, typed)),
        units=UNITS,
        labels=SETTINGS,
        wrong=refused.facts.get("field", "") if refused is not None else "",
        problem=problem[:1].upper() + problem[1:] + "." if problem else "",
        administrators=len(visit.roster.administrators),
    )


async def _change(visit: Visit, form: FormData) -> Response:
    """To the page that shows what would be signed: the settings that differ, before and after."""
    roster = visit.roster
    try:
        policy = policy_from(roster.policy, form)
        if policy.threshold > len(roster.administrators):
            raise InvalidInput(field="threshold", problem=N_("there are not as many administrators"))
        if policy == roster.policy:
            raise InvalidInput(field="", problem=N_("nothing in it is new"))
    except InvalidInput as refused:
        return await _form(visit, typed=form, refused=refused)
    head = roster.head(None, visit.now)
    return await lead_to_signing(visit, v1.PolicyChanged(**head, policy=policy.to_message()))


PAGES: Final = (
    Page("policy", "/policy", get=_show),
    Page("policy_change", "/policy/change", get=_form, post=_change),
)
