"""Pages in the states that a crawl does not meet: empty, refused, in error, in conflict, revealed, offline."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Response, expect

from cordee.runtime.texts import text
from node.demo.stage import until
from tests.web import looking, markup
from tests.web.browsing import sign_in
from tests.web.conftest import Open
from tests.web.looking import Watched
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

_NOBODY = "00000000-0000-4000-8000-000000000000"

_NO_CONNECTION = (
    "No connection to the network at this moment. You can go on working; "
    "what is to be sent goes by itself as soon as it is back."
)


@pytest.fixture
def page(town: Town, open_page: Open) -> Page:
    page = open_page()
    sign_in(page, town.helpline)
    return page


@pytest.fixture
def empty(town: Town, page: Page) -> str:
    """The address of a case that was just opened: nothing stands in it yet."""
    page.goto(town.helpline.pages + "cases/new")
    page.locator("#meta-pseudonym").fill("Pervenche")
    page.locator("#situation-request_summary").fill("Un premier appel.")
    page.locator("main form button.main").click()
    page.wait_for_url("**/cases/*-*")
    return page.url


def test_the_way_in_is_sound(town: Town, open_page: Open) -> None:
    page = open_page()
    watched = Watched(page, town.helpline.pages)
    _sound(watched, page.goto(town.helpline.pages + "sign-in"))
    page.locator("#name").fill("Nobody")
    page.locator("#password").fill("something else than it")
    _sound(watched, _sent(page, "main form[action='/sign-in'] button"), 401)


def test_a_page_that_is_not_there_is_sound(town: Town, page: Page) -> None:
    watched = Watched(page, town.helpline.pages)
    _sound(watched, page.goto(town.helpline.pages + "no/such/page"), 404)


def test_a_case_that_is_not_there_is_sound(town: Town, page: Page) -> None:
    watched = Watched(page, town.helpline.pages)
    _sound(watched, page.goto(f"{town.helpline.pages}cases/{_NOBODY}"), 404)


def test_a_refusal_is_sound(town: Town, open_page: Open) -> None:
    page = open_page()
    sign_in(page, town.helpline, "Aude")
    watched = Watched(page, town.helpline.pages)
    _sound(watched, page.goto(f"{town.helpline.pages}cases/{town.full}"), 403)


def test_an_empty_case_is_sound(page: Page, town: Town, empty: str) -> None:
    watched = Watched(page, town.helpline.pages)
    _sound(watched, page.goto(empty))
    for section in ("family", "exploitation", "risk"):
        _sound(watched, page.goto(f"{empty}/sections/{section}"))


def test_a_list_without_cases_is_sound(page: Page, town: Town) -> None:
    watched = Watched(page, town.helpline.pages)
    _sound(watched, page.goto(town.helpline.pages + "cases?q=nobody-has-this-name"))


def test_a_case_that_cannot_be_opened_is_sound(page: Page, town: Town) -> None:
    watched = Watched(page, town.helpline.pages)
    page.goto(town.helpline.pages + "cases/new")
    page.locator("#meta-pseudonym").fill("x" * 500)
    page.locator("#situation-request_summary").fill("Un appel.")
    _sound(watched, _sent(page, "main form button.main"), 422)


@pytest.mark.parametrize(
    ("section", "field", "typed"), [("identity", "age_at_opening", "fifteen"), ("family", "new.phone", "no number")]
)
def test_a_section_with_an_error_is_sound(
    page: Page, town: Town, empty: str, section: str, field: str, typed: str
) -> None:
    watched = Watched(page, town.helpline.pages)
    page.goto(f"{empty}/sections/{section}")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.locator(f"[name='{field}']").fill(typed)
    _sound(watched, _sent(page, "main .foot button.main"), 422)
    expect(page.locator("main p.error").first).to_be_visible()


def test_a_conflict_is_sound(page: Page, town: Town, empty: str, open_page: Open) -> None:
    watched = Watched(page, town.helpline.pages)
    other = open_page()
    sign_in(other, town.helpline, "Hélène")
    for each, typed in ((page, "one"), (other, "another")):
        each.goto(f"{empty}/sections/situation")
        each.locator("#situation-request_summary").fill(typed)
    other.locator("main .foot button.main").click()
    other.wait_for_url("**#situation")
    _sound(watched, _sent(page, "main .foot button.main"), 409)


def test_a_section_with_its_vital_fields_shown_is_sound(page: Page, town: Town) -> None:
    watched = Watched(page, town.helpline.pages)
    page.goto(f"{town.helpline.pages}cases/{town.full}/sections/contact")
    _sound(watched, _sent(page, "main .vital button >> nth=0"))


def test_without_a_connection_today_says_so_and_is_sound(page: Page, town: Town) -> None:
    watched = Watched(page, town.helpline.pages)
    told = text(_NO_CONNECTION, "fr").split(".")[0]
    town.stage.directory.stop()
    try:
        until(lambda: _says(page, town, told), what="Today says that there is no connection")
        _sound(watched, page.goto(town.helpline.pages))
    finally:
        town.stage.directory.start()
    until(lambda: not _says(page, town, told), what="Today says nothing of it any more")


def _says(page: Page, town: Town, told: str) -> bool:
    page.goto(town.helpline.pages)
    return page.locator("main .notice", has_text=told).count() > 0


def _sent(page: Page, button: str) -> Response:
    """The answer to a form."""
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.locator(button).click()
    page.wait_for_load_state()
    return answered.value


def _sound(watched: Watched, answer: Response | None, status: int = 200) -> None:
    assert answer is not None
    assert answer.status == status
    wrong = [*markup.complaints(answer.text(), "fr"), *looking.complaints(watched)]
    assert not wrong, "\n".join(wrong)
