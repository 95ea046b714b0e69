"""One request by one person: who they are, in which language, and what the pages need of the node."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection
from starlette.requests import Request

from cordee.errors import CordeeError, NotSignedIn, RoleMissing
from cordee.runtime.texts import LANGUAGES
from node import journal, people
from node.web.access import ROUTES, check

if TYPE_CHECKING:
    from node.app import Node
    from node.people import Handler

__all__ = ["LANGUAGE_COOKIE", "STAMP", "ForgedForm", "Visit", "cookie_name", "inside", "language_for"]

LANGUAGE_COOKIE = "language"
_FORM_SIZE = 16

STAMP = "cordee.stamp"
"""Key of the request's scope under which stands what every page and sheet is stamped with. No request can bring it, and
a real house has none: what surrounds the site of a practice house puts it there."""


class ForgedForm(CordeeError):
    """A form that this session did not get from us."""

    status = "PERMISSION_DENIED"


@dataclass(frozen=True)
class Visit:
    """Who is asking. Pages get one from `entered`, which also asks the table of routes and roles."""

    node: Node
    request: Request
    handler: Handler
    token: str
    language: str

    def may(self, route: str) -> bool:
        """Whether a route is theirs to use: what is not is not shown either."""
        return bool(self.handler.roles & ROUTES[route])

    @property
    def stamp(self) -> str:
        """What stands on everything that is printed, as a marked text; nothing in a real house."""
        return str(self.request.scope.get(STAMP, ""))

    @property
    def form_token(self) -> str:
        """Stands in each form and comes back with it: bound to the session, so nobody else can know it."""
        return form_token(self.token)


class HasFormToken(Protocol):
    """A visit, or somebody on the way in."""

    @property
    def form_token(self) -> str:
        """What the form must bring back."""


def form_token(session: str) -> str:
    """The token of a session's forms; it tells nothing of the session's own."""
    return hashlib.blake2b(b"cordee/web/form", key=session.encode()[:64], digest_size=_FORM_SIZE).hexdigest()


def require_own_form(visit: HasFormToken, given: str) -> None:
    """Raises ForgedForm."""
    if not _is_same(given, visit.form_token):
        raise ForgedForm()


def is_own_form(session: str, given: str) -> bool:
    """Whether this session got the form from us, also where the session has ended."""
    return _is_same(given, form_token(session))


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def inside(path: str | None) -> str:
    """A path of this site, or nothing: a link must not lead elsewhere after signing in."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or any(ord(c) < 33 for c in path):
        return ""
    return path[:500]


def cookie_name(*, secure: bool) -> str:
    """The session's cookie: with TLS under a name that no other host can set."""
    return "__Host-session" if secure else "session"


def language_for(request: Request) -> str:
    """What the person chose, else the first of their browser's languages that we have; French otherwise."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return str(chosen)
    wanted = (
        each.partition(";")[0].strip()[:2].lower() for each in request.headers.get("accept-language", "").split(",")
    )
    return next((each for each in wanted if each in LANGUAGES), "fr")


async def entered(node: Node, request: Request, route: str, *, secure: bool) -> Visit:
    """Let somebody in who holds a session and may use this route.

    Raises: NotSignedIn, SecondFactorNeeded, SessionLocked, RoleMissing.
    """
    token = request.cookies.get(cookie_name(secure=secure), "")
    if not token:
        raise NotSignedIn()
    now = node.clock.now()
    whole = people.Stage.FULL
    handler, noted = node.db.look(lambda tx: people.look_up(tx, node.vault, token, now=now, stage=whole))
    if not noted:
        handler = await node.db.write(lambda tx: people.who(tx, node.vault, token, now=now, stage=whole))
    try:
        check(handler, route)
    except RoleMissing:
        await node.db.write(lambda tx: _note_refusal(tx, handler, route, now))
        raise
    return Visit(node=node, request=request, handler=handler, token=token, language=language_for(request))


def _note_refusal(tx: Connection, handler: Handler, route: str, now: datetime) -> None:
    """Nothing on a page leads there: somebody tried."""
    journal.append(
        tx,
        now=now,
        actor=handler.account_id,
        action="page.refused",
        subject=handler.account_id,
        outcome="refused",
        facts={"page": route},
    )
