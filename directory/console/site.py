"""The site, put together: routes, errors in words, the door before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from cordee.errors import N_, CordeeError, NotFound, NotSignedIn, SessionLocked, Unreachable
from cordee.runtime.logs import logger
from cordee.runtime.texts import translate
from cordee.web.door import HEADERS, Door
from cordee.web.rendering import problems_in_words
from cordee.web.request import inside, language_for, require_own_form, status_of
from directory.console.console import Console
from directory.console.visit import Visit, entered, page

__all__ = ["HOSTS", "Page", "build", "refusal"]

log = logger("directory.console")

HOSTS: Final = ("127.0.0.1",)
"""The one name under which the console answers: a name that leads here from elsewhere is refused."""

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""As for the handlers' pages, and no script at all: nothing runs where a key is open."""

_MANY_FIELDS = 200
_FILE_SIZE = 64 * 1024

Answer = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True)
class Page:
    """One page. `post` gets a form that is surely ours."""

    name: str
    path: str
    get: Answer | None = None
    post: Callable[[Visit, FormData], Awaitable[Response]] | None = None
    files: int = 0


def build(console: Console, *, pages: Collection[Page], open_routes: Collection[Route]) -> ASGIApp:
    """The whole site as one ASGI application."""

    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        message = N_("There is no such page.") if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase
        return _told(request, status, message, "")

    async def failed(request: Request, error: Exception) -> Response:
        # Its text may hold what was in the form: nobody outside, and no log, sees it.
        log.error("page.failed", reason=type(error).__name__)
        return _told(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            N_("Something failed here, and nothing was signed."),
            N_("Go back and try again. If it happens again, end the command and use the command line."),
        )

    routes: list[Any] = [
        Mount("/static", StaticFiles(packages=[("cordee.web", "static")]), name="static"),
        *open_routes,
        *(_route(console, each) for each in pages),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: missing, Exception: failed})
    return Door(app, hosts=HOSTS, secure=False, headers=HEADERS | {"Content-Security-Policy": _POLICY})


def _route(console: Console, shown: Page) -> Route:
    async def answer(request: Request) -> Response:
        visit: Visit | None = None
        try:
            visit = await entered(console, request, readable=shown.get is not None)
            if request.method != "POST":
                return await shown.get(visit) if shown.get is not None else _nothing()
            if shown.post is None:
                return _nothing()
            limits = {"max_files": shown.files, "max_fields": _MANY_FIELDS, "max_part_size": _FILE_SIZE}
            async with request.form(**limits) as form:
                require_own_form(visit, str(form.get("form_token", "")))
                return await shown.post(visit, form)
        except SessionLocked:
            back = f"?next={inside(request.url.path)}" if shown.get is not None and request.method != "POST" else ""
            return RedirectResponse(f"/unlock{back}", status_code=HTTPStatus.SEE_OTHER)
        except NotSignedIn:
            return refusal(
                request,
                NotSignedIn(),
                message=N_("This console is closed to whoever has not come by its link."),
                remedy=N_("Open the link that the command has printed, in this browser. It works once."),
            )
        except CordeeError as refused:
            return refusal(request, refused, visit=visit)

    methods = [method for method, there in (("GET", shown.get), ("POST", shown.post)) if there is not None]
    return Route(shown.path, answer, name=shown.name, methods=methods)


def refusal(
    request: Request, refused: CordeeError, *, visit: Visit | None = None, message: str = "", remedy: str = ""
) -> Response:
    """What is wrong and what to do next, in the reader's language."""
    language = language_for(request)
    told, help_ = translate(refused, language)
    if isinstance(refused, NotFound):  # its own words name a command
        help_ = N_("Check the address, or look in the lists.")
    elif isinstance(refused, Unreachable):
        help_ = N_("Check the connection of this machine, and whether the directory runs; then load the page again.")
    return page(
        "refused.html",
        language,
        status=status_of(refused),
        message=message or told,
        remedy=remedy or help_,
        problems=problems_in_words(refused, language),
        visit=visit,
    )


def _told(request: Request, status: int, message: str, remedy: str) -> Response:
    return page(
        "refused.html",
        language_for(request),
        status=status,
        message=message,
        remedy=remedy,
        problems=[],
        visit=None,
    )


def _nothing() -> Response:
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
