"""The doctor and readiness name each thing that is wrong with a running node, brought about for real."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cordee.errors import ClockSkew, RosterForked
from cordee.runtime.doctor import exit_code, ready
from node import journal
from node.app import Node
from node.examining import examine, wipes_memory
from node.joining import CERTIFICATE
from node.notices import Condition
from node.restored import await_announcement
from tests.faults.secret_network import WIPING

from .ill import certificate_until, codes, lone_node, small_disk

LONELY = {"directory_away", "no_backup", "kit_missing"}
"""What is true of every node here."""
MACHINE = {"swap_plain", "freed_memory_kept", "disk_low", "disk_full"}
"""What depends on who runs the tests where."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with lone_node(tmp_path) as made:
        yield made


async def found(node: Node, *, thorough: bool = False) -> set[str]:
    return codes(await examine(node, thorough=thorough)) - LONELY - MACHINE


async def test_a_node_that_was_just_made_has_nobody_to_talk_to_and_nothing_else(node: Node) -> None:
    told = await examine(node, thorough=True)
    assert codes(told) - MACHINE == LONELY
    assert not ready(told)
    assert exit_code(told) == 7
    node.roster.connected = True
    assert "directory_away" not in codes(await examine(node))


async def test_a_database_that_another_program_holds_is_told_and_is_free_again_afterwards(node: Node) -> None:
    with sqlite3.connect(node.db.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await found(node) == {"database_locked"}
        other.execute("ROLLBACK")
    other.close()
    assert await found(node) == set()


async def test_a_damaged_page_is_found_by_a_thorough_look(node: Node) -> None:
    for name in ("a", "b"):
        await node.db.write(lambda tx, name=name: tx.exec_driver_sql(f"CREATE TABLE {name} (x BLOB)").close())
    await node.db.write(lambda tx: tx.exec_driver_sql("INSERT INTO a SELECT zeroblob(60000)").close())
    assert node.db.truncate_log()
    size = node.db.path.stat().st_size
    with node.db.path.open("r+b") as file:
        file.seek(size - 4096 * 4)
        file.write(b"\xff" * 4096 * 4)
        file.flush()
    with sqlite3.connect(node.db.path) as other:  # a change of its own makes the node read its pages anew
        other.execute("CREATE TABLE c (x)")
    other.close()
    assert await found(node, thorough=True) == {"database_damaged"}


async def test_a_full_disk_is_told_and_it_is_well_again_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", size="60m") as folder:
        async with lone_node(folder) as node:
            assert "disk_full" not in codes(await examine(node))
            filler = folder / "filler"
            _fill(filler)
            told = await examine(node)
            assert "disk_full" in codes(told)
            assert not ready(told)
            filler.unlink()
            assert "disk_full" not in codes(await examine(node))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass


async def test_transfers_that_take_more_room_than_is_left_are_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", size="80m") as folder:
        async with lone_node(folder) as node:
            (folder / "spool").mkdir()
            (folder / "spool" / "a.out").write_bytes(os.urandom(1 << 20) * 42)
            assert "spool_full" in codes(await examine(node))


async def test_a_list_of_members_that_grew_old_is_told(node: Node) -> None:
    node.clock.advance(timedelta(days=40))  # type: ignore[attr-defined]  # a clock of tests
    assert {"roster_stale"} <= await found(node)


@pytest.mark.parametrize(("step", "connected"), [(timedelta(hours=-2), False), (timedelta(hours=5), True)])
async def test_a_clock_that_went_wrong_is_told(node: Node, step: timedelta, *, connected: bool) -> None:
    node.roster.connected = connected
    assert "clock_wrong" not in await found(node)
    node.clock.advance(step)  # type: ignore[attr-defined]
    assert "clock_wrong" in await found(node)


async def test_a_statement_that_the_directory_finds_wrongly_dated_tells_of_the_clock(node: Node) -> None:
    skewed: Any = SimpleNamespace(refusal=ClockSkew(what="the offer", time="2031-01-01"))
    assert await found(replace(node, outbox=skewed)) == {"clock_wrong"}


@pytest.mark.parametrize(
    ("days", "told"), [(-1, {"certificate_expired"}), (3, {"certificate_soon"}), (20, set())], ids=str
)
async def test_a_certificate_that_runs_out_is_told(node: Node, days: int, told: set[str]) -> None:
    (node.data_dir / CERTIFICATE).write_bytes(certificate_until(node.clock.now() + timedelta(days=days)))
    assert await found(node) == told


async def test_a_card_that_ran_out_and_one_that_will_are_told(node: Node) -> None:
    ends = node.roster.own_card().card.expire_time
    clock: Any = node.clock
    clock.advance(ends - clock.now() - timedelta(days=2))
    assert "card_soon" in await found(node)
    clock.advance(timedelta(days=2, hours=1))
    assert "card_expired" in await found(node)


async def test_a_card_that_ran_out_does_not_make_the_list_of_members_look_old(node: Node) -> None:
    network = node.roster.roster
    clock: Any = node.clock
    clock.advance(node.roster.own_card().card.expire_time - clock.now() + timedelta(hours=1))
    node.roster._checkpoint = replace(node.roster.checkpoint, time=clock.now())  # as signed just now
    assert network.policy.freshness_limit > timedelta(0)
    assert await found(node) == {"card_expired"}


async def test_an_alarm_about_the_list_of_members_is_told_with_its_reason(node: Node) -> None:
    node.roster._alarm = RosterForked(size=3)  # how it comes to be is tested elsewhere
    told = await examine(node)
    assert "roster_alarm" in codes(told)
    assert exit_code(told) == 8
    assert next(each.facts for each in told if each.ailment.code == "roster_alarm") == {"reason": "ROSTER_FORKED"}


async def test_a_message_that_waits_for_long_is_told_with_its_age_and_reason(node: Node) -> None:
    await node.db.write(lambda tx: _waiting(tx, node.clock.now()))
    assert await found(node) == set()
    node.clock.advance(timedelta(minutes=11))  # type: ignore[attr-defined]
    assert await found(node) == {"outbox_stuck"}


def _waiting(tx: Any, now: datetime) -> None:
    tx.exec_driver_sql(
        "INSERT INTO statement (transfer_id, kind, position, signed, digest, ours, waits, at) VALUES (?,?,?,?,?,?,?,?)",
        (bytes(16), "receipt_taken", 1, b"", b"", True, True, now.replace(tzinfo=None).isoformat(" ")),
    ).close()


async def test_a_restore_that_the_network_has_not_heard_of_is_told(node: Node) -> None:
    await node.db.write(lambda tx: await_announcement(tx, node.vault, random=os.urandom))
    assert await found(node) == {"restore_unfinished"}


async def test_a_backup_that_is_long_ago_is_told(node: Node) -> None:
    now = node.clock.now()
    await node.db.write(lambda tx: journal.append(tx, now=now, actor="u", action="node.backed_up", subject=""))
    assert not {"no_backup", "no_recent_backup"} & codes(await examine(node))
    node.clock.advance(timedelta(days=9))  # type: ignore[attr-defined]
    assert "no_recent_backup" in await found(node)


async def test_a_journal_that_was_not_signed_for_hours_is_told(node: Node) -> None:
    now = node.clock.now()
    await node.db.write(lambda tx: journal.append(tx, now=now, actor="u", action="case.read", subject=""))
    node.clock.advance(timedelta(hours=4))  # type: ignore[attr-defined]
    assert "journal_unsigned" in await found(node)


async def test_mail_that_cannot_be_sent_is_told(node: Node) -> None:
    notices: Any = SimpleNamespace(condition=Condition(reason="MailRefused"))
    assert await found(replace(node, notices=notices)) == {"mail_fails"}


async def test_a_part_that_ended_is_told_by_name(node: Node) -> None:
    async def ends() -> None:
        raise RuntimeError

    ended = asyncio.create_task(ends(), name="outbox")
    await asyncio.wait([ended])
    told = await examine(replace(node, loops=(ended,)))
    assert next(each.facts for each in told if each.ailment.code == "loop_dead") == {"loop": "outbox"}
    assert not ready(told)
    assert isinstance(ended.exception(), RuntimeError)


def test_memory_is_said_to_be_wiped_only_where_it_is() -> None:
    assert wipes_memory(WIPING)
    assert not wipes_memory({})
    assert not wipes_memory({**WIPING, "PYTHONMALLOC": "pymalloc"})
    assert not wipes_memory({**WIPING, "GLIBC_TUNABLES": "glibc.malloc.perturb=170"})
