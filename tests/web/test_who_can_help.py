"""Whoever can help is found in a list and on a map; what leaves is narrowed, and seen before it leaves. In both
languages.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from cordee.case.labels import section_label, value_label
from cordee.profile import departement_name
from node.demo.stage import until
from tests.web.browsing import reload
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SHELTER, HELPLINE = "13", "75"  # the départements of the two associations


@pytest.fixture(params=["fr", "en"])
def ours(request: pytest.FixtureRequest, town: Town, open_page: Open) -> Desk:
    return desk(open_page, town.helpline, language=request.param)


def found(ours: Desk) -> Locator:
    return ours.page.locator("li.found h3")


def seats(ours: Desk) -> Locator:
    return ours.page.get_by_role("region", name=ours.words("Where they are")).locator("ul.seats li")


def tile(ours: Desk, departement: str) -> Locator:
    code = ours.page.locator("text.code", has_text=re.compile(f"^{departement}$"))
    return ours.page.locator("svg.map g.tile", has=code)


def test_the_list_and_the_map_tell_the_same_of_who_fits(town: Town, ours: Desk, open_page: Open) -> None:
    theirs = desk(open_page, town.shelter, language=ours.language)
    theirs.go("places")  # other tests of this network may have filled them
    theirs.page.get_by_role("button", name=theirs.words("{count} places free", count=5), exact=True).click()
    page = ours.page
    page.get_by_role("navigation").get_by_role("link", name=ours.words("Who can help")).click()
    expect(found(ours).filter(has_text=town.shelter.title)).to_have_count(1)

    page.get_by_label(ours.words("What is needed")).select_option("emergency_shelter")
    page.get_by_label(ours.words("Age"), exact=True).fill("15")
    page.get_by_label(ours.words("Gender")).select_option("girl")
    page.get_by_label(ours.words("Language"), exact=True).select_option("fr")
    for each in ("can help tonight", "take runaways", "have a free place"):
        page.get_by_label(ours.words(each)).check()
    ours.button("Search").click()

    def fits() -> bool:
        reload(page)
        return found(ours).filter(has_text=town.shelter.title).count() == 1

    until(fits, what="the helpline finds the shelter")
    expect(found(ours).filter(has_text=town.helpline.title)).to_have_count(0)
    line = page.locator("li.found", has_text=town.shelter.title)
    expect(line).to_contain_text(ours.words("told {span} ago", span="…").partition("…")[0])
    expect(line.locator("p", has_text="✓")).to_be_visible()
    _map_tells_the_list(ours)
    expect(tile(ours, SHELTER)).to_have_class(re.compile("some"))
    expect(tile(ours, HELPLINE)).not_to_have_class(re.compile("some"))

    page.get_by_label(ours.words("Far from")).fill("Bouches-du-Rhône")
    ours.button("Search").click()
    expect(found(ours).filter(has_text=town.shelter.title)).to_have_count(0)
    expect(tile(ours, SHELTER)).not_to_have_class(re.compile("some"))
    _map_tells_the_list(ours)


def _map_tells_the_list(ours: Desk) -> None:
    """Each number on the map stands in the list beside it, and they add up to those that fit."""
    marked = ours.page.locator("svg.map g.some")
    assert marked.count() == seats(ours).count()
    told = [int(re.findall(r"\d+", each)[-1]) for each in seats(ours).all_inner_texts()]
    assert sorted(int(each) for each in marked.locator("text.number").all_text_contents()) == sorted(told)
    assert sum(told) == found(ours).count()


def test_what_cannot_be_looked_for_is_told_beside_its_field_and_stays_typed(ours: Desk) -> None:
    ours.go("members")
    ours.page.get_by_label(ours.words("Age"), exact=True).fill("quinze")
    ours.page.get_by_label(ours.words("Far from")).fill("Atlantide")
    ours.button("Search").click()
    expect(ours.page.get_by_role("alert").get_by_role("link")).to_have_text([ours.words("Age"), ours.words("Far from")])
    for label, typed in (("Age", "quinze"), ("Far from", "Atlantide")):
        field = ours.page.get_by_label(ours.words(label), exact=True)
        expect(field).to_have_value(typed)
        expect(field).to_have_attribute("aria-invalid", "true")


def test_what_leaves_can_only_be_narrowed_and_is_seen_as_they_will_see_it(town: Town, ours: Desk) -> None:
    record = town.case(town.helpline, 2)
    town.act(record, purpose="specialised_support")
    page = ours.page
    ours.go(f"cases/{record['meta']['case_id']}")
    ours.link("Send this case").click()
    page.get_by_role("main").get_by_role("link", name=town.shelter.title).first.click()
    page.locator(".purpose").first.get_by_role("link").first.click()

    section = page.locator("section.section", has=page.locator("[name=s]:checked")).first
    label = section.get_by_role("heading", level=3).inner_text()
    needed = page.locator("section.section:not(:has([name=s]))").first.get_by_role("heading", level=3).inner_text()
    section.locator("details summary").first.click()
    assert section.locator("details dl dt").count(), "it can be read, field by field"
    section.locator("[name=s]").uncheck()
    ours.button("Continue").first.click()

    expect(ours.heading("Is this right?")).to_be_visible()
    offered = page.locator("dt", has_text=ours.words("Sections offered")).locator("xpath=following-sibling::dd[1]")
    assert label not in offered.inner_text().split(", ")
    assert needed in offered.inner_text().split(", ")
    assert needed in {ours.words(section_label(each)) for each in record}
    recipient = page.locator(".recipient")
    for told in (town.shelter.title, "Marseille", departement_name(SHELTER)):
        expect(recipient).to_contain_text(told)
    large, usual = (
        float(each.evaluate("(each) => parseFloat(getComputedStyle(each).fontSize)"))
        for each in (recipient.locator(".name"), page.locator("main dd").first)
    )
    assert large >= 1.4 * usual
    assert record["identity"]["first_name"] not in page.locator("section.card").inner_text()

    for step in ("What leaves", "What for?", "Who can help?"):  # back is always possible, and keeps the choices
        here = page.get_by_role("navigation", name=ours.words("Steps")).locator("[aria-current=step]")
        here.locator("xpath=preceding-sibling::li[1]/a").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(ours.words(step))
        if step == "What leaves":
            expect(page.locator("section.section", has_text=label).locator("[name=s]").first).not_to_be_checked()


def test_an_act_is_offered_where_none_is_there_yet(town: Town, ours: Desk) -> None:
    """For what was asked for: an agreement at once, or another decision."""
    record = town.case(town.helpline, 3)
    ours.go(f"cases/{record['meta']['case_id']}/send/why?to={town.shelter.member}&purpose=emergency_shelter")
    expect(
        ours.page.get_by_text(ours.words("No act on record allows anything for this association yet."))
    ).to_be_visible()
    asked = ours.page.locator("main li").filter(has_text=ours.words(value_label("purpose", "emergency_shelter")))
    for marked, kind in (("Record an agreement", "kind=consent"), ("Another decision", "purpose=emergency_shelter")):
        link = asked.get_by_role("link", name=ours.words(marked))
        expect(link).to_have_count(1)
        assert kind in (link.get_attribute("href") or "")
