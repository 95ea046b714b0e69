"""A browser as far as the node can tell: it keeps cookies, fills in forms that a page showed, and sends them back."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

from node import people
from node.app import Node
from node.people import Stage

from ..association import PASSWORD

__all__ = ["Browser", "Form", "forms_in", "whole_session"]

ADDRESS = "http://localhost:8480"


@dataclass
class Form:
    """A form of a page, with what a browser would send if nobody touched it."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def fill(self, **values: str | list[str]) -> Form:
        """Type something: a name's `__` is a point (`new__role`)."""
        for name, value in values.items():
            self.put(name.replace("__", "."), value)
        return self

    def put(self, name: str, value: str | list[str]) -> Form:
        self.fields = [each for each in self.fields if each[0] != name]
        self.fields += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        return self

    def value(self, name: str) -> str:
        return next((value for each, value in self.fields if each == name), "")


class _Reader(HTMLParser):
    """What forms on a page would send: text fields, chosen options, checked boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._text: list[str] | None = None
        self._name = ""
        self._options: list[tuple[str, bool]] | None = None

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes: dict[str, Any] = {name: value or "" for name, value in given}
        if tag == "form":
            self._form = Form(attributes.get("action", ""))
            self.forms.append(self._form)
        if self._form is None:
            return
        name = attributes.get("name", "")
        if tag == "input" and name and attributes.get("type") != "file":
            if attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes:
                self._form.fields.append((name, attributes.get("value", "on")))
        elif tag == "textarea":
            self._name, self._text = name, []
        elif tag == "select":
            self._name, self._options = name, []
        elif tag == "option" and self._options is not None:
            self._options.append((attributes.get("value", ""), "selected" in attributes))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "textarea" and self._text is not None:
            typed = "".join(self._text)
            # A newline right after the tag is not part of the text (HTML); browsers send line ends as CR LF.
            self._form.fields.append((self._name, typed.removeprefix("\n").replace("\n", "\r\n")))
            self._text = None
        elif tag == "select" and self._options:
            chosen = [value for value, selected in self._options if selected]
            self._form.fields.append((self._name, chosen[0] if chosen else self._options[0][0]))
            self._options = None
        elif tag == "form":
            self._form = None


def forms_in(page: str) -> list[Form]:
    """Every form of a page."""
    reader = _Reader()
    reader.feed(page)
    return reader.forms


async def whole_session(node: Node, name: str) -> str:
    """The token of a session that has passed the second step, without the time that comparing a password takes."""
    now = node.clock.now()
    kept = await node.db.read(lambda tx: people.to_compare(tx, node.vault, name, now=now))
    assert kept is not None
    right = people.Compared(kept[0], right=True)
    opened = await node.db.write(
        lambda tx: people.sign_in(
            tx, node.vault, name, PASSWORD, now=now, random=node.random, compared=right, stage=Stage.FULL
        )
    )
    return opened.token


class Browser(httpx.AsyncClient):
    """Follows no redirect by itself, so that a test sees each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            base_url=ADDRESS, headers={"sec-fetch-site": "same-origin", "accept-language": "en"}, **options
        )

    async def sign_in(self, node: Node, name: str) -> None:
        """As the first page and the second step would."""
        self.token = await whole_session(node, name)
        self.cookies.set("session", self.token)

    async def form(self, path: str, *, action: str | None = None) -> Form:
        """The form of a page that is sent to `action`, or to the page itself."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return next(each for each in forms_in(answer.text) if each.action == (action or path.partition("?")[0]))

    async def submit(self, form: Form, path: str | None = None) -> httpx.Response:
        """Send a form back."""
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            data.setdefault(name, []).append(value)
        return await self.post(path or form.action, data=data)
