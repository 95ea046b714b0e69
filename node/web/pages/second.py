"""The second step of coming in, setting it up the first time, and the locked screen.

Whoever is here holds a half or a locked session, with which nothing else can be done. These pages name nobody.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cordee.errors import CordeeError, NotSignedIn
from cordee.runtime.texts import translate
from cordee.web.request import form_token, inside, language_for, require_own_form
from node import passkeys, people, second_factor
from node.passkeys import Place
from node.people import Compared, Stage
from node.second_factor import Outcome
from node.web.rendering import page
from node.web.visit import cookie_name

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["Half", "open_routes", "place_of", "qr_code"]

_FIELDS = 8


@dataclass(frozen=True)
class Half:
    """Somebody who has shown one thing of two, or whose screen is locked."""

    node: Node
    request: Request
    token: str
    account_id: str
    name: str
    following: str
    place: Place
    passkeys: int

    @property
    def form_token(self) -> str:
        """As a visit's: bound to this session."""
        return form_token(self.token)

    @property
    def language(self) -> str:
        """The reader's."""
        return language_for(self.request)


def place_of(request: Request) -> Place:
    """Where the browser is. The door has checked that this host is one of the node's own."""
    host = request.headers["host"]
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return Place(host=name.lower(), origin=f"{request.url.scheme}://{host}")


def qr_code(text: str) -> str:
    """As an SVG that stands in the page: black on white in dark mode too, for cameras."""
    import segno

    drawn = io.BytesIO()
    segno.make(text, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, border=4, scale=5, dark="#000", light="#fff", omitsize=True
    )
    return drawn.getvalue().decode()


Answer = Callable[[Half, FormData | None], Awaitable[Response]]


def open_routes(node: Node, *, secure: bool) -> Sequence[Route]:
    """What somebody with a half or a locked session may ask for."""
    cookie = cookie_name(secure=secure)

    def route(path: str, name: str, stage: Stage, answer: Answer) -> Route:
        async def answered(request: Request) -> Response:
            try:
                if request.method != "POST":
                    half = await _entered(node, request, request.query_params.get("next"), cookie, stage)
                    return await answer(half, None)
                async with request.form(max_files=0, max_fields=_FIELDS) as form:
                    half = await _entered(node, request, str(form.get("next", "")), cookie, stage)
                    require_own_form(half, str(form.get("form_token", "")))
                    return await answer(half, form)
            except NotSignedIn:
                return RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
            except CordeeError as refused:
                raise HTTPException(HTTPStatus.FORBIDDEN) from refused

        return Route(path, answered, methods=["GET", "POST"], name=name)

    def come_in(half: Half, token: str, answer: Response | None = None) -> Response:
        inside_ = answer or RedirectResponse(half.following or "/", status_code=HTTPStatus.SEE_OTHER)
        inside_.set_cookie(cookie, token, httponly=True, secure=secure, samesite="strict", path="/")
        return inside_

    async def second(half: Half, form: FormData | None) -> Response:
        factors = await node.db.read(lambda tx: second_factor.factors_of(tx, half.account_id))
        if not factors.there:
            back = f"?next={half.following}" if half.following else ""
            return RedirectResponse(f"/second/set-up{back}", status_code=HTTPStatus.SEE_OTHER)
        if form is None:
            return await _code_page(half, "second.html")
        return await _answered(half, form, "second.html", come_in, _second_tried)

    async def unlock(half: Half, form: FormData | None) -> Response:
        if form is None:
            return await _code_page(half, "unlock.html")
        return await _answered(half, form, "unlock.html", come_in, _unlock_tried)

    async def set_up(half: Half, form: FormData | None) -> Response:
        factors = await node.db.read(lambda tx: second_factor.factors_of(tx, half.account_id))
        if factors.there:  # whoever knows the password alone must not put another telephone in its place
            return RedirectResponse("/second", status_code=HTTPStatus.SEE_OTHER)
        if form is None:
            return await _set_up_page(half)
        now, code = node.clock.now(), str(form.get("code", ""))

        def step(tx: Connection) -> tuple[str, list[str]] | None:
            if not second_factor.confirm(tx, node.vault, half.account_id, code, now=now):
                return None
            drawn = second_factor.draw_recovery_codes(tx, node.vault, half.account_id, now=now, random=node.random)
            opened = people.promote(tx, node.vault, half.token, now=now, random=node.random, action="session.opened")
            return opened, drawn

        done = await node.db.write(step)
        if done is None:
            return await _set_up_page(half, wrong=True)
        token, codes = done
        shown = page("recovery_codes.html", half.language, visit=None, codes=codes, following=half.following or "/")
        return come_in(half, token, shown)

    return (
        route("/second", "second", Stage.HALF, second),
        route("/second/set-up", "second_set_up", Stage.HALF, set_up),
        route("/unlock", "unlock", Stage.LOCKED, unlock),
    )


async def _entered(node: Node, request: Request, following: str | None, cookie: str, stage: Stage) -> Half:
    """Raises NotSignedIn."""
    token, now = request.cookies.get(cookie, ""), node.clock.now()

    def query(tx: Connection) -> tuple[str, str, int]:
        row = people.session_of(tx, node.vault, token, now=now, stages={stage})
        kept = second_factor.factors_of(tx, row.id).passkeys
        return row.id, people.account_named(tx, node.vault, row.id).name, kept

    account_id, name, kept = node.db.look(query)
    return Half(node, request, token, account_id, name, inside(following), place_of(request), kept)


async def _answered(
    half: Half,
    form: FormData,
    template: str,
    come_in: Callable[[Half, str], Response],
    tried: Callable[[Half, str], Awaitable[Outcome]],
) -> Response:
    """With a passkey where the script filled one in, else with what was typed."""
    node, credential = half.node, str(form.get("credential", ""))
    if credential:
        await asyncio.to_thread(passkeys.load)
        now = node.clock.now()
        outcome = await node.db.write(
            lambda tx: passkeys.answer(
                tx, node.vault, half.token, half.place, credential=credential, now=now, random=node.random
            )
        )
    else:
        outcome = await tried(half, str(form.get("code", "") or form.get("recovery", "")))
    try:
        return come_in(half, outcome.token)
    except CordeeError as refused:
        half.node.refused[refused.reason] += 1
        return await _code_page(half, template, refused)


async def _second_tried(half: Half, code: str) -> Outcome:
    node, now = half.node, half.node.clock.now()
    return await node.db.write(
        lambda tx: second_factor.answer(tx, node.vault, half.token, code, now=now, random=node.random)
    )


async def _unlock_tried(half: Half, typed: str) -> Outcome:
    """The password, or a code of the second factor: whichever of the two it looks like."""
    if second_factor.looks_like_a_code(typed):
        return await _second_tried(half, typed)
    node, now = half.node, half.node.clock.now()
    kept = await node.db.read(lambda tx: second_factor.to_unlock(tx, node.vault, half.token, now=now))
    compared = await asyncio.to_thread(Compared.of, kept, typed)
    return await node.db.write(
        lambda tx: second_factor.unlock(tx, node.vault, half.token, compared=compared, now=now, random=node.random)
    )


async def _code_page(half: Half, template: str, refused: CordeeError | None = None) -> Response:
    node, now = half.node, half.node.clock.now()
    if half.passkeys:
        await asyncio.to_thread(passkeys.load)
    options = await node.db.write(
        lambda tx: passkeys.ask(tx, node.vault, half.token, half.place, now=now, random=node.random)
    )
    return page(
        template,
        half.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNAUTHORIZED,
        visit=None,
        half=half,
        options=options,
        refused=" ".join(translate(refused, half.language)) if refused else "",
    )


async def _set_up_page(half: Half, *, wrong: bool = False) -> Response:
    node = half.node
    secret = await node.db.write(lambda tx: second_factor.set_up(tx, node.vault, half.account_id, random=node.random))
    shown: dict[str, Any] = {"secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))}
    return page(
        "second_set_up.html",
        half.language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
        visit=None,
        half=half,
        wrong=wrong,
        qr=qr_code(second_factor.uri(secret, half.name)),
        **shown,
    )
