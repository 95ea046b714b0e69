"""Places where a test may kill the process, so that "durable before acknowledged" is proved and not believed."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

__all__ = ["VARIABLE", "Crashpoints", "register", "registered"]

VARIABLE = "CORDEE_CRASH_AT"

_registered: set[str] = set()


def register(name: str) -> str:
    """Declare a crash point, where the module that reaches it is read. Returns the name, to be kept as a constant."""
    _registered.add(name)
    return name


def registered() -> frozenset[str]:
    """All crash points of the modules imported so far: a fault test goes through them one by one."""
    return frozenset(_registered)


class Crashpoints:
    """Kills the process where it is told to; without being told, it does nothing.

    `armed` maps a name to how many times it must be reached: 1 is the first time.
    """

    def __init__(self, armed: Mapping[str, int] | None = None) -> None:
        self._left = dict(armed or {})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Crashpoints:
        """Read `CORDEE_CRASH_AT`: names parted by commas, each with `:n` for the n-th time only.

        Raises: ValueError where a count is no positive number.
        """
        armed = {}
        for item in (os.environ if environment is None else environment).get(VARIABLE, "").split(","):
            if name := item.strip():
                name, _, count = name.partition(":")
                armed[name] = int(count or 1)
                if armed[name] < 1:
                    raise ValueError(f"{VARIABLE}: {item} is never reached")
        return cls(armed)

    def reach(self, name: str) -> None:
        """Die here, by SIGKILL, if this point is armed: no handler, no flush, as in a power cut."""
        if not self._left or name not in self._left:
            return
        self._left[name] -= 1
        if self._left[name] == 0:
            os.write(2, f"killed at {name}\n".encode())  # of several that were armed, which it was
            os.kill(os.getpid(), signal.SIGKILL)
