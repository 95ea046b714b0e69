"""How much of the log each member's node holds, in its own signed words: what the administrators' stopwatch reads.

The directory keeps the newest of each. It decides nothing by it, and could not invent one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import ClockSkew, RosterBehind, RosterForked, WrongNetwork, WrongParty
from cordee.ids import MemberId
from cordee.members import Roster
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.prepared import prepared
from cordee.signing import Signed, parse_body, verify
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1
from directory.commands import SKEW
from directory.events import Events
from directory.roster_store import RosterStore
from directory.store import micros, moment, table_of
from directory.store.roster import HeldRow

__all__ = ["Heard", "Knowledge", "after_of"]

_HELD = table_of(HeldRow)
_REMOVED = v1.MemberRemoved.DESCRIPTOR.full_name
_WHAT = v1.HeldCheckpoint.DESCRIPTOR.name
_PAGE = 64

_INSERT = upsert(_HELD)
_KEEP = prepared(
    _INSERT.on_conflict_do_update(
        index_elements=["member"],
        set_={name: _INSERT.excluded[name] for name in ("size", "heard_at", "held")},
        where=_INSERT.excluded.size >= _HELD.c.size,  # two that crossed on their way
    )
)


@dataclass(frozen=True)
class Heard:
    """What is known here of one member's node. `held` None: it never said anything, and is connected."""

    member: MemberId
    connected: bool
    heard_at: datetime | None = None
    held: Signed | None = None


class Knowledge:
    """Takes what nodes say, and gives it to administrators."""

    def __init__(self, db: Database, rosters: RosterStore, events: Events, clock: Clock) -> None:
        self._db = db
        self._rosters = rosters
        self._events = events
        self._clock = clock

    async def tell(self, caller: MemberId, signed: Signed) -> None:
        """Keep what a member's node says that it holds, in the place of what it said before.

        Raises: MalformedStatement, BadSignature, WrongNetwork, WrongParty, ClockSkew; RosterBehind where it holds more
        than there is, RosterForked where it holds another log: this directory did not show it that.
        """
        roster, now = self._rosters.roster, self._clock.now()
        body = parse_body(signed, v1.HeldCheckpoint)
        if MemberId(body.member) != caller:
            raise WrongParty(what=_WHAT)
        verify(signed, roster.active(caller).identity)
        if body.network != roster.network:
            raise WrongNetwork(what=_WHAT)
        time = moment_of(body.time)
        if abs(time - now) > SKEW:
            raise ClockSkew(what=_WHAT, time=time.isoformat(timespec="seconds"))
        if body.size > self._rosters.signed_size:
            raise RosterBehind(size=body.size, known=self._rosters.signed_size)
        if body.root != self._rosters.root_at(body.size):
            raise RosterForked(size=body.size)
        row = {"member": caller, "size": body.size, "heard_at": micros(now), "held": signed.to_bytes()}

        def step(tx: Connection) -> None:
            self._rosters.roster.active(caller)  # removed since: nothing of it is kept
            tx.execute(_KEEP, row)

        await self._db.write(step)

    async def heard(self, *, after: datetime | None = None) -> AsyncIterator[Heard]:
        """What each member's node said last, if `after` this time: first those that said anything, then those that are
        connected and said nothing so far (these only without `after`).
        """
        listening = self._events.listening
        told: set[MemberId] = set()
        last = b""
        while rows := await self._db.read(partial(_page, since=micros(after) if after else 0, last=last)):
            for member, heard_at, held in rows:
                last = member
                told.add(MemberId(member))
                yield Heard(MemberId(member), member in listening, moment(heard_at), Signed.from_bytes(held))
        if after is None:
            for each in sorted(listening - told):
                yield Heard(each, connected=True)

    def on_entry(self, tx: Connection, roster: Roster, entry: v1.Entry) -> None:
        """A removal erases what the member's node said, together with the entry."""
        if entry.type == _REMOVED:
            tx.execute(delete(_HELD).where(_HELD.c.member == v1.MemberRemoved.FromString(entry.body).member))


def _page(tx: Connection, *, since: int, last: bytes) -> Sequence[Row[bytes, int, bytes]]:
    query = select(_HELD.c.member, _HELD.c.heard_at, _HELD.c.held)
    query = query.where(_HELD.c.heard_at >= since, _HELD.c.member > last).order_by(_HELD.c.member).limit(_PAGE)
    return tx.execute(query).all()


def after_of(command: v1.ListHeldCheckpoints) -> datetime | None:
    """The time that a command names, if it names one. Raises: MalformedStatement."""
    return moment_of(command.heard_after) if command.HasField("heard_after") else None
