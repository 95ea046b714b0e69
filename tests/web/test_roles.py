"""Who may use which page: each route with each role, asked over real requests."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest

from cordee.errors import RoleMissing
from cordee.runtime.texts import translate
from node.demo.stage import House, until
from node.people import Role
from node.web.access import ROUTES
from node.web.app import PAGES
from node.web.site import Page
from tests.web.browsing import form_token, signed_in
from tests.web.town import Town, as_administrator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

_CASE_TEAM = {Role.HANDLER, Role.LEAD}
_PAGES = {each.name: each for each in PAGES}
_ELSEWHERE = "https://www.service-public.fr/"  # who wants to leave at once is not asked to sign in first
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_MISSING = {translate(RoleMissing(role=each), "fr")[0] for each in Role}
_KEPT_BY_ITSELF = ("session", "sign_in_failure", "checkpoint", "card", "roster", "outbox", "cursor", "journal_head")
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


# ---- the third dimension: in the case's team, or not ----


@dataclass(frozen=True)
class Kept:
    """A case that is kept to named people, with an offer of it that waits."""

    case: str
    transfer: str
    clients: dict[tuple[Role, bool], httpx.Client]


@pytest.fixture(scope="module")
def kept(town: Town) -> Iterator[Kept]:
    """Somebody of each role who works on cases is named in it, and somebody of each is not."""
    people = {(role, inside): town.newcomer(role) for role in _CASE_TEAM for inside in (True, False)}
    accounts = {each["name"]: each["account_id"] for each in as_administrator(town.helpline, "node", "user", "list")}
    record = town.case(town.helpline)
    transfer = town.offer(record, town.act(record))
    town.wait(town.helpline, transfer, "offered")
    case = str(record["meta"]["case_id"])
    with ExitStack() as stack:
        us = stack.enter_context(signed_in(town.helpline))
        version = re.search(r'name="version" value="(\d+)"', us.get(f"/cases/{case}/team").text)
        assert version is not None
        named = [accounts[name] for (_, inside), name in people.items() if inside]
        fields = {"version": version[1], "restriction": "named_users", "owner": named[0], "others": named[1:]}
        answer = us.post(f"/cases/{case}/team", data={"form_token": form_token(us), **fields})
        assert answer.status_code == 303, answer.text
        clients = {key: stack.enter_context(signed_in(town.helpline, name)) for key, name in people.items()}
        yield Kept(case, transfer, clients)


def _is_bound(page: Page) -> bool:
    return page.name != "case_reason" and ("{case" in page.path or "{transfer}" in page.path)


BOUND = [
    (name, method, role, inside)
    for name, page in _PAGES.items()
    if _is_bound(page)
    for method in _methods(page)
    for role in sorted(ROUTES[name] & _CASE_TEAM)
    for inside in (False, True)
]


@pytest.mark.parametrize(("route", "method", "role", "inside"), BOUND, ids=str)
def test_what_is_of_a_case_or_its_transfers_is_for_its_team_and_the_others_are_asked_why(
    town: Town, kept: Kept, route: str, method: str, role: Role, inside: bool
) -> None:
    client = kept.clients[role, inside]
    data = {"form_token": form_token(client)} if method == "POST" else None
    until(lambda: _nothing_waits(town.helpline), what="the directory's answer to what those before have sent")
    before = _kept(town.helpline)
    answer = client.request(method, _address(route, kept.case, kept.transfer), data=data)
    asked = answer.headers.get("location", "").startswith(f"/cases/{kept.case}/reason")
    assert asked is not inside, (answer.status_code, answer.headers.get("location"))
    if not inside:
        assert answer.status_code == 303
        assert _kept(town.helpline) == before


@pytest.mark.parametrize("role", sorted(_CASE_TEAM))
def test_in_lists_and_in_the_live_stream_it_is_not_there_for_the_others(kept: Kept, role: Role) -> None:
    for inside in (False, True):
        client = kept.clients[role, inside]
        assert (kept.case in client.get("/cases?state=all").text) is inside
        for page in ("/", "/transfers"):
            assert (kept.transfer in client.get(page).text) is inside, page
        with client.stream("GET", f"/live?transfer={kept.transfer}") as answer:
            assert answer.status_code == (200 if inside else 403)
        with client.stream("GET", "/live") as answer:
            told = next(each for each in answer.iter_text() if each.startswith("data: ") or ": here" in each)
            assert inside or kept.transfer not in told


def test_an_auditor_sees_every_line_and_no_pseudonym(person: Callable[[Role], httpx.Client], kept: Kept) -> None:
    shown = person(Role.AUDITOR).get(f"/transfers/{kept.transfer}")
    assert shown.status_code == 200
    assert kept.case not in shown.text


def _address(route: str, case: str, transfer: str = "0" * 32) -> str:
    """The route's path; what is not known names nothing that there is."""

    def filled(found: re.Match[str]) -> str:
        name, kind = found[1], found[2]
        if name == "case":
            return case
        if name == "transfer":
            return transfer
        if name == "section":
            return "identity"
        if kind == "int":
            return "999999"
        return "00000000-0000-4000-8000-000000000000" if kind == "uuid" else "0" * 32

    return _PARAMETER.sub(filled, _PAGES[route].path)


def _nothing_waits(house: House) -> bool:
    with closing(sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True, timeout=30)) as db:
        return not db.execute("SELECT 1 FROM statement WHERE waits").fetchone()


def _kept(house: House) -> dict[str, Any]:
    """What the node keeps, but for what changes by itself."""
    with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True, timeout=30) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"')))
            for name in names
            if not any(each in name for each in _KEPT_BY_ITSELF)
        }
