"""Every page of the site, in one list."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from node.web.pages import (
    access,
    act_new,
    acts,
    cases,
    choosing,
    drafts,
    entrance,
    files,
    people,
    search,
    second,
    sections,
    sending,
    today,
)
from node.web.site import Page, build

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["PAGES", "application"]

PAGES: tuple[Page, ...] = (
    *today.PAGES,
    *entrance.PAGES,
    *cases.PAGES,
    *sections.PAGES,
    *act_new.PAGES,
    *acts.PAGES,
    *choosing.PAGES,
    *search.PAGES,
    *sending.PAGES,
    *access.PAGES,
    *people.PAGES,
    *files.PAGES,
    *drafts.PAGES,
)


def application(node: Node, *, hosts: Collection[str], secure: bool) -> ASGIApp:
    """The node's pages for people who ask for one of `hosts`."""
    doors = (*entrance.open_routes(node, secure=secure), *second.open_routes(node, secure=secure))
    return build(node, hosts=hosts, secure=secure, pages=PAGES, open_routes=doors)
