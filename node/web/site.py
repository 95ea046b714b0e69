"""The site, put together: routes, errors in words, the door before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from cordee.errors import N_, CordeeError, NeedToKnow, NotFound, NotSignedIn, SecondFactorNeeded, SessionLocked
from cordee.runtime.exhausted import told
from cordee.runtime.logs import logger
from cordee.runtime.texts import translate
from cordee.web.door import Door
from cordee.web.request import language_for, require_own_form, status_of
from node import need_to_know, transfer_store
from node.people import Role
from node.transfer_access import require_transfer
from node.web.access import ROUTES
from node.web.drafting import keep_after_end
from node.web.following import id_of
from node.web.rendering import page, problems_in_words
from node.web.visit import Visit, entered

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["ELSEWHERE", "Page", "Site", "build"]

log = logger("node.web")

_MANY_FIELDS = 2000
_REASON = "case_reason"  # the one page of a case for who is not of its team
_NOTHING_TYPED = frozenset({"sign_out", "lock", "leave"})

ELSEWHERE = "https://www.service-public.fr/"
"""A site that anybody may have open: where leaving quickly leads, also when the session has ended."""

_DOORS: dict[type[NotSignedIn], str] = {SecondFactorNeeded: "/second", SessionLocked: "/unlock"}

Answer = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True)
class Page:
    """One page: its name is its row in the table of routes and roles. `post` gets a form that is surely ours.

    `upload` stands in the place of `post` where a file comes: it reads the body itself, the form's token first.
    """

    name: str
    path: str
    get: Answer | None = None
    post: Callable[[Visit, FormData], Awaitable[Response]] | None = None
    upload: Answer | None = None


class Site:
    """What makes a page an answer: who may, errors in words, forms that are ours."""

    def __init__(self, node: Node, *, secure: bool) -> None:
        self.node = node
        self.secure = secure

    def route(self, shown: Page) -> Route:
        """The route of a page, with everything around it."""

        async def answer(request: Request) -> Response:
            visit: Visit | None = None
            try:
                visit = await entered(self.node, request, shown.name, secure=self.secure)
                if request.method != "POST":
                    await self._may_know(visit, shown)
                    return await shown.get(visit) if shown.get is not None else _nothing()
                if shown.upload is not None:
                    await self._may_know(visit, shown)
                    return await shown.upload(visit)
                if shown.post is None:
                    return _nothing()
                async with request.form(max_files=0, max_fields=_MANY_FIELDS) as form:
                    require_own_form(visit, str(form.get("form_token", "")))
                    await self._may_know(visit, shown)
                    return await shown.post(visit, form)
            except NotSignedIn as missing:
                self.node.refused[missing.reason] += 1
                return await self.sign_in_first(request, shown, _DOORS.get(type(missing), "/sign-in"))
            except NeedToKnow as kept:
                self.node.refused[kept.reason] += 1
                return self.reason_first(request, kept)
            except CordeeError as refused:
                self.node.refused[refused.reason] += 1
                return self.refusal(request, refused, visit)
            except Exception as failed:
                known = told(failed, what=N_("the server"))
                if known is None:
                    raise
                return self.refusal(request, known, visit)  # a full disk, say: asking again is safe

        methods = [
            method for method, there in (("GET", shown.get), ("POST", shown.post or shown.upload)) if there is not None
        ]
        return Route(shown.path, answer, name=shown.name, methods=methods)

    async def _may_know(self, visit: Visit, shown: Page) -> None:
        """Every page of a case or of its transfers, whoever wrote it, is its team's. Raises NeedToKnow, NotFound."""
        node, now, handler = self.node, self.node.clock.now(), visit.handler
        case = visit.request.path_params.get("case")
        if case is not None and shown.name != _REASON:
            await node.db.read(lambda tx: need_to_know.require(tx, node.vault, handler, str(case), now=now))
        transfer = id_of(str(visit.request.path_params.get("transfer", "")))
        if transfer is None or (Role.AUDITOR in handler.roles and Role.AUDITOR in ROUTES[shown.name]):
            return
        await node.db.read(
            lambda tx: require_transfer(tx, node.vault, handler, transfer_store.read_transfer(tx, transfer), now=now)
        )

    def reason_first(self, request: Request, kept: NeedToKnow) -> Response:
        """To the page that asks why, where it is known which case it is about."""
        case, transfer = request.path_params.get("case"), request.path_params.get("transfer")
        if transfer is not None:
            case = kept.facts.get("case", case)
        if case is None:
            return self.refusal(request, kept)
        back = f"?next={request.url.path}" if request.method == "GET" else ""
        if not back and transfer is not None:
            back = f"?next=/transfers/{transfer}"
        return RedirectResponse(f"/cases/{case}/reason{back}", status_code=HTTPStatus.SEE_OTHER)

    async def sign_in_first(self, request: Request, shown: Page, door: str = "/sign-in") -> Response:
        """To the first page, and back afterwards where that is safe to repeat. What was sent is kept, or told lost."""
        path = request.url.path
        back = f"?next={path}" if shown.get is not None and path != "/" else ""
        if request.method != "POST" or shown.name in _NOTHING_TYPED:
            to = ELSEWHERE if shown.name == "leave" else f"{door}{back}"
            return RedirectResponse(to, status_code=HTTPStatus.SEE_OTHER)
        kept = shown.upload is None and await keep_after_end(self.node, request, shown.name, secure=self.secure)
        status = HTTPStatus.UNAUTHORIZED
        ended = page("ended.html", language_for(request), status=status, visit=None, kept=kept, door=f"{door}{back}")
        ended.headers["Draft"] = "kept" if kept else "lost"  # the script that keeps drafts says which
        return ended

    def refusal(self, request: Request, refused: CordeeError, visit: Visit | None = None) -> Response:
        """What is wrong and what to do next, in the reader's language; whoever is in keeps the links to go on."""
        language = language_for(request)
        message, remedy = translate(refused, language)
        if isinstance(refused, NotFound):  # its own words name a command
            remedy = N_("Check the address, or look in the lists.")
        return page(
            "refusal.html",
            language,
            status=status_of(refused),
            message=message,
            remedy=remedy,
            problems=problems_in_words(refused, language),
            visit=visit,
        )


def build(
    node: Node, *, hosts: Collection[str], secure: bool, pages: Collection[Page], open_routes: Collection[Route]
) -> ASGIApp:
    """The whole site as one ASGI application."""
    site = Site(node, secure=secure)

    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return page(
            "refusal.html",
            language_for(request),
            status=status,
            message=N_("There is no such page.") if status == 404 else HTTPStatus(status).phrase,
            remedy="",
            problems=[],
            visit=None,
        )

    async def failed(request: Request, error: Exception) -> Response:
        # Its text may hold what was in the form: nobody outside, and no log, sees it.
        log.error("page.failed", reason=type(error).__name__)
        return page(
            "refusal.html",
            language_for(request),
            status=500,
            message=N_("Something failed here, and nothing was saved."),
            remedy=N_("Go back and try again; if it happens again, tell your administrator the time."),
            problems=[],
            visit=None,
        )

    routes: list[Any] = [
        Mount(
            "/static",
            StaticFiles(directory=Path(__file__).parent / "static", packages=[("cordee.web", "static")]),
            name="static",
        ),
        *open_routes,
        *(site.route(each) for each in pages),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: missing, Exception: failed})
    return Door(app, hosts=hosts, secure=secure)


def _nothing() -> Response:
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
