"""Looking at a data folder, saving it, and bringing the log back after a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from cordee.entries import entry_leaf
from cordee.errors import N_, AlreadyExists, AlreadyFounded, NotFound, NotFounded
from cordee.members import MemberState, Roster
from cordee.roster import apply, replay
from cordee.runtime.clock import SystemClock
from cordee.runtime.database import Database
from cordee.signing import SigningPublicKey
from cordee.v1 import statements_pb2 as v1
from directory import app
from directory.files import private_folder, read_whole, write_new
from directory.holdings import Authorities, LogKeys
from directory.house import House
from directory.lastsigned import LastSigned
from directory.log_file import read_entries
from directory.restoration import mark_copy
from directory.roster_store import count_pending
from directory.store import table_of
from directory.store.migrations import directory_database
from directory.store.roster import EntryRow
from directory.store.transfers import TransferRow

__all__ = ["bring_back", "next_authority", "next_log_key", "save", "survey"]

_ENTRY, _TRANSFER = table_of(EntryRow), table_of(TransferRow)


def survey(folder: Path) -> dict[str, Any]:
    """What is in a data folder. Raises: NotFound, LogBehind where last-signed is unreadable."""
    house = House(folder)
    house.founding()
    signed = LastSigned(house.last_signed).size
    facts: dict[str, Any] = {"founded": False, "network": None, "entries": 0, "signed": signed, "log_behind": False}
    facts |= {"members": {}, "transfers": {}, "pending_entries": 0}
    if house.database.exists():
        with _open(house) as db:
            facts |= db.read_sync(_count)
    facts["log_behind"] = facts["entries"] > 0 and (facts["entries"] < signed or not house.last_signed.exists())
    sizes = [path.stat().st_size for path in house.mailbox.glob("*")] if house.mailbox.exists() else []
    return facts | {"waiting_files": len(sizes), "waiting_bytes": sum(sizes)}


def next_log_key(folder: Path, random: Callable[[int], bytes]) -> SigningPublicKey:
    """The key that the log is to be signed with next, made where none waits. Raises: NotFound, NotFounded."""
    return LogKeys(folder).make(random, _roster_of(folder))


def next_authority(folder: Path, now: datetime) -> bytes:
    """The certificate (DER) of the CA that is to follow, made where none waits. Raises: NotFound, NotFounded."""
    roster = _roster_of(folder)
    founding = House(folder).founding()
    return Authorities(folder, founding.ca_certificate).make(now, tuple(each.digest for each in roster.authorities))


def _roster_of(folder: Path) -> Roster:
    house = House(folder)
    house.founding()
    if not house.database.exists():
        raise NotFounded()
    with _open(house) as db:
        rows = db.read_sync(lambda tx: tx.execute(select(_ENTRY.c.entry).order_by(_ENTRY.c.position)).scalars().all())
    if not rows:
        raise NotFounded()
    return replay(v1.Entry.FromString(row) for row in rows)


def save(folder: Path, target: Path, *, with_keys: bool) -> list[str]:
    """Copy the database, consistent, with what belongs to it. Returns the names. Raises: NotFound, AlreadyExists.

    The copy says of itself that it is one. `last-signed` is not in it: taken back, it would let an old log be signed.
    That it was made is noted by whoever asked for it (`directory.saving.note_saved`).
    """
    house = House(folder)
    house.founding()
    if not house.database.exists():
        raise NotFound(what=N_("database"))
    if (target / house.database.name).exists():
        raise AlreadyExists(what=target / house.database.name)
    private_folder(target)
    written, now = list[Path](), SystemClock().now()
    try:
        files = _copied(house, target, written, with_keys=with_keys, now=now)
    except BaseException:
        for path in written:  # half a copy would keep the next one from being made
            path.unlink(missing_ok=True)
        raise
    return [each.name for each in files]


def _copied(house: House, target: Path, written: list[Path], *, with_keys: bool, now: datetime) -> list[Path]:
    """What was copied; `written` grows before each file does."""
    written += (target / f"{house.database.name}{end}" for end in ("", "-wal", "-shm"))
    with _open(house) as db:
        db.backup(target / house.database.name)
    with directory_database(target / house.database.name) as copy:
        copy.write_sync(lambda tx: mark_copy(tx, now))
    files = [house.database]
    # The founding last, as where a directory is made: it says that the rest is there. Without it, nothing starts.
    for each in (*(house.secrets if with_keys else ()), house.founding_file):
        if each.exists():
            write_new(target / each.name, read_whole(each))
            written.append(target / each.name)
            files.append(each)
    return files


def bring_back(folder: Path, log: Path, *, longest: bool = False) -> tuple[int, int]:
    """Append the entries of a verified copy that the database lacks. Returns how many there are, and were added.

    Every entry is verified as when it first came. The directory's own record of what it signed decides whether the
    result is the log that it had; where that record is lost too, people do: with `longest` nobody holds a longer log.

    Raises: EntryRefused, LogBehind, AlreadyFounded where the copy is another network's.
    """
    return asyncio.run(_bring_back(folder, read_entries(log), longest))


async def _bring_back(folder: Path, entries: list[v1.Entry], longest: bool) -> tuple[int, int]:
    async with app.opened(folder, clock=SystemClock()) as directory:
        rosters = directory.rosters
        roster, tree = rosters.as_it_is
        if await rosters.leaves(0, tree.size) != [entry_leaf(each) for each in entries[: tree.size]]:
            raise AlreadyFounded()
        lost: list[tuple[Roster, v1.Entry]] = []
        for entry in entries[tree.size :]:
            roster = apply(roster, entry)
            lost.append((roster, entry))
        added = await rosters.bring_back(lost, longest=longest)
        return rosters.size, added


def _open(house: House) -> Database:
    return directory_database(house.database)


def _count(tx: Connection) -> dict[str, Any]:
    rows = tx.execute(select(_ENTRY.c.entry).order_by(_ENTRY.c.position)).scalars().all()
    transfers = tx.execute(select(_TRANSFER.c.state, func.count()).group_by(_TRANSFER.c.state)).all()
    facts: dict[str, Any] = {
        "entries": len(rows),
        "transfers": {str(state): int(count) for state, count in transfers},
        "pending_entries": count_pending(tx),
    }
    if rows:
        roster = replay(v1.Entry.FromString(row) for row in rows)
        states = [member.state for member in roster.members.values()]
        facts |= {
            "founded": True,
            "network": roster.network.hex(),
            "members": {state.value: states.count(state) for state in MemberState},
        }
    return facts
