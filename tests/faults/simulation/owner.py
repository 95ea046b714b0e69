"""Whose code runs: a process of the simulation, or nobody (the network, the people)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

__all__ = ["PROCESS", "Died", "Owner"]


class Owner(Protocol):
    """One life of a node or of the directory."""

    alive: bool
    place: str
    disk: Any

    def thread_pause(self) -> float:
        """Seconds until a thread that may go on gets its turn."""
        ...

    def touches_disk(self, what: str, *, grows: bool) -> None:
        """The process is about to change its disk. Raises: Died, OSError."""
        ...


PROCESS: ContextVar[Owner | None] = ContextVar("process", default=None)


class Died(BaseException):
    """Raised where a process dies in the middle of its own code; nothing of it is heard of afterwards."""
