"""What the network says of a member, corrected by two; and what must not stand in what it publishes of itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, CordeeError, InvalidInput
from cordee.ids import Digest
from cordee.members import Member, registration_digest
from cordee.profile.numbers import DOUBTS, doubt_about
from cordee.runtime.texts import text, translate
from directory.administrator.entries import correction
from directory.console.pages.members import member_of
from directory.console.pages.signing import lead_to_signing
from directory.console.site import Page
from directory.console.visit import Visit

__all__ = ["PAGES"]

_LONGEST: Final = 300
_LONGEST_REASON: Final = 500


async def _form(
    visit: Visit, *, typed: dict[str, str] | None = None, refused: CordeeError | None = None, doubt: str = ""
) -> Response:
    member = member_of(visit)
    return visit.page(
        "correct.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        member=member,
        name=visit.desk.names().get(member.id) or member.id.short,
        typed=typed or {"legal_name": "", "number": "", "secrecy": "yes" if member.bound_by_secrecy else "no"},
        refused=translate(refused, visit.language) if refused is not None else None,
        doubt=text(DOUBTS[doubt], visit.language) if doubt else "",
    )


async def _correct(visit: Visit, form: FormData) -> Response:
    """To the page that shows what would be signed; each colleague types the name again, and signs only the same."""
    member = member_of(visit)
    fields = ("legal_name", "number", "secrecy", "sure")
    typed = {name: " ".join(str(form.get(name, "")).split())[: _LONGEST + 1] for name in fields}
    try:
        statement = correction(member.id, *_wanted(member, typed), visit.roster, visit.now)
    except InvalidInput as refused:
        return await _form(visit, typed=typed, refused=refused)
    doubt = doubt_about(typed["number"]) if typed["number"] else None
    if doubt is not None and typed["sure"] != typed["number"]:
        return await _form(visit, typed=typed | {"sure": typed["number"]}, doubt=doubt)
    answer = await lead_to_signing(visit, statement)
    if typed["legal_name"]:
        visit.desk.home.expect(registration_digest(typed["legal_name"], typed["number"]), typed["legal_name"])
    return answer


def _wanted(member: Member, typed: dict[str, str]) -> tuple[Digest, bool]:
    """Its registration and whether it is bound, as they are to be. Raises: InvalidInput."""
    if bool(typed["legal_name"]) != bool(typed["number"]):
        raise InvalidInput(field=N_("name and number"), problem=N_("legal name and number are given together"))
    if max(map(len, typed.values())) > _LONGEST:
        raise InvalidInput(
            field=N_("name and number"), problem=N_("it has more than {limit} characters"), limit=_LONGEST
        )
    registration = member.registration
    if typed["legal_name"]:
        registration = registration_digest(typed["legal_name"], typed["number"])
    bound = member.bound_by_secrecy if typed["secrecy"] not in ("yes", "no") else typed["secrecy"] == "yes"
    if (registration, bound) == (member.registration, member.bound_by_secrecy):
        raise InvalidInput(field=N_("name and number"), problem=N_("nothing in it is new"))
    return registration, bound


async def _profile(visit: Visit, *, refused: CordeeError | None = None, reason: str = "") -> Response:
    member = member_of(visit)
    published = await visit.desk.client.profile(member.id, visit.roster)
    return visit.page(
        "profile_refuse.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        member=member,
        profile=published.profile,
        number=published.number,
        said=published.refused,
        reason=reason,
        refused=translate(refused, visit.language) if refused is not None else None,
        longest=_LONGEST_REASON,
    )


async def _refuse(visit: Visit, form: FormData) -> Response:
    """Of the card that was shown: a newer one may be right already."""
    member = member_of(visit)
    reason = " ".join(str(form.get("reason", "")).split())[: _LONGEST_REASON + 1]
    number = str(form.get("number", ""))
    if not number.isascii() or not number.isdecimal() or len(number) > len(str(2**62)):
        raise InvalidInput(field="number", problem=N_("a whole number is asked for"))
    try:
        await visit.desk.client.refuse_profile(member.id, int(number), reason)
    except InvalidInput as refused:
        return await _profile(visit, refused=refused, reason=reason)
    return visit.to(f"/members/{member.id.hex()}/profile")


PAGES: Final = (
    Page("member_correct", "/members/{member:str}/correct", get=_form, post=_correct),
    Page("member_profile", "/members/{member:str}/profile", get=_profile, post=_refuse),
)
