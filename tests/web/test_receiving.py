"""What a recipient can answer, and what both see of a case that they share: in both languages, each by its pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from cordee.case.labels import field_label
from cordee.transfer import Party, State
from tests.web.browsing import reload
from tests.web.conftest import Open
from tests.web.journey import Desk, desk, steps_proved
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WHY = "Nous n’accueillons pas à cet âge."


@pytest.fixture(params=["fr", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ours(town: Town, open_page: Open, language: str) -> Desk:
    return desk(open_page, town.helpline, language=language)


@pytest.fixture
def theirs(town: Town, open_page: Open, language: str) -> Desk:
    return desk(open_page, town.shelter, language=language)


def offered(town: Town, number: int = 1) -> str:
    record = town.case(town.helpline, number)
    return town.offer(record, town.act(record))


def opens(who: Desk, transfer: str) -> None:
    who.go(f"transfers/{transfer}")
    who.stay()


def test_a_question_that_was_not_answered_is_asked_again_beside_itself_and_what_was_chosen_stays(
    town: Town, theirs: Desk
) -> None:
    opens(theirs, offered(town))
    page = theirs.page
    summary = page.get_by_role("region", name=theirs.words("What they say of it"))
    expect(summary).to_contain_text(theirs.words("Time left: {span}.", span="…").partition("…")[0])
    section = page.locator("form[action$='/accept'] [name=section]").first
    section.uncheck()
    theirs.button("Accept").click()
    group = page.get_by_role(
        "group", name=theirs.words("Is a minor of the same group with you, or somebody who knows the exploiters?")
    )
    page.get_by_role("alert").get_by_role("link").click()
    expect(group).to_be_in_viewport()
    expect(group.locator(".error")).to_be_visible()
    expect(section).not_to_be_checked()


def test_an_offer_is_declined_with_a_reason_of_the_list_and_words_that_only_its_sender_reads(
    town: Town, ours: Desk, theirs: Desk
) -> None:
    transfer = offered(town)
    opens(ours, transfer)
    opens(theirs, transfer)
    form = theirs.page.locator("details", has=theirs.page.locator("form[action$='/decline']"))
    form.locator("summary").click()
    reason = form.get_by_role("radio").first
    told = reason.locator("xpath=..").inner_text().strip()
    assert form.get_by_role("radio").count() > 3
    reason.check()
    form.get_by_label(theirs.words("In your words")).fill("Rappelez lundi.")
    form.get_by_role("button", name=theirs.words("Decline")).click()
    expect(theirs.state(State.DECLINED, Party.RECIPIENT)).to_be_visible()

    ours.sees(ours.state(State.DECLINED, Party.SENDER))
    reload(ours.page)
    why = ours.page.get_by_role("region", name=ours.words("The reason"))
    expect(why).to_contain_text(told)
    expect(why).to_contain_text("Rappelez lundi.")


def test_what_was_not_for_them_is_erased_there_and_comes_back_with_a_signature(
    town: Town, ours: Desk, theirs: Desk, tmp_path: Path
) -> None:
    transfer = offered(town)
    opens(ours, transfer)
    opens(theirs, transfer)
    theirs.accept()
    theirs.sees(theirs.state(State.RECEIVED, Party.RECIPIENT))
    theirs.sees(theirs.link("Open the case"))
    case = theirs.link("Open the case").get_attribute("href") or ""
    theirs.link("This is not for us…").click()
    expect(theirs.page.get_by_role("heading", level=1)).to_have_text(theirs.words("This is not for us"))
    theirs.button("Erase it and give it back").click()
    expect(theirs.page.get_by_role("alert").get_by_role("link")).to_have_count(2)  # which reason, and whether one knows
    reason = theirs.page.get_by_role("radio").first
    reason.check()
    told = reason.locator("xpath=..").inner_text().strip()
    theirs.page.get_by_label(theirs.words("In your words")).fill(WHY)
    theirs.page.get_by_label(theirs.words("I know that this cannot be undone")).check()
    theirs.button("Erase it and give it back").click()
    expect(theirs.page.locator("[data-state]")).to_have_attribute("data-state", "received/returned")
    theirs.go(case.removeprefix("/"))
    assert theirs.page.locator("main .tiles").count() == 0, "the case is not here any more"

    why = ours.page.get_by_role("region", name=ours.words("The reason"))
    ours.sees(why)
    expect(why).to_contain_text(told)
    expect(why).to_contain_text(WHY)
    expect(why).to_contain_text(ours.words("Somebody waits for news: tell the minor."))
    assert "erasure" in steps_proved(ours, town.stage.network, transfer, tmp_path / "proof")
    ours.link("Find who else can help").click()
    expect(ours.heading("Who can help?")).to_be_visible()


def test_each_step_tells_who_and_when_and_what_each_side_has_signed(town: Town, ours: Desk) -> None:
    opens(ours, town.ended)
    for marked, by in (
        ("Offered", town.helpline),
        ("Accepted", town.shelter),
        ("Sent in full", town.helpline),
        ("Received and checked", town.shelter),
    ):
        step = ours.step(marked)
        expect(step).to_contain_text(by.title)
        expect(step.locator("p").first).to_contain_text(str(_year()))
    signed = ours.page.locator("details", has_text=ours.words("What each side has signed")).last
    signed.locator("summary").click()
    assert signed.locator("li code").count() >= 4
    for digest in signed.locator("li code").all_inner_texts():
        assert len(digest.replace(" ", "")) >= 16


def _year() -> int:
    from datetime import UTC, datetime

    return datetime.now(UTC).year


def test_what_is_new_in_a_shared_case_goes_over_and_stands_beside_their_own(
    town: Town, ours: Desk, theirs: Desk
) -> None:
    record = town.case(town.helpline)
    case_id = record["meta"]["case_id"]
    act = town.act(record, purpose="joint_followup")
    transfer = town.offer(record, act, "--kind", "referral", purpose="joint_followup")
    opens(ours, transfer)
    opens(theirs, transfer)
    theirs.accept()
    ours.sees(ours.link("Send what is new in this case"))

    news = f"Elle a changé d’établissement ({ours.language})."
    ours.go(f"cases/{case_id}/sections/situation")
    ours.page.get_by_label(ours.words(field_label("situation.request_summary"))).fill(news)
    ours.button("Save").click()
    ours.page.wait_for_url("**#situation")
    opens(ours, transfer)
    ours.link("Send what is new in this case").click()
    ours.button("Send").click()
    expect(ours.page.locator("[data-state]")).to_be_visible()
    update = ours.transfer
    assert update != transfer
    town.wait(town.shelter, update, "received")

    theirs.today()
    due = theirs.heading("Written by the other association, to be read")
    expect(due).to_be_visible()
    theirs.page.get_by_role("region", name=theirs.words("Written by the other association, to be read")).get_by_role(
        "link", name=record["meta"]["pseudonym"]
    ).first.click()
    expect(theirs.page.get_by_role("heading", level=1)).to_have_text(theirs.words("Side by side"))
    both = theirs.page.locator("details", has=theirs.page.locator("h2", has_text=theirs.words("differs"))).filter(
        has_text=news
    )
    here, there = both.locator(".beside > div").all()
    expect(here.get_by_role("heading", level=3)).to_have_text(theirs.words("Here, now"))
    expect(there.get_by_role("heading", level=3)).to_contain_text(town.helpline.title)
    expect(there.locator("mark", has_text=news)).to_be_visible()
    expect(here).not_to_contain_text(news)
    expect(here).to_contain_text(theirs.words(field_label("situation.request_summary")))
