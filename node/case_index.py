"""What lists show of every case, opened once and kept in memory: at rest it stays sealed, each line with its own key.

Filled when the node opens, then brought up to date by each reader from the rows that changed since (their `change`, a
number that grows with every write). An erased case leaves it with the next look.
"""

from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import accumulate, islice
from threading import Lock

from sqlalchemy import Connection

from node import records
from node.records import CaseLine
from node.vault import Vault

__all__ = ["CaseIndex", "folded"]

Place = tuple[float, str]
"""Where a case stands in the list: the negative time of its last change, then its id."""

_PIECE = 500  # rows that are opened before somebody else has a turn
_MANY = 500  # changed cases that are looked through one by one
_SHORT = 3  # letters
_END = "\n"


class CaseIndex:
    """The lines of all cases that are not erased, the one changed last first. Half a kilobyte each."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen = 0
        self._order: list[Place] = []
        self._lines: dict[str, CaseLine] = {}
        self._states: Counter[str] = Counter()
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
                self._text = _Text((case_id, self._lines[case_id].pseudonym) for _, case_id in self._order)
                self._since.clear()
            return more

    def names(self, tx: Connection, vault: Vault) -> Mapping[str, str]:
        """Pseudonyms by the id of their case."""
        self._all(tx, vault)
        return _Names(self._lines)

    def find(
        self, tx: Connection, vault: Vault, *, wanted: str = "", state: str = "all", start: int = 0, limit: int
    ) -> tuple[Sequence[CaseLine], int]:
        """A piece of the cases whose pseudonym contains `wanted`, whatever its accents and capitals, and how many they
        are in all. `state`: open, closed or all.
        """
        self._all(tx, vault)
        word = folded(wanted)
        with self._lock:
            if word:
                found = [each for each in self._matching(word) if state in ("all", each.state)]
                return found[start : start + limit], len(found)
            lines = (self._lines[case_id] for _, case_id in self._order)
            shown = (each for each in lines if state in ("all", each.state))
            count = len(self._order) if state == "all" else self._states[state]
            return list(islice(shown, start, start + limit)), count

    def count(self, tx: Connection, vault: Vault) -> int:
        """How many cases there are."""
        self._all(tx, vault)
        return len(self._order)

    def lines(self, tx: Connection, vault: Vault) -> Sequence[CaseLine]:
        """All of them, as they are now."""
        self._all(tx, vault)
        with self._lock:
            return [self._lines[case_id] for _, case_id in self._order]

    def _all(self, tx: Connection, vault: Vault) -> None:
        while self.catch_up(tx, vault):
            pass

    def _put(self, case_id: str, line: CaseLine | None) -> None:
        self._since.add(case_id)
        before = self._lines.pop(case_id, None)
        if before is not None:
            self._states[before.state] -= 1
            del self._order[bisect_left(self._order, _place(before))]
        if line is not None:
            insort(self._order, _place(line))
            self._states[line.state] += 1
            self._lines[case_id] = line

    def _matching(self, word: str) -> Iterable[CaseLine]:
        found = [self._lines[each] for each in self._text.containing(word) if each not in self._since]
        lately = [self._lines[each] for each in self._since if each in self._lines]
        newer = sorted((each for each in lately if word in folded(each.pseudonym)), key=_place)
        return merge(newer, found, key=_place) if newer else found


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


class _Names(Mapping[str, str]):
    """Pseudonyms, seen through the lines."""

    def __init__(self, lines: Mapping[str, CaseLine]) -> None:
        self._lines = lines

    def __getitem__(self, case_id: str) -> str:
        return self._lines[case_id].pseudonym

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def folded(name: str) -> str:
    """Without accents and capitals: nobody types them in a hurry."""
    if name.isascii():
        return name.lower()
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


def _place(line: CaseLine) -> Place:
    return -line.updated_at.timestamp(), line.case_id
