"""What whoever runs the directory sees of it, and that it tells of nobody."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from cordee.runtime import logs
from cordee.runtime.metrics import Metrics, render
from tests.directory.test_broker import Play
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
