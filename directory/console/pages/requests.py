"""Who asks to join: the six words to compare, admission, and a refusal that says why."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, CordeeError, InvalidInput, MalformedStatement, NotFound, WordsDiffer
from cordee.ids import MemberId
from cordee.runtime.checklist import checklist
from cordee.runtime.texts import translate
from directory.administrator.applicants import check_words
from directory.administrator.entries import admission
from directory.administrator.words import words_of
from directory.console.pages.signing import lead_to_signing
from directory.console.site import Page
from directory.console.visit import Visit
from directory.console.waiting import Asking, applicants_of

__all__ = ["PAGES"]

_LONGEST_WORDS = 200
_LONGEST_REASON = 500  # characters: it is read on the applicant's screen
_SHORTEST_REASON = 3


async def _list(visit: Visit) -> Response:
    requests = await applicants_of(visit)
    return visit.page(
        "requests.html",
        requests=requests,
        doubts=requests.doubts,
        invitations=await visit.desk.client.invited(visit.roster),
        refused_now=visit.request.query_params.get("done") == "refused",
    )


async def _show(
    visit: Visit, *, wrong: str = "", refused: CordeeError | None = None, reason: str = "", words: str = ""
) -> Response:
    asking = await _asking(visit)
    applicant = asking.applicant
    return visit.page(
        "request.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        asking=asking,
        applicant=applicant,
        words=await asyncio.to_thread(words_of, applicant.key),
        told=checklist(applicant.progress, visit.language),
        wrong=wrong,
        refused=translate(refused, visit.language) if refused is not None else None,
        typed={"reason": reason, "words": words},
        longest=_LONGEST_REASON,
    )


async def _admit(visit: Visit, form: FormData) -> Response:
    """The words that were read out are compared here; then it is shown what would be signed."""
    asking = await _asking(visit)
    applicant = asking.applicant
    typed = str(form.get("words", ""))[:_LONGEST_WORDS]
    try:
        await asyncio.to_thread(check_words, applicant.key, typed)
    except WordsDiffer as refused:
        return await _show(visit, wrong="words", refused=refused, words=typed)
    visit.console.compared.add(applicant.key.key_id)
    visit.desk.home.name(applicant.member, applicant.legal_name)
    return await lead_to_signing(visit, admission(applicant, visit.roster, visit.now))


async def _refuse(visit: Visit, form: FormData) -> Response:
    """The reason reaches the applicant's own screen."""
    asking = await _asking(visit)
    reason = " ".join(str(form.get("reason", "")).split())[: _LONGEST_REASON + 1]
    try:
        if not _SHORTEST_REASON <= len(reason) <= _LONGEST_REASON:
            problem = N_("{minimum} to {maximum} characters are possible")
            raise InvalidInput(
                field=N_("the reason"), problem=problem, minimum=_SHORTEST_REASON, maximum=_LONGEST_REASON
            )
    except InvalidInput as refused:
        return await _show(visit, wrong="reason", refused=refused, reason=reason)
    await visit.desk.client.refuse(asking.applicant.member, reason)
    return visit.to("/requests?done=refused")


async def _asking(visit: Visit) -> Asking:
    """Raises: NotFound."""
    try:
        member = MemberId(bytes.fromhex(str(visit.request.path_params["member"])))
    except (ValueError, MalformedStatement):
        raise NotFound(what=N_("request to join")) from None
    requests = await applicants_of(visit)
    for each in (*requests.waiting, *requests.refused):
        if each.applicant.member == member:
            return each
    raise NotFound(what=N_("request to join"))


PAGES: Final = (
    Page("requests", "/requests", get=_list),
    Page("request", "/requests/{member:str}", get=_show),
    Page("request_admit", "/requests/{member:str}/admit", post=_admit),
    Page("request_refuse", "/requests/{member:str}/refuse", post=_refuse),
)
