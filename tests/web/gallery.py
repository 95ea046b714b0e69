"""Pages in each state that changes what is drawn: how a state is brought about, asked for, and kept to be looked at.

A page is asked for once in each language, over plain requests; what came is looked at as often as wanted, by a reader
of HTML and in a browser. So a state that is there only once (recovery codes, a conflict) is looked at in full too.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx
from starlette.routing import compile_path

from node.demo.stage import House
from node.web.app import PAGES
from node.web.pages import entrance, second
from tests.node.web.browser import Form, forms_in
from tests.web.browsing import PLAIN, signed_in
from tests.web.town import EVERYTHING, PEOPLE, Town

__all__ = [
    "DOORS",
    "LANGUAGES",
    "NO_ROUTE",
    "Ask",
    "Gallery",
    "Scene",
    "Shown",
    "State",
    "collected",
    "route_of",
    "short",
]

LANGUAGES = ("fr", "en")
DOORS = (*entrance.open_routes(None, secure=False), *second.open_routes(None, secure=False))  # type: ignore[arg-type]
"""What can be asked for without a session, beside the pages: their functions ask nothing of a node before a request."""

NO_ROUTE = "(no page)"
"""Under which states stand that are drawn where there is no page."""

_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_CHANGING = re.compile(r'(name="(?:form_token|act_id|base|filled|mine)" value=")[^"]*')
_MAIN = re.compile(r"<main.*</main>", re.DOTALL)


@dataclass(frozen=True)
class Ask:
    """What a browser asks for: a page, or with `data` the answer to a form. `status` is what has to come of it."""

    address: str
    data: Mapping[str, Any] | None = None
    who: str | None = EVERYTHING  # nobody: somebody who has no session
    house: str = "helpline"
    status: int = 200
    follow: bool = True  # to the page that a form leads to
    is_page: bool = True
    client: httpx.Client | None = None  # somebody on the way in, who is no account's session yet
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after: Callable[[], object] | None = None  # sets right again what the state disturbed


@dataclass(frozen=True)
class State:
    """One way in which a page looks. `bring` brings it about and says what to ask for.

    With `anew` it is brought about again for the second language; without it the same request shows it again.
    """

    name: str
    bring: Callable[[Scene], Ask]
    anew: bool = False


@dataclass(frozen=True)
class Shown:
    """A page as it came."""

    route: str
    state: str
    who: str
    house: str
    language: str
    address: str  # from the first slash
    status: int
    html: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.route}, {self.state} ({self.who or 'nobody'}, {self.language})"


class Scene:
    """A town, its people's clients, and what the states share: each thing is made once, whoever asks first."""

    def __init__(self, town: Town, stack: ExitStack) -> None:
        self.town = town
        self.made: dict[str, Any] = {}
        self._stack = stack
        self._clients: dict[tuple[str, str], httpx.Client] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made for several states."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def house(self, name: str) -> House:
        """By its name on the stage."""
        return self.town.stage.houses[name]

    def client(self, who: str = EVERYTHING, house: str = "helpline") -> httpx.Client:
        """Somebody who is signed in."""
        if (house, who) not in self._clients:
            self._clients[house, who] = self._stack.enter_context(signed_in(self.house(house), who))
        return self._clients[house, who]

    def stranger(self, house: str = "helpline") -> httpx.Client:
        """Somebody without a session."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        address = self.house(house).pages
        return self._stack.enter_context(httpx.Client(base_url=address, headers=headers, timeout=60, verify=PLAIN))

    def kept(self, client: httpx.Client) -> httpx.Client:
        """A client of its own, closed with the scene."""
        return self._stack.enter_context(client)

    def newcomer(self, role: str = "handler") -> tuple[str, httpx.Client]:
        """Somebody who was never here, and has come in."""
        name = self.town.newcomer(role)
        return name, self._stack.enter_context(signed_in(self.town.helpline, name))

    def page(self, address: str, *, who: str = EVERYTHING, house: str = "helpline") -> str:
        """A page as it is now, in French."""
        answer = self.client(who, house).get(address)
        assert answer.status_code < 400, (address, answer.status_code)
        return answer.text

    def form(self, address: str, action: str = "", *, who: str = EVERYTHING, house: str = "helpline") -> Form:
        """The form of a page that is sent to this path, by default to the page itself, as it stands there."""
        wanted = action or address.partition("?")[0]
        found = [
            each
            for each in forms_in(self.page(address, who=who, house=house))
            if each.action.partition("?")[0].endswith(wanted)
        ]
        assert found, f"{address} has no form for {wanted}"
        return found[0]

    def filled(
        self, address: str, action: str = "", *, who: str = EVERYTHING, house: str = "helpline", **typed: Any
    ) -> Ask:
        """What comes of a form of a page in which this was typed; `__` in a name is a point."""
        form = self.form(address, action, who=who, house=house).fill(**typed)
        return Ask(form.action or address, _data(form), who=who, house=house)

    def send(
        self, address: str, action: str = "", *, who: str = EVERYTHING, house: str = "helpline", **typed: Any
    ) -> str:
        """Fill in a form and send it; the address to which it led."""
        asked = self.filled(address, action, who=who, house=house, **typed)
        answer = self.client(who, house).post(asked.address, data=asked.data)
        assert answer.status_code == 303, (asked.address, answer.status_code, short(answer.text))
        return answer.headers["location"]

    def answer(self, asked: Ask, language: str) -> httpx.Response:
        """What the node says to it, in this language."""
        client = asked.client or (self.client(asked.who, asked.house) if asked.who else self.stranger(asked.house))
        headers = {"Accept-Language": language, **asked.headers}
        if asked.data is None and asked.content is None:
            with client.stream("GET", asked.address, headers=headers) as answer:
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    answer.read()  # a stream that does not end is left after its head
            if answer.status_code == 303 and asked.follow:
                return client.get(answer.headers["location"], headers=headers)
            return answer
        data = asked.data
        if data is not None and "form_token" not in data and asked.who is not None:
            found = _TOKEN.search(client.get("/").text)
            assert found is not None
            data = {"form_token": found[1], **data}
        given: dict[str, Any] = {"content": asked.content} if asked.content is not None else {"data": data}
        answer = client.post(asked.address, headers=headers, **given)
        if answer.status_code == 303 and asked.follow:
            return client.get(answer.headers["location"], headers=headers)
        return answer


@dataclass
class Gallery:
    """What was shown, and which states could not be brought about: one that fails keeps no other from being seen."""

    shown: list[Shown] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)


def collected(scene: Scene, states: Mapping[str, Sequence[State]], others: Mapping[str, Sequence[str]]) -> Gallery:
    """Every state, as whom it is meant for and in each language; and again as each of `others` who may use the route,
    where what they see differs."""
    gallery = Gallery()
    for route, each_state in states.items():
        for state in each_state:
            try:
                gallery.shown += _seen(scene, route, state, others.get(route, ()))
                gallery.reached.add(route)
            except Exception as failure:  # it is told, by the test that asks whether there are any
                told = "".join(traceback.format_exception(failure, limit=-3))
                gallery.failed.append(f"{route}, {state.name}: {told}")
    return gallery


def _seen(scene: Scene, route: str, state: State, others: Sequence[str]) -> list[Shown]:
    found: list[Shown] = []
    asked = state.bring(scene)
    try:
        for number, language in enumerate(LANGUAGES):
            if number and state.anew:
                asked = state.bring(scene)
            first = _shown(scene, route, state, asked, language)
            found += [first] if first is not None else []
            if first is None or asked != Ask(asked.address, status=asked.status, after=asked.after):
                continue
            known = {_told(first)}
            for who in others:
                seen = _shown(scene, route, state, replace(asked, who=who), language)
                if seen is not None and seen.status == 200 and _told(seen) not in known:
                    known.add(_told(seen))
                    found.append(seen)
    finally:
        if asked.after is not None:
            asked.after()
    return found


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


def route_of(method: str, address: str) -> str:
    """The route that answers a request."""
    path = address.partition("?")[0]
    for each in PAGES:
        taken = each.get if method == "GET" else each.post or each.upload
        if taken is not None and _pattern(each.path).match(path):
            return each.name
    return next((each.name for each in DOORS if each.path_regex.match(path)), NO_ROUTE)


def _shown(scene: Scene, route: str, state: State, asked: Ask, language: str) -> Shown | None:
    method = "GET" if asked.data is None and asked.content is None else "POST"
    reached = route_of(method, asked.address)
    assert reached == route, f"{state.name}: {method} {asked.address} is {reached}, not {route}"
    answer = scene.answer(asked, language)
    if asked.who not in PEOPLE or asked.status != 200 or method == "POST":
        assert answer.status_code == asked.status, f"{route}, {state.name}: {answer.status_code}\n{_short(answer)}"
    if not asked.is_page:
        return None
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return None
    client = asked.client or (scene.client(asked.who, asked.house) if asked.who else None)
    return Shown(
        route=route,
        state=state.name,
        who=asked.who or "",
        house=asked.house,
        language=language,
        address=answer.url.raw_path.decode(),
        status=answer.status_code,
        html=answer.text,
        headers={name: answer.headers[name] for name in ("content-type", "content-security-policy")},
        cookies=dict(client.cookies) if client is not None else {},
    )


def _told(shown: Shown) -> str:
    """What is drawn, without what differs at each asking; the head of the page is looked at elsewhere."""
    main = _MAIN.search(shown.html)
    return _CHANGING.sub(r"\1", main[0] if main else shown.html)


def _data(form: Form) -> dict[str, list[str]]:
    data: dict[str, list[str]] = {}
    for name, value in form.fields:
        data.setdefault(name, []).append(value)
    return data


def short(html: str) -> str:
    """The beginning of what a page says, for whoever reads that a test failed."""
    main = _MAIN.search(html)
    return " ".join(re.sub(r"<[^>]*>", " ", main[0] if main else html).split())[:600]


def _short(answer: httpx.Response) -> str:
    try:
        return short(answer.text)
    except httpx.ResponseNotRead:
        return ""
