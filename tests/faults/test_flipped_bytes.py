"""A byte on the disk becomes another: what is read is right, or it is refused. Never a wrong record.

Ten thousand images of a node's database and of a directory's, each with one byte changed, every page in turn. From
each, all that people are shown is read as the product reads it, and compared with what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from cordee.act import parse_act
from cordee.case import case_of
from cordee.entries import entry_leaf
from cordee.errors import BadSignature, DatabaseDamaged
from cordee.ids import TransferId
from cordee.log import MerkleTree
from cordee.roster import replay
from cordee.runtime.database import require_whole
from cordee.runtime.exhausted import told
from cordee.runtime.prepared import Connection
from cordee.signing import SigningPublicKey, verify
from cordee.transfer import Kind
from cordee.v1 import statements_pb2 as v1
from directory import transfers as taken
from node import acts, journal, records, transfer_store
from tests.builders import seeded_random
from tests.directory.town import Town
from tests.faults.tally import Row, count
from tests.node.association import act_body, case_body, opened, profiles, registered

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

FAULT = "bytes flipped on disk"
_OF_A_NODE = 4_000
_OF_A_DIRECTORY = 6_000
_SEED = 20_261_126
_JOURNAL_MODE = slice(18, 20)  # of the file's header: an image in memory has no write-ahead log

Look = Callable[[Connection], Any]


@dataclass
class Found:
    """What came of the images."""

    told: Counter[str]
    wrong: list[str]
    wordless: Counter[str]

    @property
    def tries(self) -> int:
        return self.told.total() + len(self.wrong) + self.wordless.total()


def whole(path: Path) -> bytes:
    """The database's bytes, everything in the one file."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return path.read_bytes()


def look(image: bytes, looks: dict[str, Look]) -> dict[str, Any]:
    """What each look shows: a value, or the exception that refuses it."""
    db = sqlite3.connect(":memory:", check_same_thread=False)
    shown: dict[str, Any] = {}
    try:
        db.deserialize(image)
        engine = create_engine("sqlite://", creator=lambda: db, poolclass=StaticPool)
        with Connection(engine) as tx:
            for name, each in looks.items():
                try:
                    shown[name] = each(tx)
                except Exception as refused:
                    shown[name] = refused
    finally:
        db.close()
    return shown


def is_whole(image: bytes) -> bool:
    """What a process that starts asks SQLite."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        try:
            db.deserialize(image)
            require_whole(db)
        except (sqlite3.Error, DatabaseDamaged):
            return False
    return True


def flipped(data: bytes, looks: dict[str, Look], *, times: int) -> Found:
    """Compare what is shown from so many images with what is true."""
    chance = random.Random(_SEED)
    base = bytearray(data)
    base[_JOURNAL_MODE] = b"\1\1"
    page = int.from_bytes(data[16:18], "big")
    truth = look(bytes(base), looks)
    assert not [each for each in truth.values() if isinstance(each, Exception)], truth
    found = Found(Counter(), [], Counter())
    for number in range(times):
        at = number * page % len(data) + chance.randrange(page)
        while at in range(*_JOURNAL_MODE.indices(20)):
            at = number * page % len(data) + chance.randrange(page)
        change = chance.randrange(1, 256)
        base[at] ^= change
        told_of, wrong = "", ""
        try:
            shown = look(bytes(base), looks)
        except sqlite3.Error as broken:
            shown = dict.fromkeys(looks, broken)
        for name, value in shown.items():
            if isinstance(value, Exception):
                known = told(value, what="the database")
                told_of = told_of or (known.reason if known is not None else _unforeseen(value))
            elif value != truth[name]:
                wrong = wrong or f"{name}, byte {at} ^ {change:#x}"
        if (wrong or told_of.startswith("!")) and not is_whole(bytes(base)):
            wrong, told_of = "", DatabaseDamaged.__name__  # both servers look at that when they start
        base[at] ^= change
        if wrong:
            found.wrong.append(wrong)
        elif told_of.startswith("!"):
            found.wordless[told_of] += 1
        else:
            found.told[told_of or "harmless"] += 1
    return found


def _unforeseen(error: Exception) -> str:
    return f"!{type(error.orig if isinstance(error, DBAPIError) else error).__name__}"


def counted(found: Found) -> None:
    """In the table; and a wrong one fails."""
    seen = found.tries - found.told["harmless"] - len(found.wrong)
    note = f"{seen:,} refused, {found.told['harmless']:,} harmless"
    count(Row(FAULT, found.tries, lost=len(found.wrong), note=note))
    assert not found.wrong, found.wrong[:10]
    assert found.wordless.total() < found.tries // 50, found.wordless


# ---- a node's ----


def of_a_node(folder: Path) -> tuple[bytes, dict[str, Look]]:
    """Two cases, an act, a journal that is signed, an offer that waits."""
    network = registered(profiles())
    member = next(iter(network.members.values()))
    folder.mkdir(mode=0o700)
    with opened(folder, network=network, member=member, random=seeded_random("flips")) as node:
        asyncio.run(node.roster.sync())
        vault, db, now = node.vault, node.db, node.clock.now()
        bodies = [case_body(0), case_body(1)]
        ids = [each["meta"]["case_id"] for each in bodies]
        for body in bodies:
            db.write_sync(
                lambda tx, body=body: records.create_case(tx, vault, case_of(body), by="h", now=now, random=node.random)
            )
        act = parse_act(act_body(0))
        db.write_sync(lambda tx: acts.record_act(tx, vault, act, by="h", now=now))
        key = node.house.keys.identity
        db.write_sync(lambda tx: journal.sign_head(tx, key, now=now))
        looks: dict[str, Look] = {
            f"case {each}": lambda tx, each=each: _case(records.read_case(tx, vault, each)) for each in ids
        }
        looks["acts"] = lambda tx: [each.to_bytes() for each in acts.acts_of(tx, vault, act.case_id)]
        looks["lists"] = lambda tx: sorted((e.case_id, e.holder, e.state) for e in records.list_cases(tx, vault))
        looks["transfers"] = lambda tx: [each.id for each in transfer_store.all_transfers(tx)]
        looks["journal"] = lambda tx: journal.verify(tx, key.public)
        looks["roster"] = Log("SELECT entry FROM roster_entry ORDER BY position")
    return whole(folder / "node.db"), looks


def _case(stored: records.StoredCase) -> tuple[Any, ...]:
    """As it is shown."""
    return stored.case, stored.holder, stored.state, stored.attachments


class Log:
    """The roster's log as a process that starts takes it: every signature is checked, where a byte is another."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._whole: tuple[list[bytes], tuple[int, bytes]] | None = None

    def __call__(self, tx: Connection) -> tuple[int, bytes]:
        rows = [row[0] for row in tx.exec_driver_sql(self._query)]
        if self._whole is not None and rows == self._whole[0]:
            return self._whole[1]
        entries = [v1.Entry.FromString(each) for each in rows]
        replay(entries)
        tree = MerkleTree([entry_leaf(each) for each in entries])
        self._whole = self._whole or (rows, (tree.size, tree.root()))
        return tree.size, tree.root()


def test_a_byte_of_a_nodes_database_is_noticed_or_harmless(tmp_path: Path) -> None:
    data, looks = of_a_node(tmp_path / "node")
    counted(flipped(data, looks, times=_OF_A_NODE))


# ---- a directory's ----


async def of_a_directory(folder: Path) -> tuple[bytes, dict[str, Look]]:
    """Two members and a transfer that was received."""
    from tests.directory.test_broker import Play

    town = Town.make(folder)
    async with town.open():
        await town.found()
        play = Play(town, await town.join("Paris"), await town.join("Marseille"))
        await play.steps("offer", "accept", "ship", "receive")
        transfer = TransferId(play.id)
        keys = {each.keys.identity.public.key_id: each.keys.identity.public for each in town.nodes.values()}
    looks: dict[str, Look] = {
        "transfer": lambda tx: _transfer(taken.find(tx, transfer)),
        "statements": lambda tx: [_read(each, keys) for each in taken.statements_of(tx, transfer)],
        "log": Log("SELECT entry FROM entry ORDER BY position"),
    }
    return whole(folder / "directory.db"), looks


def _read(each: taken.Taken, keys: Mapping[bytes, SigningPublicKey]) -> tuple[Kind, bytes]:
    """As a member takes it: believed by its signatures alone."""
    if each.signed.signer not in keys:
        raise BadSignature(what="statement")
    verify(each.signed, keys[each.signed.signer])
    return each.kind, each.signed.body


def _transfer(found: taken.Transfer | None) -> Any:
    return None if found is None else (found.sender, found.recipient, found.state)


async def test_a_byte_of_a_directorys_database_is_noticed_or_harmless(tmp_path: Path) -> None:
    data, looks = await of_a_directory(tmp_path / "directory")
    counted(await asyncio.to_thread(flipped, data, looks, times=_OF_A_DIRECTORY))


def test_the_comparison_notices_a_wrong_record() -> None:
    """One that believes what it reads."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE told (word TEXT)")
    db.execute("INSERT INTO told VALUES ('a word that nothing protects')")
    db.commit()
    looks: dict[str, Look] = {"word": lambda tx: tx.exec_driver_sql("SELECT word FROM told").scalar()}
    assert flipped(db.serialize(), looks, times=400).wrong
