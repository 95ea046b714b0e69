from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import pytest

from cordee.errors import InvalidInput, OutOfScope, RemoteFailure, TooManyRequests, Unreachable
from cordee.runtime.interceptors import CallerLimits, Finished
from cordee.runtime.mailbox_wire import add_mailbox
from cordee.runtime.rpc_errors import reaching
from cordee.v1 import directory_pb2, mailbox_pb2, mailbox_pb2_grpc


class Heard:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[Finished] = []
        self._any_ended = asyncio.Event()

    def started(self, method: str) -> None:
        self.begun.append(method)

    def finished(self, call: Finished) -> None:
        self.ended.append(call)
        self._any_ended.set()

    async def first(self) -> Finished:
        await asyncio.wait_for(self._any_ended.wait(), 5)
        return self.ended[0]


async def ok(_: Any, __: Any) -> str:
    return "ok"


async def test_an_error_arrives_as_itself(hosting: Any, network: Any, submit_request: Any) -> None:
    async def answer(_: Any, __: Any) -> str:
        raise OutOfScope(item="health")

    heard = Heard()
    client = network.enrol(1)
    stub = await hosting.broker(client, await hosting.echo(answer, observers=[heard]))
    with pytest.raises(OutOfScope) as refused, reaching("directory"):
        await stub.Submit(submit_request())
    assert refused.value.facts == {"item": "health"}
    ended = await heard.first()
    assert (ended.method, ended.code, ended.reason, ended.member) == (
        "/cordee.v1.Broker/Submit",
        "PERMISSION_DENIED",
        "OUT_OF_SCOPE",
        client.member,
    )


async def test_what_nobody_expected_says_nothing_of_itself(
    hosting: Any, network: Any, submit_request: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(_: Any, __: Any) -> str:
        raise ValueError("Lina Haddad")

    heard = Heard()
    stub = await hosting.broker(network.enrol(1), await hosting.echo(answer, observers=[heard]))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Submit(submit_request())
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert "Lina" not in repr(refused.value)
    ended = await heard.first()
    assert ended.fault.startswith("ValueError test_interceptors.py:")
    assert "Lina" not in repr(ended)
    assert "Lina" not in caplog.text
    with pytest.raises(RemoteFailure), reaching("directory"):
        await stub.Submit(submit_request())


async def test_a_request_out_of_bounds_never_reaches_the_servicer(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    reached = []

    async def answer(_: Any, __: Any) -> str:
        reached.append(1)
        return ""

    stub = await hosting.broker(network.enrol(1), await hosting.echo(answer))
    with pytest.raises(InvalidInput) as refused, reaching("directory"):
        await stub.Submit(submit_request(bytes(65537)))
    assert refused.value.facts["field"] == "statement.body"
    assert not reached


async def test_the_server_ends_a_call_by_itself(hosting: Any, network: Any, submit_request: Any) -> None:
    async def answer(_: Any, __: Any) -> str:
        await asyncio.sleep(60)
        return ""

    heard = Heard()
    stub = await hosting.broker(network.enrol(1), await hosting.echo(answer, observers=[heard], deadline=0.05))
    with pytest.raises(Unreachable), reaching("directory"):
        await stub.Submit(submit_request())
    assert (await heard.first()).code == "DEADLINE_EXCEEDED"


async def test_a_client_that_hangs_up_ends_the_call(hosting: Any, network: Any, submit_request: Any) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def answer(_: Any, __: Any) -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return ""

    heard = Heard()
    stub = await hosting.broker(network.enrol(1), await hosting.echo(answer, observers=[heard]))
    call = stub.Submit(submit_request())
    await begun.wait()
    call.cancel()
    await asyncio.wait_for(ended.wait(), 2)
    assert (await heard.first()).code == "CANCELLED"


async def test_one_member_cannot_take_the_others_share(hosting: Any, network: Any, submit_request: Any) -> None:
    limits = CallerLimits(network.clock, rate=1, burst=3)
    port = await hosting.echo(ok, limits=limits)
    greedy, modest = network.enrol(1), network.enrol(2)
    stub = await hosting.broker(greedy, port)
    for _ in range(3):
        await stub.Submit(submit_request())
    with pytest.raises(TooManyRequests), reaching("directory"):
        await stub.Submit(submit_request())
    other = await hosting.broker(modest, port)
    assert (await other.Submit(submit_request())).state == "ok"
    network.clock.advance(1)
    assert (await stub.Submit(submit_request())).state == "ok"


async def test_a_stream_counts_while_it_is_open(hosting: Any, network: Any) -> None:
    async def watch(_: Any, __: Any) -> Any:
        yield directory_pb2.Event(sequence=1)
        await asyncio.sleep(60)

    port = await hosting.watch(watch, limits=CallerLimits(network.clock, concurrent=1))
    stub = await hosting.events(network.enrol(1), port)
    first = stub.Watch(directory_pb2.WatchRequest())
    await first.read()
    with pytest.raises(TooManyRequests), reaching("directory"):
        await stub.Watch(directory_pb2.WatchRequest()).read()
    first.cancel()
    for _ in range(100):
        again = stub.Watch(directory_pb2.WatchRequest())
        try:
            with reaching("directory"):
                assert (await again.read()).sequence == 1
                return
        except TooManyRequests:
            await asyncio.sleep(0.01)
    pytest.fail("the place was not given back")


async def test_a_stream_may_last_longer_than_the_deadline_of_a_call(hosting: Any, network: Any) -> None:
    async def watch(_: Any, __: Any) -> Any:
        for number in range(3):
            await asyncio.sleep(0.1)
            yield directory_pb2.Event(sequence=number)

    port = await hosting.watch(watch, deadline=0.05, idle=0.05)
    stub = await hosting.events(network.enrol(1), port)
    assert [event.sequence async for event in stub.Watch(directory_pb2.WatchRequest())] == [0, 1, 2]


async def test_a_reader_that_does_not_read_is_ended(hosting: Any, network: Any) -> None:
    async def watch(_: Any, __: Any) -> Any:
        while True:
            yield directory_pb2.Event(roster_grown=directory_pb2.RosterGrown(checkpoint="x" * 200_000))

    heard = Heard()
    port = await hosting.watch(watch, idle=0.2, observers=[heard])
    stub = await hosting.events(network.enrol(1), port)
    stream = stub.Watch(directory_pb2.WatchRequest())
    await stream.read()
    assert (await heard.first()).code == "DEADLINE_EXCEEDED"
    stream.cancel()


async def uploads(hosting: Any, heard: Heard, **gate: Any) -> int:
    class Mailbox(mailbox_pb2_grpc.MailboxServicer):
        async def Put(self, requests: Any, context: Any) -> Any:
            size = 0
            async for request in requests:
                size += len(request.data)
            return mailbox_pb2.PutResponse(size=size)

    server = hosting.server(observers=[heard], **gate)
    server.add(
        mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"],
        add_mailbox,
        Mailbox(),
    )
    port: int = await hosting.start(server)
    return port


async def test_every_message_of_an_upload_is_checked(hosting: Any, network: Any) -> None:
    heard = Heard()
    port = await uploads(hosting, heard)

    async def send(*sizes: int) -> int:
        async with network.enrol(1).channel(port) as channel:
            with reaching("directory"):
                requests = (mailbox_pb2.PutRequest(data=bytes(size)) for size in sizes)
                return int((await mailbox_pb2_grpc.MailboxStub(channel).Put(requests)).size)

    assert await send(1_048_576, 1, 1_048_576) == 2_097_153
    with pytest.raises(InvalidInput):
        await send(1, 1_048_577)


async def test_an_upload_that_falls_silent_is_ended(hosting: Any, network: Any) -> None:
    heard = Heard()
    port = await uploads(hosting, heard, idle=0.1)
    async with network.enrol(1).channel(port) as channel:
        call = mailbox_pb2_grpc.MailboxStub(channel).Put()
        await call.write(mailbox_pb2.PutRequest(data=b"x"))
        with pytest.raises(Unreachable), reaching("directory"):
            await asyncio.wait_for(call, 5)
    assert heard.ended[0].code == "DEADLINE_EXCEEDED"


async def test_a_servicers_own_abort_keeps_its_code(hosting: Any, network: Any, submit_request: Any) -> None:
    async def answer(_: Any, context: Any) -> str:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "own words")
        return ""

    heard = Heard()
    stub = await hosting.broker(network.enrol(1), await hosting.echo(answer, observers=[heard]))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Submit(submit_request())
    assert refused.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert (await heard.first()).code == "OUT_OF_RANGE"
