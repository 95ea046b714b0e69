"""The directory without its work: `python -m bench.skeleton.directory FOLDER MEMBER MEMBER`.

In FOLDER: server.key, server.der, ca.der. A member is KEY_DIGEST:MEMBER_ID, both in hexadecimal. Where there are keys
for signing (NAME.public), it verifies every statement, in the event loop as the real broker does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bench.skeleton.protected import Checks, PublicKeys
from bench.skeleton.work import kind_of
from cordee.errors import NotAMember
from cordee.ids import Digest, MemberId
from cordee.runtime.clock import SystemClock
from cordee.runtime.interceptors import CallerLimits, ConnectionGuard, Gate, caller
from cordee.runtime.server import Server
from cordee.runtime.tls import TransportKey, server_credentials
from cordee.v1 import directory_pb2, directory_pb2_grpc, mailbox_pb2, mailbox_pb2_grpc, statements_pb2

__all__ = ["Broker", "Events", "Mailbox", "serve"]

_PIECE = 262_144
_UNREACHABLE_RATE = 1e9
_NEXT = {"Offer": "offered", "Answer": "accepted", "Shipment": "shipped", "Receipt": "received"}


class Events(directory_pb2_grpc.EventsServicer):
    """A queue for each member, streamed."""

    def __init__(self, members: list[MemberId]) -> None:
        self._queues: dict[MemberId, asyncio.Queue[directory_pb2.Event]] = {each: asyncio.Queue() for each in members}
        self._sequence = 0

    def tell_other(self, than: MemberId, event: directory_pb2.Event) -> None:
        """An event for the other of the two."""
        self._sequence += 1
        event.sequence = self._sequence
        for member, waiting in self._queues.items():
            if member != than:
                waiting.put_nowait(event)

    async def Watch(self, request: directory_pb2.WatchRequest, context: Any) -> AsyncIterator[directory_pb2.Event]:
        """For ever."""
        queue = self._queues[caller(context).member]
        yield directory_pb2.Event(stream_ready=directory_pb2.StreamReady())
        while True:
            yield await queue.get()


class Broker(directory_pb2_grpc.BrokerServicer):
    """Passes each statement on, once `check` has not raised."""

    def __init__(self, events: Events, check: Callable[[statements_pb2.Signed], None]) -> None:
        self._events = events
        self._check = check

    async def Submit(self, request: directory_pb2.SubmitRequest, context: Any) -> directory_pb2.SubmitResponse:
        """To the other member."""
        self._check(request.statement)
        event = directory_pb2.Event(statement=request.statement)
        event.time.GetCurrentTime()
        self._events.tell_other(caller(context).member, event)
        return directory_pb2.SubmitResponse(state=_NEXT[kind_of(request.statement)])

    async def GetTransfer(
        self, request: directory_pb2.GetTransferRequest, context: Any
    ) -> directory_pb2.GetTransferResponse:
        """Never called here."""
        raise NotImplementedError


class Mailbox(mailbox_pb2_grpc.MailboxServicer):
    """Ciphertext in memory; given away once."""

    def __init__(self) -> None:
        self._held: dict[bytes, bytearray] = {}

    async def Put(self, requests: AsyncIterator[mailbox_pb2.PutRequest], context: Any) -> mailbox_pb2.PutResponse:
        """Keep it."""
        held = bytearray()
        async for request in requests:
            if request.transfer_id:
                self._held[request.transfer_id] = held
            held += request.data
        return mailbox_pb2.PutResponse(size=len(held))

    async def Get(self, request: mailbox_pb2.GetRequest, context: Any) -> AsyncIterator[mailbox_pb2.GetResponse]:
        """In pieces of 256 KiB."""
        held = bytes(self._held.pop(request.transfer_id))
        for start in range(0, len(held), _PIECE):
            yield mailbox_pb2.GetResponse(data=held[start : start + _PIECE])

    async def Stat(self, request: mailbox_pb2.StatRequest, context: Any) -> mailbox_pb2.StatResponse:
        """How much there is."""
        return mailbox_pb2.StatResponse(size=len(self._held.get(request.transfer_id, b"")))


async def serve(folder: Path, members: dict[Digest, MemberId]) -> None:
    """Until SIGTERM."""
    clock = SystemClock()

    async def resolve(digest: Digest) -> MemberId:
        if digest not in members:
            raise NotAMember()
        return members[digest]

    limits = CallerLimits(clock, rate=_UNREACHABLE_RATE, burst=_UNREACHABLE_RATE)
    server = Server(Gate(guard=ConnectionGuard(resolve, clock), limits=limits))
    events = Events(list(members.values()))
    services = {**directory_pb2.DESCRIPTOR.services_by_name, **mailbox_pb2.DESCRIPTOR.services_by_name}
    server.add(services["Events"], directory_pb2_grpc.add_EventsServicer_to_server, events)
    server.add(services["Broker"], directory_pb2_grpc.add_BrokerServicer_to_server, Broker(events, _check(folder)))
    server.add(services["Mailbox"], mailbox_pb2_grpc.add_MailboxServicer_to_server, Mailbox())
    key = TransportKey.from_pem((folder / "server.key").read_bytes())
    root = (folder / "ca.der").read_bytes()
    credentials = server_credentials(key=key, certificate=(folder / "server.der").read_bytes(), root=root)
    port = server.listen("127.0.0.1:0", credentials)
    await server.start()
    print(json.dumps({"ready": True, "port": port, "pid": os.getpid()}), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(0.5)


def _check(folder: Path) -> Callable[[statements_pb2.Signed], None]:
    keys = [PublicKeys.read(folder, path.stem).signing for path in folder.glob("*.public")]
    return Checks(keys) if keys else lambda _: None


def _members(words: list[str]) -> dict[Digest, MemberId]:
    pairs = (word.split(":") for word in words)
    return {Digest(bytes.fromhex(digest)): MemberId(bytes.fromhex(member)) for digest, member in pairs}


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), _members(sys.argv[2:])))
