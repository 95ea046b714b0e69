"""How a test uses the pages as a person does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Page

from node.demo.stage import House
from tests.web.town import EVERYTHING, PASSWORD

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",  # a name that somebody else's server sends here
]
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
WAITING = 60_000  # milliseconds; a slow machine has its time


def sign_in(page: Page, house: House, who: str = EVERYTHING) -> None:
    """In the browser, as a person does it. The one place that knows how."""
    page.goto(house.pages + "sign-in")
    page.locator("#name").fill(who)
    page.locator("#password").fill(PASSWORD)
    page.locator("main form[action='/sign-in'] button").click()
    page.wait_for_url(house.pages)


@contextmanager
def signed_in(house: House, who: str = EVERYTHING, *, language: str = "fr") -> Iterator[httpx.Client]:
    """The same over plain requests, as one who holds a session."""
    headers = {"Accept-Language": language, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=house.pages, timeout=60, headers=headers) as client:
        answer = client.post("/sign-in", data={"name": who, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


def form_token(client: httpx.Client) -> str:
    """What stands in each form of this session."""
    found = _TOKEN.search(client.get("/").text)
    assert found is not None
    return found[1]
