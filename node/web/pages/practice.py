"""Practising, as a real node tells of it: where it is, and why not here. A practice house has another page instead."""

from __future__ import annotations

from starlette.responses import Response

from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES", "explained"]

_COMMAND = "cordee practice serve"


def explained(address: str) -> Page:
    """The page, with the address of a practice house that the association keeps running; empty where it keeps none."""

    async def explain(visit: Visit) -> Response:
        return page("practice_told.html", visit.language, visit=visit, address=address, command=_COMMAND)

    return Page("practice", "/practice", get=explain)


PAGES = (explained(""),)
