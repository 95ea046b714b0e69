"""Two administrators at their consoles, and a directory that runs. Nothing here needs a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cordee.words import six_words
from directory.administrator import keyfile
from directory.administrator.home import Home
from directory.console.app import application
from directory.console.console import Console
from directory.house import Founding
from tests.directory.town import Node, Town, encoded, profile_of
from tests.node.web.browser import Form, forms_in

PASSPHRASE = "une phrase assez longue"
ADDRESS = "http://127.0.0.1:8480"


@dataclass
class Office:
    """`await office.console(0)` is the first administrator's console, in a browser that has come by the link."""

    town: Town
    folder: Path
    consoles: dict[int, Console] = field(default_factory=dict)
    desks: dict[int, Desk] = field(default_factory=dict)

    def home(self, who: int) -> Home:
        """What that administrator's tool keeps, made the first time."""
        home = Home(self.folder / f"home-{who}")
        founding = Founding.parse((self.town.folder / "founding.json").read_bytes())
        home.create(self.town.network.roster.network, founding)
        network = home.network()
        listening = self.town.listening
        if network.front != listening.front:  # the test's directory listens on a free port
            file = self.folder / f"home-{who}" / "network.json"
            file.write_text(file.read_text().replace(network.front, listening.front))
        return home

    def key_file(self, who: int) -> Path:
        """The administrator's key, sealed with the passphrase as cheaply as a key file may be."""
        path = self.folder / f"{who}.key"
        if not path.exists():
            seeds = iter([self.town.network.administrators[who].seed])
            with _given_key(seeds):
                keyfile.create(path, PASSPHRASE.encode(), random=os.urandom, rounds=1, memory=8192)
        return path

    def make(self, who: int = 0, *, key: bool = False) -> Console:
        """A console that nobody has opened yet."""
        opened = self.town.network.administrators[who] if key else None
        console = Console(self.home(who), self.key_file(who), clock=self.town.clock, random=os.urandom, key=opened)
        self.consoles[len(self.consoles)] = console
        return console

    async def desk(self, who: int = 0, *, language: str = "en") -> Desk:
        """The administrator's browser, in."""
        console = self.make(who)
        desk = Desk(console, language=language)
        self.desks[len(self.desks)] = desk
        form = await desk.form(console.link)
        answer = await desk.submit(form.fill(passphrase=PASSPHRASE))
        assert answer.status_code == 303, answer.text
        return desk

    async def applicant(self, name: str, number: int = 0) -> Node:
        """An association that was invited and has asked."""
        profile = profile_of(name, number)
        invitation = await self.town.invite(profile["legal_name"], profile["siret"])
        node = self.town.applicant(name, encoded(profile))
        await self.town.enrol(self.town.join_request(node, invitation))
        return node

    async def close(self) -> None:
        """All of it."""
        for desk in self.desks.values():
            await desk.aclose()
        for console in self.consoles.values():
            await console.lock()


class Desk(httpx.AsyncClient):
    """A browser as far as the console can tell. Follows no redirect by itself, so that a test sees each."""

    def __init__(self, console: Console, *, language: str = "en") -> None:
        self.console = console
        super().__init__(
            base_url=ADDRESS,
            headers={"sec-fetch-site": "same-origin", "accept-language": language},
            transport=httpx.ASGITransport(application(console)),
        )

    async def page(self, path: str, status: int = 200) -> str:
        """A page's HTML."""
        answer = await self.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    async def form(self, path: str, *, action: str | None = None) -> Form:
        """The form of a page that is sent to `action`, or to the page itself."""
        text = await self.page(path)
        wanted = action or path.partition("?")[0]
        return next(each for each in forms_in(text) if each.action == wanted)

    async def submit(self, form: Form, **files: Any) -> httpx.Response:
        """Send a form back."""
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            data.setdefault(name, []).append(value)
        return await self.post(form.action, data=data, **files)

    async def sign(self, path: str, *, words: str = "") -> httpx.Response:
        """Read what is signed, and sign it."""
        form = await self.form(path)
        return await self.submit(form.fill(words=words) if words else form)


def words(node: Node) -> str:
    """As the association reads them out."""
    return " ".join(six_words(node.keys.identity.public))


@contextmanager
def _given_key(seeds: Iterator[bytes]) -> Iterator[None]:
    """`keyfile.create` makes a key; here it is one that the genesis names."""
    from cordee.signing import SigningKey

    seed = next(seeds)
    made = SigningKey.generate
    SigningKey.generate = classmethod(lambda cls, random: cls.from_seed(seed))  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        SigningKey.generate = made  # type: ignore[method-assign]


def copy_of(home: Path, to: Path) -> Path:
    """A folder as it was."""
    return Path(shutil.copytree(home, to))
