"""A newcomer practises in the browser, in both languages: the guide leads, the partners answer, steps tick by
themselves. All ten workflows are done in `tests/node/practice`; here two, one that sends and one that receives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, expect

from cordee.case.labels import value_label
from node.demo.stage import House, until
from node.practice.frame import BANNER
from node.practice.workflows import BY_ID, Workflow
from tests.web.browsing import WAITING, reload
from tests.web.conftest import Open
from tests.web.journey import PURPOSE, Desk
from tests.web.practising import practice_served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

RELAY = "Exercice · Rive d'Aurore"


class Practice:
    """Where it is served: as much of a house as a desk asks for."""

    def __init__(self, pages: str) -> None:
        self.pages = pages
        self.title = RELAY


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practice_served(tmp_path_factory.mktemp("practice")) as pages:
        yield Practice(pages)


@pytest.fixture(scope="module")
def cookies(practice: Practice, chromium: Browser) -> list[Any]:
    """Somebody signs in once, with what stands on the pages."""
    context = chromium.new_context(locale="fr")
    context.set_default_timeout(WAITING)
    page = context.new_page()
    page.goto(practice.pages)
    newcomer = at(page, practice, "fr")
    told = newcomer.words("Practice account: {name}, password: {word}", name="(\\S+)", word="(\\S+)")
    found = re.search(told, page.locator("aside.practice-beside").inner_text())
    assert found is not None
    page.get_by_label(newcomer.words("Your name here")).fill(found[1])
    page.get_by_label(newcomer.words("Password")).fill(found[2])
    newcomer.button("Sign in").click()
    page.wait_for_url("**/second*")
    code = re.search(r"\d{6}", page.locator("aside.practice-beside").inner_text())
    assert code is not None
    page.get_by_label(newcomer.words("Code from your telephone")).fill(code[0])
    newcomer.button("Go on").click()
    newcomer.today()
    kept = context.cookies()
    context.close()
    return list(kept)


@pytest.fixture(params=["fr", "en"])
def newcomer(request: pytest.FixtureRequest, practice: Practice, cookies: list[Any], open_page: Open) -> Desk:
    page = open_page(language=request.param)
    page.context.add_cookies(cookies)
    page.goto(practice.pages)
    return at(page, practice, request.param)


def at(page: Any, practice: Practice, language: str) -> Desk:
    return Desk(page, cast(House, practice), language)


# ---- the guide ----


def begins(newcomer: Desk, workflow: Workflow) -> None:
    newcomer.page.locator("aside.practice").get_by_role("link", name=newcomer.words("The ten workflows")).click()
    card = newcomer.page.locator(f"section[aria-labelledby={workflow.id}]")
    expect(card.get_by_role("heading")).to_contain_text(newcomer.words(workflow.title))
    card.locator("button[name=begin]").click()
    expect(card.get_by_role("button", name=newcomer.words("Hide the guide"))).to_be_visible()
    newcomer.today()
    expect(guide(newcomer)).to_contain_text(newcomer.words(workflow.title))


def guide(newcomer: Desk) -> Locator:
    """The guide that stands beside every page; where it stands, the banner does too."""
    band = newcomer.page.locator("aside.practice")
    expect(band).to_have_count(1)
    expect(band).to_contain_text(newcomer.words(BANNER))
    return newcomer.page.locator("aside.practice-beside")


def goes_there(newcomer: Desk, workflow: Workflow, step: int) -> None:
    """To step number `step` (from 1), once all before it are ticked, as the guide tells."""
    told = newcomer.words("step {step} of {steps}", step=step, steps=len(workflow.steps))

    def next_one() -> bool:
        reload(newcomer.page)
        return told in guide(newcomer).inner_text()

    until(next_one, what=f"{workflow.id}: {told}")
    guide(newcomer).get_by_role("link", name=newcomer.words("Go there")).click()


def is_done(newcomer: Desk, workflow: Workflow) -> None:
    over = newcomer.words("every step of this workflow has really happened. Choose the next one.")

    def told() -> bool:
        reload(newcomer.page)
        return over in guide(newcomer).inner_text()

    until(told, what=f"{workflow.id} is done")
    newcomer.page.locator("aside.practice").get_by_role("link", name=newcomer.words("The ten workflows")).click()
    card = newcomer.page.locator(f"section[aria-labelledby={workflow.id}]")
    expect(card.locator("p > .state.good")).to_have_text(f"✓ {newcomer.words('done')}")


# ---- two of the ten ----


def test_before_one_comes_in_the_band_stands_there_and_tells_the_account(
    practice: Practice, cookies: list[Any], open_page: Open
) -> None:
    for language in ("fr", "en"):
        page = open_page(language=language)
        page.goto(practice.pages)
        newcomer = at(page, practice, language)
        told = newcomer.words("Practice account: {name}, password: {word}", name="", word="").partition(",")[0]
        expect(guide(newcomer)).to_contain_text(told.strip())


def test_a_case_is_opened_and_handed_over_and_the_partner_takes_it(newcomer: Desk) -> None:
    workflow, page = BY_ID["w1"], newcomer.page
    begins(newcomer, workflow)

    goes_there(newcomer, workflow, 1)
    page.get_by_label(newcomer.words("Pseudonym")).fill(f"Mimosa {newcomer.language}")
    page.get_by_label(newcomer.words("What is asked for")).fill("Une mère appelle.")
    newcomer.button("Open the case").click()
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]{36}$"))

    goes_there(newcomer, workflow, 2)
    case, today = page.url, datetime.now(UTC).date().isoformat()
    for section, answers in (
        ("identity", {"identity_verified": "declared", "gender": "girl"}),
        ("situation", {"minor_position": "accepts", "minor_knows_case": "yes", "exploitation_status": "suspected"}),
        ("risk", {"level": "moderate"}),
    ):
        page.locator(f"#{section} a").click()
        for field, answer in answers.items():
            newcomer.answer(f"{section}.{field}", answer)
        if section == "identity":
            newcomer.field("identity.age_at_opening").fill("15")
        if section == "risk":
            newcomer.field("risk.assessed_on").fill(today)
            newcomer.field("risk.reassess_on").fill(today)
        newcomer.save(case)

    goes_there(newcomer, workflow, 3)
    newcomer.choose("The minor’s answer", "consents.decided_by.answer", "agrees")
    page.get_by_label(newcomer.words("Your function")).first.fill("éducatrice")
    page.locator("summary", has_text=newcomer.words("If the minor or a parent was not told")).click()
    newcomer.button("Record it").click()
    expect(newcomer.link("Go on to sending")).to_be_visible()

    goes_there(newcomer, workflow, 4)
    page.get_by_role("main").get_by_role("link", name=RELAY).first.click()
    purpose = page.locator(".purpose", has_text=newcomer.words(value_label("purpose", PURPOSE)))
    purpose.get_by_role("link", name=newcomer.words("Hand over")).click()
    newcomer.button("Continue").first.click()
    page.get_by_label(newcomer.words("Type their département again: its number or its name")).fill("13")
    newcomer.button("Offer to {name}", name=RELAY).click()
    expect(page.locator("[data-state]")).to_be_visible()

    is_done(newcomer, workflow)
    page.goto(case)
    expect(page.get_by_text(newcomer.words("Handed over: this copy is read-only."))).to_be_visible()


def test_a_case_that_a_partner_sends_is_taken_in_and_given_back(newcomer: Desk) -> None:
    workflow, page = BY_ID["w8"], newcomer.page
    begins(newcomer, workflow)
    goes_there(newcomer, workflow, 2)
    transfer = urlsplit(page.url).path
    newcomer.accept()

    goes_there(newcomer, workflow, 3)
    page.goto(newcomer.house.pages + transfer[1:])
    newcomer.link("This is not for us…").click()
    page.locator("[name=code][value=wrong_recipient]").check()
    page.get_by_label(newcomer.words("I know that this cannot be undone")).check()
    newcomer.button("Erase it and give it back").click()
    page.wait_for_url(re.compile(rf"{transfer}$"))
    is_done(newcomer, workflow)
