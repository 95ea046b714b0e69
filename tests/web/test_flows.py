"""What a handler does all day, in both languages, with scripts and without."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from cordee.case.labels import field_label, section_label
from cordee.runtime.texts import text
from node.web.forms import is_hidden
from tests.web.browsing import fill_in, sign_in
from tests.web.conftest import Open
from tests.web.town import EVERYTHING, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_MANY = 300  # presses of a key
_ELSEWHERE = "https://www.service-public.fr/"

Words = Callable[[str], str]


@pytest.fixture(params=[("fr", True), ("en", False)], ids=["French with scripts", "English without"])
def way(request: pytest.FixtureRequest) -> tuple[str, bool]:
    found: tuple[str, bool] = request.param
    return found


@pytest.fixture
def words(way: tuple[str, bool]) -> Words:
    """A marked text, as the pages say it."""
    return lambda marked: text(marked, way[0])


@pytest.fixture
def stranger(open_page: Open, way: tuple[str, bool]) -> Page:
    """Somebody who has not come in yet."""
    language, scripts = way
    return open_page(language=language, java_script_enabled=scripts)


@pytest.fixture
def page(town: Town, stranger: Page) -> Page:
    """Somebody who works on cases, on Today."""
    sign_in(stranger, town.helpline)
    return stranger


@pytest.fixture
def case(town: Town) -> str:
    """The id of a case of this test's own."""
    return str(town.case(town.helpline)["meta"]["case_id"])


def test_who_signs_in_sees_today(town: Town, stranger: Page, words: Words, way: tuple[str, bool]) -> None:
    page = stranger
    page.goto(town.helpline.pages)
    fill_in(page, town.helpline, town.newcomer())
    expect(page.get_by_role("heading", level=1)).to_have_text(words("Today"))
    expect(page.locator("html")).to_have_attribute("lang", way[0])


def test_a_link_that_one_was_given_opens_after_signing_in(town: Town, stranger: Page, case: str) -> None:
    stranger.goto(f"{town.helpline.pages}cases/{case}")
    expect(stranger).to_have_url(f"{town.helpline.pages}sign-in?next=/cases/{case}")
    fill_in(stranger, town.helpline, town.newcomer())
    expect(stranger).to_have_url(f"{town.helpline.pages}cases/{case}")


def test_a_wrong_password_is_told_and_the_name_stays(town: Town, stranger: Page, words: Words) -> None:
    stranger.goto(town.helpline.pages + "sign-in")
    stranger.get_by_label(words("Your name here")).fill(EVERYTHING)
    stranger.get_by_label(words("Password")).fill("not the one that it is")
    stranger.get_by_role("button", name=words("Sign in")).click()
    expect(stranger.get_by_role("alert")).to_be_visible()
    expect(stranger.get_by_label(words("Your name here"))).to_have_value(EVERYTHING)
    expect(stranger.get_by_label(words("Password"))).to_have_value("")


def test_a_case_is_opened_with_four_answers(page: Page, words: Words, way: tuple[str, bool]) -> None:
    page.get_by_role("link", name=words("Cases"), exact=True).click()
    page.get_by_role("link", name=words("Open a case")).click()
    name = f"Fougère-{way[0]}"
    page.get_by_label(words("Pseudonym")).fill(name)
    page.get_by_label(words("What is asked for")).fill("Une place pour cette nuit.")
    page.get_by_role("button", name=words("Open the case")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_text("Une place pour cette nuit.")).to_be_visible()


def test_what_was_typed_comes_back_where_a_case_cannot_be_opened(page: Page, town: Town, words: Words) -> None:
    page.goto(town.helpline.pages + "cases/new")
    page.get_by_label(words("Pseudonym")).fill("Camomille" * 50)
    page.get_by_label(words("What is asked for")).fill("Une place")
    page.get_by_role("button", name=words("Open the case")).click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label(words("Pseudonym"))).to_have_value("Camomille" * 50)
    expect(page.get_by_label(words("What is asked for"))).to_have_value("Une place")


def test_cases_are_found_without_accents_or_capitals(page: Page, town: Town, words: Words) -> None:
    wanted = town.records[0]["meta"]["pseudonym"]
    page.goto(town.helpline.pages + "cases")
    page.get_by_role("searchbox").fill(wanted.upper())
    page.get_by_role("button", name=words("Search")).click()
    expect(page.get_by_role("link", name=wanted, exact=True).first).to_be_visible()


def test_a_section_is_filled_by_the_keyboard_alone(page: Page, town: Town, case: str, words: Words) -> None:
    page.goto(f"{town.helpline.pages}cases/{case}")
    go_to(page, page.get_by_role("link", name=words(section_label("identity"))))
    page.keyboard.press("Enter")
    first_name = page.get_by_label(words(field_label("identity.first_name")), exact=True)
    show = page.get_by_role("button", name=words(field_label("identity.first_name")))
    expect(first_name.or_(show)).to_be_visible()
    if show.is_visible():
        go_to(page, show)
        page.keyboard.press("Enter")
        expect(first_name).to_be_visible()
    go_to(page, first_name)
    page.keyboard.press("Control+A")
    page.keyboard.type("Capucine")
    go_to(page, page.get_by_role("button", name=words("Save")))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{town.helpline.pages}cases/{case}#identity")
    page.goto(f"{town.helpline.pages}cases/{case}/sections/identity")
    if show.is_visible():
        show.click()
    expect(first_name).to_have_value("Capucine")


def test_what_is_wrong_stands_beside_its_field_and_on_top(page: Page, town: Town, case: str, words: Words) -> None:
    page.goto(f"{town.helpline.pages}cases/{case}/sections/identity")
    age = page.get_by_label(words(field_label("identity.age_at_opening")))
    age.fill("fifteen")
    page.get_by_role("button", name=words("Save")).click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text(words(field_label("identity.age_at_opening")))
    expect(age).to_have_value("fifteen")
    expect(age).to_have_attribute("aria-invalid", "true")
    expect(age).to_have_accessible_description(re.compile(r".+"))
    page.get_by_role("alert").get_by_role("link").click()
    expect(age).to_be_in_viewport()


def test_of_two_who_write_at_once_the_second_sees_and_chooses(
    page: Page, town: Town, case: str, words: Words, open_page: Open
) -> None:
    address = f"{town.helpline.pages}cases/{case}/sections/situation"
    asked = words(field_label("situation.request_summary"))
    other = open_page()
    sign_in(other, town.helpline, "Hélène")
    page.goto(address)
    other.goto(address)
    other.locator("#situation-request_summary").fill("What the other wrote")
    other.locator("main .foot button").click()
    other.wait_for_url("**#situation")
    page.get_by_label(asked).fill("What I wrote")
    page.get_by_role("button", name=words("Save")).click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_text("What the other wrote")).to_be_visible()
    expect(page.get_by_text("What I wrote")).to_be_visible()
    if page.get_by_label(words("What you typed")).count():  # where both sides stand beside each other
        page.get_by_label(words("What you typed")).check()
    page.get_by_role("button", name=words("Save")).click()
    page.wait_for_url("**#situation")
    page.goto(address)
    expect(page.get_by_label(asked)).to_have_value("What I wrote")


def test_of_two_who_change_different_fields_both_are_kept_and_the_second_is_told(
    page: Page, town: Town, case: str, words: Words, open_page: Open
) -> None:
    address = f"{town.helpline.pages}cases/{case}/sections/situation"
    other = open_page()
    sign_in(other, town.helpline, "Hélène")
    page.goto(address)
    other.goto(address)
    other.locator("#situation-request_summary").fill("What the other wrote")
    other.locator("main .foot button").click()
    other.wait_for_url("**#situation")
    asked = page.get_by_label(words(field_label("situation.previous_support")))
    asked.fill("What I wrote")
    page.get_by_role("button", name=words("Save")).click()
    told = "Saved. Somebody else had changed this section meanwhile; both changes are kept."
    expect(page.get_by_text(words(told))).to_be_visible()
    expect(asked).to_have_value("What I wrote")
    expect(page.locator("#situation-request_summary")).to_have_value("What the other wrote")


def test_a_vital_field_is_shown_to_who_asks_and_the_journal_tells(page: Page, town: Town, words: Words) -> None:
    contact = town.records[0]["contact"]
    field = next(f"contact.{each}" for each, value in contact.items() if is_hidden(f"contact.{each}") and value)
    page.goto(f"{town.helpline.pages}cases/{town.full}/sections/contact")
    assert str(contact[field.partition(".")[2]]) not in page.content()
    before = _views(town, field)
    page.get_by_role("button", name=words(field_label(field))).click()
    expect(page.get_by_label(words(field_label(field)), exact=True)).to_have_value(
        str(contact[field.partition(".")[2]])
    )
    assert _views(town, field) == before + 1


def test_a_hidden_field_keeps_what_it_holds(page: Page, town: Town, words: Words) -> None:
    record = town.case(town.helpline, 0)
    case_id, contact = record["meta"]["case_id"], record["contact"]
    page.goto(f"{town.helpline.pages}cases/{case_id}/sections/contact")
    page.get_by_label(words(field_label("contact.safe_hours"))).fill("Le matin")
    page.get_by_role("button", name=words("Save")).click()
    page.wait_for_url("**#contact")
    kept = town.helpline.command("case", "show", case_id)["case"]["contact"]
    assert kept == contact | {"safe_hours": "Le matin"}


def test_after_signing_out_nothing_is_to_be_seen_any_more(stranger: Page, town: Town, case: str, words: Words) -> None:
    page = stranger
    sign_in(page, town.helpline, town.newcomer())
    page.goto(f"{town.helpline.pages}cases/{case}")
    page.get_by_role("button", name=words("Sign out")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words("Sign in"))
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(words("Sign in"))
    assert page.context.cookies(town.helpline.pages) == []


def test_leaving_quickly_ends_the_session_and_shows_a_page_that_tells_nothing(
    stranger: Page, town: Town, case: str, words: Words
) -> None:
    page = stranger
    sign_in(page, town.helpline, town.newcomer())
    page.context.route(_ELSEWHERE, lambda route: route.fulfill(body="<!doctype html><h1>Elsewhere</h1>"))
    page.goto(f"{town.helpline.pages}cases/{case}")
    page.get_by_role("button", name=words("Leave quickly")).click()
    expect(page).to_have_url(_ELSEWHERE)
    page.goto(f"{town.helpline.pages}cases/{case}")
    expect(page.get_by_role("heading", level=1)).to_have_text(words("Sign in"))


def test_three_times_escape_leaves_too(town: Town, open_page: Open) -> None:
    page = open_page()
    sign_in(page, town.helpline, town.newcomer())
    page.context.route(_ELSEWHERE, lambda route: route.fulfill(body="<!doctype html><h1>Elsewhere</h1>"))
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(page).to_have_url(_ELSEWHERE)


def test_the_language_changes_on_the_page_that_is_open(
    page: Page, town: Town, case: str, way: tuple[str, bool]
) -> None:
    page.goto(f"{town.helpline.pages}cases/{case}")
    page.get_by_role("button", name="English" if way[0] == "fr" else "Français").click()
    expect(page.locator("html")).to_have_attribute("lang", "en" if way[0] == "fr" else "fr")
    expect(page).to_have_url(f"{town.helpline.pages}cases/{case}")


def test_the_first_key_leads_past_the_navigation(page: Page, town: Town, words: Words) -> None:
    page.goto(town.helpline.pages + "cases")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name=words("Go to the content"))
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(town.helpline.pages + "cases#content")


def go_to(page: Page, wanted: Locator) -> None:
    """By the Tab key alone."""
    for _ in range(_MANY):
        page.keyboard.press("Tab")
        if wanted.evaluate("(each) => each === document.activeElement"):
            return
    pytest.fail(f"no key leads to {wanted}")


def _views(town: Town, field: str) -> int:
    return len(
        [
            line
            for line in town.journal(town.helpline)
            if line["action"] == "field.viewed" and line["subject"] == town.full and line["facts"] == {"field": field}
        ]
    )
