"""Every page that can be reached, as each role finds it by its links. How each looks: `every_state.py`."""

from __future__ import annotations

import pytest

from node.web.app import PAGES
from tests.web import markup
from tests.web.browsing import signed_in
from tests.web.crawling import Found, crawl
from tests.web.town import EVERYTHING, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

WHO = (("helpline", EVERYTHING), ("helpline", "Adrien"), ("helpline", "Aude"), ("marseille", EVERYTHING))
"""Who between them may use every page, and see each side of a transfer."""

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
    refused = [
        f"{who}: {found.address}: {found.answer.status_code}"
        for (_, who, _), all_found in reached.items()
        for found in all_found
        if found.answer.status_code != 200 and not _expected(found)
    ]
    assert not refused, "\n".join(refused)


def _expected(found: Found) -> bool:
    """The crawl tries each page, also where nothing leads to it; and it asks with forms that nobody has filled."""
    path, _, query = found.address.partition("?")
    match found.answer.status_code:
        case 403:
            return found.address in {each.path for each in PAGES}
        case 422:
            return bool(query)
        case 409:  # an act allows it, the case has not what it takes: said with the way to the section
            return path.endswith("/send/what") and "/sections/" in found.answer.text
        case 303:  # to the step before, which says what is missing
            return path.endswith("/send/confirm")
        case _:
            return False


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
