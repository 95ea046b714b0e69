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
    evidence,
    figures,
    files,
    knowing,
    live,
    looking_after,
    notices,
    people,
    places,
    practice,
    profile,
    receiving,
    report,
    search,
    second,
    sections,
    sending,
    teams,
    today,
    transfers,
    updates,
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
    *access.PAGES,
    *act_new.PAGES,
    *acts.PAGES,
    *choosing.PAGES,
    *drafts.PAGES,
    *evidence.PAGES,
    *figures.PAGES,
    *files.PAGES,
    *knowing.PAGES,
    *live.PAGES,
    *looking_after.PAGES,
    *notices.PAGES,
    *people.PAGES,
    *places.PAGES,
    *practice.PAGES,
    *profile.PAGES,
    *receiving.PAGES,
    *report.PAGES,
    *search.PAGES,
    *sending.PAGES,
    *teams.PAGES,
    *transfers.PAGES,
    *updates.PAGES,
)


def application(node: Node, *, hosts: Collection[str], secure: bool, practice: Page | None = None) -> ASGIApp:
    """The node's pages for people who ask for one of `hosts`; with another page about practice where one is given."""
    pages = tuple(practice if practice and each.name == practice.name else each for each in PAGES)
    doors = (*entrance.open_routes(node, secure=secure), *second.open_routes(node, secure=secure))
    return build(node, hosts=hosts, secure=secure, pages=pages, open_routes=doors)
