"""Who may use which page: each route with each role, asked over real requests."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import unescape
from typing import Any

import httpx
import pytest

from cordee.errors import RoleMissing
from cordee.runtime.texts import translate
from node.demo.stage import House
from node.people import Role
from node.web.access import ROUTES
from node.web.app import PAGES
from node.web.site import Page
from tests.web.browsing import form_token, signed_in
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

_PAGES = {each.name: each for each in PAGES}
_ELSEWHERE = "https://www.service-public.fr/"  # who wants to leave at once is not asked to sign in first
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_MISSING = {translate(RoleMissing(role=each), "fr")[0] for each in Role}
_KEPT_BY_ITSELF = ("session", "sign_in_failure", "checkpoint", "card", "roster", "outbox", "cursor")
"""Tables (by what is in their names) that change while nobody does anything."""


def _methods(page: Page) -> list[str]:
    taken = page.post or getattr(page, "upload", None)
    return [method for method, there in (("GET", page.get), ("POST", taken)) if there is not None]


CELLS = [(name, method, role) for name, page in _PAGES.items() for method in _methods(page) for role in Role]


@pytest.fixture(scope="module")
def person(town: Town) -> Iterator[Callable[[Role], httpx.Client]]:
    """Somebody who holds one role; whoever signed themselves out is followed by another."""
    clients: dict[Role, httpx.Client] = {}
    with ExitStack() as stack:

        def of(role: Role) -> httpx.Client:
            if role not in clients or clients[role].get("/").status_code != 200:
                clients[role] = stack.enter_context(signed_in(town.helpline, town.newcomer(role)))
            return clients[role]

        yield of


@pytest.fixture(scope="module")
def expendable(town: Town) -> str:
    """A case on which anything may be tried."""
    return str(town.case(town.helpline)["meta"]["case_id"])


def test_each_page_has_its_row_and_each_row_its_page() -> None:
    assert set(ROUTES) == set(_PAGES)


def test_nobody_gets_in_without_a_session(town: Town, expendable: str) -> None:
    with httpx.Client(base_url=town.helpline.pages, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        for route, page in _PAGES.items():
            for method in _methods(page):
                answer = client.request(method, _address(route, expendable))
                if answer.status_code == 401:  # what was typed is kept until its author comes back
                    continue
                assert answer.status_code == 303, route
                led = answer.headers["location"]
                assert led.startswith("/sign-in") or (route == "leave" and led == _ELSEWHERE), route


@pytest.mark.parametrize(("route", "method", "role"), CELLS, ids=str)
def test_a_role_may_use_what_is_its_own_and_nothing_else(
    town: Town, person: Callable[[Role], httpx.Client], expendable: str, route: str, method: str, role: Role
) -> None:
    client = person(role)
    data = {"form_token": form_token(client)} if method == "POST" else None
    before = _kept(town.helpline)
    with client.stream(method, _address(route, expendable), data=data) as answer:
        streaming = answer.headers.get("content-type", "").startswith("text/event-stream")
        text = unescape("" if streaming else answer.read().decode(errors="replace"))
    refused = any(each in text for each in _MISSING)
    if role in ROUTES[route]:
        assert not refused
        assert answer.status_code < 500
    else:
        assert refused
        assert answer.status_code == 403
        after = _kept(town.helpline)
        assert after.pop("journal") != before.pop("journal"), "the journal tells"
        assert after == before


def _address(route: str, case: str) -> str:
    """The route's path; what is not known names nothing that there is."""

    def filled(found: re.Match[str]) -> str:
        name, kind = found[1], found[2]
        if name == "case":
            return case
        if name == "section":
            return "identity"
        if kind == "int":
            return "999999"
        return "00000000-0000-4000-8000-000000000000" if kind == "uuid" else "0" * 32

    return _PARAMETER.sub(filled, _PAGES[route].path)


def _kept(house: House) -> dict[str, Any]:
    """What the node keeps, but for what changes by itself."""
    with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True, timeout=30) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"')))
            for name in names
            if not any(each in name for each in _KEPT_BY_ITSELF)
        }
