"""How a handler sends a case and another one takes it in: each step by what the pages say, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from cordee.case.labels import field_label, section_label, value_label
from cordee.runtime.texts import text
from cordee.transfer import Party, State, sentence
from node.demo import processes
from node.demo.stage import House, until
from node.web.act_words import KINDS
from tests.web.browsing import WAITING, sign_in
from tests.web.conftest import Open
from tests.web.town import EVERYTHING

__all__ = ["PURPOSE", "Desk", "desk", "steps_proved"]

PURPOSE = "specialised_support"
"""Asks for little of a case, and hands it over."""

_FUNCTION = "éducatrice spécialisée"
_MARK = "window.stillHere = true"  # gone with the first reload


@dataclass
class Desk:
    """One handler before the pages of one association."""

    page: Page
    house: House
    language: str
    scripts: bool = True

    # ---- words ----

    def words(self, marked: str, **facts: object) -> str:
        """A marked text, as this reader sees it."""
        return text(marked, self.language).format(**facts)

    def button(self, marked: str, **facts: object) -> Locator:
        return self.page.get_by_role("main").get_by_role("button", name=self.words(marked, **facts))

    def link(self, marked: str, **facts: object) -> Locator:
        return self.page.get_by_role("main").get_by_role("link", name=self.words(marked, **facts))

    def field(self, path: str) -> Locator:
        return self.page.get_by_label(self.words(field_label(path)), exact=True)

    def heading(self, marked: str, **facts: object) -> Locator:
        return self.page.get_by_role("heading", name=self.words(marked, **facts))

    def choose(self, legend: str, path: str, value: str) -> None:
        """A radio of the group with this legend."""
        group = self.page.get_by_role("group", name=self.words(legend))
        group.get_by_label(self.words(value_label(path, value)), exact=True).check()

    # ---- where one is ----

    def go(self, path: str = "") -> None:
        self.page.goto(self.house.pages + path)

    def today(self) -> None:
        self.page.get_by_role("navigation").get_by_role("link", name=self.words("Today")).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.words("Today"))

    def stay(self) -> None:
        """From here on the page must not be loaded again for what it shows."""
        if self.scripts:
            self.page.evaluate(_MARK)

    def stayed(self) -> bool:
        return bool(self.page.evaluate("window.stillHere === true"))

    def sees(self, wanted: Locator) -> None:
        """Live where there are scripts, else after loading the page again as its link says."""
        if self.scripts:
            expect(wanted).to_be_visible(timeout=WAITING)
            assert self.stayed(), "the page was loaded again"
            return

        def seen() -> bool:
            self.link("Refresh").click()
            return wanted.count() > 0 and wanted.is_visible()

        until(seen, seconds=WAITING / 1000, what=f"{wanted}")

    def state(self, state: State, party: Party) -> Locator:
        """The sentence in which the page tells a transfer's state."""
        return self.page.locator("p.now", has_text=self.words(sentence(state, party)))

    def step(self, marked: str) -> Locator:
        """A step that is done, on the line of steps."""
        return self.page.locator("ol.course li.done", has_text=self.words(marked))

    @property
    def transfer(self) -> str:
        """The id of the transfer whose page is open."""
        return urlsplit(self.page.url).path.split("/")[2]

    # ---- the sender's steps ----

    def open_case(self, name: str) -> str:
        """A case with what an offer needs; its address."""
        self.page.get_by_role("navigation").get_by_role("link", name=self.words("Cases"), exact=True).click()
        self.link("Open a case").click()
        self.page.get_by_label(self.words("Pseudonym")).fill(name)
        self.page.get_by_label(self.words("What is asked for")).fill("Une place loin d’ici, dès que possible.")
        self.button("Open the case").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)
        case = self.page.url
        self._section("identity")
        self.field("identity.age_at_opening").fill("15")
        self.answer("identity.gender", "girl")
        self.save(case)
        self._section("contact")
        self.page.get_by_label(self.words(field_label("contact.instructions"))).fill("N’écrire que le matin.")
        self.save(case)
        return case

    def record_agreement(
        self, recipient: House, purpose: str = PURPOSE, *, files: Iterable[str] = (), until: str = ""
    ) -> None:
        """From the case's page to the act's own. `until` is a day as 2026-11-30; else it is as long as usual."""
        self.link("Record an agreement").click()
        self.page.get_by_label(self.words(KINDS["consent"]), exact=True).check()
        self.page.get_by_label(self.words("What for")).select_option(purpose)
        self.page.get_by_label(self.words("To whom")).select_option(recipient.profile["org_id"])
        self.button("Go on").click()
        self.choose("The minor’s answer", "consents.decided_by.answer", "agrees")
        self.page.get_by_label(self.words("Your function")).first.fill(_FUNCTION)
        for name in files:
            if not self.page.get_by_label(name).is_visible():
                self.page.get_by_text(self.words("Take something out, or add something")).click()
            self.page.get_by_label(name).check()
        if until:
            self.page.locator("summary", has_text=self.words("For how long")).click()
            self.page.get_by_label(self.words("until a day"), exact=True).check()
            self.page.get_by_label(self.words("Until this day")).fill(until)
        self.button("Record it").click()
        expect(self.heading("Under this act the case can be offered to {name}.", name=recipient.title)).to_be_visible()

    def offer(self, case: str, recipient: House, purpose: str = PURPOSE, *, files: Iterable[str] = ()) -> str:
        """The four screens, one after the other; the transfer's id. Its page is open then."""
        self.page.goto(case)
        self.link("Send this case").click()
        expect(self.heading("Who can help?")).to_be_visible()
        self.page.get_by_role("link", name=recipient.title).first.click()
        expect(self.heading("What for?")).to_be_visible()
        self.page.locator(".purpose", has_text=self.words(value_label("purpose", purpose))).get_by_role(
            "link", name=self.words("Hand over")
        ).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.words("What leaves"))
        for name in files:
            self.page.get_by_label(name).check()
        self.button("Continue").first.click()
        expect(self.heading("Is this right?")).to_be_visible()
        expect(self.page.locator(".recipient .name")).to_have_text(recipient.title)
        self.page.get_by_label(self.words("Type their département again: its number or its name")).fill("13")
        self.button("Offer to {name}", name=recipient.title).click()
        expect(self.state(State.OFFERED, Party.SENDER)).to_be_visible()
        self.stay()
        return self.transfer

    # ---- the recipient's ----

    def accept(self) -> None:
        """From the page of an offer."""
        for each in self.page.locator("form[action$='/accept'] fieldset:has(input[type=radio])").all():
            each.get_by_label(self.words("No"), exact=True).check()
        self.button("Accept").click()
        self.page.locator("p.now").wait_for()
        self.stay()

    # ---- forms of a case ----

    def _section(self, name: str) -> None:
        self.page.locator(f"#{name} a", has_text=self.words(section_label(name))).click()

    def answer(self, path: str, value: str) -> None:
        """A radio or a choice of a section's form."""
        shown = self.page.locator(f"main form.stack [name='{path.partition('.')[2]}']:not([type=hidden])")
        if shown.first.evaluate("(each) => each.localName") == "select":
            shown.select_option(value)
        else:
            self.page.locator(f"main form.stack [name='{path.partition('.')[2]}'][value='{value}']").check()

    def save(self, case: str) -> None:
        """And back on the case's page."""
        self.button("Save").click()
        self.page.wait_for_url(f"{case}#*")


def steps_proved(who: Desk, network: str, transfer: str, kept: Path) -> list[str]:
    """The kinds of the steps in the proof that the page gives, once a program that asks nobody has checked it."""
    with who.page.expect_download() as download:
        who.link("Download the proof").click()
    download.value.save_as(kept)
    told = processes.run("verify", str(kept), "--network", network, environment={})
    assert told["valid"]
    assert told["transfer"] == transfer
    return [step["kind"] for step in told["steps"]]


def desk(
    open_page: Open,
    house: House,
    *,
    language: str = "fr",
    scripts: bool = True,
    who: str = EVERYTHING,
    **options: Any,
) -> Desk:
    """A browser of its own, signed in, on Today. `options` are the browser's, such as the size of its window."""
    page = open_page(language=language, java_script_enabled=scripts, **options)
    sign_in(page, house, who)
    return Desk(page, house, language, scripts)
