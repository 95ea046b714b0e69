"""What is typed survives: a node that dies, a session that ends, and somebody who does not notice."""

from __future__ import annotations

from contextlib import suppress

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from cordee.case.labels import field_label
from node.demo.stage import until
from tests.web.browsing import reload
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import PASSWORD, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_ASKED = "situation.request_summary"
_KEPT = "Draft kept at {time}."
_LOST = "Not kept: no connection. Go on writing; it is tried again."
_ENDED = "Your session has ended. What you typed is kept as a draft; sign in again to take it up."
_GONE = (
    "What you typed last could not be kept: the session of this page is over. Copy it before you leave the page, "
    "then sign in again."
)


@pytest.fixture
def form(town: Town) -> str:
    """The address of a section's form, in a case of this test's own."""
    return f"cases/{town.case(town.helpline)['meta']['case_id']}/sections/situation"


@pytest.fixture
def language() -> str:
    return "fr"


@pytest.fixture
def ours(town: Town, open_page: Open, form: str, language: str) -> Desk:
    """Somebody of their own, before the form: what they leave behind is nobody else's."""
    found = desk(open_page, town.helpline, language=language, who=town.newcomer())
    found.go(form)
    return found


@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_is_typed_while_the_node_is_dead_is_kept_when_it_lives_again(
    town: Town, ours: Desk, form: str, open_page: Open
) -> None:
    _type(ours, "Before the power cut.")
    _is_told(ours, _KEPT)
    with town.killed(town.helpline):
        _type(ours, " And during it.")
        _is_told(ours, _LOST)
        ours.button("Save").click()  # whoever presses it now stays on the page, with everything
        _type(ours, " And once more.")
        expect(_field(ours)).to_have_value("Before the power cut. And during it. And once more.")
        _is_told(ours, _LOST)
    _is_told(ours, _KEPT)  # by itself

    typed = "Before the power cut. And during it. And once more."
    other = _second_browser(ours, open_page)
    other.go(form)
    other.link("Take it up").click()
    expect(_field(other)).to_have_value(typed)

    ours.button("Save").click()
    ours.page.wait_for_url("**#situation")
    ours.go(form)
    expect(_field(ours)).to_have_value(typed)
    expect(ours.page.locator("[data-draft-waits]")).to_have_count(0)


def test_what_was_typed_into_the_void_can_be_saved_as_soon_as_the_node_lives_again(
    town: Town, ours: Desk, form: str
) -> None:
    with town.killed(town.helpline):
        _type(ours, "Typed into the void.")
        _is_told(ours, _LOST)

    def saved() -> bool:
        if "#situation" not in ours.page.url:
            with suppress(Error):  # the button goes with its page
                ours.button("Save").click(timeout=2000)
        return "#situation" in ours.page.url

    until(saved, what="the form is saved")
    ours.go(form)
    expect(_field(ours)).to_have_value("Typed into the void.")


def test_a_draft_outlives_the_node_where_the_page_does_not(town: Town, ours: Desk, form: str) -> None:
    _type(ours, "The browser dies with it.")
    _is_told(ours, _KEPT)
    with town.killed(town.helpline):
        ours.page.goto("about:blank")
    ours.go(form)
    expect(_field(ours)).not_to_have_value("The browser dies with it.")
    ours.link("Take it up").click()
    expect(_field(ours)).to_have_value("The browser dies with it.")


def test_without_scripts_what_was_sent_to_a_dead_node_can_be_sent_again(town: Town, open_page: Open, form: str) -> None:
    ours = desk(open_page, town.helpline, scripts=False)
    ours.go(form)
    _field(ours).fill("Sent to nobody.")
    with town.killed(town.helpline):
        ours.button("Save").click()
        ours.page.wait_for_url("chrome-error://**")
    reload(ours.page)  # the browser sends the form again
    ours.page.wait_for_url("**#situation")
    ours.go(form)
    expect(_field(ours)).to_have_value("Sent to nobody.")


def test_what_is_typed_on_a_page_whose_screen_was_locked_in_another_tab_is_kept(ours: Desk, form: str) -> None:
    other = Desk(ours.page.context.new_page(), ours.house, ours.language)
    other.go(form)
    other.page.get_by_role("banner").get_by_role("button", name=ours.words("Lock")).click()
    expect(other.page.get_by_role("heading", level=1)).to_have_text(ours.words("Locked"))
    _type(ours, "After the lock.")
    _is_told(ours, _ENDED)

    other.page.locator("#code").fill(PASSWORD)
    other.button("Unlock").click()
    other.page.wait_for_url(ours.house.pages)
    other.go(form)
    other.link("Take it up").click()
    expect(_field(other)).to_have_value("After the lock.")


def test_what_is_typed_after_signing_out_in_another_tab_is_not_called_kept(ours: Desk, form: str) -> None:
    other = Desk(ours.page.context.new_page(), ours.house, ours.language)
    other.go(form)
    other.page.get_by_role("banner").get_by_role("button", name=ours.words("Sign out")).click()
    expect(other.page.get_by_role("heading", level=1)).to_have_text(ours.words("Sign in"))
    _type(ours, "After signing out.")
    _is_told(ours, _GONE)
    expect(_field(ours)).to_have_value("After signing out.")


def test_a_draft_is_kept_while_somebody_types_without_a_pause(ours: Desk) -> None:
    field = _field(ours)
    field.fill("")
    told, kept = _told(ours.page), _beginning(ours, _KEPT)

    def typing() -> bool:
        field.press_sequentially("and so on ", delay=60)
        return kept in (told.text_content() or "")

    until(typing, seconds=30, what="a draft is kept while one types")


def _field(each: Desk) -> Locator:
    return each.page.get_by_label(each.words(field_label(_ASKED)))


def _type(ours: Desk, text: str) -> None:
    """At the end of what stands there; the first time in its place."""
    field = _field(ours)
    if field.get_attribute("data-mine") is None:
        field.evaluate("(each) => { each.dataset.mine = ''; }")
        field.fill(text)
        return
    field.press("Control+End")
    field.press_sequentially(text)


def _told(page: Page) -> Locator:
    return page.locator("[data-draft-said]")


def _is_told(ours: Desk, marked: str) -> None:
    expect(_told(ours.page)).to_contain_text(_beginning(ours, marked))


def _beginning(ours: Desk, marked: str) -> str:
    """Of a sentence, before the time that it tells."""
    return ours.words(marked, time="\0").partition("\0")[0]


def _second_browser(ours: Desk, open_page: Open) -> Desk:
    """The same person at another machine; here it is the same session."""
    page = open_page(language=ours.language)
    page.context.add_cookies(ours.page.context.cookies())  # type: ignore[arg-type]  # as the browser gave them
    return Desk(page, ours.house, ours.language)
