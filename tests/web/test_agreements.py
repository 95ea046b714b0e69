"""The other kinds of act in both languages, in words that are said aloud, with a sheet for the family. The agreement
itself: `test_whole_transfer.py`; taking one back: `test_withdrawing.py`.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from cordee.case.labels import value_label
from node.web.act_words import ALOUD, HINTS, KINDS
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_ANSWERS = {"refusal": "refuses", "information_only": "informed", "override": "informed"}
_SHEETS = ("Sheet in French (PDF)", "Sheet in English (PDF)")


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", sorted(_ANSWERS))
def test_each_kind_of_act_is_recorded_with_its_words_and_its_sheet(
    town: Town, open_page: Open, language: str, kind: str
) -> None:
    ours = desk(open_page, town.helpline, language=language)
    ours.go(f"cases/{town.case(town.helpline, 2)['meta']['case_id']}")
    _begins(ours, town, kind)
    _fills(ours, kind)
    ours.button("Record it").click()
    expect(ours.page.get_by_role("heading", level=1)).to_have_text(_called(ours, kind))
    if kind == "refusal":
        expect(ours.link("Go on to sending")).to_have_count(0)
        expect(ours.heading("Nothing can leave for {name} yet.", name=town.shelter.title)).to_have_count(0)
    else:
        allowed = ours.heading("Under this act the case can be offered to {name}.", name=town.shelter.title)
        expect(allowed).to_be_visible()
    sheets = [_sheet(ours, each) for each in _SHEETS]
    assert all(each.startswith(b"%PDF-") for each in sheets)
    assert sheets[0] != sheets[1]


def _begins(ours: Desk, town: Town, kind: str) -> None:
    """The first step, with what each kind means beside it; then the words to be said aloud."""
    page = ours.page
    ours.link("Record an agreement").click()
    choice = page.get_by_label(ours.words(KINDS[kind]), exact=True)
    expect(choice).to_have_accessible_description(ours.words(HINTS[kind]))
    choice.check()
    page.get_by_label(ours.words("What for")).select_option("relocation")
    page.get_by_label(ours.words("To whom")).select_option(town.shelter.profile["org_id"])
    ours.button("Go on").click()
    aloud = page.get_by_role("region", name=ours.words("To say aloud")).locator("p")
    expect(aloud).to_have_count(len(ALOUD[kind]))
    expect(aloud.last).to_have_text(ours.words(ALOUD[kind][-1]))
    assert "consentement" not in page.locator("body").inner_text()


def _fills(ours: Desk, kind: str) -> None:
    page, answer = ours.page, _ANSWERS[kind]
    for who in ("The minor’s answer", value_label("family.role", "mother")):
        ours.choose(who, "consents.decided_by.answer", answer)
    page.get_by_label(ours.words("Your function")).first.fill("éducatrice")
    if kind == "override":
        page.get_by_label(ours.words("The reason, in writing")).fill("Elle est en danger cette nuit.")
        page.get_by_label(ours.words("Who decided with you")).fill("cheffe de service")
    if kind == "information_only":
        for condition in (
            "It serves to assess the situation, or to decide and carry out protection and help",
            "What is shared is strictly necessary for that",
        ):
            page.get_by_label(ours.words(condition)).check()
        page.get_by_label(ours.words("Why it is necessary")).fill("Le lieu d’accueil doit connaître le risque.")
        page.get_by_label(ours.words("A second person, if the minor refuses")).fill("cheffe de service")


def _sheet(ours: Desk, marked: str) -> bytes:
    """What the link leads to; the browser would show it in a viewer of its own, ready to be printed."""
    answer = ours.page.context.request.get(ours.house.pages + (ours.link(marked).get_attribute("href") or "")[1:])
    assert answer.headers["content-type"] == "application/pdf"
    return answer.body()


def _called(ours: Desk, kind: str) -> str:
    return ours.words(value_label("consents.kind", kind))
