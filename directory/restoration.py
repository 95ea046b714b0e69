"""A database that came back from a backup: how it knows, and what it counts anew.

Members have kept numbers that this database has forgotten: of their events, of the newest card. Every number that it
gives from now on is above all of them, since it begins at the time of the restore in microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.members import Roster
from cordee.runtime.database import Database
from directory.store import micros, moment, table_of
from directory.store.roster import RestorationRow, RevisionRow
from directory.store.transfers import SequenceRow

__all__ = ["Restorations", "Restored", "is_a_copy", "mark_copy", "note_restore"]

_REVISION, _RESTORATION = table_of(RevisionRow), table_of(RestorationRow)
_SEQUENCE = table_of(SequenceRow)

_GRACE = timedelta(hours=1)
_LONGEST_SHIPPING = timedelta(days=14)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Restored:
    """One restore. Its time names it: each is later than the one before."""

    at: datetime
    since: datetime | None
    """When the copy was made, if that is known."""


class Restorations:
    """The newest restore of this database, in memory; none of one that was never restored."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.last: Restored | None = None

    async def load(self) -> None:
        """Read it again."""
        self.last = await self._db.read(_last)

    def waits(self, now: datetime) -> bool:
        """Members may still have to say what became of their transfers: time ends none of them yet."""
        return self.last is not None and now < self.last.at + _GRACE

    def keeps_files(self, now: datetime) -> bool:
        """Ciphertext of a transfer that is not known here, or not so far, may still be fetched."""
        return self.last is not None and now < self.last.at + _LONGEST_SHIPPING


def mark_copy(tx: Connection, now: datetime) -> None:
    """In a copy of the database: say that it is one."""
    values = {"since": micros(now), "restored_at": None}
    statement = upsert(_RESTORATION).values(id=1, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def is_a_copy(tx: Connection) -> bool:
    """This database is a copy that nobody has noticed yet."""
    row = tx.execute(select(_RESTORATION.c.restored_at)).one_or_none()
    return row is not None and row[0] is None


def note_restore(tx: Connection, roster: Roster, now: datetime) -> None:
    """The restore is known from here on; events and cards are numbered above whatever anybody has kept."""
    row = tx.execute(select(_RESTORATION)).one_or_none()
    unnoticed = row is not None and row.restored_at is None
    before = moment(row.restored_at) if row is not None and row.restored_at is not None else None
    at = now if before is None else max(now, before + _MICROSECOND)
    values = {"restored_at": micros(at), "since": row.since if row is not None and unnoticed else None}
    statement = upsert(_RESTORATION).values(id=1, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))

    given = tx.execute(select(func.max(_SEQUENCE.c.last))).scalar() or 0
    base = max(micros(at), given)
    for member in roster.members:
        last = upsert(_SEQUENCE).values(member=member, last=base)
        tx.execute(last.on_conflict_do_update(index_elements=["member"], set_={"last": base}))
    # Cards from the backup keep their revisions: whoever has looked further knows newer ones, and gives them back.
    revision = max(micros(at), tx.execute(select(_REVISION.c.last)).scalar() or 0)
    newest = upsert(_REVISION).values(id=1, last=revision)
    tx.execute(newest.on_conflict_do_update(index_elements=["id"], set_={"last": revision}))


def _last(tx: Connection) -> Restored | None:
    row = tx.execute(select(_RESTORATION)).one_or_none()
    if row is None or row.restored_at is None:
        return None
    return Restored(at=moment(row.restored_at), since=moment(row.since) if row.since is not None else None)
