"""The broker alone, each step taken by hand: no line and no loop, so that a step takes a few milliseconds.

story = desk.story("Paris", "Marseille")
await desk.steps(story, "offer", "accept", "ship")
desk.events(story.recipient)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

import directory.store.membership
import directory.store.roster
import directory.store.transfers  # noqa: F401  # the tables must be known before the database is made
from cordee.ids import MemberId, TransferId
from cordee.runtime.clock import ManualClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.signing import Signed
from cordee.statements import peek
from cordee.transfer import Kind, State
from directory import transfers
from directory.broker import Broker
from directory.events import Events
from directory.restoration import Restorations, Restored
from directory.store import table_of
from directory.store.figures import TallyRow
from directory.store.migrations import directory_database
from directory.store.transfers import EventRow
from tests.builders import MemberKeys, Network
from tests.transfers import Story

__all__ = ["BYTES", "Desk", "desk_at"]

BYTES = 65_536
"""What a story's shipment names."""
_BY_SENDER = (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL)
_EVENT, _TALLY = table_of(EventRow), table_of(TallyRow)


class StillRosters:
    """The log of a network of tests, as it is at each moment."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @property
    def roster(self) -> Any:
        return self.network.roster

    def root_at(self, size: int) -> bytes | None:
        return self.network.root_at(size)


class Held:
    """Ciphertext that waits: only how much of it."""

    def __init__(self) -> None:
        self.sizes: dict[TransferId, int] = {}
        self.fails: Exception | None = None

    async def size(self, transfer_id: TransferId, /) -> int:
        return self.sizes.get(transfer_id, 0)

    async def erase(self, transfer_id: TransferId, /) -> None:
        if self.fails is not None:
            raise self.fails
        self.sizes.pop(transfer_id, None)

    def names(self) -> frozenset[TransferId]:
        return frozenset(self.sizes)


class Woken(Events):
    """Writes down who was woken and what was hinted."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.woken: list[MemberId] = []
        self.hinted: list[tuple[MemberId, TransferId, bool]] = []

    def wake(self, *members: MemberId) -> None:
        self.woken += members

    def mailbox_growing(self, member: MemberId, transfer: TransferId, *, anew: bool) -> None:
        self.hinted.append((member, transfer, anew))


class Points(Crashpoints):
    """Writes down what is reached; what is asked for happens there, once."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: list[str] = []
        self.then: dict[str, Callable[[], None]] = {}

    def reach(self, name: str) -> None:
        self.reached.append(name)
        self.then.pop(name, lambda: None)()


class Desk:
    """A broker over a database of its own."""

    def __init__(self, db: Any, network: Network) -> None:
        self.db, self.network = db, network
        self.clock = ManualClock(network.now)
        self.points, self.held = Points(), Held()
        self.restorations = Restorations(db)
        self.events_of = Woken(db, self.points, self.restorations)
        self.reached: list[State] = []
        self.restart()

    def restart(self) -> None:
        """A broker that remembers nothing but what is in the database."""
        rosters: Any = StillRosters(self.network)
        self.broker = Broker(self.db, rosters, self.events_of, self.held, self.clock, self.points, self.restorations)
        self.broker.reached.append(self.reached.append)

    def story(self, sender: str = "Paris", recipient: str = "Marseille") -> Story:
        return Story.between(self.network, sender, recipient)

    def sign(self, story: Story, step: str, **changes: Any) -> Signed:
        """The story's next statement, with the bytes that a shipment names."""
        story.now = self.clock.now()
        if step == "accept":
            changes.setdefault("mailbox", "")
        getattr(story, step)(**changes)
        if step == "ship":
            self.held.sizes[story.parties.transfer_id] = BYTES
        return story.statements[-1]

    async def step(self, story: Story, step: str, **changes: Any) -> State:
        return await self.submit(self.sign(story, step, **changes))

    async def steps(self, story: Story, *names: str) -> State | None:
        state = None
        for name in names:
            state = await self.step(story, name)
        return state

    async def submit(self, signed: Signed) -> State:
        """By whoever it is from."""
        seen = peek(signed)
        return await self.broker.submit(
            seen.parties.sender if seen.kind in _BY_SENDER else seen.parties.recipient, signed
        )

    def state(self, story: Story) -> State | None:
        """As it is written."""
        found = self.db.read_sync(lambda tx: transfers.find(tx, story.parties.transfer_id))
        return None if found is None else found.state

    def kinds(self, story: Story) -> list[Kind]:
        taken = self.db.read_sync(lambda tx: transfers.statements_of(tx, story.parties.transfer_id))
        return [each.kind for each in taken]

    def events(self, member: MemberKeys) -> list[tuple[TransferId, int | None]]:
        """What is kept for a member: of which transfer, and which of its statements; None where it expired."""
        query = select(_EVENT).where(_EVENT.c.member == member.id).order_by(_EVENT.c.sequence)
        rows = self.db.read_sync(lambda tx: tx.execute(query).all())
        return [(TransferId(row.transfer_id), row.position) for row in rows]

    def to_erase(self) -> list[TransferId]:
        return self.db.read_sync(transfers.to_erase)

    def counted(self, member: MemberKeys) -> dict[str, int]:
        """What is counted of this member as a sender so far, for the yearly report."""
        query = select(_TALLY).where(_TALLY.c.member == member.id, _TALLY.c.side == "sender")
        return {row.figure: row.number for row in self.db.read_sync(lambda tx: tx.execute(query).all())}

    def restored(self) -> None:
        """This database has come back from a backup just now."""
        self.restorations.last = Restored(at=self.clock.now(), since=None)


@cache
def _network() -> Network:
    network = Network.found()
    for name in ("Paris", "Marseille", "Lyon"):
        network.admit(name)
    return network


@contextmanager
def desk_at(folder: Path, **policy: Any) -> Iterator[Desk]:
    """The broker of Paris, Marseille and Lyon, under the network's `policy`."""
    network = _network().copied()
    if policy:
        network.change_policy(**policy)
    with directory_database(folder / "directory.db") as db:
        yield Desk(db, network)
