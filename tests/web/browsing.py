"""How a test comes in and uses the pages as a person does. Nothing else knows how one signs in."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyotp
from playwright.sync_api import Error, Page

from node.demo.stage import House, until
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
PLAIN = ssl.create_default_context()
"""For clients of pages without TLS, which would each read all authorities that this machine knows of."""

WAITING = 60_000  # milliseconds; a slow machine has its time

_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_SECRET = re.compile(r'class="secret"[^>]*>\s*([A-Z2-7 ]+?)\s*<')
_HERE = {"Sec-Fetch-Site": "same-origin"}

_sessions: dict[tuple[str, str], str] = {}


def sign_in(page: Page, house: House, who: str = EVERYTHING) -> None:
    """Let a browser in. Sessions are shared: a test that ends one comes in as somebody of its own."""
    page.context.add_cookies([{"name": "session", "value": _session(house, who), "url": house.pages}])
    page.goto(house.pages)


@contextmanager
def signed_in(house: House, who: str = EVERYTHING, *, language: str = "fr") -> Iterator[httpx.Client]:
    """The same over plain requests."""
    cookies = {"session": _session(house, who)}
    headers = {"Accept-Language": language, **_HERE}
    with httpx.Client(base_url=house.pages, timeout=60, headers=headers, cookies=cookies, verify=PLAIN) as client:
        yield client


def reload(page: Page) -> None:
    """What the page tells now. Chromium reloads no page that it is just leaving for the next one: it arrives first."""
    try:
        page.reload()
    except Error as refused:
        if "Not attached to an active page" not in refused.message:
            raise
        page.wait_for_load_state()
        page.reload()


def fill_in(page: Page, house: House, who: str = EVERYTHING) -> None:
    """All that the pages ask for on the way in, typed in the browser."""
    page.locator("#name").fill(who)
    page.locator("#password").fill(PASSWORD)
    page.locator("main form[action='/sign-in'] button").click()
    page.wait_for_url(lambda url: urlsplit(url).path != "/sign-in")
    if urlsplit(page.url).path == "/second/set-up":
        keep_secret(house, who, page.locator(".secret").text_content() or "")
        page.locator("#code").fill(code_of(house, who))
        page.locator("main form[action='/second/set-up'] button").click()
        page.locator("main .codes ~ p a.button").click()
    elif urlsplit(page.url).path == "/second":
        until(lambda: _typed_code(page, house, who), what="a code that was not used before")


def come_in(client: httpx.Client, house: House, who: str = EVERYTHING) -> None:
    """The same over plain requests."""
    answer = client.post("/sign-in", data={"name": who, "password": PASSWORD}, headers=_HERE)
    assert answer.status_code == 303, answer.text
    if answer.headers["location"].startswith("/second"):
        until(lambda: _second(client, house, who), what="a code that was not used before")


def form_token(client: httpx.Client) -> str:
    """What stands in each form of this session."""
    found = _TOKEN.search(client.get("/").text)
    assert found is not None
    return found[1]


def _session(house: House, who: str) -> str:
    """A session of this account, opened where there is none yet."""
    key = (house.pages, who)
    with httpx.Client(base_url=house.pages, timeout=60, verify=PLAIN) as client:
        if key in _sessions:
            client.cookies.set("session", _sessions[key])
            if client.get("/").status_code == 200:
                return _sessions[key]
            client.cookies.clear()
        come_in(client, house, who)
        _sessions[key] = client.cookies["session"]
    return _sessions[key]


def _second(client: httpx.Client, house: House, who: str) -> bool:
    asked = client.get("/second", headers=_HERE, follow_redirects=True)
    secret, token = _SECRET.search(asked.text), _TOKEN.search(asked.text)
    if secret is not None:
        keep_secret(house, who, secret[1])
    assert token is not None
    given = {"form_token": token[1], "code": code_of(house, who), "next": "/"}
    client.post(asked.url.path, data=given, headers=_HERE)
    return client.get("/").status_code == 200


def _typed_code(page: Page, house: House, who: str) -> bool:
    page.locator("#code").fill(code_of(house, who))
    page.locator("main form[action='/second'] button").click()
    page.wait_for_load_state()
    return urlsplit(page.url).path != "/second"


def _telephone(house: House, who: str) -> Path:
    """What the person's telephone keeps; of a practice account the stage has put it there."""
    return house.folder / f"second-factor-{who}"


def keep_secret(house: House, who: str, secret: str) -> None:
    """Put the secret that a page showed into the person's telephone."""
    _telephone(house, who).write_text(pyotp.TOTP(secret.replace(" ", "")).provisioning_uri(), encoding="utf-8")


def code_of(house: House, who: str, *, ahead: int = 0) -> str:
    """What the person's telephone shows now, or so many half minutes later."""
    made = pyotp.parse_uri(_telephone(house, who).read_text(encoding="utf-8").strip())
    return pyotp.TOTP(made.secret).at(datetime.now(UTC) + ahead * timedelta(seconds=30))
