"""What lists show of every case, opened once and kept in memory: at rest it stays sealed, each line with its own key.

Filled when the node opens, then brought up to date by each reader from the rows that changed since (their `change`, a
number that grows with every write). An erased case leaves it with the next look.
"""

from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import accumulate, islice
from threading import Lock

from sqlalchemy import Connection

from node import records
from node.case_access import Access, Sight
from node.records import CaseLine
from node.vault import Vault

__all__ = ["CaseIndex", "Found", "folded"]


@dataclass(frozen=True)
class Found:
    """What somebody's words find."""

    lines: Sequence[CaseLine]  # open to them, the one changed last first: a piece, where one was asked for
    count: int  # how many are found
    total: int  # how many are open to them at all
    kept: tuple[str, ...]  # ids of those that are kept to others and bear exactly this pseudonym or number


Place = tuple[float, str]
"""Where a case stands in the list: the negative time of its last change, then its id."""

_PIECE = 500  # rows that are opened before somebody else has a turn
_MANY = 500  # changed cases that are looked through one by one
_ALL = -1  # rows: without a limit (SQLite, LIMIT)
_SHORT = 3  # letters
_END, _BETWEEN = "\n", "\t"


class CaseIndex:
    """The lines of all cases that are not erased, the one changed last first. Half a kilobyte each."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen = 0
        self._order: list[Place] = []
        self._lines: dict[str, CaseLine] = {}
        self._kinds: Counter[tuple[Access, str]] = Counter()  # how many cases have an access and a state
        self._accesses: dict[Access, Access] = {}  # each kept once
        self._text = _Text(())
        self._since: set[str] = set()  # what changed since the text was written: looked through one by one

    def catch_up(self, tx: Connection, vault: Vault, *, limit: int = _PIECE) -> bool:
        """Take in what changed, `limit` rows at most. Whether there may be more. Raises CannotOpen."""
        with self._lock:
            changed = records.changed_lines(tx, vault, after=self._seen, limit=limit)
            for change, case_id, line in changed:
                self._put(case_id, line)
                self._seen = change
            more = len(changed) == limit
            if not more and len(self._since) > _MANY:
                self._text = _Text((case_id, _told(self._lines[case_id])) for _, case_id in self._order)
                self._since.clear()
            return more

    def names(self, tx: Connection, vault: Vault, *, sight: Sight) -> Mapping[str, str]:
        """Pseudonyms by the ids of the cases that somebody sees."""
        self._all(tx, vault)
        return _Names(self._lines, sight)

    def look(self, tx: Connection, vault: Vault) -> list[CaseLine]:
        """Every line as this step sees it, the one changed last first. Takes nothing in, for a step that writes may
        come to nothing; it opens what changed since somebody read. Raises CannotOpen.
        """
        with self._lock:
            lines, after = dict(self._lines), self._seen
        for _, case_id, line in records.changed_lines(tx, vault, after=after, limit=_ALL):
            lines.pop(case_id, None)
            if line is not None:
                lines[case_id] = line
        return sorted(lines.values(), key=_place)

    def seen(self, tx: Connection, vault: Vault, *, sight: Sight) -> Callable[[str], CaseLine | None]:
        """The line of a case by its id, where somebody sees it; None of any other. Raises CannotOpen."""
        self._all(tx, vault)
        view, lines = _View(sight), self._lines

        def line(case_id: str) -> CaseLine | None:
            found = lines.get(case_id)
            return found if found is not None and view(found) else None

        return line

    def find(
        self,
        tx: Connection,
        vault: Vault,
        *,
        sight: Sight,
        wanted: str = "",
        state: str = "all",
        start: int = 0,
        limit: int | None = None,
    ) -> Found:
        """A piece of the cases that somebody sees whose pseudonym or number contains `wanted`, whatever its accents and
        capitals. `state`: open, closed or all. Raises CannotOpen.
        """
        self._all(tx, vault)
        word = folded(wanted)
        with self._lock:
            view = _View(sight)
            total = self._count(view, "all")
            if word:
                matching = self._matching(word)
                kept = tuple(each.case_id for each in matching if word in _names_of(each) and not view(each))
                found = [each for each in matching if state in ("all", each.state) and view(each)]
                return Found(found[start : None if limit is None else start + limit], len(found), total, kept)
            lines = (self._lines[case_id] for _, case_id in self._order)
            shown = (each for each in lines if state in ("all", each.state) and view(each))
            piece = list(islice(shown, start, None if limit is None else start + limit))
            return Found(piece, self._count(view, state), total, ())

    def _all(self, tx: Connection, vault: Vault) -> None:
        while self.catch_up(tx, vault):
            pass

    def _count(self, view: _View, state: str) -> int:
        states = ("open", "closed") if state == "all" else (state,)
        mine = sum(many for (access, each), many in self._kinds.items() if each in states and view.is_mine(access))
        return mine + sum(1 for each in view.for_a_reason(self._lines) if each.state in states)

    def _put(self, case_id: str, line: CaseLine | None) -> None:
        self._since.add(case_id)
        before = self._lines.pop(case_id, None)
        if before is not None:
            self._kinds[before.access, before.state] -= 1
            del self._order[bisect_left(self._order, _place(before))]
        if line is not None:
            line = replace(line, access=self._accesses.setdefault(line.access, line.access))
            insort(self._order, _place(line))
            self._kinds[line.access, line.state] += 1
            self._lines[case_id] = line

    def _matching(self, word: str) -> Sequence[CaseLine]:
        found = [self._lines[each] for each in self._text.containing(word) if each not in self._since]
        lately = [self._lines[each] for each in self._since if each in self._lines]
        newer = sorted((each for each in lately if any(word in name for name in _names_of(each))), key=_place)
        return list(merge(newer, found, key=_place)) if newer else found


class _Text:
    """All names, folded, one after the other: one search through it costs less than fifty thousand small ones."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        told = [(case_id, folded(name).replace(_END, " ")) for case_id, name in names]
        self._ids = [case_id for case_id, _ in told]
        self._text = _END.join(name for _, name in told)
        self._starts = array("L", accumulate((len(name) + 1 for _, name in told), initial=0))

    def containing(self, word: str) -> list[str]:
        """The ids of the cases whose name contains it, in their order."""
        word = word.replace(_END, " ")
        if len(word) < _SHORT:  # nearly every name has it
            return [self._ids[number] for number, name in enumerate(self._text.split(_END)) if word in name]
        found, at = [], 0
        while (at := self._text.find(word, at)) >= 0:
            number = bisect_right(self._starts, at) - 1
            found.append(self._ids[number])
            at = self._starts[number + 1]
        return found


class _View:
    """What one person sees; each access is asked once, for nearly all cases have one of a few."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._known: dict[int, bool] = {}  # by the identity of an access that is kept once

    def is_mine(self, access: Access) -> bool:
        known = self._known.get(id(access))
        if known is None:
            known = self._known[id(access)] = self._sight.is_mine(access)
        return known

    def __call__(self, line: CaseLine) -> bool:
        return self.is_mine(line.access) or line.case_id in self._sight.opened

    def for_a_reason(self, lines: Mapping[str, CaseLine]) -> list[CaseLine]:
        """Those that are open for a reason that still holds, and not otherwise."""
        found = (lines[case_id] for case_id in self._sight.opened if case_id in lines)
        return [each for each in found if not self.is_mine(each.access)]


class _Names(Mapping[str, str]):
    """Pseudonyms, seen through the lines."""

    def __init__(self, lines: Mapping[str, CaseLine], sight: Sight) -> None:
        self._lines = lines
        self._sight = sight

    def __getitem__(self, case_id: str) -> str:
        line = self._lines[case_id]
        if not self._sight.sees(case_id, line.access):
            raise KeyError(case_id)
        return line.pseudonym

    def __iter__(self) -> Iterator[str]:
        return (case_id for case_id, line in list(self._lines.items()) if self._sight.sees(case_id, line.access))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def folded(name: str) -> str:
    """Without accents, capitals and superfluous blanks: nobody types them in a hurry."""
    name = " ".join(name.split())
    if name.isascii():
        return name.lower()
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


def _names_of(line: CaseLine) -> tuple[str, ...]:
    return tuple(folded(name) for name in (line.pseudonym, line.local_number) if name)


def _told(line: CaseLine) -> str:
    return _BETWEEN.join((line.pseudonym, line.local_number)) if line.local_number else line.pseudonym


def _place(line: CaseLine) -> Place:
    return -line.updated_at.timestamp(), line.case_id
