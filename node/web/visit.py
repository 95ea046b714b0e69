"""One request by one person: who they are, in which language, and what the pages need of the node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from starlette.requests import Request

from cordee.errors import NotSignedIn, RoleMissing
from cordee.web.request import form_token, language_for
from node import journal, people
from node.web.access import ROUTES, check

if TYPE_CHECKING:
    from node.app import Node
    from node.people import Handler

__all__ = ["STAMP", "Visit", "cookie_name", "entered"]

STAMP = "cordee.stamp"
"""Key of the request's scope under which stands what every page and sheet is stamped with. No request can bring it, and
a real house has none: what surrounds the site of a practice house puts it there."""


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


def cookie_name(*, secure: bool) -> str:
    """The session's cookie: with TLS under a name that no other host can set."""
    return "__Host-session" if secure else "session"


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
