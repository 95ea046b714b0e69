"""A directory in an attacker's hands: the real keys, the real TLS, the real broker, and whatever it likes to show.

async with beside_a_liar(tmp_path, "Paris", "Marseille") as (street, liar, nodes):
    liar.shows = Shown(note=an_older_one)          # to everybody; `liar.shows_to[member]` to one member
    liar.shows = None                              # the truth again
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.entries import entry_leaf
from cordee.ids import Digest, MemberId
from cordee.log import MerkleTree
from cordee.runtime.interceptors import CallerLimits, Gate, caller
from cordee.runtime.mailbox import MailboxServicer
from cordee.runtime.mailbox_wire import add_mailbox
from cordee.runtime.server import Server
from cordee.runtime.tls import rotating_server_credentials
from cordee.signing import Signed, SigningKey
from cordee.statements import peek
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc, mailbox_pb2
from cordee.v1 import statements_pb2 as v1
from directory.app import Directory
from directory.mailbox_policy import TransferMailboxPolicy
from directory.quotas import own_entries
from directory.rpc.members import BrokerServicer, EventsServicer, MembershipServicer, RosterServicer
from node.joining import Membership
from tests.neighbours import Neighbour, Street, eventually, knows, neighbourhood


@dataclass(frozen=True)
class Shown:
    """What is shown instead of the truth. What is None is the truth."""

    note: str | Callable[[], str] | None = None
    entries: Callable[[int], Iterable[v1.Entry]] | None = None  # from an index on
    cards: Callable[[], Iterable[pb.ListCardsResponse]] | None = None


@dataclass
class Liar:
    """What this directory shows to whom. `smuggles`: statements go to the other party unread, past the real broker;
    whatever else is put into a member's `box` comes on its stream.
    """

    shows: Shown | None = None
    shows_to: dict[MemberId, Shown] = field(default_factory=dict)
    smuggles: bool = False
    post: dict[MemberId, asyncio.Queue[pb.Event]] = field(default_factory=dict)
    address: str = ""

    def view(self, member: MemberId) -> Shown:
        return self.shows_to.get(member) or self.shows or Shown()

    def box(self, member: MemberId) -> asyncio.Queue[pb.Event]:
        return self.post.setdefault(member, asyncio.Queue())


class LyingRoster(RosterServicer):
    liar: Liar

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Any) -> pb.GetCheckpointResponse:
        note = self.liar.view(caller(context).member).note
        if note is None:
            return await super().GetCheckpoint(request, context)
        return pb.GetCheckpointResponse(checkpoint=note if isinstance(note, str) else note())

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Any) -> AsyncIterator[pb.ListEntriesResponse]:
        entries = self.liar.view(caller(context).member).entries
        if entries is None:
            async for answer in super().ListEntries(request, context):
                yield answer
            return
        for entry in entries(request.start):
            yield pb.ListEntriesResponse(entry=entry)

    async def ListCards(self, request: pb.ListCardsRequest, context: Any) -> AsyncIterator[pb.ListCardsResponse]:
        cards = self.liar.view(caller(context).member).cards
        if cards is None:
            async for answer in super().ListCards(request, context):
                yield answer
            return
        for card in cards():
            yield card


class LyingBroker(BrokerServicer):
    liar: Liar

    async def Submit(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitResponse:
        if not self.liar.smuggles:
            return await super().Submit(request, context)
        signed = Signed.from_message(request.statement)
        parties = peek(signed).parties
        other = parties.recipient if caller(context).member == parties.sender else parties.sender
        self.liar.box(other).put_nowait(pb.Event(statement=signed.to_message()))
        return pb.SubmitResponse(state="offered")


class LyingEvents(EventsServicer):
    liar: Liar

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.Event]:
        member = caller(context).member
        true, smuggled = super().Watch(request, context), self.liar.box(member)
        waits = {"true": asyncio.ensure_future(anext(true)), "smuggled": asyncio.ensure_future(smuggled.get())}
        try:
            while True:
                await asyncio.wait(waits.values(), return_when=asyncio.FIRST_COMPLETED)
                if waits["true"].done():
                    yield self._told(waits["true"].result(), member)
                    waits["true"] = asyncio.ensure_future(anext(true))
                if waits["smuggled"].done():
                    yield waits["smuggled"].result()
                    waits["smuggled"] = asyncio.ensure_future(smuggled.get())
        finally:
            for each in waits.values():
                each.cancel()
            await asyncio.gather(*waits.values(), return_exceptions=True)

    def _told(self, event: pb.Event, member: MemberId) -> pb.Event:
        """To whoever is lied to, a hint tells no more than that there is something to ask for."""
        view = self.liar.view(member)
        if event.WhichOneof("kind") == "roster_grown" and (view.note is not None or view.entries is not None):
            return pb.Event(roster_grown=pb.RosterGrown())
        return event


@contextlib.asynccontextmanager
async def lying(directory: Directory) -> AsyncIterator[Liar]:
    """A second listener for members, with the directory's own key, beside the honest one."""
    liar = Liar()
    entered = own_entries(directory.clock)
    roster = LyingRoster(directory.rosters, directory.cards, directory.events, directory.knowledge, entered)
    broker, events = LyingBroker(directory.broker), LyingEvents(directory.events)
    roster.liar = broker.liar = events.liar = liar
    server = Server(Gate(guard=directory.guard, limits=CallerLimits(directory.clock)))
    services = pb.DESCRIPTOR.services_by_name
    registers = directory_pb2_grpc
    server.add(
        services["Membership"],
        registers.add_MembershipServicer_to_server,
        MembershipServicer(directory.membership),
    )
    server.add(services["Roster"], registers.add_RosterServicer_to_server, roster)
    server.add(services["Broker"], registers.add_BrokerServicer_to_server, broker)
    server.add(services["Events"], registers.add_EventsServicer_to_server, events)
    server.add(
        mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"],
        add_mailbox,
        MailboxServicer(directory.mailbox, TransferMailboxPolicy(directory.broker)),
    )
    credentials = rotating_server_credentials(
        directory.authority.server_certificate, root=directory.authority.certificate
    )
    liar.address = f"127.0.0.1:{server.listen('127.0.0.1:0', credentials)}"
    await server.start()
    try:
        yield liar
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def beside_a_liar(
    folder: Path, *names: str, **policy: Any
) -> AsyncIterator[tuple[Street, Liar, list[Neighbour]]]:
    """Whole nodes that joined an honest directory, which from now on may lie."""
    async with contextlib.AsyncExitStack() as stack:
        street, nodes = await stack.enter_async_context(neighbourhood(folder, *names, start=False, **policy))
        liar = await stack.enter_async_context(lying(street.town.directory))
        for each in nodes:
            stack.push_async_callback(stopped, each)
            replace(Membership.load(each.folder), members=liar.address).save(each.folder)
            await each.start()
        for each in nodes:
            await eventually(lambda each=each: knows(each, len(names)), what="cards")
        yield street, liar, nodes


async def stopped(neighbour: Neighbour) -> None:
    if neighbour.node is not None:
        await neighbour.stop()


@dataclass
class Log:
    """A log of the attacker's, signed with the real key of the directory."""

    entries: list[v1.Entry]
    origin: str
    key: SigningKey

    @classmethod
    def true(cls, street: Street) -> Log:
        """What the directory really holds."""
        network = street.town.network
        return cls(list(network.entries), network.roster.origin, street.town.directory.house.log_key())

    def with_entries(self, *entries: v1.Entry, upto: int | None = None) -> Log:
        return replace(self, entries=[*self.entries[:upto], *entries])

    def note(self, time: datetime, **changes: Any) -> str:
        tree = MerkleTree()
        for entry in self.entries:
            tree.append(entry_leaf(entry))
        facts = {"origin": self.origin, "size": tree.size, "root": Digest(tree.root()), "time": time} | changes
        facts["time"] = facts["time"].replace(microsecond=0)
        return sign_checkpoint(Checkpoint(**facts), changes.pop("key", self.key))

    def hint(self, time: datetime, *, start: int, **changes: Any) -> pb.RosterGrown:
        """The end of this log, as a hint brings it."""
        facts = {"checkpoint": self.note(time), "start": start, "entries": self.entries[start:], "card_revision": 1}
        return pb.RosterGrown(**facts | changes)

    def shown(self, time: datetime) -> Shown:
        return Shown(note=self.note(time), entries=lambda start: self.entries[start:])
