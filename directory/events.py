"""What concerns a member, at least once and in order: rows in the database, and one live stream for each member."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial

from sqlalchemy import Connection, Row, and_, bindparam, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import N_, InvalidInput, StreamReplaced
from cordee.ids import MemberId, TransferId
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.database import Database
from cordee.runtime.prepared import prepared
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2
from cordee.v1 import statements_pb2 as v1
from directory.restoration import Restorations, Restored
from directory.store import micros, moment, table_of
from directory.store.transfers import EventRow, SequenceRow, StatementRow

__all__ = ["MAX_CURSOR", "Events", "Growth", "add_event"]

_EVENT, _SEQUENCE, _STATEMENT = table_of(EventRow), table_of(SequenceRow), table_of(StatementRow)

_NEXT = prepared(
    upsert(_SEQUENCE)
    .on_conflict_do_update(index_elements=["member"], set_={"last": _SEQUENCE.c.last + 1})
    .returning(_SEQUENCE.c.last)
)

_ADD = prepared(insert(_EVENT))
_FORGET = prepared(delete(_EVENT).where(_EVENT.c.member == bindparam("of"), _EVENT.c.sequence <= bindparam("cursor")))
_SEEN = upsert(_SEQUENCE)
_GO_ON = prepared(
    _SEEN.on_conflict_do_update(
        index_elements=["member"], set_={"last": _SEEN.excluded.last}, where=_SEQUENCE.c.last < _SEEN.excluded.last
    )
)

MAX_CURSOR = 2**53
"""Far beyond any real one, and far below what a column holds: nobody can make the next number impossible."""
_PAGE = 64
_AFTER = prepared(
    select(_EVENT.c.sequence, _EVENT.c.time, _EVENT.c.transfer_id, _STATEMENT.c.signed)
    .outerjoin(
        _STATEMENT,
        and_(_STATEMENT.c.transfer_id == _EVENT.c.transfer_id, _STATEMENT.c.position == _EVENT.c.position),
    )
    .where(_EVENT.c.member == bindparam("member"), _EVENT.c.sequence > bindparam("after"))
    .order_by(_EVENT.c.sequence)
    .limit(_PAGE)
)

_MAX_TOLD = 128 * 1024
"""Bytes of entries in one hint. A suspension has 9 KiB; whoever was told less than there is asks for it."""

BEFORE_SEND = register("directory.event.before_send")
AFTER_SEND = register("directory.event.after_send")
AFTER_PRUNE = register("directory.event.after_prune")


def add_event(tx: Connection, member: MemberId, *, transfer: TransferId, position: int | None, now: datetime) -> None:
    """Keep an event for a member: a statement of the transfer, or, without a position, that it expired."""
    sequence = tx.execute(_NEXT, {"member": member, "last": 1}).scalar_one()
    row = {
        "member": member,
        "sequence": sequence,
        "time": micros(now),
        "transfer_id": transfer,
        "position": position,
    }
    tx.execute(_ADD, row)


@dataclass(frozen=True)
class Growth:
    """The newest checkpoint, with the last of the entries that it covers, as far as it is known who lacks them."""

    checkpoint: str
    size: int
    entries: tuple[v1.Entry, ...] = ()
    card_revision: int = 0

    def after(self, before: Growth | None) -> Growth:
        """All that a member lacks who has not been told of the growth `before`."""
        if before is None:
            return self
        entries = before.entries + self.entries
        if self.size - len(self.entries) != before.size or sum(each.ByteSize() for each in entries) > _MAX_TOLD:
            entries = ()
        return Growth(self.checkpoint, self.size, entries, max(before.card_revision, self.card_revision))

    @cached_property
    def hint(self) -> directory_pb2.Event:
        """As members get it: made once for all of them."""
        entries = self.entries if sum(each.ByteSize() for each in self.entries) <= _MAX_TOLD else ()
        return directory_pb2.Event(
            roster_grown=directory_pb2.RosterGrown(
                checkpoint=self.checkpoint,
                start=self.size - len(entries),
                entries=entries,
                card_revision=self.card_revision,
            )
        )


@dataclass
class _Stream:
    """A member's one live stream. Hints are not queued: the newest of each says all."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: bool = False
    growth: Growth | None = None
    revision: int | None = None
    growing: dict[TransferId, bool] = field(default_factory=dict)


class Events:
    """The streams. Wake them after a commit; they read what is new from the database themselves."""

    def __init__(self, db: Database, crashpoints: Crashpoints, restorations: Restorations) -> None:
        self._db = db
        self.restorations = restorations
        self._crashpoints = crashpoints
        self._streams: dict[MemberId, _Stream] = {}

    @property
    def streams(self) -> int:
        """How many members listen."""
        return len(self._streams)

    def wake_all(self) -> None:
        """Something was kept for members that are not known here."""
        for stream in self._streams.values():
            stream.wake.set()

    def wake(self, *members: MemberId) -> None:
        """Something was kept for these members."""
        for member in members:
            stream = self._streams.get(member)
            if stream is not None:
                stream.wake.set()

    @property
    def listening(self) -> frozenset[MemberId]:
        """The members whose nodes are connected."""
        return frozenset(self._streams)

    def roster_grown(self, growth: Growth) -> None:
        """Hint: the log has a new checkpoint."""
        for stream in self._streams.values():
            stream.growth = growth.after(stream.growth)
            stream.wake.set()

    def card_published(self, revision: int) -> None:
        """Hint: somebody has a new card."""
        for stream in self._streams.values():
            stream.revision = revision
            stream.wake.set()

    def mailbox_growing(self, member: MemberId, transfer: TransferId, *, anew: bool) -> None:
        """Hint for one member: what it is to receive is being uploaded."""
        stream = self._streams.get(member)
        if stream is not None and len(stream.growing) < _PAGE:
            stream.growing[transfer] = anew or stream.growing.get(transfer, False)
            stream.wake.set()

    async def watch(self, member: MemberId, cursor: int) -> AsyncGenerator[directory_pb2.Event, None]:
        """Everything after the cursor, then "ready", then what comes, for ever. What the cursor covers is forgotten.

        Raises: InvalidInput for an impossible cursor; StreamReplaced when the member opens a newer stream.
        """
        if cursor > MAX_CURSOR:
            raise InvalidInput(field="cursor", problem=N_("no event has such a number"))
        stream = _Stream()
        before = self._streams.get(member)
        self._streams[member] = stream  # from here on every wake-up is heard
        if before is not None:
            before.replaced = True
            before.wake.set()
        try:
            await self._db.write(lambda tx: _prune(tx, member, cursor))
            self._crashpoints.reach(AFTER_PRUNE)
            ready = False
            if self.restorations.last is not None:
                yield _restored(self.restorations.last)
            while True:
                stream.wake.clear()
                if ready and stream.growth is not None:  # first: it may say whose statements are to be refused
                    hint, stream.growth = stream.growth.hint, None
                    yield hint
                async for event in self._kept(member, cursor):
                    if stream.replaced:
                        raise StreamReplaced()
                    self._crashpoints.reach(BEFORE_SEND)
                    yield event
                    self._crashpoints.reach(AFTER_SEND)
                    cursor = event.sequence
                if not ready:
                    ready = True
                    yield directory_pb2.Event(stream_ready=directory_pb2.StreamReady())
                for hint in _hints(stream):
                    yield hint
                await stream.wake.wait()
                if stream.replaced:
                    raise StreamReplaced()
        finally:
            if self._streams.get(member) is stream:
                del self._streams[member]

    async def _kept(self, member: MemberId, cursor: int) -> AsyncIterator[directory_pb2.Event]:
        while True:
            rows = self._db.look(partial(_page, member=member, after=cursor))
            for sequence, time, transfer, signed in rows:
                cursor = sequence
                event = directory_pb2.Event(sequence=sequence, time=timestamp_of(moment(time)))
                if signed is None:
                    event.expired.transfer_id = transfer
                else:
                    event.statement.MergeFromString(signed)
                yield event
            if len(rows) < _PAGE:
                return


def _page(tx: Connection, *, member: MemberId, after: int) -> Sequence[Row[int, int, bytes, bytes | None]]:
    return tx.execute(_AFTER, {"member": member, "after": after}).all()


def _prune(tx: Connection, member: MemberId, cursor: int) -> None:
    tx.execute(_FORGET, {"of": member, "cursor": cursor})
    # A cursor ahead of us: this database came from a backup. Go on after it, or the member would miss what follows.
    tx.execute(_GO_ON, {"member": member, "last": cursor})


def _restored(last: Restored) -> directory_pb2.Event:
    told = directory_pb2.DirectoryRestored(restored=timestamp_of(last.at))
    if last.since is not None:
        told.since.CopyFrom(timestamp_of(last.since))
    return directory_pb2.Event(directory_restored=told)


def _hints(stream: _Stream) -> list[directory_pb2.Event]:
    hints = []
    if stream.growth is not None:
        hints.append(stream.growth.hint)
        stream.growth = None
    if stream.revision is not None:
        hints.append(directory_pb2.Event(card_published=directory_pb2.CardPublished(revision=stream.revision)))
        stream.revision = None
    for transfer, anew in stream.growing.items():
        hints.append(directory_pb2.Event(mailbox_growing=directory_pb2.MailboxGrowing(transfer_id=transfer, anew=anew)))
    stream.growing.clear()
    return hints
