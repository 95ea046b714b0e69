from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cordee.errors import Unreachable
from cordee.runtime.interceptors import Gate
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.server import SERVER_OPTIONS, Server
from cordee.v1 import directory_pb2, directory_pb2_grpc

from .conftest import EVENTS, Watcher


async def ok(_: Any, __: Any) -> str:
    return "ok"


async def test_a_message_over_its_limit_is_refused_before_it_is_read(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    port = await hosting.echo(ok)
    async with network.enrol(1).channel(port) as channel:
        stub = directory_pb2_grpc.BrokerStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Submit(submit_request(bytes(1100 * 1024)))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    options = [("grpc.max_send_message_length", -1)]  # a client that does not limit itself
    server = Server(Gate(guard=None, limits=None))
    register(server, ok)
    raw = await start_plain(hosting, server)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{raw}", options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await directory_pb2_grpc.BrokerStub(channel).Submit(submit_request(bytes(1100 * 1024)))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def register(server: Server, answer: Any) -> None:
    class Broker(directory_pb2_grpc.BrokerServicer):
        async def Submit(self, request: Any, context: Any) -> Any:
            return directory_pb2.SubmitResponse(state=await answer(request, context))

    server.add(
        directory_pb2.DESCRIPTOR.services_by_name["Broker"],
        directory_pb2_grpc.add_BrokerServicer_to_server,
        Broker(),
    )


async def start_plain(hosting: Any, server: Server) -> int:
    """Without TLS, to look at the limits below it from a bare socket."""
    port: int = server._server.add_insecure_port("127.0.0.1:0")
    await server.start()
    hosting._stack.push_async_callback(server.stop, 0)
    return port


async def test_compressed_messages_are_refused(hosting: Any, submit_request: Any) -> None:
    server = Server(Gate(guard=None, limits=None))
    register(server, ok)
    port = await start_plain(hosting, server)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", compression=grpc.Compression.Gzip) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await directory_pb2_grpc.BrokerStub(channel).Submit(submit_request(bytes(60_000)))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_calls_that_wait_while_the_server_is_busy_are_not_dropped(hosting: Any, submit_request: Any) -> None:
    server = Server(Gate(guard=None, limits=None))
    register(server, ok)
    port = await start_plain(hosting, server)
    sent = threading.Event()

    def ask() -> Counter[str]:
        with ExitStack() as stack:
            options = [("grpc.use_local_subchannel_pool", 1)]
            lines = [grpc.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(60)]
            for line in lines:
                stack.enter_context(line)
                grpc.channel_ready_future(line).result(60)
            stubs = [directory_pb2_grpc.BrokerStub(line) for line in lines]
            request = submit_request(b"")
            calls = [stub.Submit.future(request, timeout=120) for stub in stubs for _ in range(32)]
            sent.set()
            return Counter(call.code().name for call in calls)

    asking = asyncio.create_task(asyncio.to_thread(ask))
    while not sent.wait(0.2):  # noqa: ASYNC110  # nobody is answered meanwhile, but between two looks
        await asyncio.sleep(0)
    time.sleep(1)  # noqa: ASYNC251  # the loop is busy: that is what is tested
    assert await asking == {"INVALID_ARGUMENT": 60 * 32}, "each is looked at, and has nothing in it"


async def closed_after(port: int, opening: bytes) -> float:
    """How long the server keeps a connection that says only `opening`."""

    def wait() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(opening)
            connection.settimeout(8)
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass

    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.to_thread(wait)
    return loop.time() - began


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


async def test_a_connection_that_says_nothing_is_closed(hosting: Any) -> None:
    port = await hosting.echo(ok, options=[("grpc.server_handshake_timeout_ms", 300)])
    assert 0.2 < await closed_after(port, b"") < 2


async def test_a_connection_without_settings_is_closed(hosting: Any) -> None:
    options = [("grpc.http2.settings_timeout", 300), ("grpc.server_handshake_timeout_ms", 300)]
    server = Server(Gate(guard=None, limits=None), options=options)
    register(server, ok)
    assert 0.2 < await closed_after(await start_plain(hosting, server), PREFACE) < 2


async def test_an_idle_connection_is_closed(hosting: Any) -> None:
    options = [("grpc.max_connection_idle_ms", 300)]
    server = Server(Gate(guard=None, limits=None), options=options)
    register(server, ok)
    assert 0.2 < await closed_after(await start_plain(hosting, server), PREFACE + SETTINGS) < 3


async def test_a_mute_peer_is_given_up(hosting: Any) -> None:
    options = [
        ("grpc.keepalive_time_ms", 300),
        ("grpc.keepalive_timeout_ms", 300),
        ("grpc.http2.ping_timeout_ms", 300),
    ]
    server = Server(Gate(guard=None, limits=None), options=options)
    register(server, ok)
    assert 0.2 < await closed_after(await start_plain(hosting, server), PREFACE + SETTINGS) < 4


async def test_an_old_connection_is_closed_even_with_a_call_on_it(hosting: Any, network: Any) -> None:
    async def watch(_: Any, __: Any) -> Any:
        yield directory_pb2.Event(sequence=1)
        await asyncio.sleep(60)

    options = [("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 200)]
    port = await hosting.watch(watch, options=options)
    stream = (await hosting.events(network.enrol(1), port)).Watch(directory_pb2.WatchRequest())
    await stream.read()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await asyncio.wait_for(stream.read(), 5)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_connection_carries_a_bounded_number_of_calls(hosting: Any, network: Any, submit_request: Any) -> None:
    running = most = 0

    async def answer(_: Any, __: Any) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        return ""

    stub = await hosting.broker(network.enrol(1), await hosting.echo(answer))
    await stub.Submit(submit_request())
    await asyncio.gather(*(stub.Submit(submit_request()) for _ in range(24)))
    assert most == 24
    # Beyond it the transport refuses by itself, without a servicer being asked.
    outcomes = await asyncio.gather(*(stub.Submit(submit_request()) for _ in range(100)), return_exceptions=True)
    assert 24 < most <= 32
    assert all(
        not isinstance(outcome, grpc.aio.AioRpcError) or outcome.code() is grpc.StatusCode.UNAVAILABLE
        for outcome in outcomes
    )


def test_no_ping_is_counted_against_anybody() -> None:
    """gRPC's count of them lets one connection hold up all others (decision 29), and would end an honest one's, too."""
    assert dict(SERVER_OPTIONS)["grpc.http2.max_ping_strikes"] == 0


async def test_health_tells_whether_the_server_can_work(hosting: Any, network: Any) -> None:
    server = hosting.server()
    register(server, ok)
    port = await hosting.start(server)
    async with network.enrol(1).channel(port) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def status(service: str) -> str:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

        assert [await status(name) for name in ("", "cordee.v1.Broker")] == ["SERVING", "SERVING"]
        await server.set_serving(False)
        assert [await status(name) for name in ("", "cordee.v1.Broker")] == ["NOT_SERVING", "NOT_SERVING"]


async def test_health_is_for_members_only_on_the_members_listener(hosting: Any, network: Any) -> None:
    client = network.enrol(1)
    network.suspend(client)
    async with client.channel(await hosting.echo(ok)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_calls_under_way_may_finish_when_the_server_stops(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    begun = asyncio.Event()

    async def answer(_: Any, __: Any) -> str:
        begun.set()
        await asyncio.sleep(0.2)
        return "done"

    server = hosting.server()
    register(server, answer)
    port = await hosting.start(server)
    stub = await hosting.broker(network.enrol(1), port)
    call = asyncio.ensure_future(stub.Submit(submit_request()))
    await begun.wait()
    await server.stop(5)
    assert (await call).state == "done"


async def forever(_: Any, __: Any) -> Any:
    yield directory_pb2.Event(sequence=1)
    await asyncio.Event().wait()


AN_HOUR = 3600.0
"""A grace that no test waits for."""


async def test_a_stream_without_an_end_is_told_that_the_server_stops_which_does_not_wait_for_it(
    hosting: Any, network: Any
) -> None:
    port = await hosting.watch(forever)
    streams = [
        (await hosting.events(network.enrol(number), port)).Watch(directory_pb2.WatchRequest()) for number in (1, 2)
    ]
    for stream in streams:
        await stream.read()
    await hosting.watched.stop(AN_HOUR)
    for stream in streams:
        with pytest.raises(Unreachable), reaching("directory"):
            await stream.read()
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE
        assert await stream.details() == "stopping", "it was told so, and not cut off"


async def test_what_is_being_written_is_finished_after_the_streams_have_ended(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def answer(_: Any, __: Any) -> str:
        begun.set()
        await goes_on.wait()
        return "done"

    server = hosting.server()
    register(server, answer)
    server.add(EVENTS, directory_pb2_grpc.add_EventsServicer_to_server, Watcher(forever))
    port = await hosting.start(server)
    stream = (await hosting.events(network.enrol(1), port)).Watch(directory_pb2.WatchRequest())
    await stream.read()
    call = asyncio.ensure_future((await hosting.broker(network.enrol(2), port)).Submit(submit_request()))
    await begun.wait()
    stopping = asyncio.create_task(server.stop(AN_HOUR))
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
    assert not stopping.done()
    goes_on.set()
    assert (await call).state == "done"
    await stopping


async def test_a_stream_that_comes_while_the_server_stops_is_told_at_once(hosting: Any, network: Any) -> None:
    port = await hosting.watch(forever)
    hosting.watched._gate.end_endless()
    stream = (await hosting.events(network.enrol(1), port)).Watch(directory_pb2.WatchRequest())
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_stream_with_an_end_of_its_own_has_the_grace_to_come_to_it(hosting: Any, network: Any) -> None:
    goes_on = asyncio.Event()

    class Roster(directory_pb2_grpc.RosterServicer):
        async def ListEntries(self, request: Any, context: Any) -> Any:
            yield directory_pb2.ListEntriesResponse()
            await goes_on.wait()
            yield directory_pb2.ListEntriesResponse()

    server = hosting.server()
    service = directory_pb2.DESCRIPTOR.services_by_name["Roster"]
    server.add(service, directory_pb2_grpc.add_RosterServicer_to_server, Roster())
    async with network.enrol(1).channel(await hosting.start(server)) as channel:
        stream = aiter(directory_pb2_grpc.RosterStub(channel).ListEntries(directory_pb2.ListEntriesRequest()))
        await anext(stream)
        stopping = asyncio.create_task(server.stop(AN_HOUR))
        await asyncio.sleep(0)  # it has begun
        goes_on.set()
        assert len([each async for each in stream]) == 1
    await stopping


async def test_whoever_follows_the_health_does_not_keep_the_server_from_stopping(hosting: Any, network: Any) -> None:
    server = hosting.server()
    register(server, ok)
    async with network.enrol(1).channel(await hosting.start(server)) as channel:
        stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVING
        await server.stop(AN_HOUR)
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE


async def test_two_servers_cannot_share_a_port(hosting: Any, network: Any) -> None:
    port = await hosting.echo(ok)
    second = Server(Gate(guard=network.guard, limits=None))
    with pytest.raises(OSError, match="cannot listen"):
        second.listen(f"127.0.0.1:{port}", network.credentials())
    await second.stop(0)


async def test_a_service_whose_requests_have_no_bounds_is_not_hosted(network: Any) -> None:
    from cordee.runtime import bounds

    service = directory_pb2.DESCRIPTOR.services_by_name["Broker"]
    kept = bounds._TABLE.pop("cordee.v1.SubmitRequest")
    server = Server(Gate(guard=network.guard, limits=None))
    try:
        with pytest.raises(ValueError, match="SubmitRequest has no bounds"):
            server.add(service, lambda *_: None, object())
    finally:
        bounds._TABLE["cordee.v1.SubmitRequest"] = kept
    await server.stop(0)


async def test_a_unix_socket_needs_a_folder_of_its_owners(tmp_path: Path, submit_request: Any) -> None:
    server = Server(Gate(guard=None, limits=None))
    register(server, ok)
    os.chmod(tmp_path, 0o755)
    with pytest.raises(PermissionError):
        server.listen_on_socket(tmp_path / "s")
    os.chmod(tmp_path, 0o700)
    server.listen_on_socket(tmp_path / "s")
    await server.start()
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
        assert (await directory_pb2_grpc.BrokerStub(channel).Submit(submit_request())).state == "ok"
    await server.stop(0)


@pytest.mark.parametrize("reflect", [False, True])
async def test_reflection_is_off_unless_asked_for(hosting: Any, network: Any, reflect: bool) -> None:
    server = Server(Gate(guard=network.guard, limits=None), reflect=reflect)
    register(server, ok)
    port = await hosting.start(server)
    async with network.enrol(1).channel(port) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        if reflect:
            names = [service.name for service in (await call.read()).list_services_response.service]
            assert "cordee.v1.Broker" in names
        else:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
