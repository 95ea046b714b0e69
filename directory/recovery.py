"""The log and the cards, taken back from whoever holds them, after the database came back from a backup (protocol §10).

Nobody is believed. A giver shows a checkpoint that this directory signed itself, and the entries must give its root;
what was signed last, which is kept outside the database, must be among them. A card is signed by its member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, select

from cordee.card import Card
from cordee.checkpoint import Checkpoint, open_checkpoint
from cordee.entries import entry_leaf
from cordee.errors import (
    N_,
    CardExpired,
    CardRefused,
    CheckpointRefused,
    Conflict,
    InvalidInput,
    InvalidRecord,
    MalformedStatement,
    NotAMember,
    RosterForked,
    TooManyRequests,
)
from cordee.log import MerkleTree
from cordee.members import Roster
from cordee.profile import Profile
from cordee.roster import apply
from cordee.runtime.clock import Clock
from cordee.runtime.database import Database
from cordee.runtime.logs import logger
from cordee.signing import Signed, parse_body
from cordee.times import moment_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.cards import put_card
from directory.restoration import Restorations
from directory.roster_store import RosterStore
from directory.store import table_of
from directory.store.roster import CardRow

__all__ = ["Recovery", "TakenBack"]

log = logger("directory.recovery")

_CARD = table_of(CardRow)
_LOGS_AT_ONCE, _AT_ONCE = 2, 8
_LOGS_OF_ONE, _OF_ONE = 1, 2  # of one giver: nobody has all the places
_MAX_BYTES = 1 << 28  # of entries in one call: many times the log of a national network

Grown = Callable[[Sequence[tuple[Roster, v1.Entry]]], Awaitable[None]]
"""Who hears of entries that came back, each with its roster; of none where it was cards."""


@dataclass(frozen=True)
class TakenBack:
    """What one giver has brought."""

    entries: int
    cards: int


class Recovery:
    """Takes back. A directory that was never restored, and has all of its log, takes nothing."""

    def __init__(self, db: Database, rosters: RosterStore, restorations: Restorations, clock: Clock) -> None:
        self._db = db
        self._rosters = rosters
        self._restorations = restorations
        self._clock = clock
        self._under_way: Counter[Hashable] = Counter()
        self._reading: Counter[Hashable] = Counter()
        self.grown: list[Grown] = []

    async def take(self, given: AsyncIterator[pb.GiveBackRequest], *, giver: Hashable = None) -> TakenBack:
        """One giver's parts: the start, entries, cards. `giver` tells those apart who give at the same time. Whoever
        says nothing, or shows no checkpoint of ours, takes nobody's place.

        Raises: TooManyRequests while others give; CheckpointRefused for a note that is none of ours; EntryRefused,
        RosterForked for entries that are not what it signs; InvalidInput; DirectoryBehind where it is not enough.
        """
        parts = aiter(given)
        first = await anext(parts, None)
        if first is None or first.WhichOneof("part") != "start":
            raise InvalidInput(field="start", problem=N_("missing"))
        checkpoint = self._opened(first.start.checkpoint)
        with _a_place(self._under_way, giver, at_once=_AT_ONCE, of_one=_OF_ONE):
            return await self._take(parts, checkpoint, first.start.first, giver)

    async def _take(
        self, given: AsyncIterator[pb.GiveBackRequest], checkpoint: Checkpoint, first: int, giver: Hashable
    ) -> TakenBack:
        added = 0
        if checkpoint.size > self._rosters.size:
            with _a_place(self._reading, giver, at_once=_LOGS_AT_ONCE, of_one=_LOGS_OF_ONE):
                lost = await self._read(given, checkpoint, first)
            added = await self._rosters.bring_back(lost)
            await self._restorations.load()
            await self._tell(lost)
            log.warning("roster.brought_back", entries=added, size=self._rosters.size)
        self._rosters.require_whole()
        return TakenBack(entries=added, cards=await self._take_cards(given))

    def _opened(self, note: str) -> Checkpoint:
        """A checkpoint that this directory signed. Raises: CheckpointRefused."""
        roster, _ = self._rosters.as_it_is
        refused = CheckpointRefused(problem=N_("it is another log's"))
        if roster is None:
            raise refused
        for key in self._rosters.log_keys():
            try:
                return open_checkpoint(note, key, roster.origin)
            except CheckpointRefused as other:
                refused = other
        raise refused

    async def _read(
        self, given: AsyncIterator[pb.GiveBackRequest], checkpoint: Checkpoint, first: int
    ) -> list[tuple[Roster, v1.Entry]]:
        """The entries that are missing, each verified as it comes, with the root that was signed."""
        roster, tree = self._rosters.as_it_is
        if roster is None or first > tree.size:
            raise InvalidInput(field="first", problem=N_("entries between are missing"))
        known = await self._rosters.leaves(first, tree.size - first)
        lost: list[tuple[Roster, v1.Entry]] = []
        size = 0
        for position in range(first, checkpoint.size):
            part = await anext(given, None)
            if part is None or part.WhichOneof("part") != "entry":
                raise InvalidInput(field="entry", problem=N_("missing"))
            size += part.entry.ByteSize()
            if size > _MAX_BYTES:
                raise InvalidInput(field="entry", problem=N_("there are too many of them"))
            if position - first < len(known):
                if entry_leaf(part.entry) != known[position - first]:
                    raise RosterForked(size=position + 1)
                continue
            roster = apply(roster, part.entry)
            tree.append(entry_leaf(part.entry))
            lost.append((roster, part.entry))
        _require_root(tree, checkpoint)
        return lost

    async def _take_cards(self, given: AsyncIterator[pb.GiveBackRequest]) -> int:
        roster, now, taken = self._rosters.roster, self._clock.now(), 0
        left = len(roster.members)
        async for part in given:
            if part.WhichOneof("part") != "card" or not left:
                raise InvalidInput(field="card", problem=N_("there are too many of them"))
            left -= 1
            if self._restorations.last is None:
                continue
            try:
                signed, profile = Signed.from_message(part.card.card), part.card.profile
                if self._db.look(partial(_is_known, said=parse_body(signed, v1.Card))):
                    continue  # before its signature costs anything: most givers bring what is here
                card = Card.parse(signed, roster, now=_while_in_force(signed, now), profile=profile)
                parsed = Profile.parse(profile, roster.members[card.member].registration)
                taken += await self._db.write(partial(_put, card=card, profile=profile, parsed=parsed))
            except (CardRefused, CardExpired, NotAMember, InvalidRecord, MalformedStatement, Conflict) as refused:
                log.info("card.not_taken_back", reason=refused.reason)
        if taken:
            await self._tell([])
        return taken

    async def _tell(self, lost: Sequence[tuple[Roster, v1.Entry]]) -> None:
        for each in self.grown:
            await each(lost)


@contextmanager
def _a_place(taken: Counter[Hashable], giver: Hashable, *, at_once: int, of_one: int) -> Iterator[None]:
    """Among those who give now. Raises: TooManyRequests where there is none left."""
    if taken.total() >= at_once or taken[giver] >= of_one:
        raise TooManyRequests()
    taken[giver] += 1
    try:
        yield
    finally:
        taken[giver] -= 1
        if not taken[giver]:
            del taken[giver]


def _while_in_force(signed: Signed, now: datetime) -> datetime:
    """A card that has run out since tells all the same who calls with its key, as one that was never lost would."""
    return min(now, moment_of(parse_body(signed, v1.Card).expire_time) - timedelta(microseconds=1))


def _require_root(tree: MerkleTree, checkpoint: Checkpoint) -> None:
    if tree.size != checkpoint.size or tree.root() != checkpoint.root:
        raise RosterForked(size=checkpoint.size)


def _is_known(tx: Connection, *, said: v1.Card | Card) -> bool:
    """Whether this card, or a newer one of the member's, is here."""
    number = tx.execute(select(_CARD.c.number).where(_CARD.c.member == said.member)).scalar()
    return number is not None and number >= said.number


def _put(tx: Connection, *, card: Card, profile: bytes, parsed: Profile) -> bool:
    """Keep a card that is newer than the one here."""
    if _is_known(tx, said=card):
        return False
    put_card(tx, card, profile, parsed)
    return True
