"""Today says what waits, by pseudonyms alone, in both languages; each line leads to what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, expect

from cordee.transfer import Party, State, sentence
from tests.web.browsing import reload
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(params=["fr", "en"])
def ours(request: pytest.FixtureRequest, town: Town, open_page: Open) -> Desk:
    return desk(open_page, town.helpline, language=request.param)


def part(who: Desk, title: str) -> Locator:
    """The lines under a heading of Today."""
    return who.page.get_by_role("region", name=who.words(title)).locator("li")


def test_what_is_due_in_a_case_stands_under_its_heading_and_leads_there(town: Town, ours: Desk) -> None:
    name, yesterday = f"Reprise {ours.language}", datetime.now(UTC).date() - timedelta(days=1)
    case = ours.open_case(name)
    ours.page.locator("#identity a").click()
    ours.field("identity.first_name").fill("Capucine")
    ours.save(case)
    ours.page.locator("#risk a").click()
    ours.answer("risk.level", "high")
    ours.field("risk.assessed_on").fill((yesterday - timedelta(days=9)).isoformat())
    ours.field("risk.reassess_on").fill(yesterday.isoformat())
    ours.save(case)
    ours.record_agreement(town.shelter, "emergency_shelter")  # for 72 hours
    ours.page.goto(case)
    ours.record_agreement(town.shelter, until=(yesterday + timedelta(days=6)).isoformat())

    ours.today()
    ours.page.goto(ours.house.pages + "?whole=1")
    again = part(ours, "Risk to be looked at again").filter(has_text=name)
    expect(again).to_contain_text(ours.words("late"))
    clock = part(ours, "Against the clock").filter(has_text=name)
    expect(clock).to_contain_text(ours.words("A decision for at most 72 hours"))
    left = ours.words("Time left: {span}, until {moment}", span="…", moment="").partition("…")[0]
    expect(clock).to_contain_text(left)
    ends = part(ours, "About to end").filter(has_text=name)
    expect(ends).to_contain_text(ours.words("An act of sharing ends"))
    assert "Capucine" not in ours.page.content()
    again.get_by_role("link").click()
    expect(ours.page).to_have_url(f"{case}/sections/risk")


def test_an_offer_tells_how_long_it_waits_and_what_came_to_nothing_stays_to_be_seen(
    town: Town, ours: Desk, open_page: Open
) -> None:
    theirs = desk(open_page, town.shelter, language=ours.language)
    theirs.stay()
    record = town.case(town.helpline)
    transfer = town.offer(record, town.act(record))
    line = theirs.page.locator(f"[data-offers] li:has(a[href='/transfers/{transfer}'])")
    theirs.sees(line)
    waits = theirs.words("They wait for your answer; time left: {span}.", span="…").partition("…")[0]
    reload(theirs.page)
    expect(line).to_contain_text(waits)
    assert record["meta"]["pseudonym"] not in line.inner_text(), "who it is about comes after one accepts"
    town.shelter.command("transfer", "decline", transfer, "--code", "no_capacity")
    town.wait(town.helpline, transfer, "declined")
    reload(ours.page)
    trouble = part(ours, "Did not go as it should").filter(has=ours.page.locator(f"a[href='/transfers/{transfer}']"))
    expect(trouble).to_contain_text(record["meta"]["pseudonym"])
    expect(trouble).to_contain_text(ours.words(sentence(State.DECLINED, Party.SENDER)))
