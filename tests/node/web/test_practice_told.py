"""What a real node's pages tell of practice: where it is, or how it is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from cordee.errors import InvalidInput
from node.app import Node
from node.web.app import application
from node.web.pages.practice import address_of, explained

from .browser import Browser

Browse = Callable[..., Awaitable[Browser]]


async def test_without_an_address_it_tells_the_command_and_begins_nothing(browse: Browse) -> None:
    browser = await browse("Hélène")
    assert 'href="/practice"' in (await browser.get("/association")).text
    shown = await browser.get("/practice")
    assert "<code>cordee practice serve</code>" in shown.text
    assert 'name="begin"' not in shown.text
    assert (await browser.post("/practice", data={"begin": "w1"})).status_code == 405


async def test_with_one_it_leads_there(association: Node, browse: Browse) -> None:
    token = (await browse("Aude")).token
    page = explained(address_of("http://127.0.0.2:8490/", own="localhost"))
    app = application(association, hosts=("localhost",), secure=False, practice=page)
    async with Browser(transport=httpx.ASGITransport(app)) as browser:
        browser.cookies.set("session", token)
        shown = await browser.get("/practice")
    assert 'href="http://127.0.0.2:8490/"' in shown.text
    assert "cordee practice serve" not in shown.text


@pytest.mark.parametrize(
    "given",
    [
        "javascript:alert(1)",
        "ftp://exercice.example/",
        "exercice.example",
        "http://",
        "http://exercice.example/\n",
        "http://localhost:8490/",
        "http://127.0.0.1:8490/",
        "https://NODE.example:9000/",
        "http://exercice.example/" + "x" * 200,
    ],
)
def test_an_address_that_is_none_or_the_node_s_own_name_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput):
        address_of(given, own="node.example")


def test_none_is_none() -> None:
    assert address_of("", own="localhost") == ""
