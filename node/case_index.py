"""What lists show of every case, opened once and kept in memory: at rest it stays sealed, each line with its own key.

Filled when the node opens, then brought up to date by each reader from the rows that changed since (their `change`, a
number that grows with every write). An erased case leaves it with the next look.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from types import MappingProxyType

from sqlalchemy import Connection

from node import records
from node.records import CaseLine
from node.vault import Vault

__all__ = ["CaseIndex", "folded"]

_PIECE = 1000  # rows that are opened before somebody else has a turn


class CaseIndex:
    """The lines of all cases that are not erased, the one changed last first. About half a kilobyte each."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen = 0
        self._order: list[tuple[float, str]] = []  # the negative time of the last change, then the id
        self._lines: dict[str, CaseLine] = {}
        self._names: dict[str, str] = {}
        self._folded: dict[str, str] = {}

    def catch_up(self, tx: Connection, vault: Vault, *, limit: int = _PIECE) -> bool:
        """Take in what changed, `limit` rows at most. Whether there may be more. Raises CannotOpen."""
        with self._lock:
            changed = records.changed_lines(tx, vault, after=self._seen, limit=limit)
            for change, case_id, line in changed:
                self._put(case_id, line)
                self._seen = change
            return len(changed) == limit

    def names(self, tx: Connection, vault: Vault) -> Mapping[str, str]:
        """Pseudonyms by the id of their case."""
        self._all(tx, vault)
        return MappingProxyType(self._names)

    def find(
        self, tx: Connection, vault: Vault, *, wanted: str = "", state: str = "all", start: int = 0, limit: int
    ) -> tuple[Sequence[CaseLine], int]:
        """A piece of the cases whose pseudonym contains `wanted`, whatever its accents and capitals, and how many they
        are in all. `state`: open, closed or all.
        """
        self._all(tx, vault)
        word = folded(wanted)
        with self._lock:
            if not word and state == "all":
                ids = [case_id for _, case_id in self._order[start : start + limit]]
                return [self._lines[each] for each in ids], len(self._order)
            found = [
                case_id
                for _, case_id in self._order
                if word in self._folded[case_id] and state in ("all", self._lines[case_id].state)
            ]
            return [self._lines[each] for each in found[start : start + limit]], len(found)

    def count(self, tx: Connection, vault: Vault) -> int:
        """How many cases there are."""
        self._all(tx, vault)
        return len(self._order)

    def lines(self, tx: Connection, vault: Vault) -> Iterator[CaseLine]:
        """All of them, as they are now."""
        self._all(tx, vault)
        with self._lock:
            return iter([self._lines[case_id] for _, case_id in self._order])

    def _all(self, tx: Connection, vault: Vault) -> None:
        while self.catch_up(tx, vault):
            pass

    def _put(self, case_id: str, line: CaseLine | None) -> None:
        before = self._lines.pop(case_id, None)
        if before is not None:
            place = _place(before)
            del self._order[bisect_left(self._order, place)]
        if line is None:
            self._names.pop(case_id, None)
            self._folded.pop(case_id, None)
            return
        insort(self._order, _place(line))
        self._lines[case_id] = line
        self._names[case_id] = line.pseudonym
        self._folded[case_id] = folded(line.pseudonym)


def folded(name: str) -> str:
    """Without accents and capitals: nobody types them in a hurry."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


def _place(line: CaseLine) -> tuple[float, str]:
    return -line.updated_at.timestamp(), line.case_id
