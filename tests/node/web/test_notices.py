"""Messages by e-mail on the pages: off until wanted, an address that is forgotten, a test, and how it goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx

from node.app import Node
from node.mailing import Server
from node.notices import Notices
from node.web.app import application

from ..conftest import holds
from ..mail_server import Authority, MailServer, free_port
from .browser import Browser
from .test_today import clock, keep, quiet

Browse = Callable[..., Awaitable[Browser]]
ADDRESS = "helene@asso.example"


async def with_mail(node: Node, server: Server, name: str) -> tuple[Node, Browser]:
    """The same node with an SMTP server in its settings, and somebody who is signed in."""
    told = replace(node, notices=Notices(node.house, server))
    browser = Browser(transport=httpx.ASGITransport(application(told, hosts=("localhost",), secure=False)))
    await browser.sign_in(told, name)
    return told, browser


async def test_it_is_off_until_somebody_wants_it_and_says_where_no_server_is_set_up(
    association: Node, browse: Browse
) -> None:
    shown = (await (await browse()).get("/notices")).text
    assert "No mail server is set up" in shown
    form = await (await browse()).form("/notices")
    assert (form.value("wanted"), form.value("address")) == ("", "")


async def test_an_address_is_kept_sealed_shown_to_its_owner_alone_and_forgotten_when_it_is_not_wanted(
    association: Node, browse: Browse
) -> None:
    browser = await browse()
    answer = await browser.submit((await browser.form("/notices")).fill(wanted="on", address=f" {ADDRESS} "))
    assert answer.headers["location"] == "/notices?done=on"
    assert (await browser.form("/notices")).value("address") == ADDRESS
    assert ADDRESS not in (await (await browse("Léa")).get("/notices")).text
    assert holds(association.data_dir, ADDRESS.encode(), b"asso.example") == []
    off = await browser.form("/notices")
    off.fields = [each for each in off.fields if each[0] != "wanted"]
    await browser.submit(off)
    form = await browser.form("/notices")
    assert (form.value("wanted"), form.value("address")) == ("", "")


async def test_what_is_no_address_comes_back_as_it_was_typed(association: Node, browse: Browse) -> None:
    browser = await browse()
    answer = await browser.submit((await browser.form("/notices")).fill(wanted="on", address="pas une adresse"))
    assert answer.status_code == 422
    assert "it must be an e-mail address" in answer.text
    assert 'value="pas une adresse"' in answer.text


async def test_a_test_sends_the_very_message_once_a_minute(
    association: Node, post: MailServer, authority: Authority
) -> None:
    server = Server("localhost", post.port, "noreply@asso.example", authority=authority.path)
    node, browser = await with_mail(association, server, "Hélène")
    async with browser:
        assert "Send a test" not in (await browser.get("/notices")).text
        await browser.submit((await browser.form("/notices")).fill(wanted="on", address=ADDRESS))
        answer = await browser.submit(await browser.form("/notices", action="/notices/test"))
        assert answer.headers["location"] == "/notices?done=test"
        again = await browser.submit(await browser.form("/notices", action="/notices/test"))
        assert again.status_code == 422
        clock(node).advance(60)
        await browser.submit(await browser.form("/notices", action="/notices/test"))
    assert [to for _, to, _ in post.taken] == [[ADDRESS], [ADDRESS]]
    assert all(b"Subject: Notes\r\n" in data for _, _, data in post.taken)


async def test_a_server_that_fails_is_told_in_words_to_whoever_tests_and_on_the_nodes_page_and_work_goes_on(
    association: Node, authority: Authority
) -> None:
    server = Server("localhost", free_port(), "noreply@asso.example", authority=authority.path)
    node, browser = await with_mail(association, server, "Hélène")
    _, admin = node, Browser(transport=browser._transport)
    await admin.sign_in(node, "Adrien")
    async with browser, admin:
        assert "None had to leave" in (await admin.get("/node")).text
        await browser.submit((await browser.form("/notices")).fill(wanted="on", address=ADDRESS))
        answer = await browser.submit(await browser.form("/notices", action="/notices/test"))
        assert answer.status_code == 422
        assert "The mail server does not answer" in answer.text
        health = (await admin.get("/node")).text
        assert "Something needs you" in health
        assert "The mail server does not answer" in health
        assert ADDRESS not in health
        await keep(node, quiet(node, health={"urgent_need": "now"}))
        assert "Care is needed now" in (await browser.get("/")).text


async def test_the_nodes_page_says_that_none_is_set_up(association: Node, browse: Browse) -> None:
    assert "nobody is told by e-mail" in (await (await browse("Adrien")).get("/node")).text
