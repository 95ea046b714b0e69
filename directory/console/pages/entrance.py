"""The way in: the one-time link, the passphrase, the language. Nothing here is told to whoever has no link."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cordee.errors import CordeeError, InvalidInput, KeyLocked
from cordee.runtime.texts import LANGUAGES, translate
from cordee.web.request import LANGUAGE_COOKIE, form_token, inside, language_for, require_own_form
from directory.console.console import Console
from directory.console.site import Page, refusal
from directory.console.visit import COOKIE, Visit, page

__all__ = ["PAGES", "open_routes"]

_FIELDS: Final = 20
_YEAR: Final = 365 * 24 * 3600


class _Way:
    """Somebody on the way in: what their form must bring back."""

    def __init__(self, secret: str) -> None:
        self.form_token = form_token(secret)


def open_routes(console: Console) -> list[Route]:
    """What answers without a session."""

    async def by_link(request: Request) -> Response:
        token = str(request.path_params["token"])
        try:
            console.require_link(token)
            if request.method != "POST":
                return _asked(console, request, token)
            async with request.form(max_files=0, max_fields=_FIELDS) as form:
                require_own_form(_Way(token), str(form.get("form_token", "")))
                cookie = await console.come_in(token, _passphrase(form))
        except (KeyLocked, InvalidInput) as refused:
            return _asked(console, request, token, refused=refused)
        except CordeeError as refused:
            return refusal(request, refused)
        answer = RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
        answer.set_cookie(COOKIE, cookie, path="/", httponly=True, samesite="strict")
        return answer

    async def unlock(request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        try:
            console.require_session(cookie)
            back = inside(request.query_params.get("next"))
            if request.method != "POST":
                return _locked(console, request, cookie, back)
            async with request.form(max_files=0, max_fields=_FIELDS) as form:
                require_own_form(_Way(cookie), str(form.get("form_token", "")))
                back = inside(str(form.get("next", "")))
                await console.unlock(_passphrase(form))
        except (KeyLocked, InvalidInput) as refused:
            return _locked(console, request, cookie, back, refused=refused)
        except CordeeError as refused:
            return refusal(request, refused)
        return RedirectResponse(back or "/", status_code=HTTPStatus.SEE_OTHER)

    async def language(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=_FIELDS) as form:
            chosen, back = str(form.get("language", "")), inside(str(form.get("next", "")))
        answer = RedirectResponse(back or "/", status_code=HTTPStatus.SEE_OTHER)
        if chosen in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_YEAR, path="/", httponly=True, samesite="strict")
        return answer

    return [
        Route("/in/{token:str}", by_link, methods=["GET", "POST"]),
        Route("/unlock", unlock, methods=["GET", "POST"]),
        Route("/language", language, methods=["POST"]),
    ]


def _passphrase(form: FormData) -> str:
    return str(form.get("passphrase", ""))


def _asked(console: Console, request: Request, token: str, *, refused: CordeeError | None = None) -> Response:
    return _door(console, request, secret=token, action=f"/in/{token}", asks=console.asks, back="", refused=refused)


def _locked(
    console: Console, request: Request, cookie: str, back: str, *, refused: CordeeError | None = None
) -> Response:
    return _door(console, request, secret=cookie, action="/unlock", asks=True, back=back, refused=refused)


def _door(
    console: Console,
    request: Request,
    *,
    secret: str,
    action: str,
    asks: bool,
    back: str,
    refused: CordeeError | None,
) -> Response:
    language = language_for(request)
    return page(
        "door.html",
        language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNAUTHORIZED,
        visit=None,
        way=_Way(secret),
        action=action,
        asks=asks,
        next=back,
        key=console.public.key_id.short,
        refused=translate(refused, language) if refused is not None else None,
    )


async def _lock(visit: Visit, form: FormData) -> Response:
    await visit.console.lock()
    return visit.to("/unlock")


async def _end(visit: Visit, form: FormData) -> Response:
    await visit.console.lock()
    visit.console.end()
    return page("ended.html", visit.language, visit=None)


PAGES: Final = (Page("lock", "/lock", post=_lock), Page("end", "/end", post=_end))
