"""Whoever wants to work while it floods: a member at the directory, with the product's own client and deadlines."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from cordee import statements
from cordee.checkpoint import peek_checkpoint
from cordee.errors import CordeeError, NotFound, Unreachable
from cordee.ids import Digest, TransferId
from cordee.statements import Parties, TreeHead
from cordee.summary import seal_summary
from cordee.transfer import State
from cordee.v1 import node_pb2
from cordee.v1 import statements_pb2 as v1
from node.cli.client import connect
from node.cli.session import Sessions
from node.demo.stage import HANDLER
from node.directory_client import DirectoryClient
from node.mailbox_line import MailboxLine
from tests.faults.floods.scene import Member, Scene
from tests.web.town import PASSWORD

__all__ = ["Served", "asking", "commanding", "handling", "working"]

_STEADY, _ANEW, _STEPS = 0.05, 0.2, 0.3  # seconds between two
_AGAIN = 0.5
_SUMMARY = v1.Summary(kind="transfer", purpose="relocation", sections=["needs"], need="hebergement")


@dataclass
class Served:
    """What came of an honest client's calls."""

    within: float  # seconds, the product's deadline
    done: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lately: dict[str, int] = field(default_factory=dict)  # of each kind: begun and answered since `look_again`
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _looks: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def all(self) -> int:
        return self.done + len(self.failed)

    def look_again(self) -> None:
        """Count anew what is begun and answered from now on. What was begun before does not count."""
        self._looks += 1
        self.lately = dict.fromkeys(self.lately, 0)

    async def answered(self, least: int) -> None:
        """Wait until as many of each kind were, since `look_again`."""
        while min(self.lately.values()) < least:
            self._news.clear()
            await self._news.wait()

    async def once(self, what: str, call: Callable[[], Awaitable[object]]) -> None:
        """Count one."""
        began, look = time.monotonic(), self._looks
        try:
            async with asyncio.timeout(self.within):
                await call()
        except (CordeeError, TimeoutError, OSError, httpx.HTTPError) as failed:
            self.failed.append(f"{what}: {failed!s} after {time.monotonic() - began:.1f} s")
        else:
            self.done += 1
            self.lately[what] += look == self._looks
            self._news.set()
        self.slowest = max(self.slowest, time.monotonic() - began)

    async def repeat(self, what: str, call: Callable[[], Awaitable[object]], *, every: float) -> None:
        """Until `over` is set. A call that is under way then is waited for: it counts."""
        self.lately.setdefault(what, 0)
        while not self.over.is_set():
            await self.once(what, call)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), every)


@asynccontextmanager
async def working(member: Member, other: Member, served: Served) -> AsyncIterator[None]:
    """As long as the block lasts: calls on one connection, calls on a new one each, and steps that are written down."""
    client = member.client()
    await client.checkpoint()
    tasks = [
        asyncio.create_task(served.repeat("calls", lambda: _look(client), every=_STEADY)),
        asyncio.create_task(served.repeat("a new connection", lambda: _anew(member), every=_ANEW)),
        asyncio.create_task(served.repeat("steps", lambda: _steps(client, member, other), every=_STEPS)),
    ]
    try:
        yield
    finally:
        served.over.set()
        await asyncio.gather(*tasks)
        await client.close()


@asynccontextmanager
async def handling(scene: Scene, served: Served, *, signing_in: bool = False) -> AsyncIterator[None]:
    """As long as the block lasts somebody reads pages, on one connection and on new ones, and others come in."""
    trusted = ssl.create_default_context(cafile=str(scene.pages_root))
    address = scene.helpline.pages
    async with httpx.AsyncClient(base_url=address, cookies=scene.cookies, verify=trusted, timeout=None) as client:
        tasks = [
            asyncio.create_task(served.repeat("pages", lambda: _page(client, "/cases"), every=_ANEW)),
            asyncio.create_task(served.repeat("a newcomer", lambda: _newcomer(address, trusted), every=_STEPS)),
        ]
        if signing_in:
            tasks.append(asyncio.create_task(served.repeat("signing in", lambda: _in(address, trusted), every=_STEPS)))
        try:
            yield
        finally:
            served.over.set()
            await asyncio.gather(*tasks)


async def _page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    if answer.status_code != 200:
        raise OSError(f"status {answer.status_code}")


async def _newcomer(address: str, trusted: ssl.SSLContext) -> None:
    async with httpx.AsyncClient(base_url=address, verify=trusted, timeout=None) as client:
        await _page(client, "/sign-in")


async def _in(address: str, trusted: ssl.SSLContext) -> None:
    """A name and its right password; the second step is asked for then."""
    async with httpx.AsyncClient(base_url=address, verify=trusted, timeout=None) as client:
        typed = {"name": HANDLER, "password": PASSWORD}
        answer = await client.post("/sign-in", data=typed, headers={"Sec-Fetch-Site": "same-origin"})
        if answer.status_code != 303:
            raise OSError(f"status {answer.status_code}")


@asynccontextmanager
async def asking(member: Member, owner: Member, address: str, served: Served) -> AsyncIterator[None]:
    """As long as the block lasts: a sender asks a node's own mailbox what it holds. Nothing is an answer too."""
    client = member.client()

    async def ask(line: MailboxLine) -> None:
        with suppress(NotFound):
            await line.waiting_bytes(TransferId(os.urandom(TransferId.length)))

    async def anew() -> None:
        while True:
            async with client.channel_to(owner.id, address) as channel:
                try:
                    return await ask(MailboxLine(channel))
                except Unreachable:
                    await asyncio.sleep(_AGAIN)

    async with client.channel_to(owner.id, address) as channel:
        line = MailboxLine(channel)
        tasks = [
            asyncio.create_task(served.repeat("calls", lambda: ask(line), every=_ANEW)),
            asyncio.create_task(served.repeat("a new connection", anew, every=_ANEW)),
        ]
        try:
            yield
        finally:
            served.over.set()
            await asyncio.gather(*tasks)
    await client.close()


@asynccontextmanager
async def commanding(scene: Scene, served: Served) -> AsyncIterator[None]:
    """As long as the block lasts a handler types commands: a new connection each, as the command line makes it."""
    house = scene.helpline
    token = Sessions(house.folder / "session").token(house.socket)

    async def who() -> None:
        async with connect(house.socket, token) as client:
            await client.sessions.WhoAmI(node_pb2.WhoAmIRequest())

    async def transfers() -> None:
        async with connect(house.socket, token) as client:
            async for _ in client.transfers.ListTransfers(node_pb2.ListTransfersRequest()):
                pass

    tasks = [
        asyncio.create_task(served.repeat("who am I", who, every=_STEADY)),
        asyncio.create_task(served.repeat("the list of transfers", transfers, every=_ANEW)),
    ]
    try:
        yield
    finally:
        served.over.set()
        await asyncio.gather(*tasks)


async def _look(client: DirectoryClient) -> None:
    await client.checkpoint()
    async for _ in client.entries(start=0):
        pass


async def _anew(member: Member) -> None:
    """A connection that is refused is made again after a moment, as each loop of a node does."""
    client = member.client()
    try:
        while True:
            try:
                await client.checkpoint()
            except Unreachable:
                await asyncio.sleep(_AGAIN)
            else:
                return
    finally:
        await client.close()


async def _steps(client: DirectoryClient, member: Member, other: Member) -> None:
    """Offer, and take it back: each answered means written."""
    now = datetime.now(UTC)
    seen = peek_checkpoint(await client.checkpoint())
    parties = Parties(member.membership.network, statements.new_transfer_id(os.urandom), member.id, other.id)
    token = statements.new_token(
        transfer_id=parties.transfer_id,
        sender=member.id,
        recipient=other.id,
        not_before=now - timedelta(minutes=1),
        expires=now + timedelta(days=7),
        commitment=Digest(os.urandom(32)),
        random=os.urandom,
    )
    number, key = max(other.keys.sealing.items())
    offer = statements.offer(
        parties=parties,
        token=token,
        sealed_summary=seal_summary(_SUMMARY, parties=parties, to=key.public),
        recipient_card=number,
        size_bound=65_536,
        expires=now + timedelta(days=1),
        checkpoint=TreeHead(size=seen.size, root=seen.root),
        now=now,
        key=member.keys.identity,
    )
    assert await client.submit(offer) == State.OFFERED
    body = v1.Withdrawal(
        network=parties.network,
        transfer_id=parties.transfer_id,
        sender=parties.sender,
        recipient=parties.recipient,
        offer=offer.digest,
        token_id=token.id,
    )
    body.time.FromDatetime(datetime.now(UTC))
    assert await client.submit(member.keys.identity.sign(body)) == State.WITHDRAWN
