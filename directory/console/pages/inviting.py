"""Invitations: one file, three steps, and the same list of them on both sides."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, InvalidInput, NotFound
from cordee.profile.numbers import DOUBTS, doubt_about
from cordee.runtime.texts import text, translate
from directory.administrator.inviting import LONGEST, USUAL, command_of, make_invitation
from directory.console.site import Page
from directory.console.visit import Visit

__all__ = ["PAGES"]

_LONGEST = 400  # characters of anything typed: what is too long is told, and what is absurd is cut
_FIELDS: Final = {"legal_name": "legal_name", "registration_number": "number", "secrecy": "secrecy", "days": "days"}
_EMPTY: Final = {"legal_name": "", "number": "", "secrecy": "", "days": str(USUAL.days)}


async def _form(
    visit: Visit, *, typed: dict[str, str] | None = None, refused: InvalidInput | None = None, doubt: str = ""
) -> Response:
    wrong = _FIELDS.get(refused.facts.get("field", ""), "") if refused is not None else ""
    return visit.page(
        "invite.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        typed=typed or _EMPTY,
        wrong=wrong,
        refused=_told(visit, refused) if refused is not None else None,
        doubt=text(DOUBTS[doubt], visit.language) if doubt else "",
        sure=(typed or _EMPTY)["number"] if doubt else "",
    )


async def _invite(visit: Visit, form: FormData) -> Response:
    typed = {name: " ".join(str(form.get(name, "")).split())[:_LONGEST] for name in _EMPTY}
    try:
        if typed["secrecy"] not in ("yes", "no"):
            raise InvalidInput(field="secrecy", problem=N_("say whether it is bound by professional secrecy"))
        if not typed["days"].isascii() or not typed["days"].isdecimal() or len(typed["days"]) > len(str(LONGEST.days)):
            raise InvalidInput(field="days", problem=N_("1 to {limit} days are possible"), limit=LONGEST.days)
        made = make_invitation(
            visit.desk.network,
            visit.roster,
            legal_name=typed["legal_name"],
            number=typed["number"],
            bound_by_secrecy=typed["secrecy"] == "yes",
            life=timedelta(days=int(typed["days"])),
            now=visit.now,
            random=visit.console.random,
        )
    except InvalidInput as refused:
        return await _form(visit, typed=typed, refused=refused)
    doubt = doubt_about(typed["number"])
    if doubt is not None and str(form.get("sure", "")) != typed["number"]:
        return await _form(visit, typed=typed, doubt=doubt)
    await visit.desk.client.invite(**command_of(made))
    return visit.to(f"/invitations/{visit.console.keep(made)}")


async def _made(visit: Visit) -> Response:
    name, made = _kept(visit)
    return visit.page("invited.html", made=made, name=name, link=made.to_link())


async def _file(visit: Visit) -> Response:
    _, made = _kept(visit)
    headers = {"Content-Disposition": 'attachment; filename="invitation.json"'}
    return Response(made.to_bytes(), media_type="application/json", headers=headers)


def _kept(visit: Visit) -> tuple[str, Any]:
    """Raises: NotFound for one that was made elsewhere: nobody else has its secret."""
    name = str(visit.request.path_params["invitation"])
    made = visit.console.made.get(name)
    if made is None:
        raise NotFound(what=N_("invitation"))
    return name, made


def _told(visit: Visit, refused: InvalidInput) -> tuple[str, str]:
    """Beside its field the field's name is not said again."""
    _, remedy = translate(refused, visit.language)
    problem = text(refused.facts.get("problem", ""), visit.language)
    for name, value in refused.facts.items():
        problem = problem.replace(f"{{{name}}}", value)
    return problem[:1].upper() + problem[1:] + ".", remedy


PAGES: Final = (
    Page("invite", "/invite", get=_form, post=_invite),
    Page("invited", "/invitations/{invitation:str}", get=_made),
    Page("invitation_file", "/invitations/{invitation:str}/file", get=_file),
)
