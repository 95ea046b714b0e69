"""What surrounds every page of a practice house: the banner, the guide, and a session of its own.

The pages themselves are those of a real node and know nothing of practice. What is added is added to each answer that
is a page, whichever route it came from, so no page can lack it. The browser's session has another name than a real
node's: a real one that a browser sends along is dropped unread, and none is ever set or overwritten.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cordee.errors import N_
from cordee.web.request import language_for
from node.practice.guide import Told, guide_of
from node.practice.town import NAME, PASSWORD, Practice
from node.practice.workflows import BY_ID
from node.web.rendering import page
from node.web.visit import STAMP, cookie_name

__all__ = ["BANNER", "GUIDE_COOKIE", "Frame"]

BANNER: Final = N_("Practice – nothing here is real")
GUIDE_COOKIE: Final = "practice-guide"
"""Which workflow's guide this browser shows."""

_SESSION: Final = {False: "practice-session", True: "__Host-practice-session"}
_KEPT: Final = frozenset({"language", GUIDE_COOKIE})
_BEFORE_THE_TOP: Final = b'<header class="top">'
_BEFORE_THE_PAGE: Final = b"<main"
_DOORS: Final = frozenset({"/sign-in", "/second", "/unlock"})


class Frame:
    """ASGI middleware around the whole site of a practice house."""

    def __init__(self, app: ASGIApp, practice: Practice, *, secure: bool) -> None:
        self._app = app
        self._practice = practice
        self._theirs = cookie_name(secure=secure)
        self._ours = _SESSION[secure]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the site answer, and frame what is a page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": self._inward(scope["headers"]), STAMP: BANNER}
        held: Message | None = None
        body = bytearray()

        async def answer(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=self._outward(message["headers"]))
                message = {**message, "headers": headers.raw}
                if headers.get("content-type", "").startswith("text/html"):
                    held = message
                else:
                    await send(message)
                return
            if held is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                framed = await self._framed(Request(scope), held["status"], bytes(body))
                MutableHeaders(raw=held["headers"])["content-length"] = str(len(framed))
                await send(held)
                await send({"type": "http.response.body", "body": framed})

        await self._app(scope, receive, answer)

    # ---- the session's name ----

    def _inward(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Of the cookies only our own, under the name that the pages know."""
        kept = []
        for name, value in headers:
            if name != b"cookie":
                continue
            try:
                given = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                continue
            for each, morsel in given.items():
                if each in _KEPT or each == self._ours:
                    kept.append(f"{self._theirs if each == self._ours else each}={morsel.coded_value}")
        others = [(name, value) for name, value in headers if name != b"cookie"]
        return [*others, (b"cookie", "; ".join(kept).encode("latin-1"))] if kept else others

    def _outward(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        renamed = []
        for name, value in headers:
            if name.lower() == b"set-cookie":
                cookie, equals, rest = value.partition(b"=")
                given = cookie.decode("latin-1")
                if given in (cookie_name(secure=False), cookie_name(secure=True)):
                    if given != self._theirs:
                        continue  # a real house deletes both, whichever it had; here the other is nobody's to touch
                    value = self._ours.encode() + equals + rest
            renamed.append((name, value))
        return renamed

    # ---- banner and guide ----

    async def _framed(self, request: Request, status: int, body: bytes) -> bytes:
        language, path = language_for(request), request.url.path
        guide = await self._guide(request) if path not in _DOORS and path != "/practice" else None
        facts: dict[str, Any] = {
            "banner": BANNER,
            "door": path if path in _DOORS else "",
            "name": NAME,
            "password": PASSWORD,
            "code": self._practice.code() if path in ("/second", "/unlock") else "",
            "guide": guide,
            "visit": None,
        }
        banner = bytes(page("practice_banner.html", language, **facts).body)
        beside = bytes(page("practice_beside.html", language, **facts).body)
        # A page that does not stand on the common one is told to be practice all the same.
        known = _BEFORE_THE_TOP in body
        body = body.replace(_BEFORE_THE_TOP, banner + _BEFORE_THE_TOP, 1) if known else banner + body
        return body.replace(_BEFORE_THE_PAGE, beside + _BEFORE_THE_PAGE, 1)

    async def _guide(self, request: Request) -> Told | None:
        workflow = BY_ID.get(request.cookies.get(GUIDE_COOKIE, ""))
        if workflow is None or self._practice.latest(workflow.id) is None:
            return None
        return guide_of(self._practice, await self._practice.facts(), workflow)
