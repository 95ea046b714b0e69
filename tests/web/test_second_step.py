"""The second step of coming in, as a browser and a telephone do it: codes, recovery codes, passkeys."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta

import pyotp
import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.web.browsing import fill_in, reload
from tests.web.conftest import Open
from tests.web.journey import Desk
from tests.web.town import PASSWORD, Town

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_IDLE = timedelta(minutes=31)
_STEP = 30  # seconds for which a code is shown
_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Newcomer:
    """Somebody who comes in for the first time, with a telephone of their own."""

    def __init__(self, town: Town, page: Page, language: str) -> None:
        self.house = town.helpline
        self.name = town.newcomer()
        self.desk = Desk(page, town.helpline, language)
        page.goto(town.helpline.pages)
        page.locator("#name").fill(self.name)
        page.locator("#password").fill(PASSWORD)
        self.desk.button("Sign in").click()
        expect(self.desk.heading("Set up the second step")).to_be_visible()
        picture = self.desk.words("Picture to scan; the same secret stands below for typing")
        expect(page.get_by_role("img", name=picture)).to_be_visible()
        page.get_by_text(self.desk.words("Type it instead")).click()
        self.telephone = pyotp.TOTP((page.locator(".secret").text_content() or "").replace(" ", ""))
        self.type_code(wrong=True)
        expect(self.desk.heading("This code does not fit.")).to_be_visible()
        self.telephone = pyotp.TOTP((page.locator(".secret").text_content() or "").replace(" ", ""))
        self.type_code()
        expect(self.desk.heading("Ten recovery codes")).to_be_visible()
        self.recovery = [each.strip() for each in page.locator(".codes code").all_text_contents()]
        self.desk.link("I have kept them: go on").click()
        self.is_in()

    def type_code(self, *, wrong: bool = False, later: int = 0) -> str:
        """The code of now, or of some steps later, as a telephone whose clock is ahead shows it."""
        code = self.telephone.at(int(time.time()) + later * _STEP)
        typed = f"{(int(code) + 500_000) % 1_000_000:06}" if wrong else code
        self.desk.page.locator("#code").fill(typed)
        self.desk.button("Go on").click()
        return typed

    def password(self) -> None:
        """Out, and in again as far as the second step."""
        self.desk.page.get_by_role("banner").get_by_role("button", name=self.desk.words("Sign out")).click()
        self.again()

    def again(self) -> None:
        page = self.desk.page
        self.desk.go("sign-in")
        page.locator("#name").fill(self.name)
        page.locator("#password").fill(PASSWORD)
        self.desk.button("Sign in").click()
        expect(self.desk.heading("Second step")).to_be_visible()

    def is_in(self) -> None:
        sign_out = self.desk.page.get_by_role("banner").get_by_role("button", name=self.desk.words("Sign out"))
        expect(sign_out).to_be_visible()

    def is_refused(self) -> None:
        """In words, and every other page still asks for the second step."""
        expect(self.desk.page.get_by_role("alert").first).to_be_visible()
        self.desk.go("cases")
        expect(self.desk.heading("Second step")).to_be_visible()


@pytest.fixture
def language() -> str:
    return "fr"


@pytest.fixture
def newcomer(town: Town, open_page: Open, language: str) -> Newcomer:
    return Newcomer(town, open_page(language=language), language)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_code_opens_once_and_a_wrong_one_never(newcomer: Newcomer) -> None:
    newcomer.password()
    newcomer.type_code(wrong=True)
    newcomer.is_refused()
    code = newcomer.type_code(later=1)  # that of now was taken when the telephone was set up
    newcomer.is_in()
    newcomer.password()
    newcomer.desk.page.locator("#code").fill(code)
    newcomer.desk.button("Go on").click()
    newcomer.is_refused()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_recovery_code_opens_once(newcomer: Newcomer) -> None:
    assert len(set(newcomer.recovery)) == 10
    for opens in (True, False):
        newcomer.password()
        newcomer.desk.page.get_by_text(newcomer.desk.words("Without my telephone")).click()
        newcomer.desk.page.get_by_label(newcomer.desk.words("Recovery code")).fill(newcomer.recovery[0])
        newcomer.desk.button("Go on").click()
        if opens:
            newcomer.is_in()
        else:
            newcomer.is_refused()


def test_a_code_works_without_scripts(town: Town, open_page: Open) -> None:
    page, who = open_page(java_script_enabled=False), town.newcomer()
    page.goto(town.helpline.pages)
    fill_in(page, town.helpline, who)
    expect(page.get_by_role("heading", level=1)).to_have_text(Desk(page, town.helpline, "fr").words("Today"))


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_passkey_opens_the_second_step_and_a_locked_screen(newcomer: Newcomer) -> None:
    desk = newcomer.desk
    _authenticator(desk.page)
    _add_passkey(newcomer, "Trousseau")
    newcomer.password()
    desk.button("Use a passkey").click()
    newcomer.is_in()
    desk.page.get_by_role("banner").get_by_role("button", name=desk.words("Lock")).click()
    expect(desk.heading("Locked")).to_be_visible()
    assert newcomer.name not in desk.page.content()
    desk.button("Use a passkey").click()
    newcomer.is_in()


def test_a_passkey_whose_holder_does_not_show_who_they_are_opens_nothing(newcomer: Newcomer) -> None:
    desk = newcomer.desk
    devices, authenticator = _authenticator(desk.page)
    _add_passkey(newcomer, "Trousseau")
    newcomer.password()
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    desk.button("Use a passkey").click()
    expect(desk.page.get_by_text(desk.words("The passkey was not accepted.")).first).to_be_visible()
    desk.go("cases")
    expect(desk.heading("Second step")).to_be_visible()


def test_a_copied_passkey_is_noticed(newcomer: Newcomer) -> None:
    """Two authenticators with one key: the counter of the one that was used less lags behind."""
    desk = newcomer.desk
    devices, authenticator = _authenticator(desk.page)
    _add_passkey(newcomer, "Trousseau")
    copied = devices.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"][0]
    for _ in range(2):
        newcomer.password()
        desk.button("Use a passkey").click()
        newcomer.is_in()
    devices.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})
    _, other = _authenticator(desk.page, devices)
    devices.send("WebAuthn.addCredential", {"authenticatorId": other, "credential": copied | {"signCount": 0}})
    newcomer.password()
    desk.button("Use a passkey").click()
    newcomer.is_refused()


def test_a_passkey_that_was_removed_opens_nothing(newcomer: Newcomer) -> None:
    desk = newcomer.desk
    _authenticator(desk.page)
    _add_passkey(newcomer, "Trousseau")
    desk.button("Remove").click()
    expect(desk.page.locator("main li strong", has_text="Trousseau")).to_have_count(0)
    newcomer.password()
    expect(desk.page.locator("form[data-passkey]")).to_have_count(0)


def _authenticator(page: Page, devices: CDPSession | None = None) -> tuple[CDPSession, str]:
    """A device of the browser's that has a finger on it."""
    if devices is None:
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
    made = devices.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
    return devices, str(made["authenticatorId"])


def _add_passkey(newcomer: Newcomer, name: str) -> None:
    desk = newcomer.desk
    desk.go("access")
    desk.page.get_by_label(desk.words("What you call it")).fill(name)
    desk.page.locator("#passkey-code").fill(newcomer.recovery.pop())  # the telephone's code of now was used to come in
    desk.button("Add a passkey").click()
    expect(
        desk.page.get_by_text(desk.words("The passkey is kept. It can be used from the next time on."))
    ).to_be_visible()
    expect(desk.page.locator("main li strong", has_text=name)).to_be_visible()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_session_in_which_nobody_did_anything_for_half_an_hour_is_over(town: Town, newcomer: Newcomer) -> None:
    """The clock of a real node cannot be put forward: its row is put back, as if nobody had touched the page since."""
    desk = newcomer.desk
    desk.go("cases")
    held = sqlite3.connect(town.helpline.data_dir / "node.db", timeout=30)
    with closing(held), held:
        latest = "SELECT rowid FROM session WHERE stage = 'full' ORDER BY opened_at DESC LIMIT 1"
        before = held.execute(f"SELECT seen_at FROM session WHERE rowid = ({latest})").fetchone()[0]
        ago = datetime.fromisoformat(before) - _IDLE
        told = ago.isoformat(sep=before[10], timespec="microseconds")
        assert held.execute(f"UPDATE session SET seen_at = ? WHERE rowid = ({latest})", [told]).rowcount == 1
    reload(desk.page)
    expect(desk.heading("Sign in")).to_be_visible()
    assert newcomer.name not in desk.page.content()
    newcomer.again()  # with both steps
