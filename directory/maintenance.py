"""Looking at a data folder, saving it, and bringing the log back after a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from cordee.errors import N_, NotFound, NotFounded
from cordee.members import MemberState, Roster
from cordee.roster import replay
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
    facts: dict[str, Any] = {"founded": False, "network": None, "entries": 0, "signed": signed}
    facts |= {"members": {}, "transfers": {}, "pending_entries": 0}
    if house.database.exists():
        with _open(house) as db:
            facts |= db.read_sync(_count)
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
    """Copy the database, consistent, with what belongs to it. Returns the names. Raises: NotFound, AlreadyExists."""
    house = House(folder)
    house.founding()
    if not house.database.exists():
        raise NotFound(what=N_("database"))
    private_folder(target)
    with _open(house) as db:
        db.backup(target / house.database.name)
    files = [house.database]
    for each in (house.founding_file, house.last_signed, *(house.secrets if with_keys else ())):
        if each.exists():
            write_new(target / each.name, read_whole(each))
            files.append(each)
    return [each.name for each in files]


def bring_back(folder: Path, log: Path) -> tuple[int, int]:
    """Append the entries of a verified copy that the database lacks. Returns how many there are, and were added.

    Every entry is verified as when it first came. The directory's own record of what it signed decides whether the
    result is the log that it had.

    Raises: EntryRefused, LogBehind, AlreadyFounded where the copy is another network's.
    """
    return asyncio.run(_bring_back(folder, read_entries(log)))


async def _bring_back(folder: Path, entries: list[v1.Entry]) -> tuple[int, int]:
    clock = SystemClock()
    async with app.opened(folder, clock=clock, load=False) as directory:
        added = await directory.rosters.bring_back(entries)
    async with app.opened(folder, clock=clock) as directory:  # as for serving: replayed, checked, signed
        return directory.rosters.roster.size, added


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
