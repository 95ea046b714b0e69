"""What every request goes through, before any page: which host was asked, from which site, and how large it is.

A page of ours shows the most private things that there are. So nothing of it may be kept, framed, referred to or
filled in from elsewhere, and a name that is not this site's own is not answered: that stops DNS rebinding.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "Door"]

_SAFE = frozenset({"GET", "HEAD"})
_METHODS = frozenset({*_SAFE, "POST"})
_OWN = frozenset({"same-origin", "none"})  # "none": typed or a bookmark, by the person at the machine
_UNTOLD = "null"
_FORM_LIMIT = 4 * 1024 * 1024  # bytes; a whole case has two MiB at most, percent-encoded it grows
_UPLOADS = "/files/"  # counted where they are read, piece by piece

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self' https://www.service-public.fr; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_UNKEPT = {"Cache-Control": "no-store"}


class Door:
    """ASGI middleware. `hosts` are the names under which the site is asked, without port.

    Refusals are plain text: whoever sees them did not come from a page of ours.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], secure: bool, headers: Mapping[str, str] = HEADERS
    ) -> None:
        self._app = app
        self._headers = headers
        self._hosts = frozenset(host.lower() for host in hosts)
        self._scheme = "https" if secure else "http"
        self._transport = {"Strict-Transport-Security": "max-age=31536000"} if secure else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or refuse it before a byte of its body is read."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no page of ours opens a websocket
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                unkept = {} if scope["path"].startswith("/static/") else _UNKEPT
                for name, value in {**self._headers, **self._transport, **unkept}.items():
                    sent.setdefault(name, value)
                if "server" in sent:
                    del sent["server"]
            await send(message)

        if refusal is not None:
            await PlainTextResponse(refusal[1], status_code=refusal[0])(scope, receive, answer)
            return
        await self._app(scope, receive, answer)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if scope["method"] not in _METHODS:
            return 405, "This method is not used here."
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _name_of(hosts[0]) not in self._hosts:
            return 421, "This site is not known under that name."
        if scope["method"] in _SAFE:
            return None
        if not self._from_here(headers, hosts[0]):
            return 403, "Forms of another site are refused."
        if "transfer-encoding" in headers:  # a form without a length could be of any
            return 411, "The length is missing."
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal():
            return 400, "The length is no number."
        if int(length) > _FORM_LIMIT and not scope["path"].startswith(_UPLOADS):
            return 413, "That is more than a form can hold."
        return None

    def _from_here(self, headers: Headers, host: str) -> bool:
        """By what every current browser says of itself; by the origin where it is an older one. Neither: refused."""
        site = headers.get("sec-fetch-site")
        origin = headers.get("origin", _UNTOLD)  # with our own "no-referrer" browsers say "null" of a form
        if origin not in (_UNTOLD, f"{self._scheme}://{host}"):
            return False
        return site in _OWN if site is not None else origin != _UNTOLD


def _name_of(host: str) -> str:
    """Without the port; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
