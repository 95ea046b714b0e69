"""What the model's parts are made of: statements, the rows of a node, the broker's desk, the world around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cordee.transfer import END_STATES, Kind, Party, State

__all__ = [
    "ACTIVE",
    "END_STATES",
    "EXPIRED",
    "RECIPIENT",
    "REMOVED",
    "SENDER",
    "SUSPENDED",
    "Desk",
    "Entry",
    "Event",
    "Kept",
    "Luck",
    "Node",
    "Row",
    "Saved",
    "St",
    "World",
    "by_sender",
    "chained",
    "follows",
    "kinds_of",
    "named",
    "next_waiting",
    "statement_of",
    "without",
]

SENDER, RECIPIENT = "sender", "recipient"
ACTIVE, SUSPENDED, REMOVED = "active", "suspended", "removed"
EXPIRED = "expired"
"""The event that tells of an expiry."""

_BY_SENDER = frozenset({Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL})
_EXPOSING = frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT})
_FACTS = frozenset({Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED, Kind.ERASURE})


class St(NamedTuple):
    """A signed statement. Two of one kind have two numbers, as two signatures have two digests."""

    kind: Kind
    number: int
    about: int = 0
    """The number of the statement that it names by its digest, of the kind that `follows` says."""
    how: str = ""
    """Of an erasure: done, refused or returned. Of a shipment: which packing it names by size and header."""

    @property
    def exposing(self) -> bool:
        """Read only between two active members (`cordee.statements.checks`, `_EXPOSING`)."""
        return self.kind in _EXPOSING

    @property
    def fact(self) -> bool:
        """It tells what has happened."""
        return self.kind in _FACTS

    @property
    def by(self) -> Party:
        return Party.SENDER if self.kind in _BY_SENDER else Party.RECIPIENT

    @property
    def words(self) -> str:
        name = f"{self.kind.value}{'' if self.number == 1 else f' no. {self.number}'}"
        return f"{name} ({self.how})" if self.kind is Kind.ERASURE else name


def by_sender(st: St) -> bool:
    return st.kind in _BY_SENDER


def follows(st: St) -> Kind | None:
    """The kind of the statement that this one names."""
    if st.kind is Kind.OFFER:
        return None
    if st.kind is Kind.SHIPMENT:
        return Kind.ACCEPTANCE
    if st.kind in (Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED):
        return Kind.SHIPMENT
    if st.kind is Kind.ERASURE:
        return Kind.SHIPMENT if st.how == "returned" else Kind.WITHDRAWAL
    return Kind.OFFER


Event = St | str


class Kept(NamedTuple):
    """A statement in a node's database; `waits` until the broker has answered for it."""

    st: St
    waits: bool


class Row(NamedTuple):
    """One transfer in a node's database (`node.transfer_store.Transfer`), its statements and its files."""

    state: State | None = None
    kept: tuple[Kept, ...] = ()
    job: str = ""
    key: int = 0
    """The sender's content key, or the recipient's one-time key: which one, 0 for none, -1 for one that no in-flight
    key opens any more. A one-time key bears the number of its acceptance.
    """
    packed: int = 0
    """The packing whose header was recorded. Each has a salt of its own."""
    spool: int = 0
    """The packing that lies in a file."""
    packings: int = 0
    erasure: str = ""
    imported: int = 0
    """How often a case was stored for this transfer."""
    case: bool = False
    """The recipient: the case that it brought is here."""
    overtaken: bool = False
    """A withdrawal came before its offer: the token is remembered."""

    @property
    def over(self) -> bool:
        return self.state in END_STATES


class Saved(NamedTuple):
    """What a backup of a node has. In-flight keys and spool are in none."""

    rows: tuple[Row, ...]
    holder: int
    buried: bool
    gave: bool


class Node(NamedTuple):
    """One association."""

    rows: tuple[Row, ...]
    holder: int = -1
    """The sender: by which transfer the case was handed over; -1: it is here."""
    made: tuple[int, ...] = ()
    """How many statements of each step it ever signed: so that each has a number of its own."""
    aside: tuple[tuple[int, St], ...] = ()
    """Put aside while somebody is suspended: of which transfer, and what."""
    seen: int = 0
    """Entries of the log that it has."""
    buried: bool = False
    """The tombstone of what was erased, in its own file."""
    gave: bool = False
    """It has given back, after the directory's restore, what it had."""
    pending: str = ""
    """After its own restore: "told" once the entry is in the log, and what comes before and after that."""
    look: tuple[State | None, tuple[St, ...]] | None = None
    """What it has read at the broker just now; in memory."""
    saved: Saved | None = None
    noted: bool = False
    """In its journal: a case went away of which this database knows nothing."""
    wrong: str = ""
    """A check of this model's own that failed at a step, for the invariants."""


class Desk(NamedTuple):
    """One transfer at the broker, with the events that its parties have not kept, and its ciphertext."""

    state: State | None = None
    taken: tuple[St, ...] = ()
    to_sender: tuple[Event, ...] = ()
    to_recipient: tuple[Event, ...] = ()
    mail: int = 0
    """The packing whose ciphertext waits."""
    afloat: tuple[St, ...] = ()
    """Copies of statements that are still under way in the network."""
    saved: tuple[State | None, tuple[St, ...], tuple[Event, ...], tuple[Event, ...]] | None = None
    ever: frozenset[Kind] = frozenset()
    """What was ever answered for, whatever a backup has forgotten since."""


class Entry(NamedTuple):
    """An entry of the roster log that concerns a party."""

    what: str
    member: str


class World(NamedTuple):
    """Time and the roster log."""

    clock: int = 0
    """0: before the offer's end. 1: about then, so that some see it and some do not yet. 2: after it, and before the
    one-time key's. 3: about that. 4: after it, and after the token's.
    """
    log: tuple[Entry, ...] = ()
    restored: bool = False
    """The directory came back from a backup."""
    grace: bool = False
    """Just now: time ends nothing yet."""

    def standing(self, member: str, seen: int | None = None) -> str:
        """By the first `seen` entries."""
        state = ACTIVE
        for entry in self.log[:seen]:
            if entry.member == member and state != REMOVED:
                state = {"suspended": SUSPENDED, "reinstated": ACTIVE, "removed": REMOVED}[entry.what]
        return state

    def past(self, end: int) -> Sequence[bool]:
        """What clocks say of an end: 1 the offer's, 3 the key's. Both where they may differ."""
        return (False,) if self.clock < end else (True,) if self.clock > end else (False, True)


class Luck(NamedTuple):
    """How much may still go wrong."""

    lose: int = 0
    """Answers of the broker that do not arrive: the line breaks, or one of the two dies, after the step was taken."""
    late: int = 0
    """Statements that arrive long after their sender gave the call up, or twice."""
    twice: int = 0
    """Events that are heard once more."""
    old: int = 0
    """Statements that waited too long, or whose key was replaced, so that they are signed anew."""
    spoil: int = 0
    """Spools and shipments that turn out damaged."""
    crash: int = 0
    """A process dies between reading at the broker and writing at home."""
    govern: int = 0
    """Entries about a party."""
    burn: int = 0
    """Nodes that are restored from a backup."""
    strike: int = 0
    """Restores of the directory."""


# ---- small questions ----


def kinds_of(row: Row) -> tuple[Kind, ...]:
    """What was said, in the order in which this node kept it."""
    return tuple(each.st.kind for each in row.kept)


def statement_of(statements: Sequence[St], kind: Kind | None) -> St | None:
    return next((each for each in statements if each.kind is kind), None)


def chained(st: St, before: Sequence[St]) -> bool:
    """What it names by digest is there (`Reading.follows`)."""
    kind = follows(st)
    named_one = statement_of(before, kind)
    return kind is None or (named_one is not None and named_one.number == st.about)


def next_waiting(row: Row) -> St | None:
    """`transfer_store.next_waiting`."""
    return next((each.st for each in row.kept if each.waits), None)


def without(row: Row, match: Callable[[Kept], bool]) -> Row:
    """The row without some of its statements."""
    return row._replace(kept=tuple(each for each in row.kept if not match(each)))


def named(node: str, row: int, rows: int) -> str:
    """A node's name in a trace."""
    return node if rows == 1 else f"{node} ({row + 1})"


def alternatives(*flags: Sequence[bool]) -> Iterator[tuple[bool, ...]]:
    """Each combination."""
    if not flags:
        yield ()
        return
    for first in flags[0]:
        for others in alternatives(*flags[1:]):
            yield (first, *others)
