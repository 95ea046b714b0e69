"""What stands around every page of a practice house, whichever route it came from, in both languages, also on paper."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from html import unescape

import pytest

from cordee.act import parse_act
from node.practice.frame import BANNER
from node.web.act_told import told
from node.web.app import PAGES
from node.web.receipt import House, receipt
from tests.node.association import act_body
from tests.node.practice.newcomer import Newcomer, until
from tests.web import markup

BANNERS = {"en": "Practice – nothing here is real", "fr": "Exercice – rien ici n’est réel"}
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")


@pytest.fixture(scope="module")
def places(newcomer: Newcomer) -> dict[str, str]:
    """A case, an act and a transfer that there are, for the routes that name one."""
    newcomer.begin("w6")
    until(lambda: newcomer.ticks("w6")[0], what="a case that is shared")
    case = re.search(r"/cases/([0-9a-f-]{36})", newcomer.next_address())
    assert case
    act = re.search(rf"/cases/{case[1]}/acts/([0-9a-f-]{{36}})", newcomer.get(f"/cases/{case[1]}/acts"))
    transfer = re.search(r"/transfers/([0-9a-f]{32})", newcomer.get("/transfers"))
    person = re.search(r"/people/([0-9a-f]{32})", newcomer.get("/people"))
    partner = re.search(r"/members/([0-9a-f]{32})", newcomer.get("/members"))
    assert act
    assert transfer
    assert person
    assert partner
    return {
        "case": case[1],
        "act": act[1],
        "transfer": transfer[1],
        "account": person[1],
        "member": partner[1],
        "section": "identity",
    }


@pytest.mark.journey
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_page_of_every_route_bears_the_banner_once(
    newcomer: Newcomer, places: dict[str, str], language: str
) -> None:
    asked, lacking = 0, []
    for page in PAGES:
        if page.get is None:
            continue
        path = _PARAMETER.sub(lambda found: places.get(found[1], "0" * 32), page.path)
        with newcomer.client.stream("GET", path, headers={"accept-language": language}) as answer:
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            shown = answer.read().decode()
        asked += 1
        text = unescape(shown)
        bands = re.findall(r'<aside class="practice" aria-label="[^"]+"><p><strong>(.*?)</strong>', text)
        if bands != [BANNERS[language]]:
            lacking.append((page.name, path, bands))
        wrong = markup.complaints(shown, language)
        assert not wrong, (path, wrong)
    assert not lacking
    assert asked > 25


@pytest.mark.journey
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_so_do_the_doors_and_the_refusals(newcomer: Newcomer, language: str) -> None:
    stranger = Newcomer(str(newcomer.client.base_url), language=language)
    shown = [stranger.get("/sign-in"), stranger.get("/there/is/no/such/page", status=404)]
    wrong = stranger.client.post("/sign-in", data={"name": "camille", "password": "wrong", "next": ""})
    assert wrong.status_code == 401
    forged = newcomer.client.post("/cases/new", data={"form_token": "0"}, headers={"accept-language": language})
    assert forged.status_code == 403
    for text in (*shown, wrong.text, forged.text):
        assert BANNERS[language] in unescape(text)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_the_locked_screen_and_the_second_step_too_and_they_tell_what_to_type(newcomer: Newcomer) -> None:
    another = Newcomer(str(newcomer.client.base_url))
    another.client.post("/sign-in", data={"name": "camille", "password": "ici-rien-n-est-reel", "next": ""})
    second = another.get("/second")
    assert BANNERS["en"] in second
    assert another.client.get("/cases").headers["location"].startswith("/second"), "a password alone opens nothing"
    code = re.search(r"it would show: (\d{6})", second)
    assert code
    another.submit(another.form("/second").fill(code=code[1]))
    another.get("/cases")
    another.press("/", "/lock")
    locked = another.get("/unlock")
    assert BANNERS["en"] in locked
    assert "password: ici-rien-n-est-reel" in locked
    another.press("/unlock", "/unlock", code="ici-rien-n-est-reel")
    another.get("/cases")


@pytest.mark.journey
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_sheet_for_the_family_is_stamped(newcomer: Newcomer, places: dict[str, str], language: str) -> None:
    path = f"/cases/{places['case']}/acts/{places['act']}/receipt?language={language}"
    answer = newcomer.client.get(path)
    assert answer.headers["content-type"] == "application/pdf"
    assert BANNERS[language].split()[0].encode() in words_in(answer.content)


def test_a_sheet_is_stamped_on_each_page_and_a_real_one_is_not() -> None:
    act, now = parse_act(act_body()), datetime(2026, 5, 2, tzinfo=UTC)
    shown = told(act, members=[], persons={}, now=now, language="en")
    house = House("Ligne Coquelicot", tuple(f"0{each}" for each in range(80)))  # a sheet of several pages
    stamped = receipt(act, shown, house, now=now, language="en", stamp=BANNER)
    plain = receipt(act, shown, house, now=now, language="en")
    pages = stamped.count(b"/Type /Page\n")
    assert pages > 1
    assert words_in(stamped).count(b"nothing here is real") == pages
    assert b"nothing here is real" not in words_in(plain)


def words_in(pdf: bytes) -> bytes:
    """The text of a sheet's pages, as its font writes it."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    found = []
    for each in streams:
        try:
            found.append(zlib.decompress(each))
        except zlib.error:
            found.append(each)
    return b"\n".join(found)


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_the_guide_is_shown_on_every_page_until_it_is_hidden(newcomer: Newcomer) -> None:
    newcomer.begin("w2")
    for path in ("/", "/cases", "/members", "/transfers", "/association"):
        assert "Workflow 2:" in newcomer.beside(path), path
        assert "<details>" in newcomer.beside(path), "collapsed, and opened without a script"
    newcomer.submit(newcomer.form("/practice").put("stop", "w2"))
    assert newcomer.beside("/cases") == ""
