"""Scripts that somebody writes into fields: wherever they are shown again they are text, even to a browser that would
run them.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from cordee.case.form import CASE_FORM, LIST_SECTIONS
from node.web.pages.cases import SHOWN
from tests.web.browsing import sign_in
from tests.web.conftest import Open
from tests.web.planted import MARK, SHORT, fill_everything, nothing_ran
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def case(town: Town) -> str:
    """The address of a case into which everything is written."""
    return f"{town.helpline.pages}cases/{town.case(town.helpline, 0)['meta']['case_id']}"


@pytest.fixture
def page(town: Town, open_page: Open) -> Page:
    """A browser without the policy that forbids such scripts: escaping alone has to hold."""
    page = open_page(bypass_csp=True)
    sign_in(page, town.helpline)
    return page


@pytest.mark.parametrize("section", SHOWN)
def test_what_is_written_into_every_text_of_a_section_comes_back_as_text(page: Page, case: str, section: str) -> None:
    page.goto(f"{case}/sections/{section}")
    written = fill_everything(page)
    page.locator("main .foot button.main").click()
    page.wait_for_load_state()
    nothing_ran(page)
    if written and page.url.partition("#")[0].endswith(section):  # it came back with its errors
        shown = page.evaluate("[...document.querySelectorAll('main input, main textarea')].map((each) => each.value)")
        assert MARK in shown or SHORT in shown


@pytest.mark.parametrize("section", SHOWN)
def test_what_is_kept_in_every_free_text_of_a_section_is_shown_as_text(page: Page, case: str, section: str) -> None:
    free = _free_texts(section)
    if not free:
        assert section in SHOWN, "nothing in it is free text"
        return
    page.goto(f"{case}/sections/{section}")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    here = [name for name in free if page.locator(f"main form.stack [name='{name}']").count()]
    for name in here:
        page.locator(f"main form.stack [name='{name}']").fill(MARK)
    page.locator("main .foot button.main").click()
    page.wait_for_load_state()
    nothing_ran(page)
    page.goto(f"{case}/sections/{section}")
    nothing_ran(page)
    page.goto(case)
    nothing_ran(page)


def test_a_cases_own_name_is_shown_as_text_on_every_page(page: Page, town: Town) -> None:
    page.goto(town.helpline.pages + "cases/new")
    page.locator("#meta-pseudonym").fill(SHORT)
    page.locator("#situation-request_summary").fill(MARK)
    page.locator("main form button.main").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(SHORT)
    case = page.url
    for address in ("cases", "", case.removeprefix(town.helpline.pages)):
        page.goto(town.helpline.pages + address)
        nothing_ran(page)
    page.goto(case + "/sections/situation")
    expect(page.locator(".trail a")).to_have_text(SHORT)
    nothing_ran(page)


def test_what_stands_in_an_address_is_shown_as_text(page: Page, town: Town) -> None:
    for address in ("cases?q=", "cases?state=", "sign-in?next=/", "cases/", "static/", "language?next="):
        page.goto(town.helpline.pages + address + quote(MARK))
        page.wait_for_load_state()
        nothing_ran(page)


def test_a_name_that_cannot_sign_in_is_shown_as_text(open_page: Open, town: Town) -> None:
    page = open_page(bypass_csp=True)
    page.goto(town.helpline.pages + "sign-in")
    page.locator("#name").fill(MARK)
    page.locator("#password").fill("something else than it")
    page.locator("main form[action='/sign-in'] button").click()
    expect(page.locator("#name")).to_have_value(MARK)
    nothing_ran(page)


def _free_texts(section: str) -> list[str]:
    """The names in the form of what holds any text that is long enough."""
    listed = section in LIST_SECTIONS
    node = CASE_FORM.node_at([section, 0] if listed else [section]) or {}
    found = []
    for name, raw in node.get("properties", {}).items():
        each = CASE_FORM.resolved(raw)
        free = each.get("type") == "string" and not each.keys() & {"pattern", "format", "enum", "const"}
        if free and int(each.get("maxLength", 0)) >= len(MARK):
            found.append(f"0.{name}" if listed else name)
    return found


def test_a_page_that_does_not_escape_would_be_noticed(page: Page) -> None:
    for planted in (MARK, f'<input value="{SHORT}">', f"<textarea>{MARK}</textarea>"):
        page.goto("about:blank")
        page.set_content(f"<main>{planted}</main>")
        page.wait_for_timeout(100)  # an image that is not there takes a moment to fail
        with pytest.raises(AssertionError):
            nothing_ran(page)
