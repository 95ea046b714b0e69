"""What was erased leaves the write-ahead log too, whatever is in the way; upkeep outlives a full disk."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cordee.errors import StorageFull
from cordee.runtime.clock import SystemClock
from node import journal
from node.upkeep import Upkeep
from tests.neighbours import eventually

from .ill import lone_node

MARK = b"a key that was wrapped here once"


def in_the_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and MARK in log.read_bytes()


async def test_what_was_deleted_while_somebody_read_leaves_the_log_when_they_are_done(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node:
        house = node.house
        await node.db.write(lambda tx: tx.exec_driver_sql("CREATE TABLE planted (x BLOB)").close())
        await node.db.write(lambda tx: tx.exec_driver_sql("INSERT INTO planted VALUES (?)", (MARK,)).close())
        with sqlite3.connect(node.db.path, isolation_level=None) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM planted").fetchone()
            await node.db.write(lambda tx: tx.exec_driver_sql("DELETE FROM planted").close())
            await house.scrub()
            assert in_the_log(node.db.path), "the reader still needs it"
            assert house.changes.ended.is_set(), "it is not forgotten"
            reader.execute("ROLLBACK")
        reader.close()
        nothing: Any = SimpleNamespace()
        upkeep = Upkeep(_with_clock(house), nothing, nothing, nothing, tmp_path / "certificate.der")
        scrubbing = asyncio.create_task(upkeep.scrub())
        await eventually(lambda: not in_the_log(node.db.path), seconds=30, what="the log's end")
        scrubbing.cancel()
        assert MARK not in node.db.path.read_bytes()


async def test_a_log_that_cannot_be_emptied_now_ends_nothing(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node:
        away = node.db.path.rename(tmp_path / "away")
        node.db.path.mkdir()  # nothing can be opened there
        await node.house.scrub()
        assert node.house.changes.ended.is_set()
        node.db.path.rmdir()
        away.rename(node.db.path)


async def test_one_part_of_the_upkeep_that_fails_does_not_keep_the_others_from_their_turn(tmp_path: Path) -> None:
    async with lone_node(tmp_path) as node:
        await node.db.write(
            lambda tx: journal.append(tx, now=node.clock.now(), actor="u", action="case.read", subject="")
        )
        tried: list[str] = []

        async def renewed(*_: object, **__: object) -> int:
            tried.append("renewed")
            return 1

        def full(_: object) -> None:
            tried.append("full")
            raise StorageFull(what="the database")

        publishing: Any = SimpleNamespace(
            resume_transport=renewed, publish=renewed, renew_certificate=renewed, forget_old_keys=full
        )
        identity: Any = SimpleNamespace(look_if_cut_off=renewed, resume=renewed)
        upkeep = Upkeep(node.house, publishing, identity, SimpleNamespace(look_at_times=renewed), tmp_path / "none.der")
        await upkeep.look()  # the certificate's file is not there either
        assert "full" in tried
        assert await node.db.read(lambda tx: journal.latest(tx, action="journal.signed", limit=1))


def _with_clock(house: Any) -> Any:
    return replace(house, clock=SystemClock())
