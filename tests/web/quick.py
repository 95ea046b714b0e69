"""A network that is there soon: for pages that are looked at, however it was founded.

How long the demonstration's own stage takes is the modules that each of its commands reads, and an administrator's key
that is sealed as an administrator's has to be. Commands and servers are real processes here too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from directory.administrator import keyfile
from node.demo.stage import House, Stage
from tests.faults.nursery import Nursery, forked

__all__ = ["COMMANDS", "QuickStage"]

COMMANDS = (
    "cryptography.hazmat.backends.openssl.backend",
    "directory.cli.admin",
    "google.protobuf.json_format",
    *(f"node.cli.{each}" for each in ("account", "audit", "case", "client", "consent", "documents")),
    *(f"node.cli.{each}" for each in ("members", "setup", "shapes", "transfer")),
)
"""Modules of the commands that the town's people type."""


class QuickStage(Stage):
    """A stage whose commands and servers are forked from one process: each would read the same modules otherwise. Its
    administrators' keys are sealed without the quarter of a gigabyte that each later command would need to open them.
    """

    def __init__(self, folder: Path, place: Nursery) -> None:
        super().__init__(folder, administrators=("bureau",), run_command=place.run)
        self._place = place
        self.directory = forked(self.directory, place)

    def office(self, *arguments: str, who: str = "", expect: int = 0) -> Any:
        """As a Stage's."""
        if arguments[:4] != ("admin", "key", "new", "--out"):
            return super().office(*arguments, who=who, expect=expect)
        passphrase = self.passphrase.read_bytes().strip()
        return keyfile.create(Path(arguments[4]), passphrase, random=os.urandom, rounds=1, memory=8192)

    def house(self, name: str, profile: dict[str, Any]) -> House:
        """As a Stage's."""
        made = super().house(name, profile)
        made.program = forked(made.program, self._place)
        return made
