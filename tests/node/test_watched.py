"""A whole node tells truly how it is: alive, ready, and in numbers, whatever goes wrong with it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import ssl
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from cordee.errors import InvalidInput
from cordee.transfer import State
from node.backup import Written, note_backup
from node.examining import examine
from node.joining import CERTIFICATE
from node.store.migrations import MIGRATIONS
from node.watched import watched
from node.web.server import Listening, serving
from tests.faults.floods.scene import self_signed
from tests.neighbours import eventually, neighbourhood

from .ill import codes, damage, lone_node, small_disk

MACHINE = {"swap_plain", "freed_memory_kept", "disk_low", "kit_missing", "no_backup"}


async def ask(address: str, path: str, *, method: str = "GET") -> tuple[int, str]:
    """Status and body of one answer."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def test_it_is_ready_until_the_directory_is_away_and_again_when_it_is_back(tmp_path: Path) -> None:
    async with (
        neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)),
        watched(paris.here, "127.0.0.1:0") as (_, address),
    ):
        assert await ask(address, "/readyz") == (200, '{"ready": true, "broken": []}')
        assert codes(await examine(paris.here, thorough=True)) - MACHINE == set()
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        status, told = await ask(address, "/metrics")
        assert status == 200
        assert 'cordee_node_transfers{direction="out",state="offered"} 1.0' in told
        assert "cordee_node_ready 1.0" in told
        assert transfer.hex() not in told
        assert transfer.short not in told
        assert marseille.here.member.hex() not in told
        assert told.endswith("# EOF\n")

        listening = next(each for each in paris.here.loops if each.get_name() == "listening")
        listening.cancel()
        await asyncio.wait([listening])
        assert (await ask(address, "/healthz"))[0] == 503
        status, told = await ask(address, "/readyz")
        assert status == 503
        assert set(json.loads(told)["broken"]) == {"directory_away", "loop_dead"}
        assert "cordee_node_ready 0.0" in (await ask(address, "/metrics"))[1]


async def test_a_directory_that_is_away_is_told_and_is_forgotten_when_it_is_back(tmp_path: Path) -> None:
    async with (
        neighbourhood(tmp_path, "Paris") as (street, (paris,)),
        watched(paris.here, "127.0.0.1:0") as (_, address),
    ):
        assert (await ask(address, "/readyz"))[0] == 200
        await street.town.listening.directory.guard.revoke(paris.here.member)

        async def told() -> bool:
            return json.loads((await ask(address, "/readyz"))[1])["broken"] == ["directory_away"]

        await eventually(told, what="the connection's end")
        assert (await ask(address, "/healthz"))[0] == 200

        async def again() -> bool:
            return (await ask(address, "/readyz"))[0] == 200

        await eventually(again, seconds=60, what="the connection")


async def test_a_node_whose_database_is_held_says_so_and_measures_what_it_can(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node, watched(node, "127.0.0.1:0") as (_, address):
        with sqlite3.connect(node.db.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            broken = json.loads((await ask(address, "/readyz"))[1])["broken"]
            assert broken == ["database_locked", "directory_away"], "what can be read is read all the same"
            told = (await ask(address, "/metrics"))[1]
            other.execute("ROLLBACK")
        other.close()
        assert 'cordee_node_finding{finding="database_locked",severity="broken"} 1.0' in told
        assert "database_locked" not in (await ask(address, "/metrics"))[1], "it is over"


async def test_what_needs_no_database_is_measured_while_another_program_holds_it(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node, watched(node, "127.0.0.1:0") as (_, address):
        node.roster.connected = True
        assert "cordee_node_connected 1.0" in (await ask(address, "/metrics"))[1]
        with sqlite3.connect(node.db.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            node.roster.connected = False
            told = (await ask(address, "/metrics"))[1]
            other.execute("ROLLBACK")
        other.close()
        assert "cordee_node_connected 0.0" in told


async def test_a_database_that_is_damaged_while_the_node_runs_is_told(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node, watched(node, "127.0.0.1:0") as (_, address):
        assert "database_damaged" not in (await ask(address, "/readyz"))[1]
        damage(node.db)
        status, told = await ask(address, "/readyz")
        assert (status, json.loads(told)["broken"].count("database_damaged")) == (503, 1)
        status, told = await ask(address, "/metrics")
        assert status == 200
        assert 'cordee_node_finding{finding="database_damaged",severity="broken"} 1.0' in told
        assert "cordee_node_ready 0.0" in told
        assert (await ask(address, "/healthz"))[0] == 200, "starting it again would not mend that"


async def test_a_full_disk_of_a_folders_own_is_told(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir(mode=0o700)
    with small_disk(tmp_path / "node" / "spool", size="48m") as spool:
        async with lone_node(tmp_path / "node") as node, watched(node, "127.0.0.1:0") as (_, address):
            assert "disk_full" not in (await ask(address, "/readyz"))[1]
            (spool / "filler").write_bytes(bytes(30 << 20))
            assert "disk_full" in json.loads((await ask(address, "/readyz"))[1])["broken"]
            found = await examine(node)
            assert [each.facts["folder"] for each in found if each.ailment.code == "disk_full"] == [str(spool)]


async def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node, watched(node, "127.0.0.1:0") as (_, address):
        (node.data_dir / CERTIFICATE).write_bytes(b"no certificate")
        assert "certificate_damaged" in json.loads((await ask(address, "/readyz"))[1])["broken"]
        assert (await ask(address, "/metrics"))[0] == 200


async def test_what_the_pages_refuse_and_handshakes_that_fail_are_counted(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    where = Listening(certificate=certificate, key=key)
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with (
        lone_node(tmp_path) as node,
        watched(node, "127.0.0.1:0") as (_, address),
        serving(node, where) as pages,
    ):
        async with httpx.AsyncClient(base_url=pages, verify=trusted, timeout=60) as browser:
            await browser.get("/cases")
            typed = {"name": "nobody", "password": "a password of nobody"}
            answer = await browser.post("/sign-in", data=typed, headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 401
        with pytest.raises(httpx.ConnectError):  # a browser that does not trust the certificate
            async with httpx.AsyncClient(base_url=pages, timeout=60) as stranger:
                await stranger.get("/sign-in")

        async def told() -> bool:
            lines = (await ask(address, "/metrics"))[1].splitlines()
            return {
                'cordee_refusals_total{reason="NOT_SIGNED_IN"} 1.0',
                'cordee_refusals_total{reason="WRONG_PASSWORD"} 1.0',
                'cordee_tls_handshakes_total{listener="pages"} 2.0',
                'cordee_tls_handshakes_refused_total{listener="pages"} 1.0',
                'cordee_connections_shut_total{listener="pages"} 0.0',
            } <= set(lines)

        await eventually(told, what="all of it")


async def test_the_age_of_the_last_backup_is_told(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node, watched(node, "127.0.0.1:0") as (_, address):
        assert "cordee_node_backup_age_seconds +Inf" in (await ask(address, "/metrics"))[1]
        made = node.clock.now() - timedelta(days=9)
        written = Written(created=made, schema=len(MIGRATIONS) + 1, files=0, bytes=0, missing=0)
        await asyncio.to_thread(note_backup, node.data_dir, written)
        told = (await ask(address, "/metrics"))[1]
        assert f"cordee_node_backup_age_seconds {timedelta(days=9).total_seconds()}" in told
        assert 'cordee_node_finding{finding="no_recent_backup",severity="soon"} 1.0' in told


async def test_nothing_else_is_answered(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node, watched(node, "127.0.0.1:0") as (_, address):
        assert (await ask(address, "/"))[0] == 404
        assert (await ask(address, "/metrics", method="POST"))[0] == 405
        assert (await ask(address, "/healthz", method="HEAD")) == (200, "")
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 4000)
        assert await asyncio.wait_for(_rest(reader), 20) == b"", "a head without an end"
        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "9464", "192.0.2.1:80", "127.0.0.1:x", "127.0.0.1:70000", "x:1"])
async def test_it_is_told_on_this_machine_only(tmp_path: Path, address: str) -> None:
    async with lone_node(tmp_path) as node:
        with pytest.raises(InvalidInput):
            async with watched(node, address):
                pass
