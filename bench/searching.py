"""W8: find a case by a part of its pseudonym among 50,000, and open it; each sealed with a key of its own.

Against the same rows in clear in SQLite, found by an index and read by their id. All of it in one process of its own,
so that what the list takes of memory can be read off.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from bench.goals import GOALS
from bench.report import Line, Report, Result
from bench.rounds import Spread, slope
from bench.scale import Scale
from bench.services import PeerFailed
from cordee.case import parse_case
from node import case_sealing, records
from node.case_access import Sight
from node.case_index import CaseIndex, folded
from node.demo import cases as demo
from node.people import Role
from node.records import CaseLine
from node.store import table_of
from node.store.migrations import node_database
from node.store.records import CaseKeyRow, CaseRow
from node.vault import DataKey, Vault

__all__ = ["measure_searching", "p95"]

_PIECE = 1000
_ON_A_PAGE = 50
_PARSED_MEANS = "Cordée's time over that of the same look-up in clear with the record parsed and checked, as ours is"
_LOOKS = 400  # searches of a round
_PEOPLE = 40  # who work on all these cases
_CONTENDERS = ("ours", "plain", "plain, parsed", "list", "after a change")
_SYLLABLES = tuple(f"{c}{v}" for c in "bcdfghjlmnprstvz" for v in ("a", "é", "i", "o", "ou", "an"))


@dataclass(frozen=True)
class _Reader:
    """Who looks: a handler of the association."""

    account_id: str = "reader"
    name: str = "Claire"
    roles: frozenset[Role] = frozenset({Role.HANDLER})


_READER = _Reader()


def measure_searching(folder: Path, scale: Scale, report: Report) -> None:
    """W8 and its slope. Raises: PeerFailed where the process of its own does."""
    seconds: dict[int, float] = {}
    for count in scale.searched:
        print(f"{count} cases on one node: search, list, open …", flush=True)
        told = _run(folder / f"w8-{count}", count, scale.rounds)
        seconds[count] = statistics.median(told["ours"])
        report.keep({name: told[name] for name in _CONTENDERS}, under=f"{count} cases")
    milli = Spread.of([each * 1000 for each in told["ours"]])
    ratio = Spread.of([mine / theirs for mine, theirs in zip(told["ours"], told["plain"], strict=True)])
    ours, theirs = f"{milli.median:.2f} ms", f"{statistics.median(told['plain']) * 1000:.3f} ms"
    report.add(Result(GOALS["W8 p95"], spread=milli, slope=slope(seconds), ours=ours))
    report.add(Result(GOALS["W8 ratio"], spread=ratio, ours=ours, theirs=theirs))
    report.add(Result(GOALS["W8 memory"], spread=Spread.of([told["memory"]])))
    parsed = [mine / theirs for mine, theirs in zip(told["ours"], told["plain, parsed"], strict=True)]
    report.lines.append(Line("W8 against a parsed record", _PARSED_MEANS, Spread.of(parsed)))
    report.notes.append(
        f"W8, {count} cases: a page of the list {_milli(told['list'])}, a search right after a change"
        f" {_milli(told['after a change'])} (each p95); opening all lines once at the start {told['fill']:.1f} s."
    )


def p95(values: Sequence[float]) -> float:
    """The value that one in twenty exceeds."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def _milli(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms"


def _run(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    folder.mkdir()
    command = [sys.executable, "-m", "bench.searching", str(folder), str(count), str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise PeerFailed(f"W8 with {count} cases ended with {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


# ---- in the process of its own ----


def _measured(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    chance = random.Random(count)
    vault = Vault(os.urandom(32))
    names = [_name(chance) for _ in range(count)]
    with node_database(folder / "node.db") as db:
        ids = _fill(db.write_sync, vault, names)
        plain = _plain(folder / "plain.db", ids, names)
        index = CaseIndex()
        gc.collect()
        before, began = _memory(), time.perf_counter()
        while db.read_sync(lambda tx: index.catch_up(tx, vault)):
            pass
        fill, memory = time.perf_counter() - began, _memory() - before

        def _found(tx: Connection, *, wanted: str = "", state: str = "all") -> Sequence[CaseLine]:
            sight = Sight(tx, _READER, now=datetime.now(UTC))
            return index.find(tx, vault, sight=sight, wanted=wanted, state=state, limit=_ON_A_PAGE).lines

        def ours(word: str) -> None:
            found = db.read_sync(lambda tx: _found(tx, wanted=word))
            db.read_sync(lambda tx: records.read_case(tx, vault, found[0].case_id))

        def theirs(word: str) -> str:
            query = "SELECT id, name, state, at FROM plain WHERE folded >= ? AND folded < ? ORDER BY folded LIMIT ?"
            found = plain.execute(query, (word, word + "\uffff", _ON_A_PAGE)).fetchall()
            (body,) = plain.execute("SELECT body FROM plain WHERE id = ?", (found[0][0],)).fetchone()
            return str(body)

        def theirs_parsed(word: str) -> None:
            parse_case(theirs(word).encode())

        def a_page(word: str) -> None:
            db.read_sync(lambda tx: _found(tx, state="open"))

        def after_a_change(word: str) -> None:
            db.read_sync(lambda tx: _found(tx, wanted=word))

        def change() -> None:
            db.write_sync(lambda tx: records.touch(tx, chance.choice(ids), now=datetime.now(UTC)))

        told: dict[str, Any] = {name: [] for name in _CONTENDERS} | {"fill": fill}
        looks = {"ours": ours, "plain": theirs, "plain, parsed": theirs_parsed, "list": a_page}
        for _ in range(rounds):
            words = [folded(chance.choice(names))[:6] for _ in range(_LOOKS)]
            for name, look in looks.items():
                told[name].append(p95([_timed(look, word) for word in words]))
            told["after a change"].append(p95([_timed(after_a_change, word, first=change) for word in words[:40]]))
    return told | {"memory": memory / 2**20}


def _timed(look: Callable[[str], object], word: str, first: Callable[[], None] | None = None) -> float:
    if first is not None:
        first()
    began = time.perf_counter()
    look(word)
    return time.perf_counter() - began


def _name(chance: random.Random) -> str:
    return " ".join("".join(chance.choices(_SYLLABLES, k=3)).capitalize() for _ in range(2))


def _fill(write: Callable[..., object], vault: Vault, names: Sequence[str]) -> list[str]:
    """Rows as `records.create_case` makes them, in large steps; the record of each is the same but for id and name."""
    record = demo.cases(now=datetime.now(UTC), owner=str(uuid.uuid4()), random=os.urandom)[1]
    ids = [str(uuid.uuid4()) for _ in names]
    now = datetime.now(UTC) - timedelta(days=1)
    text = json.dumps(record, ensure_ascii=False)
    old_id, old_name = record["meta"]["case_id"], record["meta"]["pseudonym"]
    for start in range(0, len(ids), _PIECE):
        rows, keys = [], []
        for number in range(start, min(start + _PIECE, len(ids))):
            key, case_id = DataKey.generate(os.urandom), ids[number]
            body = text.replace(old_id, case_id).replace(old_name, names[number]).encode()
            whose = [f"2026-{number}", "team", [f"person {number % _PEOPLE}"]]
            line = json.dumps([names[number], "open", "high", *whose], ensure_ascii=False).encode()
            at = now + timedelta(seconds=number)
            rows.append(
                {
                    "id": case_id,
                    "state": "open",
                    "holder": "here",
                    "version": 1,
                    "handed_to": None,
                    "change": number + 1,
                }
                | {"created_at": at, "updated_at": at}
                | {"sealed_body": key.seal(body, place=case_sealing.BODY_PLACE, row=case_id)}
                | {"sealed_line": key.seal(line, place=case_sealing.LINE_PLACE, row=case_id)}
            )
            sealed = vault.seal(bytes(key), place=case_sealing.KEY_PLACE, row=case_id)
            keys.append({"case_id": case_id, "sealed_key": sealed})

        def step(tx: Connection, rows: list[Any] = rows, keys: list[Any] = keys) -> None:
            tx.execute(insert(table_of(CaseRow)), rows)
            tx.execute(insert(table_of(CaseKeyRow)), keys)

        write(step)
    return ids


def _plain(path: Path, ids: Sequence[str], names: Sequence[str]) -> sqlite3.Connection:
    body = json.dumps(demo.cases(now=datetime.now(UTC), owner=str(uuid.uuid4()), random=os.urandom)[1])
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE plain (id TEXT PRIMARY KEY, name TEXT, folded TEXT, state TEXT, at REAL, body TEXT)")
    rows = ((case_id, name, folded(name), "open", 0.0, body) for case_id, name in zip(ids, names, strict=True))
    db.executemany("INSERT INTO plain VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.execute("CREATE INDEX by_name ON plain (folded)")
    db.commit()
    return db


def _memory() -> int:
    """Resident bytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(_measured(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
