"""Two administrators' consoles over a directory that runs, for tests and pictures in a browser.

with opened(folder) as consoles:
    page.goto(consoles.link(0))            # works once; `come_in` types the passphrase as well
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Page

from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from cordee.web.serving import Listening, serving
from cordee.words import six_words
from directory.administrator.client import connected
from directory.administrator.inviting import command_of, make_invitation
from directory.administrator.signing import begun_or_new, ready_to_sign
from directory.console.app import application
from directory.console.console import Console
from tests.directory.console.office import PASSPHRASE, Office
from tests.directory.town import SAMPLES, Node, Town

__all__ = ["Consoles", "opened"]

T = TypeVar("T")
_SECONDS = 60
_TICK = 0.1


class Consoles:
    """The office, run in a thread of its own beside the browser's."""

    def __init__(self, office: Office, loop: asyncio.AbstractEventLoop, stack: AsyncExitStack) -> None:
        self.office = office
        self.members: dict[str, Node] = {}
        self.asking: dict[str, Node] = {}
        self._loop = loop
        self._stack = stack

    @property
    def town(self) -> Town:
        """The directory and its network."""
        return self.office.town

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Something that is done where the directory runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def console(self, who: int = 0) -> tuple[Console, str]:
        """A console that nobody has opened yet, and its address."""

        async def serve() -> tuple[Console, str]:
            console = self.office.make(who)
            where = Listening(address="127.0.0.1", host="127.0.0.1")
            address = await self._stack.enter_async_context(serving(where, lambda hosts, secure: application(console)))
            return console, address

        return self.run(serve())

    def come_in(self, page: Page, who: int = 0) -> str:
        """A new console in this browser, its link followed and its passphrase typed. Returns its address."""
        console, address = self.console(who)
        page.goto(address.rstrip("/") + console.link)
        page.locator("#passphrase").fill(PASSPHRASE)
        page.locator("main form button").click()
        page.wait_for_url(address)
        return address

    def join(self, name: str) -> Node:
        """A member, admitted by both."""
        self.members[name] = self.run(self.town.join(name))
        return self.members[name]

    def ask(self, name: str) -> Node:
        """An association that was invited and has asked."""
        number = len(SAMPLES) - 1 - len(self.asking)  # members take the first ones
        self.asking[name] = self.run(self.office.applicant(name, number))
        return self.asking[name]

    def begin(self, statement: Callable[[Any], Any], *, by: int = 1) -> str:
        """An administrator signs something that wants another signature. Returns its digest."""

        async def work(client: Any) -> str:
            roster = self.town.directory.rosters.roster
            entry = begun_or_new(await client.pending(), statement(roster))
            ready = ready_to_sign(entry, roster, self.town.network.administrators[by], self.town.clock.now())
            await client.sign_entry(ready.signed)
            return ready.digest.hex()

        return self.run(self._as(by, work))

    def invite(self, name: str, number: str) -> None:
        """An invitation that nobody has used yet."""

        async def work(client: Any) -> None:
            made = make_invitation(
                self.office.home(0).network(),
                self.town.directory.rosters.roster,
                legal_name=name,
                number=number,
                bound_by_secrecy=True,
                life=timedelta(days=30),
                now=self.town.clock.now(),
                random=os.urandom,
            )
            await client.invite(**command_of(made))

        self.run(self._as(0, work))

    def suspend(self, name: str) -> None:
        """Both have signed it."""
        member = self.members[name].keys.id

        async def work() -> None:
            head = self.town.network.roster.head(member, self.town.clock.now())
            entry = self.town.network.signed_entry(v1.MemberSuspended(**head, member=member))
            await self.town.append(self.town.network.append(entry))

        self.run(work())

    def short_card(self, name: str) -> None:
        """A card that ends in nine days."""
        node = self.members[name]
        self.run(node.publish(self.town.card(node.keys, number=2, life=timedelta(days=9)), node.keys.profile))

    def hear(self, *names: str) -> None:
        """These members' nodes say that they know the whole log."""

        async def work(node: Node) -> None:
            roster = self.town.directory.rosters.roster
            held = v1.HeldCheckpoint(
                network=roster.network,
                member=node.keys.id,
                size=roster.size,
                root=self.town.directory.rosters.root_at(roster.size),
                time=timestamp_of(self.town.clock.now()),
            )
            signed = node.keys.identity.sign(held).to_message()
            await node.roster.TellHeldCheckpoint(pb.TellHeldCheckpointRequest(held=signed), timeout=_SECONDS)

        for name in names:
            self.run(work(self.members[name]))

    async def _as(self, who: int, work: Callable[[Any], Awaitable[T]]) -> T:
        network = self.office.home(who).network()
        async with connected(
            network.front,
            root=network.ca_certificate,
            network=network.id,
            key=self.town.network.administrators[who],
            clock=self.town.clock,
            random=os.urandom,
        ) as client:
            return await work(client)


def words(node: Node) -> str:
    """As the association reads them out."""
    return " ".join(six_words(node.keys.identity.public))


@contextlib.contextmanager
def opened(folder: Path, *, administrators: int = 3) -> Iterator[Consoles]:
    """A founded directory that serves, with administrators of whom two must sign."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stopped = asyncio.Event()

    @contextlib.asynccontextmanager
    async def office() -> AsyncIterator[Office]:
        town = Town.make(folder / "directory", administrators=administrators)
        async with town.open():
            await town.found()
            made = Office(town, folder)
            yield made
            await made.close()

    begun: asyncio.Future[Consoles] = loop.create_future()

    async def live() -> None:
        try:
            async with office() as made, AsyncExitStack() as stack:
                begun.set_result(Consoles(made, loop, stack))
                while not stopped.is_set():  # as in a day: the directory counts how often somebody asks
                    await asyncio.sleep(_TICK)
                    made.town.clock.advance(timedelta(seconds=_TICK))
        except BaseException as error:
            if not begun.done():
                begun.set_exception(error)
            raise

    living = asyncio.run_coroutine_threadsafe(live(), loop)

    async def beginning() -> Consoles:
        return await begun

    try:
        yield asyncio.run_coroutine_threadsafe(beginning(), loop).result(_SECONDS)
    finally:
        loop.call_soon_threadsafe(stopped.set)
        with contextlib.suppress(Exception):
            living.result(_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_SECONDS)
        loop.close()
