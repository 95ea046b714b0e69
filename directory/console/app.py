"""Every page of the console, in one list."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp

from directory.console.console import Console
from directory.console.pages import (
    administrators,
    correcting,
    entrance,
    inviting,
    keys,
    log,
    members,
    overview,
    policy,
    requests,
    signing,
)
from directory.console.site import Page, build

__all__ = ["PAGES", "application"]

PAGES: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *entrance.PAGES,
    *signing.PAGES,
    *members.PAGES,
    *correcting.PAGES,
    *keys.PAGES,
    *requests.PAGES,
    *inviting.PAGES,
    *administrators.PAGES,
    *policy.PAGES,
    *log.PAGES,
)


def application(console: Console) -> ASGIApp:
    """The console's pages."""
    return build(console, pages=PAGES, open_routes=entrance.open_routes(console))
