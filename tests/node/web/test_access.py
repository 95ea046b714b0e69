"""The table of routes and roles: every page has its row, and every cell of it holds at the site itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from node.people import Role
from node.web.access import ROUTES
from node.web.app import PAGES
from node.web.site import Page

from ..association import ACCOUNTS
from .browser import Browser

Browse = Callable[..., Awaitable[Browser]]
ID = "00000000-0000-4000-8000-000000000000"


def path_of(page: Page) -> str:
    """The page's path with something in each place."""
    steps = []
    for step in page.path.split("/"):
        kind = step.strip("{}").partition(":")[2]
        steps.append(step if not step.startswith("{") else ID if kind == "uuid" else "0" * 32)
    return "/".join(steps)


def test_every_page_has_a_row_and_every_row_a_page() -> None:
    assert sorted(page.name for page in PAGES) == sorted(ROUTES)


def test_every_row_has_roles() -> None:
    assert all(ROUTES.values())
    assert set().union(*ROUTES.values()) <= set(Role)


def test_no_path_stands_twice() -> None:
    assert len({page.path for page in PAGES}) == len(PAGES)


@pytest.mark.parametrize("name", list(ACCOUNTS))
async def test_whoever_has_no_role_for_a_page_gets_nothing_of_it(browse: Browse, name: str) -> None:
    browser = await browse(name)
    wrong = []
    for page in PAGES:
        if page.name in ("sign_out", "leave", "lock"):
            continue
        allowed = bool(ACCOUNTS[name] & ROUTES[page.name])
        if page.get is not None:
            answer = await browser.get(path_of(page))
            if (answer.status_code == 403) == allowed:
                wrong.append(("GET", page.name, answer.status_code))
        if page.post is not None or page.upload is not None:
            refused = (await browser.post(path_of(page), data={"form_token": "x"})).text
            lacks_role = "role" in refused
            if lacks_role == allowed:
                wrong.append(("POST", page.name, refused[-300:]))
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_without_a_session_there_is_only_the_entrance(anyone: Browser, page: Page) -> None:
    if page.get is not None:
        answer = await anyone.get(path_of(page))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
    if page.post is not None or page.upload is not None:
        answer = await anyone.post(path_of(page), data={"form_token": "x"})
        assert answer.status_code in (303, 401)
        assert answer.headers.get("location", "/sign-in").startswith(("/sign-in", "https://www.service-public.fr/"))


@pytest.mark.parametrize("page", [each for each in PAGES if each.post], ids=lambda page: page.name)
async def test_a_form_without_this_sessions_token_is_refused(browse: Browse, page: Page) -> None:
    name = next(each for each, roles in ACCOUNTS.items() if roles & ROUTES[page.name])

    answer = await (await browse(name)).post(path_of(page), data={"form_token": "0" * 32})

    assert answer.status_code == 403
