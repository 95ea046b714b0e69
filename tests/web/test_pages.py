"""Every page that can be reached, as each role finds it: valid, accessible, at every width, asking nobody else."""

from __future__ import annotations

import pytest

from node.web.app import PAGES
from tests.web import crawling, looking, markup
from tests.web.browsing import sign_in, signed_in
from tests.web.conftest import Open
from tests.web.crawling import Found, crawl
from tests.web.looking import Watched
from tests.web.town import EVERYTHING, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

WHO = (("helpline", EVERYTHING), ("helpline", "Adrien"), ("helpline", "Aude"), ("marseille", EVERYTHING))
"""Who between them may use every page, and see each side of a transfer."""

_ONLY_IN_A_STATE = {"case_reason", "case_versions", "file", "send_reveal", "transfer_erasure", "transfer_update"}
"""Pages to which something leads only while it has to be done."""

Reached = dict[tuple[str, str, str], list[Found]]


@pytest.fixture(scope="module")
def reached(town: Town) -> Reached:
    """What each of them reaches, in each language."""
    found = {}
    for name, who in WHO:
        for language in ("fr", "en"):
            with signed_in(town.stage.houses[name], who, language=language) as client:
                seeds = [f"/cases/{town.full}", f"/cases/{town.ready}/send"] if (name, who) == WHO[0] else []
                found[name, who, language] = crawl(client, first=seeds)
    return found


def test_no_link_leads_to_a_refusal(reached: Reached) -> None:
    own = {each.path for each in PAGES}
    # The crawl tries each page, also where nothing leads to it; and it asks with forms that nobody has filled.
    fine = {(True, 403)}
    refused = [
        f"{who}: {found.address}: {found.answer.status_code}"
        for (_, who, _), all_found in reached.items()
        for found in all_found
        if found.answer.status_code != 200
        and (found.address in own, found.answer.status_code) not in fine
        and (found.answer.status_code != 422 or "?" not in found.address)
    ]
    assert not refused, "\n".join(refused)


def test_every_page_can_be_reached(reached: Reached) -> None:
    seen = {crawling.page_of(found.address) for all_found in reached.values() for found in all_found}
    assert {each.name for each in PAGES if each.get is not None} - seen <= _ONLY_IN_A_STATE


def test_every_page_is_valid_html_in_both_languages(reached: Reached) -> None:
    wrong = [
        f"{who}, {language}: {found.address}: {each}"
        for (_, who, language), all_found in reached.items()
        for found in all_found
        if found.is_page
        for each in markup.complaints(found.answer.text, language)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_page_may_be_kept_framed_or_referred_to(reached: Reached) -> None:
    wrong = [
        f"{who}: {found.address}"
        for (_, who, _), all_found in reached.items()
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


@pytest.mark.parametrize("place", range(len(WHO)))
def test_every_page_is_accessible_at_every_width_in_both_themes(
    town: Town, reached: Reached, open_page: Open, place: int
) -> None:
    name, who = WHO[place]
    page = open_page()
    sign_in(page, town.stage.houses[name], who)
    # What one of them has shown looks the same for the next.
    before = {_kind(f.address) for each in WHO[:place] for f in reached[*each, "fr"] if f.answer.status_code == 200}
    wrong = []
    watched = Watched(page, town.stage.houses[name].pages)
    for found in reached[name, who, "fr"]:
        if found.is_page and (found.address == "/" or _kind(found.address) not in before):
            page.goto(town.stage.houses[name].pages + found.address[1:])
            wrong += [f"{found.address}: {each}" for each in looking.complaints(watched)]
    assert not wrong, "\n".join(wrong)


def test_every_page_fits_in_english_too(town: Town, reached: Reached, open_page: Open) -> None:
    page = open_page(language="en", viewport={"width": 320, "height": 900})
    sign_in(page, town.helpline)
    wrong = []
    for found in reached["helpline", EVERYTHING, "en"]:
        if found.is_page:
            page.goto(town.helpline.pages + found.address[1:])
            if page.evaluate("document.documentElement.scrollWidth") > 320:
                wrong.append(found.address)
    assert not wrong


def _kind(address: str) -> str:
    """The same for pages that look the same; each transfer stands in a state of its own."""
    return address if address.startswith("/transfers/") else crawling.kind_of(address)
