"""What stands before every page: whoever comes from elsewhere is not let in, and no answer may be kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from cordee.web.door import HEADERS
from node.app import Node
from node.web.app import application

from .browser import Browser

Browse = Callable[..., Awaitable[Browser]]
FORM = {"name": "Hélène", "password": "x"}


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.7", "127.0.0.1:8480", ""])
async def test_another_name_is_not_answered(anyone: Browser, host: str) -> None:
    assert (await anyone.get("/sign-in", headers={"host": host})).status_code == 421


async def test_the_port_and_capitals_of_a_name_say_nothing(anyone: Browser) -> None:
    assert (await anyone.get("/sign-in", headers={"host": "LocalHost:9999"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
        {"sec-fetch-site": "none", "origin": "https://localhost:8480"},
        {"sec-fetch-site": "none", "origin": "http://localhost:8481"},
        {"sec-fetch-site": ""},
    ],
)
async def test_a_form_of_another_site_is_refused(anyone: Browser, headers: dict[str, str]) -> None:
    assert (await anyone.post("/sign-in", data=FORM, headers=headers)).status_code == 403


async def test_an_older_browser_is_known_by_its_origin(anyone: Browser) -> None:
    del anyone.headers["sec-fetch-site"]

    assert (await anyone.post("/sign-in", data=FORM)).status_code == 403
    assert (await anyone.post("/sign-in", data=FORM, headers={"origin": "null"})).status_code == 403
    assert (await anyone.post("/sign-in", data=FORM, headers={"origin": "http://localhost:8480"})).status_code == 401


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "BREW"])
async def test_another_method_is_refused(anyone: Browser, method: str) -> None:
    assert (await anyone.request(method, "/sign-in")).status_code == 405


@pytest.mark.parametrize(
    ("length", "status"), [(str(5 << 20), 413), ("-1", 400), ("1e3", 400), ("٣", 400), ("0x10", 400)]
)
async def test_a_body_over_the_limit_is_refused_before_it_is_read(association: Node, length: str, status: int) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("nothing may be read")

    assert (await asked(association, [(b"content-length", length.encode())], receive=never))[0] == status


async def test_a_body_of_no_known_length_is_refused(association: Node) -> None:
    assert (await asked(association, [(b"transfer-encoding", b"chunked")]))[0] == 411


async def test_two_names_at_once_are_none(association: Node) -> None:
    assert (await asked(association, [(b"host", b"evil.example")]))[0] == 421


async def test_no_page_opens_a_websocket(association: Node) -> None:
    app = application(association, hosts=("localhost",), secure=False)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send)

    assert sent == []


async def test_every_answer_has_the_headers_errors_too(anyone: Browser) -> None:
    for answer in (
        await anyone.get("/sign-in"),
        await anyone.get("/nowhere"),
        await anyone.get("/"),
        await anyone.get("/sign-in", headers={"host": "evil.example"}),
        await anyone.post("/sign-in", data=FORM, headers={"sec-fetch-site": "cross-site"}),
        await anyone.request("TRACE", "/"),
        await anyone.get("/cases/../../etc/passwd"),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_fault_of_ours_has_the_headers_and_tells_nothing(
    association: Node, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await browse()

    def fails(*_: object) -> None:
        raise RuntimeError("un secret")

    monkeypatch.setattr(type(association.roster), "status", fails)
    browser._transport = httpx.ASGITransport(
        application(association, hosts=("localhost",), secure=False), raise_app_exceptions=False
    )
    answer = await browser.get("/")

    assert answer.status_code == 500
    assert "un secret" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_with_tls_browsers_are_told_to_stay_with_it(association: Node) -> None:
    app = application(association, hosts=("localhost",), secure=True)
    async with Browser(transport=httpx.ASGITransport(app)) as browser:
        answer = await browser.get("/sign-in")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_what_stands_under_static_is_files_of_ours_only(anyone: Browser) -> None:
    assert (await anyone.get("/static/style.css")).status_code == 200
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"):
        assert (await anyone.get(path)).status_code in (404, 405)


async def asked(
    node: Node,
    headers: list[tuple[bytes, bytes]],
    *,
    receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> tuple[int, dict[bytes, bytes]]:
    """One POST as the server gives it to the site, with headers that no client library would send."""
    app = application(node, hosts=("localhost",), secure=False)
    started: list[Any] = []

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/sign-in",
        "raw_path": b"/sign-in",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"sec-fetch-site", b"same-origin"), *headers],
    }
    await app(scope, receive or nothing, send)
    return started[0]["status"], dict(started[0]["headers"])
