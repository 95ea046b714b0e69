"""Taking a case back through the pages, at each state in which that is possible; the other side's page shows it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from cordee.transfer import Kind, Party, State, sentence
from tests.web.browsing import reload
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_ASKED = {Kind.WITHDRAWAL}
_ANSWERED = {Kind.WITHDRAWAL, Kind.ERASURE}


@dataclass
class Both:
    """Whoever sends and whoever receives, each before the page of the transfer."""

    town: Town
    ours: Desk
    theirs: Desk
    case_id: str = ""
    act: str = ""
    transfer: str = ""

    def offered(self, *more: str) -> None:
        """An offer waits for an answer; both look at it."""
        record = self.town.case(self.town.helpline)
        self.case_id = record["meta"]["case_id"]
        self.act = self.town.act(record)
        self.transfer = self.town.offer(record, self.act, *more)
        for each in (self.ours, self.theirs):
            each.go(f"transfers/{self.transfer}")
            each.stay()

    def accepted_and_held(self) -> None:
        """They have accepted, and it leaves only when somebody here says so."""
        self.offered("--hold")
        self.theirs.accept()
        self.ours.sees(self.ours.heading("It waits for your word"))

    def shipped(self) -> None:
        """It has left; the other side, which sleeps, has not fetched it."""
        self.ours.button("Let it go").click()
        self.ours.stay()
        self.ours.sees(self.ours.state(State.SHIPPED, Party.SENDER))

    def received(self) -> None:
        self.offered()
        self.theirs.accept()
        self.ours.sees(self.ours.state(State.RECEIVED, Party.SENDER))
        self.theirs.sees(self.theirs.state(State.RECEIVED, Party.RECIPIENT))

    def withdraw(self, *told: str) -> None:
        """By the transfer's page, which says first what it does and does not undo."""
        ours = self.ours
        ours.sees(ours.link("Withdraw…"))
        ours.link("Withdraw…").click()
        expect(ours.heading("Withdraw this transfer?")).to_be_visible()
        for each in told:
            expect(ours.page.get_by_text(ours.words(each))).to_be_visible()
        ours.button("Withdraw").click()
        expect(ours.page).to_have_url(f"{ours.house.pages}transfers/{self.transfer}")
        ours.stay()

    def is_over(self) -> None:
        """Both pages say so, and nothing more can be withdrawn or accepted."""
        self.ours.sees(self.ours.state(State.WITHDRAWN, Party.SENDER))
        self.theirs.sees(self.theirs.state(State.WITHDRAWN, Party.RECIPIENT))
        for each in (self.ours, self.theirs):
            each.sees(each.step("Withdrawn"))
            reload(each.page)
            for marked in ("Withdraw…", "Accept", "Open the case"):
                found = each.link(marked) if marked == "Withdraw…" else each.button(marked)
                expect(found).to_have_count(0)


@pytest.fixture(params=[("fr", True), ("en", False)], ids=["French with scripts", "English without"])
def both(request: pytest.FixtureRequest, town: Town, open_page: Open) -> Both:
    language, scripts = request.param
    ours, theirs = (
        desk(open_page, house, language=language, scripts=scripts) for house in (town.helpline, town.shelter)
    )
    return Both(town, ours, theirs)


def test_before_an_answer(both: Both) -> None:
    both.offered()
    both.withdraw("They can no longer accept it.", "The summary that they may have read stays read; it names nobody.")
    both.is_over()


def test_while_somebody_answers_what_they_filled_in_stays_and_their_answer_is_refused_in_words(
    town: Town, open_page: Open
) -> None:
    both = Both(town, desk(open_page, town.helpline), desk(open_page, town.shelter))
    both.offered()
    theirs = both.theirs
    refusing = theirs.page.locator("form[action$='/decline']")
    theirs.page.locator("details", has=refusing).locator("summary").click()
    refusing.locator("textarea").fill("Nous n’avons pas de place cette semaine.")
    both.withdraw()
    theirs.sees(theirs.state(State.WITHDRAWN, Party.RECIPIENT))
    expect(refusing.locator("textarea")).to_have_value("Nous n’avons pas de place cette semaine.")
    refusing.get_by_role("radio").first.check()
    with theirs.page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        refusing.get_by_role("button").click()
    assert answered.value.status == 409
    theirs.go(f"transfers/{both.transfer}")
    theirs.stay()
    both.is_over()


def test_after_they_accepted_and_before_it_leaves(both: Both) -> None:
    both.accepted_and_held()
    both.withdraw(
        "Nothing of the case leaves any more.",
        "They know that a case was offered to them, and what its summary says; it names nobody.",
    )
    both.is_over()


def test_after_it_left_and_before_it_was_received(both: Both) -> None:
    both.accepted_and_held()
    with both.town.asleep(both.town.shelter):
        both.shipped()
        both.withdraw(
            "What waits for them is erased, with its key.",
            "If their machine fetches it at this very moment, it has arrived: they are then asked to erase it.",
        )
    both.is_over()


def test_after_it_was_received_they_are_asked_to_erase_it_and_answer(both: Both) -> None:
    both.received()
    ours, theirs = both.ours, both.theirs
    both.withdraw(
        "They are asked to erase it, and have to answer with a signature: erased, or kept and why.",
        "What they have read, copied or printed is not undone.",
    )
    ours.sees(_told(ours, Party.SENDER, _ASKED))
    theirs.sees(_told(theirs, Party.RECIPIENT, _ASKED))
    theirs.sees(theirs.link("Answer the request"))
    theirs.today()
    expect(theirs.heading("To be erased, or answered why not")).to_be_visible()

    theirs.go(f"transfers/{both.transfer}")
    theirs.link("Answer the request").click()
    theirs.page.get_by_label(theirs.words("I know that this cannot be undone")).check()
    theirs.button("Erase for ever").click()
    expect(_told(theirs, Party.RECIPIENT, _ANSWERED)).to_be_visible()
    ours.sees(_told(ours, Party.SENDER, _ANSWERED))
    ours.sees(ours.step("Erased on request"))
    expect(ours.link("Withdraw…")).to_have_count(0)
    ours.go(f"transfers/{both.transfer}/withdraw")
    expect(ours.page).to_have_url(f"{ours.house.pages}transfers/{both.transfer}")
    theirs.go(f"cases/{both.case_id}")
    expect(theirs.page.get_by_role("heading", level=1)).not_to_contain_text("→")
    assert theirs.page.locator("main .tiles").count() == 0, "the case is not here any more"


def test_whoever_takes_an_agreement_back_on_the_cases_page_takes_the_offer_back_with_it(both: Both) -> None:
    both.offered()
    ours, theirs = both.ours, both.theirs
    ours.go(f"cases/{both.case_id}")
    ours.link("Take back").click()
    expect(
        ours.page.get_by_text(ours.words("not answered yet: the offer is taken back, nothing of the case was sent"))
    ).to_be_visible()
    ours.button("Take it back now").click()
    theirs.sees(theirs.state(State.WITHDRAWN, Party.RECIPIENT))
    ours.go(f"transfers/{both.transfer}")
    ours.stay()
    both.is_over()


def _told(each: Desk, party: Party, taken: set[Kind]) -> Locator:
    return each.page.locator("p.now", has_text=each.words(sentence(State.RECEIVED, party, taken=taken)))
