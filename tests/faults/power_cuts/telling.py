"""The words of the marks, which a story writes and the judge reads."""

from __future__ import annotations

import contextlib
import json
import os

from cordee.runtime.crashpoint import Crashpoints

__all__ = ["COMMITTED", "LASTS", "MARKS", "PASSPHRASE", "STEP", "Marking", "lasts", "mark", "say"]

MARKS = 990
"""The descriptor that marks are written to."""

PASSPHRASE = b"une phrase de passe de test"
"""Of every vault in a story."""

STEP = "step "
"""A mark that begins so names what follows."""
COMMITTED = "committed"
"""The database has just committed, and answers next."""
LASTS = "lasts "
"""A mark that begins so: a file whose path begins with the rest was acknowledged. Without a rest, everything was."""

_AT = {
    "database.after_commit": COMMITTED,
    "mailbox.put.after_fsync": LASTS + "mailbox/",
    "directory.roster.after_last_signed": LASTS + "last-signed",
    "node.ship.spooled": LASTS + "spool/",
}


def mark(text: str, machine: str = "") -> None:
    """Say something of one machine, or of all."""
    with contextlib.suppress(OSError):  # nobody records
        os.write(MARKS, json.dumps([machine, text]).encode())


def say(step: str) -> None:
    """What follows, on every machine."""
    mark(STEP + step)


def lasts(machine: str, path: str = "") -> None:
    """Acknowledged on that machine: what is there now, or only what lies under `path`."""
    mark(LASTS + path, machine)


class Marking(Crashpoints):
    """Says what lasts where the code says that it does: a crash point is reached just before the answer leaves."""

    def __init__(self, machine: str) -> None:
        super().__init__()
        self._machine = machine

    def reach(self, name: str) -> None:
        """Nobody dies."""
        if name in _AT:
            mark(_AT[name], self._machine)
