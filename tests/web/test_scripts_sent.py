"""Scripts that somebody writes into an act, a reason, an offer: on both sides' pages they are text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from cordee.transfer import Party, State
from tests.web.browsing import WAITING, reload, sign_in
from tests.web.conftest import Open
from tests.web.journey import PURPOSE, Desk
from tests.web.planted import MARK, SHORT, crawl, fill_everything, nothing_ran
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

_CODES = "(mark) => document.querySelectorAll('main [type=radio]').forEach((each) => { each.value = mark; })"
_ACT = re.compile(r"/acts/[0-9a-f-]{36}$")


@dataclass
class Sent:
    """A case full of markup that was declined, then sent, then asked back, and kept."""

    ours: Desk
    theirs: Desk
    case: str
    act: str
    declined: str
    kept: str

    @property
    def about(self) -> set[str]:
        return {self.case.rpartition("/")[2], self.declined, self.kept}


@pytest.fixture(scope="module")
def sent(town: Town, chromium: Browser) -> Iterator[Sent]:
    desks = []
    for house in (town.helpline, town.shelter):
        context = chromium.new_context(locale="fr", bypass_csp=True, reduced_motion="reduce")
        context.set_default_timeout(WAITING)
        page = context.new_page()
        sign_in(page, house)
        desks.append(Desk(page, house, "fr"))
    ours, theirs = desks
    case = ours.open_case(SHORT)
    _write(ours, f"{case}/sections/contact", "instructions")
    _write(ours, f"{case}/sections/situation", "request_summary", "minor_words")
    act = _recorded(ours, case, town, "consent")
    declined = ours.offer(case, town.shelter)
    _decline(theirs, declined)
    ours.sees(ours.state(State.DECLINED, Party.SENDER))
    kept = ours.offer(case, town.shelter)
    theirs.go(f"transfers/{kept}")
    theirs.accept()
    theirs.sees(theirs.state(State.RECEIVED, Party.RECIPIENT))
    ours.sees(ours.state(State.RECEIVED, Party.SENDER))
    _take_back(ours, act)
    _keep(theirs, kept)
    yield Sent(ours, theirs, case, act, declined, kept)
    for each in desks:
        each.page.context.close()


@pytest.fixture
def page(town: Town, open_page: Open) -> Page:
    """A browser without the policy that forbids such scripts: escaping alone has to hold."""
    page = open_page(bypass_csp=True)
    sign_in(page, town.helpline)
    return page


def test_every_page_of_the_sender_shows_it_as_text(sent: Sent) -> None:
    ours = sent.ours
    first = [f"transfers/{sent.declined}", f"transfers/{sent.kept}", "", "cases?state=all", "transfers", "journal"]
    shown = crawl(ours.page, [sent.case, *(ours.house.pages + each for each in first)], sent.about)
    for each in (sent.case, sent.act, *(f"{ours.house.pages}transfers/{id_}" for id_ in (sent.declined, sent.kept))):
        assert each in shown, "the crawl saw what was written"


def test_every_page_of_the_recipient_shows_it_as_text(sent: Sent) -> None:
    theirs = sent.theirs
    case = theirs.house.pages + "cases/" + sent.case.rpartition("/")[2]
    first = [f"transfers/{sent.declined}", f"transfers/{sent.kept}", "", "cases?state=all", "transfers", "journal"]
    shown = crawl(theirs.page, [case, *(theirs.house.pages + each for each in first)], sent.about)
    for each in (case, f"{theirs.house.pages}transfers/{sent.kept}"):
        assert each in shown, "the crawl saw what was written"


@pytest.mark.parametrize("kind", ["refusal", "information_only", "override"])
def test_what_is_written_into_any_kind_of_act_comes_back_and_is_kept_as_text(page: Page, town: Town, kind: str) -> None:
    desk = Desk(page, town.helpline, "fr")
    case = f"{town.helpline.pages}cases/{town.case(town.helpline)['meta']['case_id']}"
    act = _recorded(desk, case, town, kind)
    shown = crawl(page, [act, case, f"{case}/acts"], [act.rpartition("/")[2]])
    assert act in shown


def test_a_form_that_takes_an_act_back_and_cannot_be_used_comes_back_as_text(page: Page, town: Town) -> None:
    desk = Desk(page, town.helpline, "fr")
    case = f"{town.helpline.pages}cases/{town.case(town.helpline)['meta']['case_id']}"
    act = _recorded(desk, case, town, "consent")
    page.goto(f"{act}/withdraw")
    much = "(each, text) => { each.removeAttribute('maxlength'); each.value = text; }"
    page.locator("#reason").evaluate(much, MARK * 40)
    desk.button("Take it back now").click()
    expect(page.locator("#errors")).to_be_visible()
    nothing_ran(page)


def test_what_an_address_of_the_screens_of_sending_says_is_shown_as_text(page: Page, town: Town) -> None:
    case = f"{town.helpline.pages}cases/{town.case(town.helpline)['meta']['case_id']}/send"
    keys = ("need", "dep", "age", "gender", "lang", "far", "name", "purpose", "kind", "act", "s", "x", "file", "v")
    told = {"q": "1", **dict.fromkeys(keys, MARK)}
    for step in ("", "/why", "/what", "/confirm"):
        for to in (town.shelter.member, MARK):
            for purpose in (PURPOSE, MARK):
                page.goto(f"{case}{step}?{urlencode(told | {'to': to, 'purpose': purpose})}")
                nothing_ran(page)


def test_a_form_of_a_transfer_that_cannot_be_used_comes_back_as_text(town: Town, open_page: Open) -> None:
    page = open_page(bypass_csp=True)
    sign_in(page, town.shelter)
    for form in ("decline", "accept"):
        page.goto(f"{town.shelter.pages}transfers/{town.waiting}")
        page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        page.locator("#decline-text").fill(MARK)
        page.evaluate(_CODES, SHORT)
        page.locator(f"form[action$='/{form}'] button").click()
        expect(page.locator("#errors")).to_be_visible()
        nothing_ran(page)
        if form == "decline":
            expect(page.locator("#decline-text")).to_have_value(MARK)


def test_the_name_of_a_file_is_shown_as_text(page: Page, town: Town) -> None:
    case_id = town.case(town.helpline)["meta"]["case_id"]
    page.goto(f"{town.helpline.pages}files/{case_id}")
    name = "<img src=x onerror=window.ran=1>.txt"
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/plain", "buffer": b"Une note."})
    page.locator("main form.stack button.main").click()
    expect(page.locator("#uploads .good")).to_be_visible()
    expect(page.locator("#kept-files")).to_contain_text("onerror")
    nothing_ran(page)
    reload(page)
    nothing_ran(page)


# ---- what a person does ----


def _recorded(desk: Desk, case: str, town: Town, kind: str) -> str:
    """An act with markup in each of its texts, refused once and then recorded; its address."""
    page = desk.page
    choice = {"kind": kind, "purpose": PURPOSE, "to": town.shelter.profile["org_id"]}
    page.goto(f"{case}/acts/new?{urlencode(choice)}")
    assert len(fill_everything(page)) >= 5
    desk.button("Record it").click()
    expect(page.locator("#errors")).to_be_visible()  # nobody has answered yet
    nothing_ran(page)
    assert MARK in page.evaluate("[...document.querySelectorAll('main form.stack textarea')].map((each) => each.value)")
    answer = {"consent": "agrees", "refusal": "refuses"}.get(kind, "informed")
    page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
    page.locator(f"[name=minor_answer][value={answer}]").check()
    if page.locator("[name=informed_parents][value='']").is_checked():  # there are parents, and nobody asked them
        page.locator("[name=informed_parents][value=not_possible]").check()
    for each in page.locator("#protection, #necessity, #several").all():
        each.check()
    desk.button("Record it").click()
    page.wait_for_url(_ACT)
    nothing_ran(page)
    return page.url


def _write(desk: Desk, address: str, *names: str) -> None:
    desk.page.goto(address)
    for name in names:
        desk.page.locator(f"main form.stack [name='{name}']:not([type=hidden])").fill(MARK)
    desk.button("Save").click()
    desk.page.wait_for_url("**#*")


def _decline(theirs: Desk, transfer: str) -> None:
    theirs.go(f"transfers/{transfer}")
    form = theirs.page.locator("form[action$='/decline']")
    theirs.page.locator("details", has=form).locator("summary").click()
    form.locator("[value=other]").check()
    form.locator("textarea").fill(MARK)
    form.get_by_role("button").click()
    expect(theirs.state(State.DECLINED, Party.RECIPIENT)).to_be_visible()


def _take_back(ours: Desk, act: str) -> None:
    ours.page.goto(f"{act}/withdraw")
    ours.page.locator("#reason").fill(MARK)
    ours.button("Take it back now").click()
    expect(ours.page).to_have_url(act)


def _keep(theirs: Desk, transfer: str) -> None:
    theirs.stay()
    theirs.sees(theirs.link("Answer the request"))
    theirs.link("Answer the request").click()
    form = theirs.page.locator("form", has=theirs.page.locator("#keep-text"))
    form.get_by_role("radio").first.check()
    form.locator("textarea").fill(MARK)
    form.get_by_role("button").click()
    expect(theirs.page).to_have_url(f"{theirs.house.pages}transfers/{transfer}")
