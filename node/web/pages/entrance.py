"""Coming in and leaving: name and password, sign out, leave at once, lock, choose a language."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cordee.errors import CordeeError, TooManyRequests
from cordee.runtime.texts import LANGUAGES, translate
from cordee.web.request import LANGUAGE_COOKIE, inside, language_for, status_of
from cordee.web.turns import Turns, machine_of
from node import people
from node.web.rendering import page
from node.web.site import ELSEWHERE, Page
from node.web.visit import Visit, cookie_name

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["PAGES", "open_routes"]

_FIELDS = 8


def open_routes(node: Node, *, secure: bool) -> Sequence[Route]:
    """What somebody who is not signed in may ask for."""
    cookie = cookie_name(secure=secure)
    comparing = Turns()  # one at a time: Argon2id takes much memory

    async def sign_in(request: Request) -> Response:
        language = language_for(request)
        if request.method != "POST":
            return page(
                "sign_in.html",
                language,
                visit=None,
                refused="",
                name="",
                next=inside(request.query_params.get("next")),
            )
        async with request.form(max_files=0, max_fields=_FIELDS) as form:
            name, password = str(form.get("name", "")), str(form.get("password", ""))
            following = inside(str(form.get("next", "")))
        try:
            machine = machine_of(request.client.host if request.client is not None else None)
            async with comparing.turn(machine):
                token = await _token(node, name, password)
        except CordeeError as refused:
            node.refused[refused.reason] += 1
            told = " ".join(translate(refused, language))
            status = status_of(refused) if isinstance(refused, TooManyRequests) else 401
            return page("sign_in.html", language, status=status, visit=None, refused=told, name=name, next=following)
        back = f"?next={following}" if following else ""
        answer = RedirectResponse(f"/second{back}", status_code=HTTPStatus.SEE_OTHER)
        answer.set_cookie(cookie, token, httponly=True, secure=secure, samesite="strict", path="/")
        return answer

    async def language(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=_FIELDS) as form:
            chosen, following = str(form.get("language", "")), inside(str(form.get("next", "")))
        answer = RedirectResponse(following or "/", status_code=HTTPStatus.SEE_OTHER)
        if chosen in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=31_536_000, samesite="strict", secure=secure, path="/")
        return answer

    return (
        Route("/sign-in", sign_in, methods=["GET", "POST"], name="sign_in"),
        Route("/language", language, methods=["POST"], name="language"),
    )


async def _token(node: Node, name: str, password: str) -> str:
    """Of a half session: the second factor comes next. Raises WrongPassword, SignInPaused.

    The same time whether the name exists or not.
    """
    now = node.clock.now()
    found = await node.db.read(lambda tx: people.to_compare(tx, node.vault, name, now=now))
    compared = None if found is None else await asyncio.to_thread(people.Compared.of, found[0], password)
    half = people.Stage.HALF
    signed_in = await node.db.write(
        lambda tx: people.sign_in(
            tx, node.vault, name, password, now=now, random=node.random, compared=compared, stage=half
        )
    )
    return signed_in.token


async def _sign_out(visit: Visit, form: FormData) -> Response:
    await _end(visit)
    return _without_cookie(visit, "/sign-in")


async def _lock(visit: Visit, form: FormData) -> Response:
    """The screen shows a form that names nobody, until its holder comes back."""
    node, now = visit.node, visit.node.clock.now()
    await node.db.write(lambda tx: people.lock(tx, node.vault, visit.token, now=now))
    answer = RedirectResponse("/unlock", status_code=HTTPStatus.SEE_OTHER)
    answer.headers["Clear-Site-Data"] = '"cache"'  # going back shows nothing either
    return answer


async def _leave(visit: Visit, form: FormData) -> Response:
    """At once, and to a page that tells nothing."""
    await _end(visit)
    return _without_cookie(visit, ELSEWHERE)


async def _end(visit: Visit) -> None:
    node, now = visit.node, visit.node.clock.now()
    await node.db.write(lambda tx: people.sign_out(tx, node.vault, visit.token, now=now))


def _without_cookie(visit: Visit, to: str) -> Response:
    answer = RedirectResponse(to, status_code=HTTPStatus.SEE_OTHER)
    for secure in (True, False):
        answer.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="strict")
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


PAGES = (
    Page("sign_out", "/sign-out", post=_sign_out),
    Page("leave", "/leave", post=_leave),
    Page("lock", "/lock", post=_lock),
)
