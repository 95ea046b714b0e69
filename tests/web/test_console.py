"""The administrator's console in a real browser: its flows without any script, in both languages, and every page
valid and accessible at each width and in both themes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from cordee.members import MemberState
from cordee.runtime.texts import LANGUAGES, text
from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import about_member
from directory.console.app import PAGES
from tests.directory.console.office import PASSPHRASE
from tests.web import markup
from tests.web.conftest import Open
from tests.web.consoles import Consoles, opened, words
from tests.web.looking import Watched, keyboard_complaints, outline_complaints, paper_complaints
from tests.web.matrix import Drawn, complaints, drawn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    """One network for all tests here: whoever changes a member has one of their own."""
    with opened(tmp_path_factory.mktemp("office")) as running:
        for name in ("L’Escale", "Le Relais", "Horizon"):
            running.join(name)
        running.short_card("Le Relais")
        running.suspend("Horizon")
        running.ask("Cap Jeunes")
        running.invite("Association La Rive", "13002526500013")
        yield running


def _path(page: Page) -> str:
    return page.url.partition("//")[2].partition("/")[2]


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_admit_an_association_without_scripts(consoles: Consoles, open_page: Open, language: str) -> None:
    name = f"Nord {language}"
    node = consoles.ask(name)
    say: Callable[[str], str] = lambda marked: text(marked, language)  # noqa: E731
    one, other = (open_page(language=language, java_script_enabled=False) for _ in range(2))
    addresses = [consoles.come_in(page, who) for who, page in enumerate((one, other))]

    one.get_by_role("link", name=f"Association {name}").click()
    for word in words(node).split():
        expect(one.locator(".six")).to_contain_text(word)
    one.locator("#words").fill("abaisser abandon abdiquer abeille abolir aborder")
    one.get_by_role("button", name=say("They are the same: go on to admission")).click()
    expect(one.locator("#errors")).to_be_visible()
    one.locator("#words").fill(words(node))
    one.get_by_role("button", name=say("They are the same: go on to admission")).click()
    expect(one.locator(".signed-text")).to_contain_text(f"Association {name}")
    expect(one.locator(".signed-text")).to_contain_text(words(node))
    one.get_by_role("button", name=say("Sign"), exact=True).click()
    expect(one.locator(".notice.good")).to_be_visible()
    assert node.keys.id not in consoles.town.directory.rosters.roster.members

    other.goto(addresses[1])
    other.locator(".waits a").first.click()
    other.locator("#words").fill(words(node).upper())
    other.get_by_role("button", name=say("Sign"), exact=True).click()
    expect(other.locator(".notice.good")).to_contain_text(
        say("Signed. It stands in the log, and every node follows it.")
    )
    assert consoles.town.directory.rosters.roster.members[node.keys.id].state is MemberState.ACTIVE


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_member_is_suspended_by_two_and_the_log_tells_it(consoles: Consoles, open_page: Open, language: str) -> None:
    node = consoles.join(f"Sud {language}")
    say: Callable[[str], str] = lambda marked: text(marked, language)  # noqa: E731
    begun = consoles.begin(
        lambda roster: about_member(v1.MemberSuspended, node.keys.id, roster, consoles.town.clock.now()), by=1
    )
    page = open_page(language=language, java_script_enabled=False)
    address = consoles.come_in(page)

    page.get_by_role("link", name=say("Members"), exact=True).first.click()
    page.get_by_role("link", name=f"Association Sud {language}").click()
    page.get_by_text(say("Suspend"), exact=True).click()
    page.get_by_role("button", name=say("Suspend…")).click()
    assert _path(page) == f"sign/{begun}"  # what the colleague has begun is taken up
    page.get_by_role("button", name=say("Sign"), exact=True).click()
    page.goto(f"{address}members/{node.keys.id.hex()}")
    expect(page.locator(".course")).to_contain_text(
        say("{who} was suspended.").format(who=f"Association Sud {language}")
    )
    assert consoles.town.directory.rosters.roster.members[node.keys.id].state is MemberState.SUSPENDED


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_is_written_and_an_invitation_is_saved(consoles: Consoles, open_page: Open, language: str) -> None:
    node = consoles.ask(f"Est {language}")
    say: Callable[[str], str] = lambda marked: text(marked, language)  # noqa: E731
    page = open_page(language=language, java_script_enabled=False)
    address = consoles.come_in(page)

    page.goto(f"{address}requests/{node.keys.id.hex()}")
    page.locator("#reason").fill("Le numéro n’est pas le bon.")
    page.get_by_role("button", name=say("Refuse, with this reason")).click()
    expect(page.locator(".notice.good")).to_be_visible()
    assert consoles.run(consoles.town.status(node)).refusal_reason == "Le numéro n’est pas le bon."

    page.goto(f"{address}invite")
    page.locator("#legal_name").fill("Association Ouest")
    page.locator("#number").fill("W131234567")
    page.locator('[name="secrecy"][value="yes"]').check()
    page.get_by_role("button", name=say("Make the invitation")).click()
    with page.expect_download() as saved:
        page.get_by_role("link", name=say("Save the invitation file")).click()
    assert '"legal_name": "Association Ouest"' in Path(saved.value.path()).read_text(encoding="utf-8")


def test_a_link_that_somebody_has_used_lets_nobody_else_in(consoles: Consoles, open_page: Open) -> None:
    page, thief = open_page(), open_page()
    console, address = consoles.console(2)
    link = address.rstrip("/") + console.link
    page.goto(link)
    page.locator("#passphrase").fill(PASSPHRASE)
    page.locator("main form button").click()
    page.wait_for_url(address)

    thief.goto(link)
    expect(thief.locator("h1")).to_have_text(text("This link opens nothing any more.", "fr"))
    thief.goto(address)
    expect(thief.locator("h1")).to_contain_text(
        text("This console is closed to whoever has not come by its link.", "fr")
    )


def test_a_name_that_leads_here_from_elsewhere_is_not_answered(consoles: Consoles, open_page: Open) -> None:
    page = open_page()
    address = consoles.come_in(page)
    rebound = address.replace("127.0.0.1", "rebound.example")

    answer = page.goto(rebound)
    assert answer is not None
    assert answer.status == 421
    assert "Association" not in page.content()


def test_a_page_of_another_site_cannot_send_a_form(consoles: Consoles, open_page: Open) -> None:
    page = open_page()
    address = consoles.come_in(page)
    elsewhere = "http://elsewhere.example/"
    form = f'<!doctype html><form method="post" action="{address}end"><button>x</button></form>'
    page.route(elsewhere, lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(elsewhere)
    page.locator("button").click()
    page.wait_for_url(f"{address}end")

    assert "Forms of another site are refused." in page.content()
    page.goto(address)
    expect(page.locator("h1")).to_be_visible()


# ---- every page ----


def _states(consoles: Consoles) -> dict[str, tuple[str, dict[str, str] | None]]:
    """Each page of the console in the states that change what is drawn: its address, and a form that is sent to it."""
    member, other = (consoles.members[name].keys.id.hex() for name in ("L’Escale", "Horizon"))
    asking = consoles.asking["Cap Jeunes"].keys.id.hex()
    mine = consoles.begin(
        lambda roster: about_member(
            v1.MemberRemoved, consoles.members["Horizon"].keys.id, roster, consoles.town.clock.now()
        )
    )
    return {
        "overview": ("/", None),
        "signing": ("/signing?done=signed", None),
        "sign": (f"/sign/{mine}", None),
        "members": ("/members", None),
        "members: one": ("/members?q=escale", None),
        "member": (f"/members/{member}", None),
        "member: suspended": (f"/members/{other}", None),
        "member_correct": (f"/members/{member}/correct", None),
        "member_correct: nothing new": (f"/members/{member}/correct", {}),
        "member_correct: a doubt": (f"/members/{member}/correct", {"legal_name": "A", "number": "12345678901234"}),
        "member_key": (f"/members/{member}/key", None),
        "member_key: neither lost nor stolen": (f"/members/{member}/key", {"do": "announce"}),
        "member_profile": (f"/members/{member}/profile", None),
        "member_profile: no reason": (f"/members/{member}/profile", {"number": "1", "reason": ""}),
        "requests": ("/requests?done=refused", None),
        "request": (f"/requests/{asking}", None),
        "request_admit: wrong words": (f"/requests/{asking}/admit", {"words": "un deux"}),
        "request_refuse: no reason": (f"/requests/{asking}/refuse", {"reason": ""}),
        "invite": ("/invite", None),
        "invite: nothing typed": ("/invite", {"legal_name": "", "number": "1", "secrecy": "yes", "days": "3"}),
        "invite: no answer": ("/invite", {"legal_name": "A", "number": "1", "days": "3"}),
        "invite: a doubt": ("/invite", {"legal_name": "A", "number": "12345678901234", "secrecy": "no", "days": "3"}),
        "invited": ("/invite", {"legal_name": "Association Rue", "number": "W131234567", "secrecy": "no", "days": "3"}),
        "administrators": ("/administrators", None),
        "administrator_add: no key": ("/administrators/add", {}),
        "policy": ("/policy", None),
        "policy_change": ("/policy/change", None),
        "policy_change: out of range": ("/policy/change", {"threshold": "99"}),
        "log": ("/log", None),
        "entry": ("/log/1", None),
        "entry: the first": ("/log/0", None),
        "missing": ("/members/ff", None),
    }


def _given(html: str) -> Callable[[Route], None]:
    """What was answered to a form, as a page of its own."""
    return lambda route: route.fulfill(body=html, content_type="text/html")


_NO_PAGE = {"lock", "end", "member_change", "administrator_remove", "log_export", "invitation_file", "member_way_back"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_valid_and_accessible(consoles: Consoles, open_page: Open, language: str) -> None:
    states = _states(consoles)
    assert {each.name for each in PAGES} == {name.partition(":")[0] for name in states} - {"missing"} | _NO_PAGE
    page = open_page(language=language)
    console, address = consoles.console()
    watched = Watched(page, address)
    found: list[str] = []
    looked: list[Drawn] = []

    page.goto(address.rstrip("/") + console.link)
    looked.append(drawn(page, "door", whole=True))
    page.locator("#passphrase").fill("une autre phrase")
    page.locator("main form button").click()
    looked.append(drawn(page, "door: refused"))
    page.locator("#passphrase").fill(PASSPHRASE)
    page.locator("main form button").click()
    page.wait_for_url(address)
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}
    headers = {"accept-language": language, "sec-fetch-site": "same-origin"}
    with httpx.Client(base_url=address, cookies=cookies, headers=headers, timeout=60) as client:
        token = client.get("/").text.partition('name="form_token" value="')[2].partition('"')[0]
        for name, (path, form) in states.items():
            if form is None:
                answer = client.get(path)
            else:
                answer = client.post(path, data={"form_token": token, **form}, follow_redirects=True)
            found += [f"{name}: {each}" for each in markup.complaints(answer.text, language)]
            if form is None:
                page.goto(address.rstrip("/") + path)
                looked.append(drawn(page, name))
                continue
            page.route("**/as-sent", _given(answer.text))
            page.goto(f"{address}as-sent")
            looked.append(drawn(page, name))
            page.unroute("**/as-sent")
    found += [each for each in watched.heard() if "401" not in each]
    page.goto(address)
    found += complaints(page, looked)
    assert not found, "\n".join(found)


def test_every_page_is_used_by_the_keyboard_in_ones_own_colours_and_on_paper(
    consoles: Consoles, open_page: Open
) -> None:
    page = open_page()
    address = consoles.come_in(page)
    found = []
    for name, (path, form) in _states(consoles).items():
        if form is None and ":" not in name:
            page.goto(address.rstrip("/") + path)
            found += [f"{name}: {each}" for each in keyboard_complaints(page)]
            page.emulate_media(forced_colors="active")
            found += [f"{name}: {each}" for each in outline_complaints(page)]
            page.emulate_media(forced_colors="none")
            found += [f"{name}: {each}" for each in paper_complaints(page)]
    assert not found, "\n".join(found)
