"""Practising, as a real node tells of it: where it is, and why not here. A practice house has another page instead."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from cordee.errors import N_, InvalidInput
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES", "address_of", "explained"]

_COMMAND = "cordee practice serve"
_LONGEST = 200


def address_of(text: str, *, own: str) -> str:
    """The address of a practice house, as an administrator set it; empty for none. `own` is this node's name.

    Under the same name a browser would bring the cookies of one to the other, whatever the port.

    Raises: InvalidInput.
    """
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or len(text) > _LONGEST:
        raise InvalidInput(field="--practice-url", problem=N_("an address such as http://127.0.0.2:8490/ is asked for"))
    if parts.hostname in (own.lower(), "localhost", "127.0.0.1", "::1"):
        raise InvalidInput(field="--practice-url", problem=N_("practice needs another name than this node"))
    return text


def explained(address: str) -> Page:
    """The page, with the address of a practice house that the association keeps running; empty where it keeps none."""

    async def explain(visit: Visit) -> Response:
        return page("practice_told.html", visit.language, visit=visit, address=address, command=_COMMAND)

    return Page("practice", "/practice", get=explain)


PAGES = (explained(""),)
