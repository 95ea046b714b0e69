"""The flows that end in something, by a browser that runs no script: what a script adds is never needed.

What a handler does all day, withdrawing, a whole transfer, a code, a node that dies and practice are tried without
scripts where they are tried with them. Not here, for a browser does nothing of it without a script: passkeys, drafts
kept while one types, news that come by themselves, leaving by three times Escape.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from cordee.profile import departement_name
from cordee.runtime.texts import text
from node.demo.stage import House, until
from tests.web.browsing import sign_in
from tests.web.conftest import Open
from tests.web.town import EVERYTHING, PASSWORD, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def words(marked: str) -> str:
    """As the French pages say it."""
    return text(marked, "fr")


@pytest.fixture
def visitor(open_page: Open) -> Visitors:
    return Visitors(open_page)


class Visitors:
    """People who come in without scripts."""

    def __init__(self, open_page: Open) -> None:
        self._open = open_page

    def __call__(self, house: House, who: str = EVERYTHING) -> Page:
        page = self._open(java_script_enabled=False)
        sign_in(page, house, who)
        return page


@pytest.fixture
def case(town: Town) -> str:
    """The address of a filled case of this test's own, from its house's first slash."""
    return f"cases/{town.case(town.helpline)['meta']['case_id']}"


def record_agreement(page: Page, town: Town, case: str, *, kind: str = "consent") -> str:
    """In the form, from the case's page; the act's address."""
    page.goto(town.helpline.pages + case)
    page.get_by_role("link", name=words("Record an agreement")).click()
    page.locator(f"#kind-{kind}").check()
    page.locator("#purpose").select_option("relocation")
    page.locator("#to").select_option(town.shelter.profile["org_id"])
    page.get_by_role("button", name=words("Go on")).click()
    page.locator("[name='minor_answer']").first.check()
    for each in page.locator("main fieldset[id^='holder'] input[value='agrees']").all():
        each.check()
    page.locator("#function").fill("éducatrice spécialisée")
    page.locator("main form.stack button.main").click()
    expect(page).to_have_url(re.compile(r"/acts/[0-9a-f-]{36}$"))
    return urlsplit(page.url).path[1:]


def offer(page: Page, town: Town, case: str, *, hold: bool = False) -> str:
    """From the case's page to the offer; the transfer's id."""
    page.goto(town.helpline.pages + case)
    page.get_by_role("link", name=words("Send this case")).click()
    page.goto(f"{town.helpline.pages}{case}/send/why?to={town.shelter.member}")
    page.locator("main .purpose a.button.main").first.click()
    page.get_by_role("button", name=words("Continue")).first.click()
    if page.locator("#departement").count():
        page.locator("#departement").fill(departement_name(town.shelter.profile["head_office"]["departement"]))
    if hold:
        page.locator("[name='hold']").check()
    page.locator("main form.stack button.main").click()
    expect(page).to_have_url(re.compile(r"/transfers/[0-9a-f]{32}$"))
    return page.url.rpartition("/")[2]


def comes(page: Page, house: House, transfer: str, state: str) -> None:
    """Until the page, asked for again as by its link, says so."""

    def says() -> bool:
        page.goto(f"{house.pages}transfers/{transfer}")
        shown = page.locator("[data-state]")
        return shown.count() == 1 and (shown.get_attribute("data-state") or "").startswith(state)

    until(says, what=f"{house.name}: {transfer} {state}")


def accept(page: Page, house: House, transfer: str) -> None:
    comes(page, house, transfer, "offered")
    for each in page.locator("main form[action$='/accept'] input[type='radio'][value='no']").all():
        each.check()
    page.get_by_role("button", name=words("Accept"), exact=True).click()


def test_an_agreement_is_recorded_and_taken_back(town: Town, visitor: Visitors, case: str) -> None:
    page = visitor(town.helpline)
    address = record_agreement(page, town, case)
    page.goto(town.helpline.pages + case)
    page.get_by_role("link", name=re.compile(words("Take back"))).first.click()
    expect(page).to_have_url(f"{town.helpline.pages}{address}/withdraw")
    page.get_by_role("button", name=words("Take it back now")).click()
    expect(page).to_have_url(town.helpline.pages + address)
    page.goto(f"{town.helpline.pages}{address}/withdraw")
    expect(page.get_by_role("button", name=words("Take it back now"))).to_have_count(0)


def test_a_refusal_is_recorded(town: Town, visitor: Visitors, case: str) -> None:
    page = visitor(town.helpline)
    page.goto(f"{town.helpline.pages}{case}/acts/new")
    page.locator("#kind-refusal").check()
    page.locator("#purpose").select_option("relocation")
    page.locator("#to").select_option(town.shelter.profile["org_id"])
    page.get_by_role("button", name=words("Go on")).click()
    page.locator("[name='minor_answer'][value='refuses']").check()
    for each in page.locator("main fieldset input[type='radio'][value='informed']").all():
        each.check()
    page.locator("#function").fill("éducatrice spécialisée")
    page.locator("main form.stack button.main").click()
    expect(page).to_have_url(re.compile(r"/acts/[0-9a-f-]{36}$"))


def test_a_case_is_sent_accepted_and_arrives(town: Town, visitor: Visitors, case: str) -> None:
    sender, recipient = visitor(town.helpline), visitor(town.shelter)
    record_agreement(sender, town, case)
    transfer = offer(sender, town, case)
    accept(recipient, town.shelter, transfer)
    comes(recipient, town.shelter, transfer, "received")
    recipient.get_by_role("link", name=words("Open the case")).click()
    expect(recipient).to_have_url(re.compile(r"/cases/[0-9a-f-]{36}$"))
    comes(sender, town.helpline, transfer, "received")


def test_an_offer_is_declined_with_a_reason_that_its_sender_reads(town: Town, visitor: Visitors, case: str) -> None:
    sender, recipient = visitor(town.helpline), visitor(town.shelter)
    record_agreement(sender, town, case)
    transfer = offer(sender, town, case)
    comes(recipient, town.shelter, transfer, "offered")
    recipient.locator("main details:has(form[action$='/decline']) > summary").click()
    recipient.locator("[name='code'][value='other']").check()
    recipient.locator("#decline-text").fill("Pas de place avant lundi.")
    recipient.locator("main form[action$='/decline'] button").click()
    comes(sender, town.helpline, transfer, "declined")
    expect(sender.get_by_text("Pas de place avant lundi.")).to_be_visible()


def test_a_held_one_is_let_go_withdrawn_and_erased_on_request(town: Town, visitor: Visitors, case: str) -> None:
    sender, recipient = visitor(town.helpline), visitor(town.shelter)
    record_agreement(sender, town, case)
    transfer = offer(sender, town, case, hold=True)
    accept(recipient, town.shelter, transfer)
    comes(sender, town.helpline, transfer, "accepted")
    sender.get_by_role("button", name=words("Let it go")).click()
    comes(sender, town.helpline, transfer, "received")
    sender.get_by_role("link", name=words("Withdraw…")).click()
    sender.locator("main form button").click()
    comes(recipient, town.shelter, transfer, "received/asked")
    recipient.get_by_role("link", name=words("Answer the request")).click()
    recipient.locator("#sure").check()
    recipient.get_by_role("button", name=words("Erase for ever")).click()
    comes(sender, town.helpline, transfer, "received/done")


def test_an_offer_is_withdrawn(town: Town, visitor: Visitors, case: str) -> None:
    sender = visitor(town.helpline)
    record_agreement(sender, town, case)
    transfer = offer(sender, town, case)
    sender.get_by_role("link", name=words("Withdraw…")).click()
    sender.locator("main form button").click()
    comes(sender, town.helpline, transfer, "withdrawn")


def test_what_was_not_for_them_is_given_back(town: Town, visitor: Visitors, case: str) -> None:
    sender, recipient = visitor(town.helpline), visitor(town.shelter)
    record_agreement(sender, town, case)
    transfer = offer(sender, town, case)
    accept(recipient, town.shelter, transfer)
    comes(recipient, town.shelter, transfer, "received")
    recipient.get_by_role("link", name=words("This is not for us…")).click()
    recipient.locator("[name='code'][value='wrong_recipient']").check()
    recipient.locator("#sure").check()
    recipient.get_by_role("button", name=words("Erase it and give it back")).click()
    comes(sender, town.helpline, transfer, "received/returned")


def test_what_is_decided_without_an_agreement_is_recorded_with_its_reasons(
    town: Town, visitor: Visitors, case: str
) -> None:
    page = visitor(town.helpline)
    page.goto(f"{town.helpline.pages}{case}/acts/new")
    page.locator("#kind-override").check()
    page.locator("#purpose").select_option("relocation")
    page.locator("#to").select_option(town.shelter.profile["org_id"])
    page.get_by_role("button", name=words("Go on")).click()
    for each in page.locator("main input[type='radio'][value='informed']").all():
        each.check()
    page.locator("[name='function']").fill("éducatrice spécialisée")
    page.locator("[name='justification']").fill("Elle est en danger cette nuit.")
    page.locator("[name='validated_by']").fill("cheffe de service")
    page.locator("[name='basis']").select_option(index=1)
    page.locator("main form.stack button.main").click()
    expect(page).to_have_url(re.compile(r"/acts/[0-9a-f-]{36}$"))


def test_a_screen_is_locked_and_opened_again(town: Town, visitor: Visitors, case: str) -> None:
    page = visitor(town.helpline, town.newcomer())
    page.goto(town.helpline.pages + case)
    page.get_by_role("button", name=words("Lock")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words("Locked"))
    page.locator("#code").fill(PASSWORD)
    page.get_by_role("button", name=words("Unlock")).click()
    expect(page).to_have_url(re.compile("^" + re.escape(town.helpline.pages) + "(?!unlock)"))
    expect(page.get_by_role("button", name=words("Sign out"))).to_be_visible()


def test_a_team_is_made_filled_emptied_and_dissolved(town: Town, visitor: Visitors) -> None:
    page = visitor(town.helpline, "Adrien")
    page.goto(town.helpline.pages + "teams")
    page.locator("#name").fill("Équipe sans scripts")
    page.get_by_role("button", name=words("Make a team")).click()
    if not re.search(r"/teams/[0-9a-f]", page.url):
        page.get_by_role("link", name="Équipe sans scripts").click()
    for wanted in (True, False):
        page.get_by_label("Hélène", exact=True).set_checked(wanted)
        page.get_by_role("button", name=words("Save")).click()
        expect(page.get_by_label("Hélène", exact=True)).to_be_checked(checked=wanted)
    page.get_by_role("button", name=words("Dissolve the team")).click()
    expect(page.get_by_role("link", name="Équipe sans scripts")).to_have_count(0)


def test_what_the_others_read_is_changed_looked_at_and_published(town: Town, visitor: Visitors) -> None:
    page = visitor(town.helpline, "Adrien")
    page.goto(town.helpline.pages + "profile/edit")
    hours = page.locator("[name='services.0.opening_hours']")
    new = "Mo-Fr 08:00-17:30" if hours.input_value() != "Mo-Fr 08:00-17:30" else "Mo-Su 00:00-24:00"
    hours.fill(new)
    page.get_by_role("button", name=words("See it as the others will")).click()
    page.get_by_role("button", name=words("Publish")).click()
    expect(page.get_by_role("button", name=words("Publish"))).to_have_count(0)
    page.goto(town.helpline.pages + "profile/edit")
    expect(hours).to_have_value(new)


def test_what_is_new_in_a_shared_case_is_sent_and_stands_beside(town: Town, visitor: Visitors) -> None:
    record = town.case(town.helpline)
    act = town.act(record, purpose="joint_followup")
    first = town.offer(record, act, "--kind", "referral", purpose="joint_followup")
    sender, recipient = visitor(town.helpline), visitor(town.shelter)
    accept(recipient, town.shelter, first)
    comes(sender, town.helpline, first, "received")
    sender.get_by_role("link", name=words("Send what is new in this case")).click()
    sender.get_by_role("button", name=words("Send"), exact=True).click()
    expect(sender).to_have_url(re.compile(r"/transfers/[0-9a-f]{32}$"))
    comes(recipient, town.shelter, sender.url.rpartition("/")[2], "received")
    recipient.get_by_role("link", name=words("Their version beside yours")).first.click()
    expect(recipient.get_by_role("heading", level=1)).to_have_text(words("Side by side"))


def test_somebody_is_added_given_another_role_and_taken_out(town: Town, visitor: Visitors) -> None:
    page = visitor(town.helpline, "Adrien")
    page.goto(town.helpline.pages + "people")
    page.get_by_role("link", name=words("Add somebody")).click()
    page.locator("#name").fill("Gwenaëlle")
    page.locator("#password").fill("une phrase assez longue")
    page.locator("[name='roles'][value='handler']").check()
    page.get_by_role("button", name=words("Add the account")).click()
    page.get_by_role("link", name="Gwenaëlle").click()
    page.locator("[name='roles'][value='lead']").check()
    page.get_by_role("button", name=words("Save")).click()
    expect(page.locator("[name='roles'][value='lead']")).to_be_checked()
    page.locator("main details:has(button[value='disabled']) > summary").click()
    page.locator("button[value='disabled']").click()
    expect(page.locator("button[value='enabled']")).to_be_visible()


def test_free_places_are_told_in_one_tap(town: Town, visitor: Visitors) -> None:
    page = visitor(town.shelter)
    page.goto(town.shelter.pages)
    page.get_by_role("link", name=words("Places"), exact=True).click()
    page.locator("main button[name='free'][value='1']").first.click()
    expect(page.locator("main button[name='free'][value='1']").first).to_have_attribute("aria-current", "true")


def test_a_case_that_is_kept_to_a_few_is_opened_with_a_reason_and_looked_at(
    town: Town, visitor: Visitors, case: str
) -> None:
    owner, colleague, lead = visitor(town.helpline), visitor(town.helpline, "Hélène"), visitor(town.helpline, "Léa")
    owner.goto(f"{town.helpline.pages}{case}/team")
    owner.locator("[name='restriction'][value='sealed']").check()
    owner.locator("main form button.main").click()
    colleague.goto(town.helpline.pages + case)
    expect(colleague).to_have_url(re.compile("/reason"))
    colleague.locator("#reason").fill("Elle appelle ce soir, sa référente est absente.")
    colleague.locator("main form button.main").click()
    expect(colleague).to_have_url(town.helpline.pages + case)
    lead.goto(town.helpline.pages + "openings")
    before = lead.locator("button[name='opening']").count()
    lead.locator("button[name='opening']").first.click()
    expect(lead.locator("button[name='opening']")).to_have_count(before - 1)


def test_a_file_is_kept_and_comes_out_as_it_went_in(town: Town, visitor: Visitors, case: str) -> None:
    page = visitor(town.helpline)
    page.goto(f"{town.helpline.pages}{case}")
    page.locator("main a[href^='/files/']").click()
    content = b"%PDF-1.7\n" + b"un certificat " * 50
    page.locator("#file").set_input_files({"name": "certificat.pdf", "mimeType": "application/pdf", "buffer": content})
    page.get_by_role("button", name=words("Add the file")).click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("certificat.pdf")).click()
    assert download.value.path().read_bytes() == content


def test_the_links_are_one_tap_away_on_a_telephone(town: Town, open_page: Open) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 320, "height": 640})
    sign_in(page, town.helpline)
    cases = page.get_by_role("link", name=words("Cases"), exact=True)
    expect(cases).to_be_hidden()
    expect(page.get_by_role("button", name=words("Leave quickly"))).to_be_in_viewport()
    page.locator(".menu > summary").click()
    cases.click()
    expect(page.locator(".menu > summary")).to_contain_text(words("Cases"))
    page.mouse.wheel(0, 4000)
    expect(page.get_by_role("button", name=words("Leave quickly"))).to_be_in_viewport()


def test_without_a_menu_that_opens_all_links_stand_there_on_a_desk(town: Town, open_page: Open) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    sign_in(page, town.helpline)
    expect(page.locator(".menu > summary")).to_be_hidden()
    expect(page.get_by_role("link", name=words("Cases"), exact=True)).to_be_visible()
