"""A network that is there soon: for pages that are looked at, however it was founded.

How long the demonstration's own stage takes is the modules that each of its commands reads, and an administrator's key
that is sealed as an administrator's has to be. Commands and servers are real processes here too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults.founded import ForkedStage
from tests.typist import light_key

__all__ = ["COMMANDS", "QuickStage"]

COMMANDS = (
    "cryptography.hazmat.backends.openssl.backend",
    "directory.cli.admin",
    "google.protobuf.json_format",
    *(f"node.cli.{each}" for each in ("account", "audit", "case", "client", "consent", "documents")),
    *(f"node.cli.{each}" for each in ("members", "setup", "shapes", "transfer")),
)
"""Modules of the commands that the town's people type."""


class QuickStage(ForkedStage):
    """A stage whose administrator's key is sealed without the quarter of a gigabyte that each later command would need
    to open it.
    """

    def office(self, *arguments: str, who: str = "", expect: int = 0) -> Any:
        """As a Stage's."""
        if arguments[:4] != ("admin", "key", "new", "--out") or "--draw-passphrase" in arguments:
            return super().office(*arguments, who=who, expect=expect)
        return light_key(Path(arguments[4]), self.passphrase.read_bytes().strip())
