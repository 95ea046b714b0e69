"""A newcomer at the pages of the practice server, over plain requests: does what the guide says, as a browser would."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from tests.node.web.browser import Form, forms_in

__all__ = ["Newcomer", "until"]

_LINK = re.compile(r'href="([^"]+)"')
_STEP = re.compile(r'<li><span class="state( good)?">')
_BESIDE = re.compile(r'<aside class="practice-beside".*?</aside>', re.S)


class Newcomer:
    """Somebody who signs in with what the page says."""

    def __init__(self, address: str, *, language: str = "en") -> None:
        self.confirmed = ""  # the last page before an offer left
        self.client = httpx.Client(
            base_url=address,
            timeout=60,
            headers={"sec-fetch-site": "same-origin", "accept-language": language},
        )

    def get(self, path: str, *, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    def sign_in(self) -> None:
        """With the name, the password and the code that stand on the pages themselves."""
        shown = self.get("/sign-in")
        name, password = re.search(r"Practice account: (\S+), password: (\S+?)<", shown).groups()  # type: ignore[union-attr]
        answer = self.client.post("/sign-in", data={"name": name, "password": password, "next": ""})
        assert answer.status_code == 303, answer.text
        form = self.form("/second")
        code = re.search(r"it would show: (\d{6})", self.get("/second"))
        assert code
        assert self.submit(form.fill(code=code[1])).status_code == 303

    def form(self, path: str, *, action: str = "") -> Form:
        wanted = action or path.partition("?")[0]
        return next(each for each in forms_in(self.get(path)) if each.action.partition("?")[0] == wanted)

    def submit(self, form: Form, path: str = "") -> httpx.Response:
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            data.setdefault(name, []).append(value)
        answer = self.client.post(path or unescape(form.action), data=data)
        assert answer.status_code in (200, 303), (form.action, answer.status_code, answer.text)
        return answer

    def press(self, page: str, action: str, **values: Any) -> httpx.Response:
        """Fill in the form of a page that is sent to `action`, and send it."""
        return self.submit(self.form(page, action=action).fill(**values))

    # -- the guide --

    def begin(self, workflow: str) -> None:
        form = self.form("/practice")
        self.submit(form.put("begin", workflow))

    def ticks(self, workflow: str) -> list[bool]:
        """Which steps of a workflow are ticked, as the page of the ten says."""
        section = self.get("/practice").split(f'aria-labelledby="{workflow}"')[1].partition("</section>")[0]
        return [bool(each) for each in _STEP.findall(section)]

    def beside(self, path: str = "/") -> str:
        """The guide as it stands on another page."""
        found = _BESIDE.search(self.get(path))
        return found[0] if found else ""

    def next_address(self) -> str:
        """Where the guide sends the newcomer."""
        found = re.search(r'<a href="([^"]+)">Go there</a>', self.beside())
        assert found, self.beside()
        return unescape(found[1])

    def case(self) -> str:
        """The case that was laid ready, from the guide's address."""
        found = re.search(r"/cases/([0-9a-f-]{36})", self.next_address())
        assert found
        return found[1]

    # -- the work --

    def record(self, address: str, **answers: Any) -> None:
        """An act, from the first step's address as the guide gives it."""
        form = self.form(address)
        for name, _ in list(form.fields):
            if name.startswith("holder-") and not name.endswith("-channel"):
                form.put(name, "agrees")
        form.fill(**{"minor_answer": "agrees", "function": "éducatrice spécialisée", "discernment": "able", **answers})
        answer = self.submit(form)
        assert answer.status_code == 303, re.findall(r'<p class="error".*?</p>', answer.text)

    def send(self, case: str, to: str, purpose: str, *, kind: str = "transfer", departement: str = "") -> str:
        """Through the four screens; the transfer's address."""
        why = self.get(f"/cases/{case}/send/why?to={to}")
        links = [unescape(each) for each in _LINK.findall(why)]
        wanted = (f"purpose={purpose}", f"kind={kind}")
        allowed = [each for each in links if "/send/what?" in each and all(part in each for part in wanted)]
        assert allowed, why
        what = allowed[0]
        chosen = next(each for each in forms_in(self.get(what)) if each.action.endswith("/confirm"))
        confirm = f"{chosen.action}?{urlencode([*parse_qsl(urlsplit(what).query), *chosen.fields])}"
        self.confirmed = self.get(confirm)
        form = next(
            each for each in forms_in(self.confirmed) if each.action.partition("?")[0].endswith("/send/confirm")
        )
        answer = self.submit(form.fill(departement=departement) if departement else form)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


def until(found: Callable[[], Any], *, what: str, seconds: float = 60) -> Any:
    """Ask again until it is so: partners take some seconds."""
    ends = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < ends, f"{what} did not happen in {seconds:.0f} seconds"
        time.sleep(0.3)
    return answer
