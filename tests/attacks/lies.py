"""A directory that lies by chance: the real servicers, whose every answer may be altered on its way out.

A `Lie` names a method and what is done to its next answers. It knows nothing of what the answers mean, so it tells
lies that nobody has thought of; those that somebody has thought of are in test_malicious_directory.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cordee.errors import CordeeError, by_reason
from cordee.ids import MemberId
from cordee.runtime.guard import caller
from cordee.runtime.interceptors import CallerLimits, Gate
from cordee.runtime.mailbox import MailboxServicer
from cordee.runtime.mailbox_wire import Piece, add_mailbox
from cordee.runtime.server import Server
from cordee.runtime.tls import rotating_server_credentials
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc, mailbox_pb2
from directory.app import Directory
from directory.mailbox_policy import TransferMailboxPolicy
from directory.quotas import own_entries
from directory.rpc.members import BrokerServicer, EventsServicer, MembershipServicer, RosterServicer

__all__ = ["METHODS", "NUMBERS", "WAYS", "Liars", "Lie", "lying_by_chance"]

NUMBERS = (0, 1, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_BYTES = (b"", b"\x00", bytes(15), bytes(17), b"\xff" * 32, bytes(100_000))
_TEXTS = ("", "\x00", "received", "expired", "no such state", "é" * 5000)
_ENDLESS = 200
_REMEMBERED = 64

WAYS = ("field", "drop", "twice", "replay", "swap", "error", "code", "endless", "hold", "end")
"""What is done to an answer: a field of it altered; kept back; sent twice; an earlier one sent in its place, or one
that was for another member; a reason of ours or a bare status instead; sent for ever; late; the stream closed."""

METHODS = (
    "GetCheckpoint",
    "ListEntries",
    "ListCards",
    "PublishCard",
    "TellHeldCheckpoint",
    "Submit",
    "GetTransfer",
    "GiveBackTransfer",
    "ListOwnTransfers",
    "RenewCertificate",
    "ListAuthorities",
    "Watch",
    "Put",
    "Get",
    "Stat",
)

_CODES = [each for each in grpc.StatusCode if each is not grpc.StatusCode.OK]


@dataclass(frozen=True)
class Lie:
    """The next `times` answers of a method go out in this way; `number` chooses whatever there is to choose."""

    method: str
    way: str
    number: int
    times: int = 1


@dataclass
class Liars:
    """What is told to whom. Without lies, the truth."""

    address: str = ""
    told: int = 0
    """How many answers were not the true ones."""
    by_hand: dict[str, Callable[[MemberId, Any], Iterable[Any]]] = field(default_factory=dict)
    """Of a method: what is sent to a member in the place of an answer. It may raise a refusal."""
    instead: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Of a method: the answer to a request that nobody has carried out. It may raise a refusal."""
    _lies: dict[str, deque[Lie]] = field(default_factory=lambda: defaultdict(deque))
    _before: dict[str, deque[tuple[MemberId, Any]]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=_REMEMBERED))
    )
    _streams: set[asyncio.Event] = field(default_factory=set)

    def tell(self, lies: list[Lie]) -> None:
        """From now on."""
        for each in lies:
            self._lies[each.method].extend([each] * each.times)

    def honest(self) -> None:
        """From now on. Streams that were lied to begin anew."""
        self._lies.clear()
        self.by_hand.clear()
        self.instead.clear()
        for each in self._streams:
            each.set()

    def next(self, method: str) -> Lie | None:
        waiting = self._lies[method]
        if not waiting:
            return None
        self.told += 1
        return waiting.popleft()

    async def unary(self, method: str, behaviour: Any, request: Any, context: Any) -> Any:
        if method in self.instead:
            self.told += 1
            answer = self.instead[method](request)
            return await answer if inspect.isawaitable(answer) else answer
        answer = await behaviour(request, context)
        lie = self.next(method)
        shown = [each async for each in self._altered(method, lie, caller(context).member, answer)]
        return shown[-1] if shown else type(answer)()

    async def stream(self, method: str, behaviour: Any, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        member, ended = caller(context).member, asyncio.Event()
        self._streams.add(ended)
        source = aiter(behaviour(request, context))
        try:
            while True:
                coming = asyncio.ensure_future(anext(source))
                over = asyncio.ensure_future(ended.wait())
                await asyncio.wait({coming, over}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if not coming.done() and method == "Watch":
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
                    return
                try:
                    answer = await coming
                except StopAsyncIteration:
                    return
                lie = self.next(method)
                if lie is not None and lie.way == "end":
                    return
                async for each in self._altered(method, lie, member, answer):
                    yield each
        finally:
            self._streams.discard(ended)
            with contextlib.suppress(RuntimeError):
                await source.aclose()

    async def _altered(self, method: str, lie: Lie | None, member: MemberId, answer: Any) -> AsyncIterator[Any]:
        earlier, number = self._before[method], 0 if lie is None else lie.number
        others = [each for who, each in earlier if who != member]
        own = [each for who, each in earlier if who == member]
        earlier.append((member, answer))
        if method in self.by_hand:
            self.told += 1
            for each in self.by_hand[method](member, answer):
                yield each
            return
        way = "" if lie is None else lie.way
        if way in ("drop", "end"):
            return
        if way == "hold":
            await asyncio.sleep(0.3)
        elif way == "error":
            raise _made_up(number)
        elif way == "code":
            raise _Bare(_CODES[number % len(_CODES)])
        elif way == "field":
            answer = garbled(answer, number)
        elif way in ("replay", "swap") and (found := own if way == "replay" else others):
            answer = found[number % len(found)]
        for _ in range({"twice": 2, "endless": _ENDLESS}.get(way, 1)):
            yield answer


class _Bare(Exception):
    """Answered as a status without a reason of ours."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code


def _made_up(number: int) -> CordeeError:
    """Any reason that there is, also those that only a node finds by itself, with facts or without."""
    every = sorted(_reasons())
    kind = by_reason(every[number % len(every)])
    assert kind is not None
    facts = [{}, {"size": "-1", "known": "x", "shown": "9" * 40, "problem": "{problem}"}, {"size": 1, "known": 2**70}]
    error = CordeeError.__new__(kind)
    error.facts = {name: str(value) for name, value in facts[number % 3].items()}
    if hasattr(kind, "problems"):
        error.problems = ()  # type: ignore[attr-defined]
    return error


def _reasons() -> Iterator[str]:
    waiting: list[type[CordeeError]] = [CordeeError]
    while waiting:
        for each in waiting.pop().__subclasses__():
            waiting.append(each)
            yield each.reason


def garbled(answer: Any, number: int) -> Any:
    """One of its fields, at any depth, is another one."""
    if isinstance(answer, Piece):
        return Piece(_bent(bytes(answer.data), number) or b"?")
    copy = type(answer)()
    copy.CopyFrom(answer)
    places = list(_places(copy))
    if number % 2:  # what stands outermost is what a node reads itself; below it nearly all is signed
        places = places[: len(copy.DESCRIPTOR.fields)]
    if places:
        number //= 2
        message, descriptor = places[number % len(places)]
        _set(message, descriptor, number // len(places))
    return copy


def _places(message: Message) -> Iterator[tuple[Any, Any]]:
    """Every field that is set or could be, outermost first."""
    for descriptor in message.DESCRIPTOR.fields:
        if descriptor.containing_oneof is None or message.HasField(descriptor.name):
            yield message, descriptor
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for each in value if descriptor.is_repeated else (value,):
                yield from _places(each)


def _set(message: Any, descriptor: Any, number: int) -> None:
    name = descriptor.name
    if descriptor.is_repeated:
        held = list(getattr(message, name))
        message.ClearField(name)
        getattr(message, name).extend([[], held[::-1], held + held, held[:-1]][number % 4])
    elif descriptor.message_type is not None:
        if descriptor.message_type.full_name == "google.protobuf.Timestamp":
            inner = getattr(message, name)
            inner.seconds = (-(2**62), 0, 1, 253_402_300_799, 2**62)[number % 5]
        elif number % 2:
            getattr(message, name).Clear()
        else:
            message.ClearField(name)
    elif descriptor.type == FieldDescriptor.TYPE_BYTES:
        held = bytes(getattr(message, name))
        setattr(message, name, _bent(held, number) if number % 2 else _BYTES[number // 2 % len(_BYTES)])
    elif descriptor.type == FieldDescriptor.TYPE_STRING:
        setattr(message, name, _TEXTS[number % len(_TEXTS)])
    elif descriptor.type == FieldDescriptor.TYPE_BOOL:
        setattr(message, name, not getattr(message, name))
    elif descriptor.type == FieldDescriptor.TYPE_UINT64:
        setattr(message, name, NUMBERS[number % len(NUMBERS)])
    else:
        setattr(message, name, (0, 1, 2**31 - 1)[number % 3])


def _bent(data: bytes, number: int) -> bytes:
    if not data:
        return b"\x00"
    bent = bytearray(data)
    bent[number % len(bent)] ^= 1 << number % 8
    return bytes(bent)


class _Lying:
    """A servicer whose answers pass through `Liars`."""

    def __init__(self, real: Any, liars: Liars, service: Any) -> None:
        for method in service.methods:
            behaviour = getattr(real, method.name)
            setattr(self, method.name, _told(liars, method.name, behaviour))


def _told(liars: Liars, name: str, behaviour: Any) -> Any:
    if inspect.isasyncgenfunction(behaviour):

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                async with contextlib.aclosing(liars.stream(name, behaviour, request, context)) as answers:
                    async for answer in answers:
                        yield answer
            except _Bare as bare:
                await context.abort(bare.code, "")

        return stream

    async def unary(request: Any, context: Any) -> Any:
        try:
            return await liars.unary(name, behaviour, request, context)
        except _Bare as bare:
            return await context.abort(bare.code, "")

    return unary


@contextlib.asynccontextmanager
async def lying_by_chance(directory: Directory) -> AsyncIterator[Liars]:
    """A second listener for members, with the directory's own key, beside the honest one."""
    liars = Liars()
    server = Server(Gate(guard=directory.guard, limits=CallerLimits(directory.clock)))
    services, grpcs = pb.DESCRIPTOR.services_by_name, directory_pb2_grpc
    budget = own_entries(directory.clock)
    roster = RosterServicer(directory.rosters, directory.cards, directory.events, directory.knowledge, budget)
    for name, register, real in (
        ("Membership", grpcs.add_MembershipServicer_to_server, MembershipServicer(directory.membership)),
        ("Roster", grpcs.add_RosterServicer_to_server, roster),
        ("Broker", grpcs.add_BrokerServicer_to_server, BrokerServicer(directory.broker)),
        ("Events", grpcs.add_EventsServicer_to_server, EventsServicer(directory.events)),
    ):
        server.add(services[name], register, _Lying(real, liars, services[name]))
    mailbox = mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"]
    waiting = MailboxServicer(directory.mailbox, TransferMailboxPolicy(directory.broker))
    server.add(mailbox, add_mailbox, _Lying(waiting, liars, mailbox))
    credentials = rotating_server_credentials(
        directory.authority.server_certificate, root=directory.authority.certificate
    )
    liars.address = f"127.0.0.1:{server.listen('127.0.0.1:0', credentials)}"
    await server.start()
    try:
        yield liars
    finally:
        await server.stop(0)
