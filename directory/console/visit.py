"""One request by the administrator: in which language, and what the pages need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cordee.errors import N_, Unreachable
from cordee.members import Roster
from cordee.web.rendering import Templates
from cordee.web.request import form_token, language_for
from cordee.words import Language
from directory.administrator.desk import Desk
from directory.console.console import Console

__all__ = ["COOKIE", "Visit", "entered", "page"]

COOKIE: Final = "console"
_LONGEST_QUERY: Final = 400
page: Final = Templates("directory.console").page


@dataclass(frozen=True)
class Visit:
    """Who is asking. Pages get one from `entered`."""

    console: Console
    desk: Desk
    request: Request
    language: str
    token: str
    back: str
    """Where this page can be asked for again, in another language."""

    @property
    def form_token(self) -> str:
        """Stands in each form and comes back with it."""
        return form_token(self.token)

    @property
    def now(self) -> datetime:
        """The time, of the clock that was given."""
        return self.console.clock.now()

    @property
    def words(self) -> Language:
        """The language of sentences that are made of an entry."""
        return "en" if self.language == "en" else "fr"

    @property
    def roster(self) -> Roster:
        """The verified roster. Raises: what keeps us from having any."""
        if self.desk.roster is None:
            raise self.desk.trouble if self.desk.trouble is not None else Unreachable(peer=N_("The directory"))
        return self.desk.roster

    def require_sound(self) -> None:
        """Nothing is signed while the directory shows another log than ours, or does not answer.

        Raises: what kept the log from being brought up to date.
        """
        if self.desk.trouble is not None:
            raise self.desk.trouble

    def page(self, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """A page of this visit."""
        return page(template, self.language, status=status, visit=self, **values)

    def to(self, path: str) -> Response:
        """After something was done."""
        return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)


async def entered(console: Console, request: Request, *, readable: bool = True) -> Visit:
    """Let the administrator in, with the log as the directory shows it now, verified.

    `readable`: the address has a page also without a form.

    Raises: NotSignedIn, SessionLocked.
    """
    token = request.cookies.get(COOKIE, "")
    desk = await console.at_work(token)
    await desk.refresh()
    query = request.url.query
    path = request.url.path + (f"?{query}" if query and len(query) < _LONGEST_QUERY else "")
    return Visit(
        console=console,
        desk=desk,
        request=request,
        language=language_for(request),
        token=token,
        back=path if readable else "/",
    )
