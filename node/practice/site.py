"""The pages of a practice house: a real node's, with the page of the ten workflows in the place of its explanation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from cordee.practice import is_practice, require_kind
from node.practice.frame import GUIDE_COOKIE, Frame
from node.practice.guide import overview
from node.practice.town import Practice
from node.practice.workflows import BY_ID
from node.web.app import application
from node.web.rendering import page
from node.web.server import Listening, serving
from node.web.site import Page

if TYPE_CHECKING:
    from node.app import Node
    from node.web.visit import Visit

__all__ = ["practice_site", "shown"]

_LONGEST = 8


def practice_site(practice: Practice, *, hosts: Collection[str], secure: bool) -> ASGIApp:
    """The whole site. Raises PracticeNetwork, RealNetwork where the house is of a real network."""
    require_kind(is_practice(practice.node.roster.roster.origin), practice=True)

    async def ten(visit: Visit) -> Response:
        told = overview(practice, await practice.facts())
        followed = visit.request.cookies.get(GUIDE_COOKIE, "")
        return page("practice.html", visit.language, visit=visit, told=told, followed=followed)

    async def choose(visit: Visit, form: FormData) -> Response:
        """Begin a workflow, show its guide on every page, or stop showing it."""
        wanted = str(form.get("begin", "") or form.get("follow", ""))[:_LONGEST]
        answer = RedirectResponse(f"/practice#{wanted}" if wanted in BY_ID else "/practice", HTTPStatus.SEE_OTHER)
        if wanted not in BY_ID:
            answer.delete_cookie(GUIDE_COOKIE, path="/", httponly=True, secure=secure, samesite="strict")
            return answer
        if form.get("begin") or practice.latest(wanted) is None:
            await practice.begin(wanted)
        answer.set_cookie(GUIDE_COOKIE, wanted, path="/", httponly=True, secure=secure, samesite="strict")
        return answer

    own = Page("practice", "/practice", get=ten, post=choose)
    return Frame(application(practice.node, hosts=hosts, secure=secure, practice=own), practice, secure=secure)


@contextlib.asynccontextmanager
async def shown(practice: Practice, where: Listening) -> AsyncIterator[str]:
    """Serve the pages until the block ends; the address to open is given. Raises InvalidInput.

    Under its own name only: a browser keeps the cookies of another name, such as a real node's, to itself.
    """

    def site(_node: Node, *, hosts: Collection[str], secure: bool) -> ASGIApp:
        return practice_site(practice, hosts=(where.host,), secure=secure)

    async with serving(practice.node, where, site=site) as address:
        yield address
