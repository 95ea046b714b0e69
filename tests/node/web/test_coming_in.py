from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pyotp
import pytest

from node import journal, passkeys, second_factor, staff
from node.people import Role
from node.web.access import ROUTES
from node.web.app import PAGES, application

from ..association import ACCOUNTS, PASSWORD
from ..test_passkeys import Device
from .acting import HEADERS, House, house_with_a_case
from .coming_in import come_in


class Browser:
    """Somebody at the door, with the codes of their telephone."""

    def __init__(self, client: httpx.AsyncClient, house: House) -> None:
        self.client, self.house = client, house
        self.codes: pyotp.TOTP | None = None

    async def give_codes(self, name: str) -> None:
        node = self.house.node
        uri = await node.db.write(
            lambda tx: second_factor.give(tx, node.vault, name, now=node.clock.now(), random=node.random, by="node")
        )
        made = pyotp.parse_uri(uri)
        assert isinstance(made, pyotp.TOTP)
        self.codes = made

    def code(self) -> str:
        assert self.codes is not None
        return self.codes.at(self.house.node.clock.now())

    async def password(self, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.client.post("/sign-in", data={"name": name, "password": password, **more})

    async def send(self, path: str, page: str | None = None, **fields: str) -> httpx.Response:
        shown = await self.client.get(page or path)
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', shown.text)
        assert token is not None, shown.text
        return await self.client.post(path, data={"form_token": token[1], **fields})

    @property
    def session(self) -> str:
        return str(self.client.cookies["session"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


@pytest.fixture
async def browser(house: House) -> AsyncIterator[Browser]:
    app = application(house.node, hosts=["localhost"], secure=False)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=HEADERS) as client:
        yield Browser(client, house)


async def test_the_password_leads_to_the_second_step_and_the_code_to_where_one_wanted_to_go(browser: Browser) -> None:
    await browser.give_codes("Hélène")
    answer = await browser.password("Hélène", next="/cases")
    assert (answer.status_code, answer.headers["location"]) == (303, "/second?next=/cases")
    half = browser.session
    assert (await browser.client.get("/cases")).headers["location"] == "/second?next=/cases"
    answer = await browser.send("/second", page="/second?next=/cases", next="/cases", code=browser.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases")
    assert browser.session != half
    assert (await browser.client.get("/cases")).status_code == 200


async def test_a_wrong_code_comes_back_in_words_and_lets_nobody_in(browser: Browser) -> None:
    await browser.give_codes("Hélène")
    await browser.password("Hélène")
    answer = await browser.send("/second", code="000000")
    assert answer.status_code == 401
    assert "The code is wrong" in answer.text
    assert (await browser.client.get("/")).headers["location"] == "/second"


async def test_whoever_has_no_second_factor_sets_one_up_and_can_do_nothing_else_before(browser: Browser) -> None:
    await browser.password("Hélène")
    assert (await browser.client.get("/second")).headers["location"] == "/second/set-up"
    assert (await browser.client.get("/cases")).headers["location"].startswith("/second")
    shown = await browser.client.get("/second/set-up")
    assert "<svg" in shown.text
    secret = re.search(r'class="secret" translate="no">([A-Z2-7 ]+)<', shown.text)
    assert secret is not None
    wrong = await browser.send("/second/set-up", code="000000")
    assert wrong.status_code == 422
    code = pyotp.TOTP(secret[1].replace(" ", "")).at(browser.house.node.clock.now())
    answer = await browser.send("/second/set-up", code=code)
    assert len(re.findall(r"<code>[0-9A-Z]{5}-[0-9A-Z]{5}</code>", answer.text)) == 10
    assert (await browser.client.get("/cases")).status_code == 200


async def test_the_password_alone_puts_no_other_telephone_in_the_place_of_the_one_that_is_set_up(
    browser: Browser,
) -> None:
    await browser.give_codes("Hélène")
    await browser.password("Hélène")
    assert (await browser.client.get("/second/set-up")).headers["location"] == "/second"


async def test_a_session_that_somebody_planted_before_is_worth_nothing_after_signing_in(browser: Browser) -> None:
    await browser.give_codes("Hélène")
    await browser.password("Hélène")
    planted = browser.session
    await browser.send("/second", code=browser.code())
    browser.client.cookies.set("session", planted)
    browser.client.cookies.jar.clear()
    answer = await browser.client.get("/cases", headers={"cookie": f"session={planted}"})
    assert answer.headers["location"] == "/sign-in?next=/cases"


async def test_a_locked_screen_names_nobody_and_opens_with_the_password(browser: Browser) -> None:
    node = browser.house.node
    await come_in(browser.client, node, "Hélène", PASSWORD)
    case = f"/cases/{browser.house.record['meta']['case_id']}"
    assert (await browser.send("/lock", page="/")).headers["location"] == "/unlock"
    assert (await browser.client.get(case)).headers["location"] == f"/unlock?next={case}"
    shown = await browser.client.get("/unlock")
    assert not [each for each in (*ACCOUNTS, browser.house.record["meta"]["pseudonym"]) if each in shown.text]
    assert "<nav" not in shown.text
    assert (await browser.send("/unlock", code="wrong password")).status_code == 401
    answer = await browser.send("/unlock", page=f"/unlock?next={case}", next=case, code=PASSWORD)
    assert answer.headers["location"] == case
    assert (await browser.client.get(case)).status_code == 200


async def test_a_form_of_the_second_step_from_another_session_is_refused(browser: Browser) -> None:
    await browser.give_codes("Hélène")
    await browser.password("Hélène")
    answer = await browser.client.post("/second", data={"form_token": "0" * 32, "code": browser.code()})
    assert answer.status_code == 403
    assert (await browser.client.get("/")).headers["location"] == "/second"


async def test_a_passkey_that_does_not_verify_counts_as_a_failure(browser: Browser) -> None:
    await browser.give_codes("Hélène")
    await browser.password("Hélène")
    answer = await browser.send("/second", credential='{"rawId": "AAAA"}')
    assert answer.status_code == 401
    node = browser.house.node
    lines = await node.db.read(lambda tx: journal.latest(tx, limit=1))
    assert lines[0].action == "session.refused"


@pytest.mark.parametrize(("host", "can"), [("localhost", True), ("127.0.0.1", False), ("[::1]", False)])
def test_passkeys_are_offered_under_a_name_and_not_under_an_address(host: str, can: bool) -> None:
    assert passkeys.Place(host, f"http://{host}").can_have_passkeys is can


async def test_an_administrator_lifts_a_pause_and_it_is_journalled(browser: Browser) -> None:
    for _ in range(10):
        await browser.password("Hélène", "wrong password")
    assert "pauses" in (await browser.password("Hélène")).text
    node = browser.house.node
    everybody = await node.db.read(lambda tx: staff.people_of(tx, node.vault, now=node.clock.now()))
    helene = next(each for each in everybody if each.account.name == "Hélène")
    assert helene.paused_until is not None
    await come_in(browser.client, node, "Adrien", PASSWORD)
    address = f"/people/{helene.account.account_id}"
    answer = await browser.send(f"{address}/change", page=address, do="pause")
    assert answer.headers["location"] == f"{address}?done=pause"
    lines = await node.db.read(lambda tx: journal.latest(tx, action="account.pause_lifted", limit=1))
    assert lines[0].subject == helene.account.account_id
    assert (await browser.password("Hélène")).headers["location"] == "/second"


async def test_a_new_account_with_what_will_not_do_comes_back_as_typed(browser: Browser) -> None:
    await come_in(browser.client, browser.house.node, "Adrien", PASSWORD)
    answer = await browser.send("/people/new", name="Alix", password="court", roles="handler")
    assert answer.status_code == 422
    assert 'value="Alix"' in answer.text
    assert re.search(r'value="handler" checked', answer.text)
    answer = await browser.send("/people/new", name="Alix", password="une phrase assez longue", roles="handler")
    assert answer.status_code == 303
    assert "Alix" in (await browser.client.get("/people")).text


@pytest.mark.parametrize("change", [{"do": "disabled"}, {"do": "changed", "roles": "handler"}])
async def test_the_last_administrator_keeps_account_and_role(browser: Browser, change: dict[str, str]) -> None:
    node = browser.house.node
    await come_in(browser.client, node, "Adrien", PASSWORD)
    everybody = await node.db.read(lambda tx: staff.people_of(tx, node.vault, now=node.clock.now()))
    adrien = next(each for each in everybody if each.account.name == "Adrien")
    address = f"/people/{adrien.account.account_id}"
    answer = await browser.send(f"{address}/change", page=address, **change)
    assert answer.status_code == 422
    assert "last account" in answer.text
    after = await node.db.read(
        lambda tx: staff.person_of(tx, node.vault, adrien.account.account_id, now=node.clock.now())
    )
    assert (after.account.roles, after.account.disabled) == (frozenset({Role.ADMINISTRATOR}), False)


async def test_other_roles_count_at_once_in_sessions_that_are_open(browser: Browser) -> None:
    node = browser.house.node
    await come_in(browser.client, node, "Hélène", PASSWORD)
    assert (await browser.client.get("/journal")).status_code == 403
    everybody = await node.db.read(lambda tx: staff.people_of(tx, node.vault, now=node.clock.now()))
    helene = next(each for each in everybody if each.account.name == "Hélène")
    await node.db.write(
        lambda tx: staff.change(
            tx,
            node.vault,
            helene.account.account_id,
            roles={Role.AUDITOR},
            bound_by_secrecy=True,
            now=node.clock.now(),
            by="node",
        )
    )
    assert (await browser.client.get("/journal")).status_code == 200
    assert (await browser.client.get("/cases")).status_code == 403


async def test_an_idle_session_ends_on_the_pages_too(browser: Browser) -> None:
    node = browser.house.node
    await come_in(browser.client, node, "Hélène", PASSWORD)
    node.clock.advance(timedelta(minutes=31))  # type: ignore[attr-defined]  # a clock of tests
    assert (await browser.client.get("/")).headers["location"] == "/sign-in"


async def test_the_journal_is_filtered_and_verified_by_the_auditor_who_changes_nothing(browser: Browser) -> None:
    await come_in(browser.client, browser.house.node, "Aude", PASSWORD)
    shown = await browser.client.get("/journal?topic=account.")
    assert "account added" in shown.text
    assert "case opened" not in shown.text
    answer = await browser.send("/journal/verify", page="/journal")
    assert "Verified" in answer.text
    for path in ("/people", "/cases", "/places"):
        assert (await browser.client.get(path)).status_code == 403


async def test_every_page_has_its_row_and_every_row_its_page() -> None:
    assert {each.name for each in PAGES} == set(ROUTES)


async def test_of_many_guesses_at_once_none_is_answered_after_the_tenth(browser: Browser) -> None:
    node = browser.house.node
    await come_in(browser.client, node, "Hélène", PASSWORD)
    shown = await browser.client.get("/access")
    token = re.findall(r'name="form_token" value="([0-9a-f]+)"', shown.text)[0]

    async def guess(present: str) -> int:
        typed = {"form_token": token, "present": present, "wanted": "une autre phrase", "again": "une autre phrase"}
        return (await browser.client.post("/access/password", data=typed)).status_code

    wrong = ["wrong password"] * 30
    answers = await asyncio.gather(*(guess(each) for each in [*wrong, PASSWORD]))
    assert 303 not in answers


async def test_whoever_sits_down_at_an_open_page_adds_no_passkey_and_draws_no_codes(browser: Browser) -> None:
    """With one they would open the screen whenever its holder has locked it."""
    node, device = browser.house.node, Device()
    await browser.give_codes("Hélène")
    await come_in(browser.client, node, "Hélène", PASSWORD)

    async def add(**fields: str) -> httpx.Response:
        shown = await browser.client.get("/access")
        options = unescape(re.findall(r'data-passkey-new="([^"]+)"', shown.text)[0])
        made = device.make(options, origin="http://localhost")
        return await browser.send("/access/passkeys", page="/cases/new", name="clé", credential=made, **fields)

    for typed in ({}, {"code": "000000"}):
        answer = await add(**typed)
        assert answer.status_code == 422
        assert 'id="passkey-code"' in answer.text
        assert 'value="clé"' in answer.text
    assert (await browser.send("/access/recovery-codes", page="/cases/new", code="000000")).status_code == 422
    assert "None yet." in (await browser.client.get("/access")).text
    assert (await add(code=browser.code())).headers["location"] == "/access?done=passkey"
