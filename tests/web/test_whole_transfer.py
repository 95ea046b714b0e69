"""A whole transfer through the pages of two associations, each before a browser of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from cordee.transfer import Party, State
from node.web.following import ARRIVAL_CHECKS
from tests.web.conftest import Open
from tests.web.journey import Desk, desk, steps_proved
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("language", "scripts"),
    [("fr", True), ("en", True), ("fr", False)],
    ids=["in French", "in English", "without scripts"],
)
def test_a_case_goes_from_one_page_to_the_other_and_the_proof_holds(
    town: Town, open_page: Open, tmp_path: Path, language: str, scripts: bool
) -> None:
    ours = desk(open_page, town.helpline, language=language, scripts=scripts)
    theirs = desk(open_page, town.shelter, language=language, scripts=scripts)
    theirs.stay()
    name = f"Sarriette {language} {scripts}"

    case = ours.open_case(name)
    ours.record_agreement(town.shelter)
    transfer = ours.offer(case, town.shelter)

    offered = theirs.page.locator(f"[data-offers] a[href='/transfers/{transfer}']")
    theirs.sees(offered)
    offered.click()
    _reads_the_summary(theirs, name)
    theirs.accept()

    ours.sees(ours.state(State.RECEIVED, Party.SENDER))
    for step in ("Offered", "Accepted", "Sent in full", "Received and checked"):
        ours.sees(ours.step(step))
    theirs.sees(theirs.state(State.RECEIVED, Party.RECIPIENT))
    theirs.sees(theirs.heading("It has come: {name}", name=name))
    expect(theirs.page.get_by_text("N’écrire que le matin.")).to_be_visible()
    theirs.page.get_by_text(theirs.words("What this machine checked before it kept anything")).click()
    for check in ARRIVAL_CHECKS:
        expect(theirs.page.get_by_text(theirs.words(check))).to_be_visible()

    for each in (ours, theirs):
        steps = steps_proved(each, town.stage.network, transfer, tmp_path / f"{each.house.name}.proof")
        assert steps == ["offer", "acceptance", "shipment", "receipt_taken"]
    theirs.link("Open the case").click()
    expect(theirs.page.get_by_role("heading", level=1)).to_have_text(name)
    ours.page.goto(case)
    expect(ours.page.get_by_text(ours.words("Handed over: this copy is read-only."))).to_be_visible()


def _reads_the_summary(theirs: Desk, name: str) -> None:
    """What it says, and that it names nobody."""
    page = theirs.page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    told = page.locator("section[aria-labelledby='summary']")
    expect(told).to_contain_text("15")
    expect(told).to_contain_text(theirs.words("Time left: {span}.", span="").partition(" ")[0])
    assert name not in page.content()
