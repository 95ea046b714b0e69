"""Who comes in, and who does not: the link, the passphrase, the cookie, the time."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from directory.console.app import PAGES, application
from tests.node.web.browser import forms_in

from .office import ADDRESS, PASSPHRASE, Desk, Office


def _anyone(desk: Desk) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=ADDRESS,
        headers={"sec-fetch-site": "same-origin", "accept-language": "en"},
        transport=httpx.ASGITransport(application(desk.console)),
    )


async def test_the_link_works_once(office: Office) -> None:
    console = office.make()
    link = console.link
    first, second = Desk(console), Desk(console)
    form = await first.form(link)
    other = await second.form(link)

    assert (await first.submit(form.fill(passphrase=PASSPHRASE))).status_code == 303
    late = await second.submit(other.fill(passphrase=PASSPHRASE))

    assert late.status_code == 403
    assert "If it was not you who used it" in late.text
    assert (await second.get(link)).status_code == 403
    assert (await second.get("/")).status_code == 401
    assert (await first.get("/")).status_code == 200


async def test_the_link_is_too_old_after_a_quarter_of_an_hour(office: Office) -> None:
    console = office.make()
    desk = Desk(console)
    form = await desk.form(console.link)
    office.town.clock.advance(timedelta(minutes=15))

    assert (await desk.submit(form.fill(passphrase=PASSPHRASE))).status_code == 403


async def test_a_wrong_passphrase_opens_nothing_and_leaves_the_link_as_it_is(office: Office) -> None:
    console = office.make()
    desk = Desk(console)
    form = await desk.form(console.link)

    for wrong in ("une autre phrase", "", "x" * 2000):
        answer = await desk.submit(form.fill(passphrase=wrong))
        assert answer.status_code == 401, wrong[:20]
        assert not wrong or wrong not in answer.text
        assert "set-cookie" not in answer.headers
    assert (await desk.submit(form.fill(passphrase=PASSPHRASE))).status_code == 303


async def test_a_key_that_the_command_opened_is_not_asked_for_again_until_it_is_locked(office: Office) -> None:
    console = office.make(key=True)
    desk = Desk(console)
    form = await desk.form(console.link)
    assert "passphrase" not in dict(form.fields)
    assert (await desk.submit(form)).status_code == 303

    await desk.submit(await desk.form("/", action="/lock"))
    locked = await desk.form("/unlock")
    assert (await desk.submit(locked)).status_code == 401
    assert (await desk.submit(locked.fill(passphrase=PASSPHRASE))).status_code == 303


async def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(office: Office) -> None:
    console = office.make()
    desk = Desk(console)
    answer = await desk.submit((await desk.form(console.link)).fill(passphrase=PASSPHRASE))

    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age" not in cookie
    assert "expires" not in cookie


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_without_the_cookie_no_page_says_anything(office: Office, page) -> None:
    desk = await office.desk()
    path = (
        page.path.replace(":str", "")
        .replace(":int", "")
        .format(digest="00" * 32, member="00" * 16, invitation="00" * 16, key="00" * 16, index=0)
    )
    async with _anyone(desk) as anyone:
        for method in ("GET", "POST"):
            answer = await anyone.request(method, path)
            assert answer.status_code in (401, 405)
            assert "Back to the overview" not in answer.text
        anyone.cookies.set("console", "00" * 32)
        answer = await anyone.request("GET" if page.get else "POST", path)
        assert answer.status_code == 401


@pytest.mark.parametrize("page", [each for each in PAGES if each.post], ids=lambda page: page.name)
async def test_a_form_that_is_not_ours_does_nothing(office: Office, page) -> None:
    desk = await office.desk()
    path = page.path.replace(":str", "").format(digest="00" * 32, member="00" * 16, key="00" * 16)

    for token in ("", "0" * 32, "é"):
        assert (await desk.post(path, data={"form_token": token})).status_code == 403
    assert (await desk.get("/")).status_code == 200
    assert not desk.console.ended.is_set()


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://127.0.0.1:9999"}],
)
async def test_a_form_sent_from_another_site_is_refused_at_the_door(office: Office, headers: dict[str, str]) -> None:
    desk = await office.desk()
    form = await desk.form("/", action="/end")

    assert (await desk.post("/end", data=dict(form.fields), headers=headers)).status_code == 403
    assert not desk.console.ended.is_set()


@pytest.mark.parametrize("host", ["localhost:8480", "rebound.example:8480", "[::1]:8480", "127.0.0.1.example", ""])
async def test_another_name_is_not_answered(office: Office, host: str) -> None:
    desk = await office.desk()

    for path in ("/", desk.console.network.id.hex(), "/static/style.css", "/unlock"):
        assert (await desk.get(path, headers={"host": host})).status_code == 421


async def test_no_answer_may_be_kept_framed_or_run_a_script(office: Office) -> None:
    desk = await office.desk()

    for path in ("/", "/no/such/page", "/log/export", "/unlock"):
        answer = await desk.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in answer.text


async def test_the_key_is_closed_after_a_quarter_of_an_hour_without_use(office: Office) -> None:
    desk = await office.desk()
    office.town.clock.advance(timedelta(minutes=14))
    assert (await desk.get("/members")).status_code == 200
    office.town.clock.advance(timedelta(minutes=15))

    answer = await desk.get("/members")
    assert (answer.status_code, answer.headers["location"]) == (303, "/unlock?next=/members")
    assert desk.console._desk is None
    form = await desk.form(answer.headers["location"], action="/unlock")
    assert (await desk.submit(form.fill(passphrase="une autre"))).status_code == 401
    back = await desk.submit(form.fill(passphrase=PASSPHRASE))
    assert (back.status_code, back.headers["location"]) == (303, "/members")
    assert (await desk.get("/members")).status_code == 200


async def test_a_link_after_unlocking_leads_nowhere_else(office: Office) -> None:
    desk = await office.desk()
    await desk.console.lock()
    form = (await desk.form("/unlock")).fill(passphrase=PASSPHRASE, next="//evil.example/")

    assert (await desk.submit(form)).headers["location"] == "/"


async def test_locking_forgets_which_words_were_compared(office: Office) -> None:
    desk = await office.desk()
    desk.console.compared.add(office.town.network.administrators[0].public.key_id)

    await desk.submit(await desk.form("/", action="/lock"))

    assert desk.console.compared == set()


async def test_ending_the_console_ends_the_command(office: Office) -> None:
    desk = await office.desk()

    answer = await desk.submit(await desk.form("/", action="/end"))

    assert "The console has ended" in answer.text
    assert desk.console.ended.is_set()
    assert desk.console._desk is None


async def test_the_language_is_chosen_and_kept(office: Office) -> None:
    desk = await office.desk()
    form = next(each for each in forms_in(await desk.page("/members?q=ma")) if each.action == "/language")
    assert form.value("next") == "/members?q=ma"

    answer = await desk.submit(form.fill(language="fr"))
    assert answer.headers["location"] == "/members?q=ma"
    assert '<html lang="fr">' in await desk.page("/members")
