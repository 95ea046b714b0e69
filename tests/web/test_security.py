"""What a stranger, another site, or a colleague with another role tries against a node's pages: refused, each time."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from html import escape
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from node.demo.stage import House
from tests.web import raw
from tests.web.browsing import fill_in, form_token, sign_in, signed_in
from tests.web.conftest import Open
from tests.web.elsewhere import Elsewhere, elsewhere
from tests.web.raw import exchange, head
from tests.web.town import EVERYTHING, PASSWORD, Town, as_administrator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

_FORM = "Content-Type: application/x-www-form-urlencoded"
_OURS = "Sec-Fetch-Site: same-origin"
_TEN_GB = 10 * 1024**3
_LITTLE = 48 * 1024 * 1024  # bytes; a node that kept what it was sent would grow by much more


@pytest.fixture(scope="module")
def other_site() -> Iterator[Elsewhere]:
    with elsewhere() as site:
        yield site


# ---- sessions ----


def test_a_session_that_somebody_planted_is_not_the_one_that_opens(town: Town, open_page: Open) -> None:
    page, who = open_page(), town.newcomer()
    page.context.add_cookies([{"name": "session", "value": "planted", "url": town.helpline.pages}])
    page.goto(town.helpline.pages)
    fill_in(page, town.helpline, who)
    kept = [each["value"] for each in page.context.cookies() if each["name"] == "session"]
    assert len(kept) == 1
    assert kept != ["planted"]
    assert _as(town.helpline, "planted").get("/").headers["location"] == "/sign-in"


def test_signing_in_again_opens_another_session(town: Town) -> None:
    with signed_in(town.helpline) as client:
        before = dict(client.cookies)["session"]
        answer = client.post("/sign-in", data={"name": EVERYTHING, "password": PASSWORD})
        assert f"session={before};" not in answer.headers["set-cookie"]


def test_a_session_that_was_signed_out_opens_nothing(town: Town) -> None:
    with signed_in(town.helpline, town.newcomer()) as client:
        token = client.cookies["session"]
        client.post("/sign-out", data={"form_token": form_token(client)})
    assert _as(town.helpline, token).get("/cases").status_code == 303


def test_the_sessions_cookie_is_for_this_site_and_no_script(town: Town) -> None:
    with httpx.Client(base_url=town.helpline.pages, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        answer = client.post("/sign-in", data={"name": EVERYTHING, "password": PASSWORD})
    told = {each.strip().lower() for each in answer.headers["set-cookie"].split(";")[1:]}
    assert told == {"httponly", "samesite=strict", "path=/"}


def test_after_signing_in_one_stays_on_this_site(town: Town) -> None:
    tried = ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "javascript:evil()"]
    for following in tried:
        with httpx.Client(base_url=town.helpline.pages, headers={"Sec-Fetch-Site": "same-origin"}) as client:
            form = {"name": EVERYTHING, "password": PASSWORD, "next": following}
            assert "evil" not in client.post("/sign-in", data=form).headers["location"], following


# ---- another site ----


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("method", ["urlencoded", "text"])
def test_a_form_of_another_site_does_nothing(
    town: Town, open_page: Open, other_site: Elsewhere, name: str, method: str
) -> None:
    page = open_page()
    sign_in(page, town.helpline, "Hélène")
    kind = {"urlencoded": "application/x-www-form-urlencoded", "text": "text/plain"}[method]
    for path in ("cases/new", "sign-out", "leave", "language", "sign-in"):
        other_site.pages["/"] = (
            f'<form method="post" enctype="{kind}" action="{town.helpline.pages}{path}">'
            '<input name="pseudonym" value="Planted"><input name="summary" value="Planted">'
            '<input name="language" value="en"></form><script>document.forms[0].submit()</script>'
        )
        with page.expect_response(f"{town.helpline.pages}{path}") as answered:
            page.goto(f"http://{name}:{other_site.port}/")
        assert answered.value.status == 403, path
    page.goto(town.helpline.pages + "cases?state=all")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.get_by_text("Planted")).to_have_count(0)


def test_another_site_cannot_read_or_call(town: Town, open_page: Open, other_site: Elsewhere) -> None:
    page = open_page()
    sign_in(page, town.helpline)
    other_site.pages["/calls"] = "<p>calls</p>"
    page.goto(f"http://localhost:{other_site.port}/calls")
    for options in ("{}", "{credentials: 'include'}", "{method: 'POST', credentials: 'include'}"):
        called = f"fetch('{town.helpline.pages}', {options}).then(() => 'read', () => 'refused')"
        assert page.evaluate(called) == "refused"


def test_another_site_cannot_frame_a_page(town: Town, open_page: Open, other_site: Elsewhere) -> None:
    page = open_page()
    sign_in(page, town.helpline)
    other_site.pages["/frame"] = f'<iframe src="{town.helpline.pages}"></iframe>'
    page.goto(f"http://localhost:{other_site.port}/frame", wait_until="load")
    assert not page.frames[1].url.startswith(town.helpline.pages)


def test_a_form_is_refused_where_its_origin_is_another_or_untold(town: Town) -> None:
    own = f"http://localhost:{raw.port_of(town.helpline)}"
    refused = [
        (),
        ("Origin: null",),
        ("Origin: http://evil.example",),
        ("Origin: http://localhost",),
        ("Origin: http://[",),
        (f"Origin: {own}.evil.example",),
        (f"Origin: {own}", "Sec-Fetch-Site: cross-site"),
        (f"Origin: {own}", "Sec-Fetch-Site: same-site"),
        ("Origin: http://evil.example", _OURS),
        ("Sec-Fetch-Site: same-site",),
        ("Sec-Fetch-Site: same-origin, cross-site",),
    ]
    for lines in refused:
        sent = head(town.helpline, *lines, _FORM, "Content-Length: 0", request="POST /language HTTP/1.1")
        assert exchange(town.helpline, sent).status == 403, lines


def test_a_form_without_its_sessions_token_does_nothing(town: Town) -> None:
    with signed_in(town.helpline) as client, signed_in(town.helpline, "Hélène") as another:
        typed = {"pseudonym": "Planted", "summary": "Planted", "channel": "phone", "danger": "no"}
        for token in ("", "0" * 32, form_token(another), "é"):
            assert client.post("/cases/new", data={"form_token": token, **typed}).status_code == 403
        assert "Planted" not in client.get("/cases?state=all").text


# ---- names of the node ----


def test_a_name_that_is_not_the_nodes_is_not_answered(town: Town) -> None:
    port = raw.port_of(town.helpline)
    own = f"Host: localhost:{port}"
    for lines in (
        (f"Host: evil.example:{port}",),
        ("Host: evil.example",),
        (f"Host: localhost.evil.example:{port}",),
        (f"Host: evil.example@localhost:{port}",),
        ("Host: localhost evil.example",),
        ("Host: ",),
        (own, "Host: evil.example"),
        ("Host: evil.example", own),
        (own, own),
        (),
        ("Host: evil.example", f"X-Forwarded-Host: localhost:{port}"),
        ("Host: evil.example", f"Forwarded: host=localhost:{port}"),
    ):
        answer = exchange(town.helpline, head(town.helpline, *lines, host=False))
        assert answer.status in (400, 421), lines
        assert "Notes" not in answer.text, lines


def test_what_a_proxy_would_say_changes_nothing(town: Town) -> None:
    said = ("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-For: 10.0.0.1")
    answer = exchange(town.helpline, head(town.helpline, *said, request="GET /cases HTTP/1.1"))
    assert answer.status == 303
    assert "evil.example" not in answer.text
    assert "location: /sign-in?next=/cases" in answer.text


def test_a_whole_address_as_the_target_is_no_page(town: Town) -> None:
    port = raw.port_of(town.helpline)
    for target in ("http://evil.example/sign-in", f"http://localhost:{port}@evil.example/sign-in"):
        answer = exchange(town.helpline, head(town.helpline, request=f"GET {target} HTTP/1.1"))
        assert answer.status in (400, 404, 421), target
        assert "evil.example" not in answer.text
        assert set(re.findall(r'href="(http[^"]*)"', answer.text)) <= {"https://www.service-public.fr/"}  # leaving


def test_other_methods_are_refused(town: Town) -> None:
    for method in ("TRACE", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH"):
        assert exchange(town.helpline, head(town.helpline, request=f"{method} / HTTP/1.1")).status in (400, 405), method


def test_a_name_that_was_pointed_here_later_shows_nothing(town: Town, open_page: Open) -> None:
    page = open_page()
    answer = page.goto(f"http://rebound.example:{raw.port_of(town.helpline)}/sign-in")
    assert answer is not None
    assert answer.status == 421


def test_no_path_leads_out_of_the_static_files(town: Town) -> None:
    for path in ("../server.py", "..%2fserver.py", "%2e%2e/server.py", "....//server.py", "/etc/passwd", "%00"):
        answer = exchange(town.helpline, head(town.helpline, request=f"GET /static/{path} HTTP/1.1"))
        assert answer.status in (400, 404), path


# ---- what is large, slow or many ----


def test_ten_gigabytes_that_are_announced_are_refused_unread(town: Town) -> None:
    before = _resources(town.helpline)
    for path in ("/sign-in", "/cases/new", "/language", "/static/style.css", "/no/such/page"):
        sent = head(
            town.helpline, _OURS, _FORM, f"Content-Length: {_TEN_GB}", request=f"POST {path} HTTP/1.1", host=True
        )
        assert _pour(town.helpline, sent, b"x" * 65_536) in (0, 413), path
    _has_not_grown(town.helpline, before)


def test_ten_gigabytes_whose_length_is_not_told_are_refused_unread(town: Town) -> None:
    before = _resources(town.helpline)
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    for path in ("/sign-in", "/cases/new", "/language"):
        for lines in (("Transfer-Encoding: chunked",), ("Transfer-Encoding: chunked", "Content-Length: 5")):
            sent = head(town.helpline, _OURS, _FORM, *lines, request=f"POST {path} HTTP/1.1")
            assert _pour(town.helpline, sent, piece) in (0, 400, 411), path
    _has_not_grown(town.helpline, before)


def test_lengths_that_are_no_lengths_are_refused(town: Town) -> None:
    for length in ("-1", "1e9", "0x10", "+5", "5, 6", "9" * 5000, "٣"):
        lines = (_OURS, _FORM, f"Content-Length: {length}")
        with suppress(UnicodeEncodeError):
            sent = head(town.helpline, *lines, request="POST /sign-in HTTP/1.1")
            assert exchange(town.helpline, sent).status in (0, 400, 413, 431), length[:20]


def test_a_form_with_very_many_fields_is_refused(town: Town) -> None:
    with signed_in(town.helpline) as client:
        token = form_token(client)
        many = f"form_token={token}&" + "&".join(f"a{number}=1" for number in range(20_000))
        answer = client.post("/cases/new", content=many, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 400


def test_five_hundred_slow_connections_keep_nobody_else_out(town: Town) -> None:
    with ExitStack() as stack, signed_in(town.helpline) as client:
        for number in range(500):
            with suppress(ConnectionError):  # beyond what one machine may hold they are shut, some at once
                address = ("127.0.0.1", raw.port_of(town.helpline))
                line = stack.enter_context(socket.create_connection(address, timeout=60))
                match number % 3:
                    case 0:  # silent
                        pass
                    case 1:  # in the middle of its head
                        line.sendall(head(town.helpline, _OURS)[:-2] + b"X-Slow: ")
                    case _:  # in the middle of its form
                        lines = (_OURS, _FORM, "Content-Length: 1000")
                        line.sendall(head(town.helpline, *lines, request="POST /sign-in HTTP/1.1") + b"name=")
        for _ in range(3):
            assert client.get("/cases").status_code == 200
        with signed_in(town.helpline, "Léa") as newcomer:
            assert newcomer.get("/cases").status_code == 200


def test_a_case_without_a_name_is_not_opened(town: Town) -> None:
    with signed_in(town.helpline) as client:
        typed = {"form_token": form_token(client), "pseudonym": " ", "summary": "Un appel."}
        answer = client.post("/cases/new", data=typed)
    assert answer.status_code == 422
    assert "Un appel." in answer.text


def test_a_version_that_is_none_saves_nothing(town: Town) -> None:
    case = town.case(town.helpline)
    address = f"/cases/{case['meta']['case_id']}/sections/situation"
    with signed_in(town.helpline) as client:
        for version in ("", "x", "²", "-1", "9" * 50):
            typed = {"request_summary:there": "1", "request_summary": f"typed {version}", "version": version}
            answer = client.post(address, data={"form_token": form_token(client), **typed})
            assert answer.status_code == 409, version


# ---- what others can find out ----


def test_nobody_can_tell_a_wrong_password_from_a_name_that_is_not_there(town: Town) -> None:
    gone = town.newcomer()
    as_administrator(town.helpline, "node", "user", "disable", gone)
    answers = [
        _refused(town.helpline, "Hélène", "wrong, but long enough"),
        _refused(town.helpline, "Nobody", "wrong, but long enough"),
        _refused(town.helpline, gone, "wrong, but long enough"),
        _refused(town.helpline, gone, PASSWORD),
    ]
    assert len(set(answers)) == 1


def test_what_is_refused_without_a_session_tells_nothing_of_what_is_there(town: Town) -> None:
    with httpx.Client(base_url=town.helpline.pages) as client:
        there, not_there = (
            client.get(f"/cases/{each}") for each in (town.full, "00000000-0000-4000-8000-000000000000")
        )
    assert there.status_code == not_there.status_code == 303
    assert there.content == not_there.content == b""


def test_errors_say_nothing_of_the_server(town: Town) -> None:
    for request in ("GET /no/such/page HTTP/1.1", "GET /cases/%ff HTTP/1.1", "POST /no HTTP/1.1", "GET /%00 HTTP/1.1"):
        answer = exchange(town.helpline, head(town.helpline, _OURS, request=request))
        assert 400 <= answer.status < 500 or answer.status == 303, request
        for word in ("uvicorn", "starlette", "python", "traceback", "/node/"):
            assert word not in answer.text.lower(), request


def test_refusals_carry_the_headers_of_pages_too(town: Town) -> None:
    with signed_in(town.helpline) as client:
        for answer in (
            client.get("/no/such/page"),
            client.get(f"/cases/{town.full}/sections/nothing"),
            client.post("/cases/new", data={}),
            client.post("/cases/new", data={}, headers={"Sec-Fetch-Site": "cross-site"}),
            client.get("/", headers={"Host": "evil.example"}),
            client.request("PUT", "/"),
            client.get("/sign-in"),
        ):
            assert answer.headers["cache-control"] == "no-store", answer.request.url
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers


# ---- helpers ----


def _as(house: House, token: str) -> httpx.Client:
    return httpx.Client(base_url=house.pages, cookies={"session": token})


def _refused(house: House, name: str, password: str) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    with httpx.Client(base_url=house.pages, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
        answer = client.post("/sign-in", data={"name": name, "password": password})
    told = tuple(sorted((key, value) for key, value in answer.headers.items() if key not in ("date", "content-length")))
    return answer.status_code, answer.text.replace(escape(name), "…"), told


def _pour(house: House, sent: bytes, piece: bytes) -> int:
    """Send the head and then the piece again and again, until the node has had enough; its status."""
    with raw.connect(house) as line:
        try:
            line.sendall(sent)
            for _ in range(_TEN_GB // len(piece)):
                line.sendall(piece)
        except ConnectionError:
            pass
        else:
            pytest.fail("it read all of it")
        return raw.read(line).status


def _resources(house: House) -> tuple[int, int]:
    """The node's memory now, and what it wrote to disk, in bytes."""
    pid = house.program.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    written = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return pages * os.sysconf("SC_PAGE_SIZE"), int(written["write_bytes"])


def _has_not_grown(house: House, before: tuple[int, int]) -> None:
    memory, written = _resources(house)
    assert memory - before[0] < _LITTLE
    assert written - before[1] < _LITTLE
