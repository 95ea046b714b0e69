"""The way in: name and password, second step, the locked screen, a session that has ended."""

from __future__ import annotations

import re

import httpx

from tests.web.browsing import code_of, keep_secret
from tests.web.gallery import NO_ROUTE, Ask, Scene, State
from tests.web.states.office import paused, with_passkey
from tests.web.town import PASSWORD

_SECRET = re.compile(r'class="secret"[^>]*>\s*([A-Z2-7 ]+?)\s*<')
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


def _signing_in(scene: Scene, name: str = "Nobody", password: str = "not the one that it is", status: int = 401) -> Ask:
    return Ask("/sign-in", {"name": name, "password": password}, who=None, status=status)


def _half(scene: Scene) -> tuple[str, httpx.Client]:
    """Somebody new who has shown the password alone."""
    name, client = scene.town.newcomer(), scene.stranger()
    assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
    return name, client


def _set_up(scene: Scene) -> Ask:
    name, client = scene.once("half a session", lambda: _half(scene))
    return Ask("/second/set-up", who=name, client=client)


def _set_up_wrong(scene: Scene) -> Ask:
    _, client = scene.once("half a session", lambda: _half(scene))
    return Ask(
        "/second/set-up", {"form_token": _token(client, "/second/set-up"), "code": "000000"}, client=client, status=422
    )


def _set_up_done(scene: Scene) -> Ask:
    name, client = _half(scene)
    page = client.get("/second/set-up").text
    secret = _SECRET.search(page)
    assert secret is not None
    keep_secret(scene.town.helpline, name, secret[1])
    code = code_of(scene.town.helpline, name)
    return Ask("/second/set-up", {"form_token": _token(client, "/second/set-up"), "code": code}, client=client)


def _known_half(scene: Scene) -> httpx.Client:
    """Somebody who has a telephone already, and has shown the password alone."""

    def make() -> httpx.Client:
        name, _ = scene.newcomer()
        client = scene.stranger()
        assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        return client

    found: httpx.Client = scene.once("half a session of somebody known", make)
    return found


def _second_wrong(scene: Scene) -> Ask:
    client = _known_half(scene)
    return Ask("/second", {"form_token": _token(client, "/second"), "code": "000000"}, client=client, status=401)


def _second_with_passkey(scene: Scene) -> Ask:
    name, client = with_passkey(scene)

    def make() -> httpx.Client:
        headers = {"Sec-Fetch-Site": "same-origin"}
        half = scene.kept(httpx.Client(base_url=client.base_url, headers=headers, timeout=60))
        assert half.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        return half

    return Ask("/second", client=scene.once("half a session with a passkey", make))


def _locked(scene: Scene) -> httpx.Client:
    def make() -> httpx.Client:
        _, client = scene.newcomer()
        token = _token(client, "/")
        assert client.post("/lock", data={"form_token": token}).status_code == 303
        return client

    found: httpx.Client = scene.once("locked session", make)
    return found


def _unlock_wrong(scene: Scene) -> Ask:
    client = _locked(scene)
    data = {"form_token": _token(client, "/unlock"), "code": "not the one that it is"}
    return Ask("/unlock", data, client=client, status=401)


def _token(client: httpx.Client, address: str) -> str:
    found = _TOKEN.search(client.get(address).text)
    assert found is not None
    return found[1]


STATES: dict[str, tuple[State, ...]] = {
    NO_ROUTE: (
        State("to somebody who is in", lambda scene: Ask("/no/such/page", status=404)),
        State("to somebody who is not", lambda scene: Ask("/no/such/page", who=None, status=404)),
    ),
    "sign_in": (
        State("the first page", lambda scene: Ask("/sign-in", who=None)),
        State("with a link to follow", lambda scene: Ask("/sign-in?next=/cases", who=None)),
        State("a wrong password", _signing_in),
        State("an account that is paused", lambda scene: _signing_in(scene, paused(scene), PASSWORD)),
    ),
    "language": (State("chosen", lambda scene: Ask("/language", {"language": "", "next": "/sign-in"}, who=None)),),
    "second": (
        State("asked for", lambda scene: Ask("/second", client=_known_half(scene))),
        State("with a passkey", _second_with_passkey),
        State("a wrong code", _second_wrong),
    ),
    "second_set_up": (
        State("the picture to scan", _set_up),
        State("a code that does not fit", _set_up_wrong),
        State("recovery codes shown", _set_up_done, anew=True),
    ),
    "unlock": (
        State("asked for", lambda scene: Ask("/unlock", client=_locked(scene))),
        State("a wrong password", _unlock_wrong),
    ),
}
