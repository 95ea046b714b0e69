"""The directory, put together: data folder in, running server out."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import directory.store.figures
import directory.store.membership
import directory.store.roster
import directory.store.transfers  # noqa: F401  # the tables must be known before the database is made
from cordee.errors import N_, InvalidInput
from cordee.ids import Digest, MemberId
from cordee.members import MemberState, Roster, authority_digest
from cordee.runtime.ballast import BALLAST, Ballast
from cordee.runtime.clock import Clock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.runtime.doorkeeper import DoorCounts
from cordee.runtime.interceptors import CallerLimits, ConnectionGuard, Gate, Observer, StrongConnection
from cordee.runtime.logs import logger
from cordee.runtime.mailbox import MailboxServicer, MailboxStore
from cordee.runtime.mailbox_wire import add_mailbox
from cordee.runtime.metrics import Metrics
from cordee.runtime.server import GRACE, Server
from cordee.runtime.tls import rotating_server_credentials
from cordee.v1 import directory_pb2, directory_pb2_grpc, mailbox_pb2
from cordee.v1 import statements_pb2 as v1
from directory.administration import Governance
from directory.authority import Authority
from directory.broker import Broker
from directory.cards import CardIndex
from directory.commands import Commands
from directory.events import Events, Growth
from directory.holdings import Authorities, LogKeys, require_held
from directory.house import Founding, House
from directory.knowledge import Knowledge
from directory.lastsigned import LastSigned
from directory.mailbox_policy import TransferMailboxPolicy
from directory.membership import Membership
from directory.quotas import own_entries, uploads
from directory.recovery import Recovery
from directory.restoration import Restorations, is_a_copy, note_restore
from directory.roster_store import RosterStore
from directory.rpc.administration import AdministrationServicer
from directory.rpc.enrolment import EnrolmentServicer
from directory.rpc.members import BrokerServicer, EventsServicer, MembershipServicer, RosterServicer
from directory.rpc.recovery import RecoveryServicer
from directory.standings import Standings
from directory.store.migrations import directory_database
from directory.upkeep import Upkeep
from directory.yearbook import Yearbook

__all__ = ["Directory", "Listening", "opened", "running", "serve"]

log = logger("directory")

_FRONT_RATE, _FRONT_BURST, _FRONT_CONCURRENT = 50, 100, 16


@dataclass(frozen=True)
class Directory:
    """The rooms of an open directory."""

    house: House
    db: Database
    clock: Clock
    rosters: RosterStore
    cards: CardIndex
    membership: Membership
    governance: Governance
    commands: Commands
    broker: Broker
    events: Events
    knowledge: Knowledge
    mailbox: MailboxStore
    authority: Authority
    guard: ConnectionGuard
    restorations: Restorations
    recovery: Recovery
    yearbook: Yearbook
    ballast: Ballast


@dataclass(frozen=True)
class Listening:
    """Where a running directory answers."""

    directory: Directory
    members: str  # host:port
    front: str  # host:port
    upkeep: Upkeep
    loops: tuple[asyncio.Task[None], ...] = ()
    doors: Mapping[str, DoorCounts] = field(default_factory=dict)
    """What the listeners know of those who came, by name."""


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, clock: Clock, crashpoints: Crashpoints | None = None, load: bool = True
) -> AsyncIterator[Directory]:
    """Everything but the network: the database open and, with `load`, the log replayed and signed, erasures made good.
    Where more was signed than the database has, it waits for those who give it back (`RosterStore.behind`).

    Raises: NotFound before `init`; LogBehind, EntryRefused where the database is not what was signed; DatabaseTooNew,
    DatabaseDamaged.
    """
    crashpoints = crashpoints or Crashpoints.from_environment()
    house = House(folder)
    founding = house.founding()
    log_keys = LogKeys(folder, crashpoints)
    authorities = Authorities(folder, founding.ca_certificate)
    ballast = Ballast(folder / BALLAST)
    with directory_database(house.database, crashpoints=crashpoints, ballast=ballast) as db:
        await asyncio.to_thread(db.check)
        mailbox = MailboxStore(house.mailbox, crashpoints=crashpoints)
        try:
            rosters = RosterStore(
                db,
                founding=founding,
                keys=log_keys,
                last_signed=LastSigned(house.last_signed),
                clock=clock,
                crashpoints=crashpoints,
            )
            cards = CardIndex(db, rosters, clock)
            authority = Authority(
                authorities,
                trusted=lambda: _trusted(rosters, founding, clock, authorities),
                server_key=house.server_key(),
                names=_names(founding.members),
                clock=clock,
            )
            rosters.before.append(lambda entry: require_held(entry, log_keys, authorities))
            restorations = Restorations(db)
            events = Events(db, crashpoints, restorations)
            broker = Broker(db, rosters, events, mailbox, clock, crashpoints, restorations)
            directory = Directory(
                house=house,
                db=db,
                clock=clock,
                rosters=rosters,
                cards=cards,
                membership=Membership(db, rosters, authority, cards, clock),
                governance=Governance(db, rosters, clock),
                commands=Commands(rosters, clock),
                broker=broker,
                events=events,
                knowledge=Knowledge(db, rosters, events, clock),
                mailbox=mailbox,
                authority=authority,
                guard=ConnectionGuard(cards.resolve, clock),
                restorations=restorations,
                recovery=Recovery(db, rosters, restorations, clock),
                yearbook=Yearbook(db, clock, house.closed_years),
                ballast=ballast,
            )
            rosters.also += [directory.membership.on_entry, cards.on_entry, broker.on_entry]
            rosters.also.append(directory.knowledge.on_entry)
            directory.governance.begun.append(directory.membership.on_signed)
            rosters.grown.append(_Grown(directory))
            directory.recovery.grown.append(_BroughtBack(directory))
            if load:
                await rosters.load()
                await _notice_restore(directory)
                await cards.load()
                await directory.yearbook.begin()
                await broker.sweep()
            yield directory
        finally:
            mailbox.close()


async def _notice_restore(directory: Directory) -> None:
    """A copy of the database that has the whole log all the same: what else it has forgotten, members give back."""
    rosters, now = directory.rosters, directory.clock.now()
    if rosters.founded and not rosters.behind and await directory.db.read(is_a_copy):
        await directory.db.write(lambda tx: note_restore(tx, rosters.roster, now))
    await directory.restorations.load()
    if rosters.behind:
        log.warning("roster.behind", size=rosters.size)


class _BroughtBack:
    """After entries or cards came back: who may call is read anew, and everybody hears of it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def __call__(self, lost: Sequence[tuple[Roster, v1.Entry]]) -> None:
        directory = self._directory
        await directory.cards.load()
        for after, entry in lost:
            for each in directory.rosters.grown:
                await each(after, entry)
        directory.events.card_published(directory.cards.revision)


class _Grown:
    """After an entry: who may call is known anew, and those who may not any more are cut off at once."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def __call__(self, roster: Roster, entry: v1.Entry) -> None:
        directory = self._directory
        member = _subject(entry)
        await directory.cards.on_grown(member)
        if member is not None:
            found = roster.members.get(member)
            if found is not None and found.state is not MemberState.ACTIVE:
                await directory.guard.revoke(member)
                directory.authority.end_sessions()
        directory.broker.something_ended()
        directory.events.roster_grown(self._growth(roster, entry))  # and so wakes whom an expiry concerns
        log.info("roster.grown", entry=entry.type.rpartition(".")[2], size=roster.size)

    def _growth(self, roster: Roster, entry: v1.Entry) -> Growth:
        rosters, revision = self._directory.rosters, self._directory.cards.revision
        signed = rosters.signed_size == roster.size  # what is not signed yet is not shown
        return Growth(rosters.checkpoint, rosters.signed_size, (entry,) if signed else (), revision)


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *,
    clock: Clock,
    listen_members: str,
    listen_front: str,
    crashpoints: Crashpoints | None = None,
    observers: Sequence[Observer] = (),
    metrics: Metrics | None = None,
    reflect: bool = False,
    grace: float = GRACE,
) -> AsyncIterator[Listening]:
    """A directory that serves until the block ends. Port 0 takes a free one. At the end, calls under way have `grace`
    seconds; the members' streams of events are ended at once.

    Raises: as `opened`; OSError where it cannot listen.
    """
    async with opened(folder, clock=clock, crashpoints=crashpoints) as directory:
        observers = (*observers, *([metrics] if metrics is not None else []))
        members = Server(Gate(guard=directory.guard, limits=CallerLimits(clock), observers=observers), reflect=reflect)
        front = Server(
            Gate(
                guard=StrongConnection(),
                limits=CallerLimits(clock, concurrent=_FRONT_CONCURRENT, rate=_FRONT_RATE, burst=_FRONT_BURST),
                observers=observers,
            ),
            reflect=reflect,
        )
        _host(members, front, directory)
        authority = directory.authority
        own = authority.server_certificate
        doors = {"members": members.door, "front": front.door}
        to_members = rotating_server_credentials(
            own, root=authority.root, sessions=lambda: authority.sessions, came=members.door.came
        )
        ports = [
            members.listen(listen_members, to_members),
            front.listen(listen_front, rotating_server_credentials(own, root=None, came=front.door.came)),
        ]

        async def tell(well: bool) -> None:
            await members.set_serving(well)
            await front.set_serving(well)

        await members.start()
        await front.start()
        upkeep = Upkeep(directory.rosters, directory.broker, directory.events, clock, tell=tell)
        upkeep.then.append(directory.yearbook.close_due)
        upkeep.then.append(partial(_hold_back, directory.ballast))
        if metrics is not None:
            directory.broker.reached.append(lambda state: metrics.transfers.labels(state.value).inc())
            upkeep.then.append(lambda: _measure(directory, metrics))
        async with _beside(upkeep.run(), directory.broker.erase_for_ever()) as loops:
            try:
                members_at, front_at = _with(listen_members, ports[0]), _with(listen_front, ports[1])
                yield Listening(directory, members_at, front_at, upkeep, loops, doors)
            finally:
                await asyncio.gather(members.stop(grace), front.stop(grace))


async def _hold_back(ballast: Ballast) -> None:
    """Room, as soon as there is some: the disk may have been full."""
    if not await asyncio.to_thread(ballast.keep):
        log.warning("disk.little_room")


async def _measure(directory: Directory, metrics: Metrics) -> None:
    waiting = directory.mailbox.names()
    metrics.mailbox_pending.set(len(waiting))
    metrics.relay_bytes.set(sum([await directory.mailbox.size(each) for each in waiting]))
    expiry = directory.authority.own_expiry
    if expiry is not None:
        metrics.certificate_expiry.set(expiry.timestamp())


async def serve(
    folder: Path,
    *,
    clock: Clock,
    listen_members: str,
    listen_front: str,
    ready: Callable[[dict[str, Any]], None],
    observers: Sequence[Observer] = (),
    metrics: Metrics | None = None,
    reflect: bool = False,
    status: str = "",
) -> None:
    """Run until SIGTERM or SIGINT. `ready` hears once where it listens. On `status`, a loopback address, it tells how
    it is, where one is given.

    A part that ends by itself has failed: the directory then stops with its error, so that whatever watches it starts
    it again.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with (
        running(
            folder,
            clock=clock,
            listen_members=listen_members,
            listen_front=listen_front,
            observers=observers,
            metrics=metrics,
            reflect=reflect,
        ) as listening,
        contextlib.AsyncExitStack() as open_doors,
    ):
        for part in listening.loops:
            part.add_done_callback(lambda _: stop.set())
        facts = {"ready": True, "members": listening.members, "front": listening.front}
        if status and metrics is not None:
            from directory.measures import watched

            facts["status"] = await open_doors.enter_async_context(watched(listening, metrics, status))
        ready(facts)
        await stop.wait()
        log.info("directory.stopping")


def _host(members: Server, front: Server, directory: Directory) -> None:
    services = directory_pb2.DESCRIPTOR.services_by_name
    grpc = directory_pb2_grpc
    membership, broker, events = directory.membership, directory.broker, directory.events
    members.add(services["Membership"], grpc.add_MembershipServicer_to_server, MembershipServicer(membership))
    members.add(
        services["Roster"],
        grpc.add_RosterServicer_to_server,
        RosterServicer(directory.rosters, directory.cards, events, directory.knowledge, own_entries(directory.clock)),
    )
    members.add(services["Broker"], grpc.add_BrokerServicer_to_server, BrokerServicer(broker))
    members.add(services["Events"], grpc.add_EventsServicer_to_server, EventsServicer(events))
    members.add(
        mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"],
        add_mailbox,
        MailboxServicer(directory.mailbox, TransferMailboxPolicy(broker), uploads(directory.clock)),
    )
    front.add(services["Recovery"], grpc.add_RecoveryServicer_to_server, RecoveryServicer(directory.recovery))
    front.add(
        services["Enrolment"],
        grpc.add_EnrolmentServicer_to_server,
        EnrolmentServicer(membership, directory.rosters, events),
    )
    front.add(
        services["Administration"],
        grpc.add_AdministrationServicer_to_server,
        AdministrationServicer(
            directory.commands,
            directory.governance,
            membership,
            directory.rosters,
            directory.knowledge,
            Standings(directory.db, directory.rosters),
            directory.cards,
            events,
            directory.yearbook,
        ),
    )


@contextlib.asynccontextmanager
async def _beside(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[tuple[asyncio.Task[None], ...]]:
    """Tasks that run as long as the block, named by what they do; one that fails is raised at its end."""
    tasks = [asyncio.create_task(each, name=getattr(each, "__name__", "part")) for each in loops]
    try:
        yield tuple(tasks)
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


_ABOUT_MEMBERS: dict[str, Any] = {
    message.DESCRIPTOR.full_name: message
    for message in (
        v1.MemberAdmitted,
        v1.MemberSuspended,
        v1.MemberReinstated,
        v1.MemberRemoved,
        v1.MemberCorrected,
        v1.RecoveryAnnounced,
        v1.RecoveryObjected,
        v1.MemberRecovered,
        v1.IdentityRevoked,
        v1.IdentityRotated,
        v1.NodeRestored,
    )
}


def _subject(entry: v1.Entry) -> MemberId | None:
    statement = _ABOUT_MEMBERS.get(entry.type)
    return MemberId(statement.FromString(entry.body).member) if statement is not None else None


def _trusted(rosters: RosterStore, founding: Founding, clock: Clock, authorities: Authorities) -> tuple[Digest, ...]:
    if rosters.behind:  # its log does not say: members that give back the rest trust what was in use
        return authorities.in_use()
    if not rosters.founded:
        return (authority_digest(founding.ca_certificate),)
    return rosters.roster.trusted(clock.now())


def _names(members: str) -> tuple[str, ...]:
    return (members.rpartition(":")[0].strip("[]"),)


def _with(address: str, port: int) -> str:
    host, colon, _ = address.rpartition(":")
    if not colon:
        raise InvalidInput(field="listen", problem=N_("an address has the form host:port"))
    return f"{host}:{port}"
