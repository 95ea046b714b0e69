"""A place for tonight, on a telephone: from the open case to the offer sent, counted in taps and pages."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from cordee.case.labels import value_label
from cordee.transfer import Party, State
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.thumb import Thumb
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

MOST = 12  # interactions, from the open case to the offer, with the agreement recorded on the way
PAGES = 8  # the four screens of sending, the second of them again; the agreement's form, its page; the transfer's
AGREED, AGREED_PAGES = 6, 5  # where an agreement is on record
TELEPHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
PURPOSE = "emergency_shelter"


@pytest.mark.parametrize(("language", "scripts"), [("fr", True), ("en", True), ("fr", False)], ids=str)
def test_from_the_case_to_the_offer_an_emergency_takes_twelve_interactions_at_most(
    town: Town, open_page: Open, language: str, scripts: bool
) -> None:
    ours = desk(open_page, town.helpline, language=language, scripts=scripts, **TELEPHONE)
    case = f"cases/{town.case(town.helpline, 2)['meta']['case_id']}"
    ours.go(case)
    thumb = Thumb(ours.page)

    thumb.tap(ours.link("Shelter for tonight"))
    thumb.tap(ours.page.get_by_role("main").get_by_role("link", name=town.shelter.title).first)
    asked = ours.page.locator("li", has_text=ours.words(value_label("purpose", PURPOSE)))
    thumb.tap(asked.get_by_role("link", name=ours.words("Record an agreement")))
    for who in ("The minor’s answer", value_label("family.role", "mother")):
        answers = ours.page.get_by_role("group", name=ours.words(who))
        thumb.tap(answers.get_by_label(ours.words(value_label("consents.decided_by.answer", "agrees")), exact=True))
    thumb.fill(ours.page.get_by_label(ours.words("Your function")).first, "éducatrice")
    thumb.tap(ours.button("Record it"))
    thumb.tap(ours.link("Go on to sending"))
    _offers(ours, thumb, town)

    assert len(thumb.done) <= MOST, "\n".join(thumb.done)
    assert len(thumb.pages) <= PAGES, "\n".join(thumb.pages)
    town.wait(town.shelter, ours.transfer, "offered")


@pytest.mark.parametrize("language", ["fr", "en"])
def test_with_an_agreement_on_record_half_as_many_are_enough(town: Town, open_page: Open, language: str) -> None:
    record = town.case(town.helpline, 2)
    town.act(record, purpose=PURPOSE)
    ours = desk(open_page, town.helpline, language=language, **TELEPHONE)
    ours.go(f"cases/{record['meta']['case_id']}")
    thumb = Thumb(ours.page)

    thumb.tap(ours.link("Shelter for tonight"))
    thumb.tap(ours.page.get_by_role("main").get_by_role("link", name=town.shelter.title).first)
    _offers(ours, thumb, town)

    assert len(thumb.done) <= AGREED, "\n".join(thumb.done)
    assert len(thumb.pages) <= AGREED_PAGES, "\n".join(thumb.pages)


def _offers(ours: Desk, thumb: Thumb, town: Town) -> None:
    """From the question what for to the transfer's own page."""
    thumb.tap(ours.page.locator(".purpose").first.get_by_role("link").first)
    thumb.tap(ours.button("Continue").first)
    thumb.fill(ours.page.get_by_label(ours.words("Type their département again: its number or its name")), "13")
    thumb.tap(ours.button("Offer to {name}", name=town.shelter.title))
    expect(ours.state(State.OFFERED, Party.SENDER)).to_be_visible()
