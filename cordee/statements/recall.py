"""Statements that were read before: reading one as history has one outcome for ever, so it is done once."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from cordee.ids import Digest
from cordee.signing import Signed
from cordee.statements.base import Statement

__all__ = ["Recall"]

S = TypeVar("S", bound=Statement)


class Recall:
    """The last `size` statements by their digest, which covers all of a statement. The oldest go first.

    It holds what was verified and nothing else, and may be used from several threads.
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._lock = Lock()
        self._known: dict[Digest, Statement] = {}

    def remember(self, statement: Statement) -> None:
        """Keep a statement that was verified now."""
        with self._lock:
            self._known.pop(statement.digest, None)
            if len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            self._known[statement.digest] = statement

    def recall(self, signed: Signed, kind: type[S], read: Callable[[], S]) -> S:
        """The statement of this kind, from memory or read by `read`. Raises what `read` raises."""
        known = self._known.get(signed.digest)
        if isinstance(known, kind):
            return known
        statement = read()
        self.remember(statement)
        return statement
