"""What the association's administrator does, in both languages: each from the page that leads there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from cordee.case.labels import field_label
from node.demo.stage import until
from tests.web.browsing import fill_in, reload
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.thumb import Thumb
from tests.web.town import PASSWORD, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ADMINISTRATOR = "Adrien"
WRONG = "not the one that it is"
FAILURES = 10


@pytest.fixture(params=["fr", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def office(town: Town, open_page: Open, language: str) -> Desk:
    """The administrator, on the page that leads to what they look after."""
    administrator = desk(open_page, town.helpline, language=language, who=ADMINISTRATOR)
    to_the_association(administrator)
    return administrator


@pytest.fixture
def stranger(town: Town, open_page: Open, language: str) -> Desk:
    """A browser in which nobody has come in."""
    page = open_page(language=language)
    page.goto(town.helpline.pages)
    return Desk(page, town.helpline, language)


def to_the_association(who: Desk) -> None:
    who.page.get_by_role("navigation").get_by_role("link", name=who.words("Association")).click()
    expect(who.page.get_by_role("heading", level=1)).to_have_text(who.words("Association"))


# ---- people ----


def test_somebody_is_added_comes_in_gets_another_role_and_leaves(office: Desk, stranger: Desk) -> None:
    name = f"Alix {office.language}"
    office.link("People").click()
    office.link("Add somebody").click()
    office.page.get_by_label(office.words("Name here")).fill(name)
    office.page.get_by_label(office.words("Password")).fill(PASSWORD)
    office.page.locator("[name=roles][value=handler]").check()
    office.page.get_by_label(office.words("Bound by professional secrecy")).check()
    office.button("Add the account").click()
    told = "The account is there. Tell the person their name here and their password. "
    told += "At their first sign-in they set up the second step."
    expect(office.page.get_by_role("status")).to_have_text(office.words(told))

    fill_in(stranger.page, stranger.house, name)
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text(stranger.words("Today"))
    openings = stranger.link("Openings")
    to_the_association(stranger)
    expect(openings).to_have_count(0)

    office.page.get_by_role("link", name=name).click()
    expect(office.page.get_by_text(office.words("Codes from a telephone are set up."))).to_be_visible()
    office.page.locator("[name=roles][value=lead]").check()
    office.button("Save").click()
    expect(office.page.get_by_role("status")).to_have_text(office.words("Changed."))
    reload(stranger.page)
    expect(openings).to_be_visible()

    office.page.locator("summary", has_text=office.words("Disable the account")).click()
    office.button("Disable the account").click()
    expect(office.page.get_by_text(office.words("Account disabled"), exact=True)).to_be_visible()
    reload(stranger.page)
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text(stranger.words("Sign in"))


def test_after_ten_failures_a_name_pauses_until_an_administrator_lifts_it(
    town: Town, office: Desk, stranger: Desk
) -> None:
    name = town.newcomer()
    for _ in range(FAILURES):
        assert tries(stranger, name, WRONG).startswith(stranger.words("The name or the password is wrong."))
    paused = stranger.words("Too many wrong passwords: signing in under this name pauses until {until}.", until="…")
    assert tries(stranger, name, PASSWORD).startswith(paused.partition("…")[0]), "the right one does not help"

    office.link("People").click()
    waiting = office.page.locator("li", has_text=name)
    expect(waiting).to_contain_text(office.words("Paused until {moment}", moment="…").partition("…")[0])
    waiting.get_by_role("link").click()
    office.button("Lift the pause").click()
    expect(office.page.get_by_role("status")).to_have_text(office.words("The pause is lifted."))
    expect(office.button("Lift the pause")).to_have_count(0)

    fill_in(stranger.page, town.helpline, name)
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text(stranger.words("Today"))
    assert any(line["action"] == "account.pause_lifted" for line in town.journal(town.helpline)[-50:])


def tries(stranger: Desk, name: str, password: str) -> str:
    """What the page says to it."""
    page = stranger.page
    page.get_by_label(stranger.words("Your name here")).fill(name)
    page.get_by_label(stranger.words("Password")).fill(password)
    with page.expect_navigation():
        stranger.button("Sign in").click()
    return page.get_by_role("alert").inner_text()


# ---- teams ----


def test_a_team_is_made_filled_renamed_and_dissolved(office: Desk) -> None:
    page, name = office.page, f"Maraude {office.language}"
    office.link("Teams").click()
    page.get_by_label(office.words("Name of the team")).fill(name)
    office.button("Make a team").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    for inside in (True, False):
        page.get_by_label("Hélène").set_checked(inside)
        office.button("Save").click()
        expect(page.get_by_role("status")).to_be_visible()
        expect(page.get_by_label("Hélène")).to_be_checked(checked=inside)
        expect(office.button("Dissolve the team")).to_have_count(0 if inside else 1)
    page.get_by_label(office.words("Name of the team")).fill(f"{name} de nuit")
    office.button("Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{name} de nuit")
    office.button("Dissolve the team").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(office.words("Teams"))
    expect(page.get_by_role("main").get_by_role("link", name=name)).to_have_count(0)


# ---- what the others read ----


def test_the_profile_is_changed_looked_at_published_and_read_by_the_others(
    town: Town, office: Desk, open_page: Open
) -> None:
    note = f"Appeler avant minuit ({office.language})."
    label = office.words(field_label("profile.services.intake_note"))
    office.link("Profile").click()
    office.link("Change it").click()
    office.page.get_by_label(label).first.fill(note)
    office.button("See it as the others will").click()
    expect(office.page.get_by_role("heading", level=1)).to_have_text(office.words("As the others will see it"))
    expect(office.page.get_by_role("main")).to_contain_text(note)
    office.button("Publish").click()
    told = office.words("Published: the other associations read it from now on.")
    expect(office.page.get_by_role("status")).to_have_text(told)
    expect(office.page.get_by_text(office.words("profile changed")).first).to_be_visible()

    theirs = desk(open_page, town.shelter, language=office.language)
    theirs.go(f"members/{town.helpline.member}")

    def reads() -> bool:
        reload(theirs.page)
        return theirs.page.get_by_text(note).count() == 1

    until(reads, what="the other association reads it")


def test_three_places_free_tonight_take_two_clicks_and_the_others_see_them(
    town: Town, open_page: Open, language: str
) -> None:
    theirs = desk(open_page, town.shelter, language=language)
    theirs.go("places")
    free = theirs.words("{count} places free", count=5)
    theirs.page.get_by_role("button", name=free, exact=True).click()  # so that three is news
    theirs.go()

    thumb = Thumb(theirs.page)
    thumb.tap(theirs.page.get_by_role("navigation").get_by_role("link", name=theirs.words("Places")))
    free = theirs.words("{count} places free", count=3)
    thumb.tap(theirs.page.get_by_role("button", name=free, exact=True))
    told = theirs.words("Published: the other associations read it from now on.")
    expect(theirs.page.get_by_role("status")).to_have_text(told)
    assert len(thumb.done) == 2

    ours = desk(open_page, town.helpline, language=language)
    ours.go("members")
    found = ours.page.locator("li.found", has_text=town.shelter.title)

    def seen() -> bool:
        reload(ours.page)
        return ours.words("places free: {count}", count=3) in found.inner_text()

    until(seen, what="the helpline reads of three places")
    expect(found).to_contain_text(ours.words("told {span} ago", span="…").partition("…")[0])


# ---- the node ----


def test_the_nodes_health_and_its_backup_are_told_in_words(office: Desk) -> None:
    office.link("The node").click()
    expect(office.page.get_by_role("heading", level=1)).to_have_text(office.words("The node"))
    states = {office.words("well"), office.words("to be looked at")}
    for title in (
        "Connection to the network",
        "Alarm",
        "Roster of the members",
        "Certificate of this node",
        "Our card in the directory",
        "Room on the disk",
        "Waiting to be sent",
        "Journal",
        "Backup",
    ):
        line = office.page.locator("main li", has=office.page.get_by_text(office.words(title), exact=True))
        assert line.locator(".state").inner_text() in states
        assert len(line.locator("p").nth(1).inner_text()) > 3, title
    connected = office.page.locator("main li", has_text=office.words("Connection to the network"))
    expect(connected).to_contain_text(office.words("There is one."))


@pytest.mark.parametrize("who", [ADMINISTRATOR, "Aude"])
def test_the_journal_is_read_filtered_verified_and_taken_along(
    town: Town, open_page: Open, language: str, who: str
) -> None:
    reader = desk(open_page, town.helpline, language=language, who=who)
    to_the_association(reader)
    reader.link("Journal").click()
    page = reader.page
    assert page.locator("ol.journal li").count() > 10
    reader.button("Verify all of it").click()
    verified = "Verified: {lines} lines follow one another without a gap; "
    verified += "signatures: {signatures}, the last one over line {signed}."
    beginning = reader.words(verified, lines="…", signatures="", signed="").partition("…")[0]
    expect(page.get_by_role("status")).to_contain_text(beginning)

    page.get_by_label(reader.words("Id of a case, a transfer or an act")).fill(town.full)
    reader.button("Filter").click()
    lines = page.locator("ol.journal li")
    expect(lines.first).to_contain_text(town.full[:13])
    assert lines.filter(has_text=town.full[:13]).count() == lines.count()
    with page.expect_download() as download:
        reader.button("Export").click()
    assert town.full.encode() in download.value.path().read_bytes()


def test_the_six_words_of_another_and_our_own_are_what_both_sides_read(
    town: Town, office: Desk, open_page: Open
) -> None:
    theirs = desk(open_page, town.shelter, language=office.language)
    to_the_association(theirs)
    for reader in (office, theirs):
        reader.link("Six words").click()
        reader.page.get_by_label(reader.words("Association"), exact=True).fill(town.shelter.title[:4])
        reader.button("Search").click()
        expect(reader.page.locator("ul.lines li")).to_have_count(1)
        reader.page.get_by_role("link", name=town.shelter.title).click()
        expect(reader.page.locator("ol.six li")).to_have_text(town.shelter.words)
    expect(theirs.page.get_by_text(theirs.words("These are our own words: what the others must see."))).to_be_visible()
