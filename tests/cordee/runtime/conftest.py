from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from cordee.errors import CordeeError, MemberIsSuspended, NotAMember
from cordee.ids import Digest, MemberId
from cordee.runtime import tls
from cordee.runtime.clock import ManualClock
from cordee.runtime.guard import ConnectionGuard
from cordee.runtime.interceptors import CallerLimits, Gate, Guard, endless
from cordee.runtime.server import Server
from cordee.v1 import directory_pb2, directory_pb2_grpc, statements_pb2


class Network:
    """A CA, a directory's certificate, members with their keys: all that a connection needs."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.clock = ManualClock(self.now)
        self.authority = tls.CertificateAuthority.create(now=self.now)
        self.root = self.authority.certificate
        self.directory_key = tls.TransportKey.generate()
        self.directory_certificate = self.authority.issue_server(self.directory_key, now=self.now)
        self.cards: dict[Digest, MemberId] = {}
        self.refusals: dict[MemberId, CordeeError] = {}
        self.guard = ConnectionGuard(self.resolve, self.clock)

    def credentials(self) -> Any:
        return tls.server_credentials(key=self.directory_key, certificate=self.directory_certificate, root=self.root)

    async def resolve(self, digest: Digest) -> MemberId:
        member = self.cards.get(digest)
        if member is None:
            raise NotAMember()
        if member in self.refusals:
            raise self.refusals[member]
        return member

    def enrol(self, number: int) -> Client:
        client = Client(self, MemberId(bytes([number]) * 16))
        self.cards[client.key.digest] = client.member
        return client

    def suspend(self, client: Client) -> None:
        self.refusals[client.member] = MemberIsSuspended()


class Client:
    def __init__(self, network: Network, member: MemberId, *, named: MemberId | None = None) -> None:
        self.member = member
        self.key = tls.TransportKey.generate()
        self.certificate = network.authority.issue(self.key.request(), member=named or member, now=network.now)
        self.root = network.root

    def channel(self, port: int, **options: Any) -> Any:
        return tls.channel(f"127.0.0.1:{port}", root=self.root, key=self.key, certificate=self.certificate, **options)


class Echo(directory_pb2_grpc.BrokerServicer):
    """Answers `Submit` by whatever `answer` says."""

    def __init__(self, answer: Callable[[Any, Any], Awaitable[str]]) -> None:
        self._answer = answer

    async def Submit(self, request: Any, context: Any) -> Any:
        return directory_pb2.SubmitResponse(state=await self._answer(request, context))


class Watcher(directory_pb2_grpc.EventsServicer):
    def __init__(self, watch: Callable[[Any, Any], AsyncIterator[Any]]) -> None:
        self._watch = watch

    @endless
    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for event in self._watch(request, context):
            yield event


def statement(body: bytes = b"body") -> directory_pb2.SubmitRequest:
    return directory_pb2.SubmitRequest(
        statement=statements_pb2.Signed(
            type="cordee.v1.Offer",
            body=body,
            signer=bytes(16),
            ed25519_signature=bytes(64),
            mldsa65_signature=bytes(3309),
        )
    )


BROKER = directory_pb2.DESCRIPTOR.services_by_name["Broker"]
EVENTS = directory_pb2.DESCRIPTOR.services_by_name["Events"]


class Hosting:
    """Starts servers on free ports and stops them at the end of the test."""

    def __init__(self, network: Network, stack: AsyncExitStack) -> None:
        self.network = network
        self._stack = stack
        self.watched: Server  # the last that `watch` made

    async def echo(
        self,
        answer: Callable[[Any, Any], Awaitable[str]],
        *,
        guard: Guard | None = None,
        credentials: Any = None,
        **gate: Any,
    ) -> int:
        server = self.server(guard=guard, **gate)
        server.add(BROKER, directory_pb2_grpc.add_BrokerServicer_to_server, Echo(answer))
        return await self.start(server, credentials)

    async def watch(self, watch: Callable[[Any, Any], AsyncIterator[Any]], **gate: Any) -> int:
        server = self.server(**gate)
        server.add(EVENTS, directory_pb2_grpc.add_EventsServicer_to_server, Watcher(watch))
        self.watched = server
        return await self.start(server)

    def server(
        self, *, guard: Guard | None = None, limits: CallerLimits | None = None, options: Any = (), **gate: Any
    ) -> Server:
        return Server(Gate(guard=guard or self.network.guard, limits=limits, **gate), options=options)

    async def start(self, server: Server, credentials: Any = None) -> int:
        port = server.listen("127.0.0.1:0", credentials or self.network.credentials())
        await server.start()
        self._stack.push_async_callback(server.stop, 0)
        return port

    async def broker(self, client: Client, port: int, **options: Any) -> Any:
        channel = client.channel(port, **options)
        self._stack.push_async_callback(channel.close)
        return directory_pb2_grpc.BrokerStub(channel)

    async def events(self, client: Client, port: int) -> Any:
        channel = client.channel(port)
        self._stack.push_async_callback(channel.close)
        return directory_pb2_grpc.EventsStub(channel)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def hosting(network: Network) -> AsyncIterator[Hosting]:
    async with AsyncExitStack() as stack:
        yield Hosting(network, stack)


@pytest.fixture
def submit_request() -> Callable[..., directory_pb2.SubmitRequest]:
    return statement
