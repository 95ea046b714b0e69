"""A case is its team's: whoever is not of it finds nothing, opens it for a reason that they give, and a lead looks at
that afterwards. In both languages.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from cordee.case.labels import value_label
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

REASON = "Elle appelle ce soir, et sa référente est absente."


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_case_of_a_team_is_opened_by_others_for_a_reason_that_a_lead_looks_at(
    town: Town, open_page: Open, language: str
) -> None:
    inside, outside = town.newcomer(), "Hélène"
    team = _team_of(desk(open_page, town.helpline, language=language, who="Adrien"), inside, f"Nuit {language}")
    owner = desk(open_page, town.helpline, language=language)
    case = owner.open_case(f"Lavande {language}")
    _give_to_the_team(owner, team)

    member = desk(open_page, town.helpline, language=language, who=inside)
    _looks_for(member, f"Lavande {language}")
    member.link(f"Lavande {language}").click()
    expect(member.page.get_by_role("heading", level=1)).to_have_text(f"Lavande {language}")

    colleague = desk(open_page, town.helpline, language=language, who=outside)
    _looks_for(colleague, "Lavand")
    expect(colleague.link(f"Lavande {language}")).to_have_count(0)
    _looks_for(colleague, f"Lavande {language}")
    expect(colleague.link(f"Lavande {language}")).to_have_count(0)
    colleague.link("I must open it: say why").click()
    asked = colleague.page.get_by_label(colleague.words("Why you must open it"))
    asked.fill("Parce que.")  # too little to be looked at
    asked.evaluate("(each) => each.removeAttribute('minlength')")
    colleague.button("Open it; this is recorded").click()
    expect(colleague.page.get_by_role("alert")).to_be_visible()
    expect(asked).to_have_value("Parce que.")
    asked.fill(REASON)
    colleague.button("Open it; this is recorded").click()
    expect(colleague.page).to_have_url(case)
    expect(colleague.page.get_by_role("heading", level=1)).to_have_text(f"Lavande {language}")

    _is_looked_at(desk(open_page, town.helpline, language=language, who="Léa"), f"Lavande {language}", outside)
    done = {line["action"] for line in town.journal(town.helpline) if line["subject"] == case.rpartition("/")[2]}
    assert {"case.opened_for_reason", "case.opening_looked_at"} <= done


def _team_of(office: Desk, who: str, name: str) -> str:
    office.go("teams")
    office.page.get_by_label(office.words("Name of the team")).fill(name)
    office.button("Make a team").click()
    office.page.get_by_label(who).check()
    office.button("Save").click()
    expect(office.page.get_by_label(who)).to_be_checked()
    return name


def _give_to_the_team(owner: Desk, team: str) -> None:
    owner.link("Who may open it").click()
    restriction = value_label("meta.access_restriction", "team")
    owner.page.get_by_label(owner.words(restriction)).check()
    owner.page.get_by_label(owner.words("Team"), exact=True).select_option(label=team)
    owner.button("Save").click()
    expect(owner.link("Who may open it")).to_be_visible()


def _looks_for(who: Desk, name: str) -> None:
    who.go("cases")
    who.page.get_by_role("searchbox").fill(name)
    who.button("Search").click()
    expect(who.page.get_by_role("searchbox")).to_have_value(name)


def _is_looked_at(lead: Desk, case: str, colleague: str) -> None:
    """From Today, where it stands on top."""
    told = lead.words("Cases opened without being of their team, to be looked at: {count}", count="…").partition("…")[0]
    lead.page.get_by_role("link", name=told).click()
    waiting = lead.page.get_by_role("region", name=lead.words("To be looked at"))
    opening = waiting.locator("li", has_text=case)
    expect(opening).to_contain_text(colleague)
    expect(opening).to_contain_text(REASON)
    opening.get_by_role("button", name=lead.words("I have looked at it")).click()
    expect(opening).to_have_count(0)
    looked = lead.page.get_by_role("region", name=lead.words("Looked at lately")).locator("li", has_text=case)
    expect(looked).to_contain_text("Léa")
