"""The practice network: a directory and an administrator of its own, and associations that join it.

The directory is a process, since a node must not contain one; it ends with this one. Founding and admitting go through
the administrators' own commands.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cordee.drawn import DrawnSecret
from cordee.practice import PRACTICE_ORIGIN
from cordee.runtime.clock import Clock
from cordee.signing import member_id_of
from node import joining
from node.demo.processes import Program, command_line
from node.demo.stage import Stage

__all__ = ["OFFER_MINUTES", "Bound", "Joined", "join", "staged"]

OFFER_MINUTES = 10
"""How long an offer waits here: the practice network's policy makes days and hours this short."""


@dataclass
class Bound(Program):
    """A program that does not outlive this one."""

    def start(self, **environment: str) -> dict[str, Any]:
        """As a program's; to be called from a thread that lives as long as the process (prctl(2), PDEATHSIG)."""
        plain = self.arguments
        bound = (sys.executable, "-m", "node.practice.bound", str(os.getpid()))
        self.arguments = (*bound, *command_line(*plain))
        try:
            return super().start(**environment)
        finally:
            self.arguments = plain


@dataclass(frozen=True)
class Joined:
    """An association of the practice network: its folder, and what opens its vault. It is nowhere else."""

    folder: Path
    passphrase: DrawnSecret = field(repr=False)


def staged(folder: Path, *, random: Callable[[int], bytes], offer_minutes: int = OFFER_MINUTES) -> Stage:
    """The network, founded, with its directory running; to be closed by the caller. Takes some seconds."""
    stage = Stage(folder / "network", administrators=("bureau",))
    stage.passphrase.unlink()  # one that nobody knows is drawn in its place
    stage.directory = Bound(
        name="directory",
        arguments=stage.directory.arguments,
        environment=stage.directory.environment,
        log=stage.directory.log,
    )
    try:
        stage.found(origin=PRACTICE_ORIGIN, offer_minutes=offer_minutes, draw=True)
    except BaseException:
        stage.close()
        raise
    return stage


async def join(
    stage: Stage, name: str, profile: dict[str, Any], *, clock: Clock, random: Callable[[int], bytes]
) -> Joined:
    """Make an association's house with keys of its own, and let it be admitted. It does not run yet."""
    folder, passphrase = stage.folder.parent / name, DrawnSecret(random)
    invitation = stage.folder / "office" / f"{name}.invitation.json"
    administrator = stage.administrators[0]
    identity = await asyncio.to_thread(joining.initialise, folder, passphrase=passphrase, random=random, clock=clock)
    await asyncio.to_thread(
        stage.office,
        *("admin", "invite", "--legal-name", profile["legal_name"], "--number", profile["siret"], "--secrecy"),
        *("--out", str(invitation)),
        who=administrator,
    )
    words = await joining.request(
        folder,
        passphrase=passphrase,
        invitation=invitation.read_bytes(),
        profile=json.dumps(profile, ensure_ascii=False).encode(),
        clock=clock,
        random=random,
        practice=True,
    )
    member = member_id_of(identity).hex()
    await asyncio.to_thread(stage.office, "admin", "admit", member, "--words", " ".join(words), who=administrator)
    await joining.wait(folder, passphrase=passphrase, clock=clock, random=random)
    return Joined(folder, passphrase)
