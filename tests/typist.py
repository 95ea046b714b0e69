"""Commands typed by the hundred, where a test is about what they do and not about how a process begins.

Each is a process of its own that reads what was typed; its modules alone were read before (tests/faults/nursery.py).
An administrator's key opens in a moment here, not after half a second with 256 MiB. That each command begins by itself,
and keys as people make them, are for tests/journeys/test_demo.py and test_recovery_by_the_page.py.
"""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nacl.pwhash import argon2id

from cordee.signing import SigningKey
from directory.administrator import keyfile
from tests.faults.nursery import Nursery

__all__ = ["light_key", "lighten", "run", "typist"]

_MORE = (
    *("directory.cli.admin", "directory.cli.watching", "directory.administrator.governed", "cordee.figures.forms"),
    *(
        "node.cli.transfer",
        "node.cli.case",
        "node.cli.consent",
        "node.cli.members",
        "node.cli.audit",
        "node.cli.verify",
    ),
    *("node.cli.client", "node.cli.shapes", "node.cli.files", "cordee.evidence"),
)
_LIGHT: dict[str, Any] = {"rounds": argon2id.OPSLIMIT_MIN, "memory": argon2id.MEMLIMIT_MIN}


@functools.cache
def typist() -> Nursery:
    """One for all tests of this process; it ends when nobody can ask it any more."""
    made = Nursery(_MORE)
    atexit.register(made.__exit__)
    return made


def run(*arguments: str, environment: Mapping[str, str], expect: int = 0, given: bytes | None = None) -> Any:
    """As `node.demo.processes.run`, for a Stage: quick. Raises: CommandFailed."""
    typed = [each for each in arguments if each != "--yes"]
    if typed[:4] == ["admin", "key", "new", "--out"]:
        secret = Path(environment["CORDEE_ADMIN_PASSPHRASE_FILE"]).read_bytes().splitlines()[0]
        return light_key(Path(typed[4]), secret)
    return typist().run(*arguments, environment=environment, expect=expect, given=given)


def light_key(path: Path, passphrase: bytes) -> SigningKey:
    """An administrator's key and its public file."""
    return keyfile.create(path, passphrase, random=os.urandom, **_LIGHT)


def lighten(path: Path, passphrase: bytes) -> None:
    """The same key in a file that opens in a moment, where somebody has made one as people do."""
    key = keyfile.open_key(path, passphrase)
    for each in (path, keyfile.public_path(path)):
        each.unlink()
    keyfile.write(path, key, passphrase, random=os.urandom, **_LIGHT)
