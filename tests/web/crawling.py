"""Every page of a node, found as a person finds them: from the list of pages, then by every link and form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from node.web.app import PAGES
from tests.web.markup import links

__all__ = ["Found", "crawl", "kind_of"]

_ID = re.compile(r"(?<=[/=])([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,64})(?=[/?&]|$)")
_ALIKE = {"/transfers/*": 6}
"""How many pages that differ only by an id are looked at, where it is more than one."""
_ASKED = 6
"""How many pages that differ only by what was asked for."""


@dataclass(frozen=True)
class Found:
    """An answer of the node: at which address, and what."""

    address: str  # from the first slash
    answer: httpx.Response

    @property
    def is_page(self) -> bool:
        return self.answer.headers.get("content-type", "").startswith("text/html")


def crawl(client: httpx.Client, *, first: Iterable[str] = ()) -> list[Found]:
    """What can be reached from these addresses and from each page that has one of its own.

    Pages that differ only by an id stand for one another, but for a few.
    """
    own = [each.path for each in PAGES if each.get is not None and "{" not in each.path]
    waiting, known, alike, found = ["/", *first, *own], set(), Counter[str](), []
    while waiting:
        address = waiting.pop(0)
        kind = kind_of(address)
        path = kind.partition("?")[0] + "?"
        if address in known or alike[kind] >= _ALIKE.get(kind, 1) or alike[path] >= _ALIKE.get(path[:-1], _ASKED):
            continue
        known.add(address)
        alike[kind] += 1
        alike[path] += 1
        seen = Found(address, _ask(client, address))
        found.append(seen)
        if not seen.is_page:
            continue
        for link in links(seen.answer.text):
            target = urlsplit(urljoin(str(client.base_url) + address.lstrip("/"), link))
            if f"{target.scheme}://{target.netloc}" == str(client.base_url).rstrip("/"):
                waiting.append(target.path + (f"?{target.query}" if target.query else ""))
    return found


def _ask(client: httpx.Client, address: str) -> httpx.Response:
    """A stream that does not end is left after its head; it is no page."""
    with client.stream("GET", address) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        return answer


def kind_of(address: str) -> str:
    """The same for addresses that differ only by an id."""
    return _ID.sub("*", address)
