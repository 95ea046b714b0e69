"""What whoever runs the directory sees of it, and that it tells of nobody."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import socket
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from cordee.errors import CordeeError
from cordee.runtime import logs
from cordee.runtime.metrics import Metrics, render
from cordee.runtime.tls import channel
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from directory.measures import watched
from tests.directory.test_broker import Play
from tests.directory.test_doctor import ask
from tests.directory.town import Town


async def test_health_is_told_on_both_listeners(town: Town) -> None:
    paris = await town.join("Paris")
    async with town.front() as front:
        for line, service in ((front, "cordee.v1.Enrolment"), (paris.connect(), "cordee.v1.Broker")):
            stub: Any = health_pb2_grpc.HealthStub(line)
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_metrics_count_states_and_waiting_bytes_and_name_nobody(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    town = Town.make(tmp_path / "directory")
    async with town.open(metrics=Metrics(registry, version="test")):
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        await play.steps("offer", "accept", "ship")
        for _ in range(100):
            town.clock.advance(5)
            await asyncio.sleep(0.02)
            if registry.get_sample_value("cordee_relay_bytes") == 65_536:
                break
        assert registry.get_sample_value("cordee_relay_bytes") == 65_536
        assert registry.get_sample_value("cordee_mailbox_pending") == 1
        assert registry.get_sample_value("cordee_transfers_total", {"state": "shipped"}) == 1
        assert registry.get_sample_value("cordee_certificate_expiry_timestamp_seconds")
    text = render(registry)
    for mark in (play.paris.keys.id, play.marseille.keys.id, play.id):
        assert mark.hex()[:8].encode() not in text


async def test_logs_hold_short_ids_and_no_text_of_anybody(tmp_path: Path) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    try:
        town = Town.make(tmp_path / "directory")
        async with town.open(observers=(logs.CallLog(),)):
            await town.found()
            play = Play(town, await town.join("Paris"), await town.join("Marseille"))
            await play.steps("offer", "accept", "ship", "receive", "withdraw", "erase")
            await play.marseille.heard()
    finally:
        logs.configure()
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["state"] for line in lines if line["event"] == "transfer.step"} == {
        "offered",
        "accepted",
        "shipped",
        "received",
    }
    assert not any("dropped" in line for line in lines), "every field that is logged is on the list"
    for mark in ("Paris", "Marseille", play.id.hex(), play.paris.keys.id.hex(), str(town.folder)):
        assert mark not in text


async def test_what_is_refused_is_counted_by_its_reason_and_lost_handshakes_by_listener(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, version="test")
    town = Town.make(tmp_path / "directory")
    async with town.open(metrics=metrics), watched(town.listening, metrics, "127.0.0.1:0") as address:
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        with pytest.raises(CordeeError) as refused:
            await play.paris.transfer(os.urandom(16))
        await asyncio.to_thread(_no_tls, town.listening.members)
        line = channel(town.listening.members, root=town.ca)  # without a certificate of one's own
        with pytest.raises(grpc.aio.AioRpcError):
            await directory_pb2_grpc.RosterStub(line).GetCheckpoint(pb.GetCheckpointRequest(), timeout=20)
        await line.close()

        async def told(name: str, **labels: str) -> float:
            await ask(address, "/metrics")
            return registry.get_sample_value(f"cordee_{name}_total", labels) or 0.0

        assert await told("refusals", reason=refused.value.reason) == 1
        for _ in range(600):
            if await told("tls_handshakes_refused", listener="members") >= 2:
                break
            await asyncio.sleep(0.1)
        lost = await told("tls_handshakes_refused", listener="members")
        assert lost >= 2
        assert await told("tls_handshakes", listener="members") > lost, "that of the member as well"
        assert await told("tls_handshakes_refused", listener="front") == 0
        assert await told("tls_handshakes", listener="front") > 0
        assert await told("connections_shut", listener="members") == 0


def _no_tls(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as line:
        line.settimeout(20)
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while line.recv(1000):
                pass
