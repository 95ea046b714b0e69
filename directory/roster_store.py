"""The roster log: kept in the database, replayed at the start, signed anew after every entry and every hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, Select, delete, func, insert, select

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.entries import entry_digest, entry_leaf
from cordee.errors import (
    N_,
    AlreadyFounded,
    DirectoryBehind,
    EntryRefused,
    GenesisRefused,
    NotFounded,
    RosterForked,
)
from cordee.ids import Digest
from cordee.log import MerkleTree
from cordee.members import Roster
from cordee.roster import Rule, apply
from cordee.runtime.clock import Clock
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.database import Database
from cordee.signing import SigningKey, SigningPublicKey, parse_message
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1
from directory.holdings import LogKeys
from directory.house import Founding
from directory.lastsigned import LastSigned
from directory.restoration import note_restore
from directory.store import table_of
from directory.store.roster import EntryRow, PendingEntryRow

__all__ = ["GATHERING", "Also", "RosterStore", "count_pending", "require_recent", "would_apply"]

_ENTRY, _PENDING = table_of(EntryRow), table_of(PendingEntryRow)
_SKEW = timedelta(minutes=5)
_ANNOUNCED = v1.RecoveryAnnounced.DESCRIPTOR.full_name
GATHERING = timedelta(days=1)
"""How old an announcement may be when the last administrator signs it: the delay is shorter by as much."""
_PAGE = 256

T = TypeVar("T")

BEFORE_APPEND = register("directory.roster.before_append")
AFTER_APPEND = register("directory.roster.after_append")
AFTER_LAST_SIGNED = register("directory.roster.after_last_signed")
BEFORE_BRING_BACK = register("directory.roster.before_bring_back")
AFTER_BRING_BACK = register("directory.roster.after_bring_back")

Also = Callable[[Connection, Roster, v1.Entry], None]
"""What must happen together with an entry, in its own step."""
Grown = Callable[[Roster, v1.Entry], Awaitable[None]]
"""Who hears of an entry once it is signed."""


class RosterStore:
    """The one log of this directory. `load` first."""

    def __init__(
        self,
        db: Database,
        *,
        founding: Founding,
        keys: LogKeys,
        last_signed: LastSigned,
        clock: Clock,
        crashpoints: Crashpoints,
    ) -> None:
        self._db = db
        self._founding = founding
        self._keys = keys
        self._key: SigningKey | None = None  # the one in force, once it was asked for
        self._last_signed = last_signed
        self._clock = clock
        self._crashpoints = crashpoints
        self._tree = MerkleTree()
        self._roster: Roster | None = None
        self._checkpoint: tuple[str, Checkpoint] | None = None
        self._latest = last_signed.time  # of all signatures that are known of: members may hold it
        self._appending = asyncio.Lock()
        self._behind = False
        self.also: list[Also] = []
        self.before: list[Callable[[v1.Entry], None]] = []
        """Who may say that the directory cannot go on after an entry, before anybody signs it."""
        self.grown: list[Grown] = []

    # ---- what it says ----

    @property
    def founded(self) -> bool:
        """There is a genesis."""
        return self._roster is not None

    @property
    def signed_at(self) -> datetime | None:
        """When the newest note was signed; None before the first."""
        return self._checkpoint[1].time if self._checkpoint is not None else None

    @property
    def was_signed(self) -> int:
        """How many entries were ever signed, also those that are not here."""
        return self._last_signed.size

    @property
    def behind(self) -> bool:
        """More was signed than is here: nothing is signed or served until it has come back."""
        return self._behind

    def require_whole(self) -> None:
        """Raises: DirectoryBehind."""
        if self._behind:
            raise DirectoryBehind(size=self._tree.size, signed=self._last_signed.size or "?")

    def log_keys(self) -> tuple[SigningPublicKey, ...]:
        """Whose checkpoints are ours: the keys that are here, and the one that the log as it is here names."""
        named = (self._roster.directory_key,) if self._roster is not None else ()
        return (*self._keys.held(), *named)

    @property
    def size(self) -> int:
        """Entries that are here, also while that is not all."""
        return self._tree.size

    @property
    def as_it_is(self) -> tuple[Roster | None, MerkleTree]:
        """Roster and a copy of the tree as they are here, also while that is not all."""
        return self._roster, self._tree.copy()

    @property
    def roster(self) -> Roster:
        """The network as of the last entry. Raises: NotFounded, DirectoryBehind."""
        self.require_whole()
        if self._roster is None:
            raise NotFounded()
        return self._roster

    @property
    def checkpoint(self) -> str:
        """The newest signed note. Raises: NotFounded, DirectoryBehind."""
        self.require_whole()
        if self._checkpoint is None:
            raise NotFounded()
        return self._checkpoint[0]

    @property
    def signed_size(self) -> int:
        """How many entries the newest signed note covers. Raises: NotFounded."""
        if self._checkpoint is None:
            raise NotFounded()
        return self._checkpoint[1].size

    def root_at(self, size: int) -> bytes | None:
        """The log's root at a size, or None where it is shorter."""
        return self._tree.root(size) if 1 <= size <= self._tree.size else None

    @property
    def signed(self) -> tuple[str, int]:
        """The newest signed note, and how many entries it covers. Raises: NotFounded, DirectoryBehind."""
        self.require_whole()
        if self._checkpoint is None:
            raise NotFounded()
        return self._checkpoint[0], self._checkpoint[1].size

    async def entries(self, start: int, end: int | None = None) -> AsyncIterator[v1.Entry]:
        """The entries from an index on, up to the last checkpoint's size: what is not signed yet is not shown."""
        signed = self._checkpoint[1].size if self._checkpoint is not None else 0
        end = signed if end is None else min(end, signed)
        while start < end:
            query = (
                select(_ENTRY.c.entry)
                .where(_ENTRY.c.position >= start, _ENTRY.c.position < end)
                .order_by(_ENTRY.c.position)
                .limit(_PAGE)
            )
            rows = await self._db.read(partial(_scalars_of, query))
            if not rows:
                return
            for row in rows:
                yield v1.Entry.FromString(row)
            start += len(rows)

    # ---- the start ----

    async def load(self) -> None:
        """Replay the whole log and sign it, if there is one; or, where more was signed than is here, be `behind`.

        Raises: LogBehind where something else was signed; EntryRefused where an entry was tampered with.
        """
        roster: Roster | None = None
        tree = MerkleTree()
        async for entry in self._all():
            roster = apply(roster, entry)
            tree.append(entry_leaf(entry))
        self._behind = self._last_signed.is_ahead(tree)
        if not self._behind:
            self._last_signed.check(tree)
        self._roster, self._tree = roster, tree
        if roster is not None and not self._behind:
            await self.sign()

    # ---- how it grows ----

    async def found(self, genesis: v1.Entry) -> Roster:
        """Found the network. The same genesis again is answered as the first time.

        Raises: AlreadyFounded, GenesisRefused, EntryRefused.
        """
        return await _to_the_end(self._found(genesis))

    async def _found(self, genesis: v1.Entry) -> Roster:
        async with self._appending:
            self.require_whole()
            if self._roster is not None:
                if entry_digest(genesis) == self._roster.genesis_entry:
                    return self._roster
                raise AlreadyFounded()
            roster = apply(None, genesis, latest=self._clock.now() + _SKEW)
            ours = self._founding
            for field, named, own in (
                ("directory_key", roster.directory_key, ours.directory_key),
                ("ca_certificate", roster.ca_certificate, ours.ca_certificate),
                ("origin", roster.origin, ours.origin),
            ):
                if named != own:
                    raise GenesisRefused(field=field)
            await asyncio.to_thread(self._last_signed.begin)
            await self._append(roster, genesis)
            return roster

    async def append(self, entry: v1.Entry) -> int:
        """Put an entry into the log and sign it. Returns its index; an entry that is there already is not added again.

        Raises: EntryRefused, NotFounded.
        """
        return await _to_the_end(self._append_next(entry))

    async def _append_next(self, entry: v1.Entry) -> int:
        async with self._appending:
            known = await self.index_of(entry_digest(entry))
            if known is not None:
                return known
            self.require_ready(entry)
            roster = apply(self.roster, entry, latest=self._clock.now() + _SKEW)
            await self._append(roster, entry)
            return roster.size - 1

    def require_ready(self, entry: v1.Entry) -> None:
        """What is asked of an entry beyond the rules of the log. Raises: EntryRefused, InvalidInput."""
        require_recent(entry, self._clock.now(), index=self.roster.size)
        for each in self.before:
            each(entry)

    async def leaves(self, start: int, count: int) -> list[bytes]:
        """The leaf hashes of entries that are here, from an index on."""
        query = (
            select(_ENTRY.c.entry)
            .where(_ENTRY.c.position >= start, _ENTRY.c.position < start + count)
            .order_by(_ENTRY.c.position)
        )
        return [entry_leaf(v1.Entry.FromString(row)) for row in await self._db.read(partial(_scalars_of, query))]

    async def bring_back(self, lost: Sequence[tuple[Roster, v1.Entry]], *, longest: bool = False) -> int:
        """After a restore: append, in one step, what this log has lost, and sign it. Each entry with the roster that
        `apply` made of it, beginning after the last that is here. Returns how many were added.

        What belongs to an entry (cards, expiries) happens with it, as when it first came. With `longest`, people say
        that nobody holds a longer log: it counts where the record of what was signed is lost as well.

        Raises: LogBehind where it is not enough, or not what was signed; RosterForked where it does not follow.
        """
        return await _to_the_end(self._bring_back(lost, longest))

    async def _bring_back(self, lost: Sequence[tuple[Roster, v1.Entry]], longest: bool) -> int:
        async with self._appending:
            tree = self._tree.copy()
            for after, entry in lost:
                if after.size != tree.size + 1:  # another has given it back meanwhile
                    raise RosterForked(size=tree.size)
                tree.append(entry_leaf(entry))
            if longest:
                await asyncio.to_thread(self._last_signed.settle, tree)
            self._last_signed.check(tree)
            now = self._clock.now()

            def step(tx: Connection) -> None:
                for after, entry in lost:
                    values = {"position": after.size - 1, "digest": entry_digest(entry)}
                    tx.execute(insert(_ENTRY).values(**values, entry=entry.SerializeToString()))
                    for each in self.also:
                        each(tx, after, entry)
                if lost:
                    _forget_void(tx, lost[-1][0])
                    note_restore(tx, lost[-1][0], now)

            self._crashpoints.reach(BEFORE_BRING_BACK)
            await self._db.write(step)
            self._crashpoints.reach(AFTER_BRING_BACK)
            self._tree, self._behind = tree, False
            self._roster = lost[-1][0] if lost else self._roster
            await self.sign()
            return len(lost)

    async def _all(self) -> AsyncIterator[v1.Entry]:
        query = select(_ENTRY.c.entry).order_by(_ENTRY.c.position)
        for index, row in enumerate(await self._db.read(lambda tx: tx.execute(query).scalars().all())):
            try:
                yield v1.Entry.FromString(row)
            except DecodeError as error:
                raise EntryRefused(index=index, rule=Rule.MALFORMED) from error

    async def index_of(self, digest: Digest) -> int | None:
        """Where an entry with this type and body stands, if it does."""
        return await self._db.read(
            lambda tx: tx.execute(select(_ENTRY.c.position).where(_ENTRY.c.digest == digest)).scalar()
        )

    async def _append(self, roster: Roster, entry: v1.Entry) -> None:
        digest = entry_digest(entry)

        def step(tx: Connection) -> None:
            position = roster.size - 1
            tx.execute(insert(_ENTRY).values(position=position, digest=digest, entry=entry.SerializeToString()))
            tx.execute(delete(_PENDING).where(_PENDING.c.digest == digest))
            for each in self.also:
                each(tx, roster, entry)
            _forget_void(tx, roster)

        self._crashpoints.reach(BEFORE_APPEND)
        await self._db.write(step)
        self._crashpoints.reach(AFTER_APPEND)
        self._tree.append(entry_leaf(entry))
        self._roster = roster
        try:
            await self.sign()
        finally:  # a full disk must not keep a suspended member's calls alive
            for each in self.grown:
                await each(roster, entry)

    # ---- the signature ----

    async def sign(self) -> None:
        """Sign the log as it is now. Raises: LogBehind, and then nothing is signed."""
        time = self._moment()
        await asyncio.to_thread(partial(self._last_signed.advance, self._tree, time=time))
        self._crashpoints.reach(AFTER_LAST_SIGNED)
        self._latest = max(time, self._latest or time)
        checkpoint = Checkpoint(self.roster.origin, self._tree.size, Digest(self._tree.root()), time)
        self._checkpoint = sign_checkpoint(checkpoint, self._log_key()), checkpoint

    def _log_key(self) -> SigningKey:
        """The key that the log names; the one before it is erased. Raises: NotFound where it is not here."""
        if self._key is None or self._key.public != self.roster.directory_key:
            self._key = self._keys.of(self.roster.directory_key)
            self._keys.forget(self.roster)
        return self._key

    def _moment(self) -> datetime:
        """Now, and never before the last signature while the clock differs by a little, also after a restart: members
        take no checkpoint that is dated before one they hold, and a smaller log under a later time is evidence.
        """
        now = self._clock.now().replace(microsecond=0)
        last = self._last_signed.time or now
        return last if timedelta(0) < last - now <= _SKEW else now

    async def sign_if_due(self) -> bool:
        """Sign again where the last signature is an hour old, or an eighth of the freshness limit if that is less; or
        where it is dated by a clock that was put right since: so far ahead that members refuse it, or before one that
        they hold already.
        """
        if self._roster is None or self._checkpoint is None:
            return False
        last = self._checkpoint[1]
        due = min(timedelta(hours=1), self._roster.policy.freshness_limit / 8)
        now = self._clock.now()
        outdated = self._latest is not None and last.time < self._latest <= now
        if last.size == self._tree.size and -_SKEW <= now - last.time < due and not outdated:
            return False
        async with self._appending:
            await self.sign()
        return True


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Once begun it is finished: a caller who hangs up must not leave the memory behind the database."""
    return await asyncio.shield(asyncio.create_task(work))


def require_recent(entry: v1.Entry, now: datetime, *, index: int) -> None:
    """An announcement that was dated long before it is seen would take the delay away in which one may object.

    Raises: EntryRefused, MalformedStatement.
    """
    if entry.type != _ANNOUNCED:
        return
    dated = moment_of(parse_message(entry.body, v1.RecoveryAnnounced).time)
    if now - dated > GATHERING:
        raise EntryRefused(index=index, rule=N_("the announcement is dated more than a day ago; begin it anew"))


def would_apply(roster: Roster, entry: v1.Entry) -> bool:
    """Whether an entry that still wants signatures is next about its subject, and those that it has are good."""
    signatures = len(entry.signatures)
    if not signatures:
        return False
    enough = replace(roster, policy=replace(roster.policy, threshold=min(signatures, roster.policy.threshold)))
    try:
        apply(enough, entry)
    except EntryRefused:
        return False
    return True


def _scalars_of(query: Select[Any], tx: Connection) -> list[Any]:
    return list(tx.execute(query).scalars().all())


def _forget_void(tx: Connection, roster: Roster) -> None:
    """An entry that waits for signatures is void once another about its subject was appended."""
    for digest, data in tx.execute(select(_PENDING.c.digest, _PENDING.c.entry)).all():
        if not would_apply(roster, v1.Entry.FromString(data)):
            tx.execute(delete(_PENDING).where(_PENDING.c.digest == digest))


def count_pending(tx: Connection) -> int:
    """How many entries wait for signatures."""
    return tx.execute(select(func.count()).select_from(_PENDING)).scalar_one()
