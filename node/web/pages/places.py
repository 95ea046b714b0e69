"""How many places are free tonight, in two clicks; and what the network reads of this association."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.errors import N_, CordeeError, InvalidInput
from cordee.profile import departement_name
from cordee.runtime.texts import translate
from node import capacity
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_BUTTONS = 12  # up to so many places each number is a button; beyond, the number is typed
_INTAKE = {
    "open": N_("takes in"),
    "limited": N_("takes in, but little"),
    "closed": N_("takes nobody in"),
}


async def _places(visit: Visit) -> Response:
    return _shown(visit)


def _shown(visit: Visit, refused: CordeeError | None = None) -> Response:
    node, now = visit.node, visit.node.clock.now()
    known = node.roster.card(node.member, now=now)
    return page(
        "places.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        now=now,
        profile=known.profile,
        departement=departement_name(known.profile.departement),
        card=known.card,
        offerings=capacity.offerings(known.profile),
        intake=_INTAKE,
        buttons=_BUTTONS,
        told=visit.request.query_params.get("told", ""),
        refused=translate(refused, visit.language) if refused else None,
    )


async def _tell(visit: Visit, form: FormData) -> Response:
    service, free, intake = (str(form.get(name, "")) for name in ("service", "free", "intake"))
    try:
        if intake:
            await capacity.tell_intake(visit.node, visit.handler, service, intake)
        else:
            await capacity.tell_places(visit.node, visit.handler, service, _number(free))
    except CordeeError as refused:
        return _shown(visit, refused)
    return RedirectResponse(f"/places?told={'intake' if intake else 'places'}", status_code=HTTPStatus.SEE_OTHER)


def _number(text: str) -> int:
    plain = text.strip()
    if not plain.isascii() or not plain.isdecimal() or len(plain) > 4:
        raise InvalidInput(field=N_("places"), problem=N_("it is a number"))
    return int(plain)


PAGES = (Page("places", "/places", get=_places, post=_tell),)
