"""The node, put together: config in, running house out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cordee.errors import RosterStale
from cordee.ids import MemberId
from cordee.runtime.ballast import BALLAST, Ballast
from cordee.runtime.clock import Clock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.runtime.doorkeeper import DoorCounts
from cordee.runtime.durable import private_folder
from cordee.runtime.interceptors import Observer
from cordee.runtime.logs import logger
from cordee.runtime.mailbox import MailboxStore
from cordee.signing import SigningPublicKey
from cordee.transfer import END_STATES
from node import transfer_store
from node.acknowledging import Acknowledging
from node.answering import Answering
from node.answers import Answers
from node.arrivals import Arrivals
from node.attachments import AttachmentStore
from node.authorities import Trust
from node.comparing import Comparing
from node.direct_mailbox import Door, hosted
from node.directory_client import DirectoryClient
from node.fetching import Fetching
from node.front_desk import FrontDesk
from node.giving_back import Front, GivingBack
from node.house import House
from node.identity import Identity
from node.inflight import InFlight
from node.joining import CERTIFICATE, DATABASE, Membership, open_keys
from node.lasting import hold_back, lasting, watch_over
from node.listening import Listener
from node.mailing import Server
from node.notices import EVERY, Notices
from node.outbox import Outbox
from node.placing import take_out_again
from node.prefetching import Prefetching
from node.publishing import Publishing, transport_in_use
from node.receiving import Receiving
from node.records import apply_tombstones, file_ids
from node.restored import Announcement, incarnations
from node.returning import bury
from node.roster_sync import RosterSync
from node.rpc.address import default_socket
from node.rpc.listener import served
from node.sending import Sending
from node.shipping import Shipping
from node.store.migrations import node_database
from node.tombstones import Tombstones
from node.transfers import TransferBook
from node.upkeep import Upkeep
from node.vault import Vault
from node.worker import Worker

__all__ = ["Mail", "Node", "Parts", "opened", "serve"]

log = logger("node")


@dataclass(frozen=True)
class Parts:
    """Parts that another program may exchange: a test, or a demonstration with a node that cheats."""

    shipping: type[Shipping] = Shipping
    practice: bool = False
    """The node belongs to a network for practice, and takes no other. No setting of a real node says so."""


@dataclass(frozen=True)
class Mail:
    """The association's SMTP server, and how long it is at least between two messages to one person."""

    server: Server
    every: timedelta = EVERY


@dataclass(frozen=True)
class Node:
    """One association's node, as its own tools see it."""

    house: House
    sending: Sending
    receiving: Receiving
    transfers: TransferBook
    roster: RosterSync
    listener: Listener
    outbox: Outbox
    publishing: Publishing
    identity: Identity
    loops: tuple[asyncio.Task[None], ...]
    notices: Notices | None = None  # without an SMTP server there are none
    doors: dict[str, DoorCounts] = field(default_factory=dict)
    """What the listeners with TLS know of those who came, by name."""
    refused: Counter[str] = field(default_factory=Counter)
    """What the pages refused, by reason."""

    @property
    def data_dir(self) -> Path:
        """Where everything of this node lies."""
        return self.house.data_dir

    @property
    def db(self) -> Database:
        """The node's database."""
        return self.house.db

    @property
    def vault(self) -> Vault:
        """The opened vault."""
        return self.house.vault

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self.house.clock

    @property
    def random(self) -> Callable[[int], bytes]:
        """Where chance comes from."""
        return self.house.random

    @property
    def attachments(self) -> AttachmentStore:
        """Files, sealed."""
        return self.house.attachments

    @property
    def identity_public(self) -> SigningPublicKey:
        """The key that the six words tell."""
        return self.house.keys.identity.public

    @property
    def former_identities(self) -> tuple[SigningPublicKey, ...]:
        """The keys that this node signed its journal with before, as the log has them."""
        try:
            member = self.roster.roster.members.get(self.member)
        except RosterStale:
            return ()
        return tuple(key for _, key in member.former_identities) if member else ()

    @property
    def member(self) -> MemberId:
        """This association's id in the network."""
        return self.house.member


@contextlib.asynccontextmanager
async def opened(
    data_dir: Path,
    *,
    vault: Vault,
    clock: Clock,
    random: Callable[[int], bytes],
    crashpoints: Crashpoints | None = None,
    parts: Parts | None = None,
    mail: Mail | None = None,
    door: Door | None = None,
) -> AsyncIterator[Node]:
    """A node at work: connected, following events, sending what waits, until the block ends. With a `door` it hosts a
    mailbox of its own.

    Raises: NotFound where it was never initialised or has not joined, OSError where the mailbox cannot listen, and
    whatever a damaged roster says.
    """
    crashpoints = crashpoints or Crashpoints.from_environment()
    parts = parts or Parts()
    membership = Membership.load(data_dir)
    certificate = data_dir / CERTIFICATE
    ballast = Ballast(data_dir / BALLAST)
    with node_database(data_dir / DATABASE, crashpoints=crashpoints, ballast=ballast) as db:
        keys, transport = await db.read(lambda tx: open_keys(tx, vault))
        certified = certificate.read_bytes()
        transport = await db.write(lambda tx: transport_in_use(tx, vault, transport, certified))
        client = DirectoryClient(
            membership.members,
            root=membership.ca_certificate,
            key=transport,
            certificate=certified,
        )
        member = keys.member
        roster = RosterSync(
            db,
            network=membership.network,
            member=member,
            client=client,
            clock=clock,
            practice=parts.practice,
            keys=keys,
        )
        mailbox = MailboxStore(data_dir / "mailbox", crashpoints=crashpoints)
        house = House(
            data_dir=data_dir,
            network=membership.network,
            member=member,
            db=db,
            vault=vault,
            keys=keys,
            clock=clock,
            random=random,
            in_flight=InFlight(data_dir / "inflight", clock=clock, random=random),
            attachments=AttachmentStore(data_dir / "attachments", random=random, crashpoints=crashpoints),
            tombstones=Tombstones(data_dir / "tombstones", ballast=ballast),
            roster=roster,
            crashpoints=crashpoints,
            endpoint=door.endpoint if door is not None else "",
            mailbox=mailbox,
        )
        await _sweep(house)
        await roster.load()
        receiving = Receiving(house)
        prefetching = Prefetching(house, client)
        giving_back = GivingBack(house, client, Front(membership.front, root=membership.ca_certificate))
        roster.followed.append(giving_back.cards)
        listener = Listener(house, client, Answers(house), Arrivals(house), prefetching, giving_back)
        fetching = Fetching(house, client, prefetching)
        worker = Worker(house, parts.shipping(house, client), fetching, Answering(house, receiving))
        publishing = Publishing(house, client, transport, certificate)
        giving_back.come_in = partial(publishing.come_in_anew, membership)
        front = FrontDesk(
            lambda: Membership.load(data_dir), member, lambda: keys.identity, now=clock.now, random=random
        )
        identity = Identity(house, client, publishing, front)
        outbox = Outbox(house, client, listener, identity.resume)
        trust = Trust(house, client, publishing, membership)
        roster.followed += [identity.follow, trust.follow]
        roster.incarnations = await db.read(lambda tx: incarnations(tx, vault))
        announcement = Announcement(house, client, publishing, certificate)
        upkeep = Upkeep(house, publishing, identity, Comparing(house, client, listener), certificate)
        notices = None if mail is None else Notices(house, mail.server, every=mail.every)
        after = announcement.before  # nothing goes out and nothing is heard before a restored node has said so
        acknowledging = Acknowledging(house, client)
        started: dict[str, Coroutine[Any, Any, None]] = {}
        for name, run in (
            ("listening", listener.run),
            ("outbox", outbox.run),
            ("worker", worker.run),
            ("upkeep", upkeep.run),
            ("trust", trust.run),
            ("acknowledging", acknowledging.run),
        ):
            started[name] = after(lasting(run, clock=clock))
        started["prefetching"] = after(prefetching.run())
        started["announcement"] = lasting(announcement.run, clock=clock)
        started["scrubbing"] = lasting(upkeep.scrub, clock=clock)
        started["ballast"] = hold_back(ballast, clock=clock)
        started["watching over the database"] = lasting(partial(watch_over, db, clock=clock), clock=clock)
        if notices is not None:
            started["notices"] = notices.run()
        filling = asyncio.create_task(_fill(house))
        loops = tuple(asyncio.create_task(each, name=name) for name, each in started.items())
        node = Node(
            house=house,
            sending=Sending(house),
            receiving=receiving,
            transfers=TransferBook(house),
            roster=roster,
            listener=listener,
            outbox=outbox,
            publishing=publishing,
            identity=identity,
            loops=loops,
            notices=notices,
        )
        try:
            async with contextlib.AsyncExitStack() as open_doors:
                if door is not None:
                    own = hosted(
                        house, door, identity=lambda: client.identity, root=lambda: client.root, doors=node.doors
                    )
                    await open_doors.enter_async_context(own)
                yield node
        finally:
            for each in (*loops, filling):
                each.cancel()
            ended = await asyncio.gather(*loops, filling, return_exceptions=True)
            await client.close()
            mailbox.close()
            for outcome in ended:
                if isinstance(outcome, Exception):
                    log.error("node.loop_failed", reason=type(outcome).__name__)


async def _sweep(house: House) -> None:
    """Before anything else: what was erased stays erased, also in a database that came from a backup; then what a
    crash left behind, spool files of transfers that are over and attachments that no record knows.
    """
    now = house.clock.now()
    await bury(house)
    gone = await house.db.write(lambda tx: apply_tombstones(tx, house.tombstones, now=now))
    gone += await house.db.write(lambda tx: take_out_again(tx, house.vault, house.tombstones, now=now))
    for file_id in gone:
        house.attachments.erase(file_id)
    transfers = await house.db.read(transfer_store.all_transfers)
    running = {each.id.hex() for each in transfers if each.state not in END_STATES}
    for path in private_folder(house.data_dir / "spool").iterdir():
        if path.stem not in running:
            path.unlink()
    if house.mailbox is not None:
        for waiting in house.mailbox.names():
            if waiting.hex() not in running:
                house.mailbox.drop(waiting)
    house.attachments.sweep(await house.db.read(file_ids))


async def _fill(house: House) -> None:
    """Open the lines of all cases and what they ask for, piece by piece, so that the first page need not wait."""
    while await house.db.read(lambda tx: house.cases.catch_up(tx, house.vault)):
        pass
    while await house.db.read(lambda tx: house.agenda.catch_up(tx, house.vault, house.clock.now().date())):
        pass


async def serve(
    data_dir: Path,
    *,
    vault: Vault,
    socket: Path | None = None,
    ready: Callable[[dict[str, Any]], None],
    clock: Clock,
    random: Callable[[int], bytes] = os.urandom,
    parts: Parts | None = None,
    pages: Callable[[Node], AbstractAsyncContextManager[str]] | None = None,
    mail: Mail | None = None,
    door: Door | None = None,
    status: str = "",
) -> None:
    """Run the node until SIGTERM or SIGINT; `ready` is told once, when the API and the pages answer. On `status`, a
    loopback address, it tells how it is, where one is given.

    A part that ends by itself has failed: the node then stops, so that whatever watches it starts it again.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened(data_dir, vault=vault, clock=clock, random=random, parts=parts, mail=mail, door=door) as node:
        for part in node.loops:
            part.add_done_callback(lambda _: stop.set())
        async with contextlib.AsyncExitStack() as open_doors:
            observers: tuple[Observer, ...] = ()
            facts: dict[str, Any] = {"ready": True}
            if status:
                from node.watched import watched  # Prometheus' library is not for those who do not watch

                observers, facts["status"] = await open_doors.enter_async_context(watched(node, status))
            api = served(node, socket or default_socket(data_dir), observers=observers)
            path = await open_doors.enter_async_context(api)
            facts |= {"socket": str(path), "member": node.member.hex()}
            if pages is not None:
                facts["pages"] = await open_doors.enter_async_context(pages(node))
            ready(facts)
            await stop.wait()
        failed = [part.exception() for part in node.loops if part.done() and not part.cancelled()]
    for error in failed:
        if error is not None:
            raise error
