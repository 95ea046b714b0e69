"""What is tested piece by piece elsewhere is in force in a directory that runs: its limits, and the key exchange."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest

from cordee.entries import add_signature, propose
from cordee.errors import TooManyRefusals, TooManyRequests, WeakConnection
from cordee.runtime.interceptors import Gate
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.server import SERVER_OPTIONS
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from tests.cordee.runtime.test_tls import h2_call, plain_context, raw_tls
from tests.directory.town import Node, Town, refused

A_MINUTE, AN_HOUR = 60_000, 3_600_000  # milliseconds

LONGEST = {
    "grpc.server_handshake_timeout_ms": A_MINUTE,
    "grpc.http2.settings_timeout": A_MINUTE,
    "grpc.max_connection_idle_ms": AN_HOUR,
    "grpc.max_connection_age_ms": AN_HOUR,
    "grpc.max_connection_age_grace_ms": A_MINUTE,
    "grpc.keepalive_time_ms": A_MINUTE,
    "grpc.http2.ping_timeout_ms": A_MINUTE,
}
"""What tests of connections that say nothing, or nothing more, make shorter."""


async def calls_until_refused(stub: Any, *, at_most: int) -> int:
    """How many calls were answered, on a clock that stands still, before the directory had enough."""
    for number in range(at_most):
        try:
            with reaching("directory"):
                await stub(timeout=5)
        except TooManyRequests:
            return number
    pytest.fail(f"{at_most} calls, and nobody minded")


def test_servers_give_up_connections_of_which_nothing_more_comes() -> None:
    options = dict(SERVER_OPTIONS)
    assert {name: options.get(name) for name in LONGEST if not 0 < options.get(name, 0) <= LONGEST[name]} == {}
    assert options["grpc.keepalive_permit_without_calls"] == 1


def test_calls_that_do_not_end_are_ended_where_nobody_says_when() -> None:
    times = {name: each.default for name, each in inspect.signature(Gate).parameters.items()}
    assert 0 < times["deadline"] <= 60
    assert 0 < times["idle"] <= 60


async def test_a_member_that_calls_without_end_is_refused_and_the_others_are_not(town: Town) -> None:
    greedy, modest = await town.join("Paris"), await town.join("Marseille")
    request = pb.GetCheckpointRequest()
    answered = await calls_until_refused(
        lambda **options: greedy.roster.GetCheckpoint(request, **options), at_most=1_000
    )
    assert answered >= 100, "an honest node is not in its way"
    assert (await modest.roster.GetCheckpoint(request, timeout=5)).checkpoint
    town.clock.advance(1)
    assert (await greedy.roster.GetCheckpoint(request, timeout=5)).checkpoint


async def test_a_stranger_who_asks_at_the_front_without_end_is_refused(town: Town) -> None:
    async with town.front() as line:
        stub: Any = directory_pb2_grpc.EnrolmentStub(line)

        async def ask(**options: Any) -> None:
            try:
                await stub.Request(pb.EnrolmentRequest(), **options)
            except grpc.aio.AioRpcError as refused:
                if refused.code() is not grpc.StatusCode.INVALID_ARGUMENT:  # there is nothing in it
                    raise

        assert await calls_until_refused(ask, at_most=500) >= 10


@pytest.mark.parametrize("listener", ["members", "front"])
async def test_neither_listener_answers_without_the_hybrid_key_exchange(
    town: Town, tmp_path: Path, listener: str
) -> None:
    paris = await town.join("Paris")
    address, path, message = {
        "members": (town.listening.members, "/cordee.v1.Roster/GetCheckpoint", pb.GetCheckpointRequest()),
        "front": (town.listening.front, "/cordee.v1.Enrolment/Request", pb.EnrolmentRequest()),
    }[listener]
    ordinary = plain_context(
        SimpleNamespace(key=paris.transport, certificate=paris.certificate), tmp_path, SimpleNamespace(root=town.ca)
    )
    connection: ssl.SSLSocket = await raw_tls(int(address.rpartition(":")[2]), ordinary)
    assert connection.version() == "TLSv1.3"

    def call() -> bytes:
        connection.sendall(h2_call(path, message.SerializeToString()))
        connection.settimeout(5)
        received = b""
        while b"grpc-status" not in received:
            received += connection.recv(65_536)
        connection.close()
        return received

    assert WeakConnection.reason.encode() in await asyncio.to_thread(call)


async def test_a_card_is_not_replaced_without_end(town: Town) -> None:
    greedy, modest = await town.join("Paris"), await town.join("Marseille")
    with refused("TOO_MANY_CARDS"):
        for number in range(2, 100):
            await greedy.publish(town.card(greedy.keys, number=number), greedy.keys.profile)
    assert number > 20, "an honest node is not in its way"
    await modest.publish(town.card(modest.keys, number=2), modest.keys.profile)
    town.clock.advance(61)
    await greedy.publish(town.card(greedy.keys, number=number), greedy.keys.profile)


async def test_nor_by_whoever_comes_in_at_the_front_each_time(town: Town) -> None:
    greedy = await town.join("Paris")

    def request(number: int) -> pb.RejoinEnrolmentRequest:
        body = v1.RejoinRequest(
            network=town.network.roster.network,
            member=greedy.keys.id,
            card=town.card(greedy.keys, number=number).to_message(),
            profile=greedy.keys.profile,
            certificate_request=greedy.transport.request(),
            time=timestamp_of(town.clock.now()),
            nonce=number.to_bytes(16, "big"),
        )
        return pb.RejoinEnrolmentRequest(request=greedy.keys.identity.sign(body).to_message())

    async with town.front() as line:
        stub: Any = directory_pb2_grpc.EnrolmentStub(line)
        with refused("TOO_MANY_CARDS"), reaching("directory"):
            for number in range(2, 100):
                await stub.Rejoin(request(number), timeout=5)
    assert number > 20, "an honest node is not in its way"


async def test_a_member_does_not_write_about_itself_into_the_log_without_end(town: Town) -> None:
    greedy, modest = await town.join("Paris"), await town.join("Marseille")

    async def restored(node: Node, number: int) -> None:
        head = town.directory.rosters.roster.head(node.keys.id, town.clock.now())
        statement = v1.NodeRestored(**head, member=node.keys.id, incarnation=number.to_bytes(16, "big"))
        entry = add_signature(propose(statement), node.keys.identity)
        with reaching("directory"):
            await node.roster.AppendEntry(pb.AppendEntryRequest(entry=entry), timeout=5)

    with refused("TOO_MANY_ENTRIES"):
        for number in range(100):
            await restored(greedy, number)
    assert number > 5, "an honest node is not in its way"
    await restored(modest, 1)
    town.clock.advance(6 * 3600 + 1)
    await restored(greedy, number)


async def test_a_member_that_is_refused_without_end_is_not_listened_to_and_the_others_are(town: Town) -> None:
    greedy, modest = await town.join("Paris"), await town.join("Marseille")
    refusals = 0

    async def wrong(**options: Any) -> None:
        nonlocal refusals
        town.clock.advance(0.01)
        try:
            await greedy.broker.Submit(pb.SubmitRequest(), **options)
        except grpc.aio.AioRpcError as answer:
            if answer.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            refusals += 1

    async def wrong_without_end() -> None:
        for _ in range(2_000):
            await wrong(timeout=10)

    with pytest.raises(TooManyRefusals) as told, reaching("directory"):
        await wrong_without_end()
    assert refusals >= 300, "an honest node is not in its way"
    assert told.value.retry_after > 0
    assert (await modest.roster.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5)).checkpoint
    town.clock.advance(told.value.retry_after)
    assert (await greedy.roster.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5)).checkpoint
