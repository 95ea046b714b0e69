"""Coming in: a link leads nowhere else, a session is nobody's who did not open it, names are not told."""

from __future__ import annotations

import pytest

from cordee.web.request import inside
from node import people
from node.app import Node
from node.people import IDLE

from ..association import PASSWORD
from .browser import Browser, forms_in


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/ /evil.example",
        "/\n//evil.example",
        "evil.example",
        "",
        None,
    ],
)
async def test_a_link_never_leads_elsewhere_after_signing_in(anyone: Browser, path: str | None) -> None:
    assert inside(path) == ""

    shown = await anyone.get("/sign-in", params={"next": path or ""})
    form = forms_in(shown.text)[0].put("next", path or "").fill(name="Hélène", password=PASSWORD)
    answer = await anyone.submit(form)

    assert answer.status_code == 303
    assert answer.headers["location"] in ("/", "/second")


async def test_choosing_a_language_leads_nowhere_else_either(anyone: Browser) -> None:
    answer = await anyone.post("/language", data={"language": "en", "next": "//evil.example"})

    assert answer.headers["location"] == "/"


async def test_one_is_led_back_to_where_one_wanted_to_go(anyone: Browser) -> None:
    answer = await anyone.get("/cases")

    assert answer.headers["location"] == "/sign-in?next=/cases"


async def test_a_session_that_somebody_else_chose_is_never_opened(association: Node, anyone: Browser) -> None:
    chosen = "a" * 43
    anyone.cookies.set("session", chosen)

    await anyone.post("/sign-in", data={"name": "Hélène", "password": PASSWORD})

    assert anyone.cookies.get("session", domain="localhost.local") != chosen
    anyone.cookies.clear()
    anyone.cookies.set("session", chosen)
    assert (await anyone.get("/cases")).headers["location"].startswith("/sign-in")


async def test_the_cookie_is_for_the_node_alone(anyone: Browser) -> None:
    answer = await anyone.post("/sign-in", data={"name": "Hélène", "password": PASSWORD})

    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie


async def test_an_unknown_name_and_a_wrong_password_are_answered_alike(anyone: Browser) -> None:
    unknown = await anyone.post("/sign-in", data={"name": "Personne", "password": "faux mot de passe"})
    wrong = await anyone.post("/sign-in", data={"name": "Hélène", "password": "faux mot de passe"})

    assert unknown.status_code == wrong.status_code == 401
    assert unknown.text.replace("Personne", "") == wrong.text.replace("Hélène", "")
    assert "set-cookie" not in wrong.headers


async def test_a_session_of_the_command_line_is_none_of_the_pages(association: Node, anyone: Browser) -> None:
    now = association.clock.now()
    opened = await association.db.write(
        lambda tx: people.sign_in(tx, association.vault, "Hélène", PASSWORD, now=now, random=association.random)
    )
    anyone.cookies.set("session", opened.token)

    assert (await anyone.get("/cases")).headers["location"].startswith("/sign-in")


async def test_what_is_reflected_is_escaped(anyone: Browser) -> None:
    mark = '"><script>alert(1)</script>'

    answer = await anyone.post("/sign-in", data={"name": mark, "password": "x", "next": "/" + "x"})

    assert mark not in answer.text
    assert "<script>alert" not in answer.text


async def test_an_ended_session_leads_to_the_entrance(association: Node, anyone: Browser) -> None:
    await anyone.sign_in(association, "Hélène")
    association.clock.advance(IDLE)  # type: ignore[attr-defined]  # a clock of tests

    assert (await anyone.get("/cases")).headers["location"] == "/sign-in?next=/cases"
