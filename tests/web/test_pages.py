"""Every page that can be reached, as each role finds it: valid, accessible, at every width, asking nobody else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from node.web.app import PAGES
from tests.web import crawling, looking, markup
from tests.web.browsing import sign_in, signed_in
from tests.web.conftest import Open
from tests.web.crawling import Found, crawl
from tests.web.looking import Watched
from tests.web.town import EVERYTHING, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

WHO = (EVERYTHING, "Adrien", "Aude")  # who between them may use every page


@pytest.fixture(scope="module")
def reached(town: Town) -> dict[tuple[str, str], list[Found]]:
    """What each of them reaches, in each language."""
    found = {}
    for who in WHO:
        for language in ("fr", "en"):
            with signed_in(town.helpline, who, language=language) as client:
                found[who, language] = crawl(client, first=_seeds(town) if who == EVERYTHING else [])
    return found


def test_no_link_leads_to_a_refusal(reached: dict[tuple[str, str], list[Found]]) -> None:
    own = {each.path for each in PAGES}
    refused = [
        f"{who}: {found.address}: {found.answer.status_code}"
        for (who, _), all_found in reached.items()
        for found in all_found
        if found.answer.status_code != 200 and not (found.address in own and found.answer.status_code == 403)
    ]
    assert not refused, "\n".join(refused)


def test_every_page_can_be_reached(reached: dict[tuple[str, str], list[Found]]) -> None:
    seen = {crawling.page_of(found.address) for all_found in reached.values() for found in all_found}
    assert {each.name for each in PAGES if each.get is not None} <= seen


def test_every_page_is_valid_html_in_both_languages(reached: dict[tuple[str, str], list[Found]]) -> None:
    wrong = [
        f"{who}, {language}: {found.address}: {each}"
        for (who, language), all_found in reached.items()
        for found in all_found
        if found.is_page
        for each in markup.complaints(found.answer.text, language)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_page_may_be_kept_framed_or_referred_to(reached: dict[tuple[str, str], list[Found]]) -> None:
    wrong = [
        f"{who}: {found.address}"
        for (who, _), all_found in reached.items()
        for found in all_found
        if found.answer.headers.get("cache-control") != "no-store"
        or "frame-ancestors 'none'" not in found.answer.headers["content-security-policy"]
        or not found.answer.headers["content-security-policy"].startswith("default-src 'none';")
        or "unsafe" in found.answer.headers["content-security-policy"]
        or found.answer.headers["referrer-policy"] != "no-referrer"
        or found.answer.headers["x-content-type-options"] != "nosniff"
        or found.answer.headers["x-frame-options"] != "DENY"
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", WHO)
def test_every_page_is_accessible_at_every_width_in_both_themes(
    town: Town, reached: dict[tuple[str, str], list[Found]], open_page: Open, who: str
) -> None:
    page = open_page()
    sign_in(page, town.helpline, who)
    # What one of them has shown looks the same for the next.
    before = [f.address for each in WHO[: WHO.index(who)] for f in reached[each, "fr"] if f.answer.status_code == 200]
    wrong = _look_at(page, town, [f for f in reached[who, "fr"] if f.address == "/" or f.address not in before])
    assert not wrong, "\n".join(wrong)


def test_every_page_fits_in_english_too(
    town: Town, reached: dict[tuple[str, str], list[Found]], open_page: Open
) -> None:
    page = open_page(language="en", viewport={"width": 320, "height": 900})
    sign_in(page, town.helpline)
    wrong = []
    for found in reached[EVERYTHING, "en"]:
        if found.is_page:
            page.goto(town.helpline.pages + found.address[1:])
            if page.evaluate("document.documentElement.scrollWidth") > 320:
                wrong.append(found.address)
    assert not wrong


def _seeds(town: Town) -> list[str]:
    return [f"/cases/{town.full}", f"/cases/{town.ready}/send"]


def _look_at(page: Page, town: Town, all_found: list[Found]) -> list[str]:
    watched = Watched(page, town.helpline.pages)
    wrong = []
    for found in all_found:
        if found.is_page:
            page.goto(town.helpline.pages + found.address[1:])
            wrong += [f"{found.address}: {each}" for each in looking.complaints(watched)]
    return wrong
