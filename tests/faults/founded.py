"""A network that is founded once in a run, and copied for whoever needs one: founding it again takes half a minute.

What is copied are the folders of a network at rest: a directory and two associations, whose nodes have run and were
stopped. Keys, log and accounts are the same in each copy; addresses and sockets are its own.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordee.runtime.ballast import BALLAST
from node.demo import cases
from node.demo.processes import Program, run
from node.demo.stage import House, Stage, _free_ports, environment_of, until
from tests.faults.nursery import Nursery, forked, nursery

__all__ = ["ForkedStage", "fill", "founded_once", "move_in"]

ASSOCIATIONS = ("helpline", "marseille")
ADMINISTRATORS = ("bureau",)
_TOLD = "told.json"
# Where addresses are written down. The log has none.
_WITH_ADDRESSES = ("membership.json", "network.json", "founding.json", "*.invitation.json")


class ForkedStage(Stage):
    """A stage whose processes come from a nursery, its commands too."""

    def __init__(self, folder: Path, place: Nursery, *, administrators: Sequence[str] = ADMINISTRATORS) -> None:
        super().__init__(folder, administrators=administrators, run_command=place.run)
        self._place = place
        self.directory = forked(self.directory, place)

    def house(self, name: str, profile: dict[str, Any]) -> House:
        """As a stage makes it."""
        house = super().house(name, profile)
        house.program = forked(house.program, self._place)
        return house

    def cheater(self, house: House) -> Program:
        """As a stage makes it."""
        return forked(super().cheater(house), self._place)


def fill(stage: Stage) -> None:
    """Found the network, let two associations join, start everything, until each knows the other."""
    stage.found()
    profiles = cases.profiles(now=datetime.now(UTC))
    for name in ASSOCIATIONS:
        stage.join(stage.house(name, profiles[name]))
    for house in stage.houses.values():
        stage.start(house)
    for house in stage.houses.values():
        until(lambda house=house: len([m for m in house.command("members", "list") if m["card_expires"]]) == 2)


def founded_once(shared: Path) -> Path:
    """The folder to copy, made in `shared` by whoever comes first; others wait for it."""
    folder = shared / "founded"
    with (shared / "founded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _TOLD).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _found(folder)
    return folder


def _found(folder: Path) -> None:
    with nursery() as place, ForkedStage(folder, place).open() as stage:
        fill(stage)
        told = {
            "network": stage.network,
            "members": stage.directory.ready["members"],
            "front": stage.directory.ready["front"],
            "houses": {house.name: [house.member, house.words] for house in stage.houses.values()},
        }
    (folder / _TOLD).write_text(json.dumps(told))  # last of all: everything is at rest


def move_in(stage: Stage, founded: Path, *, commands: Callable[..., Any] = run) -> None:
    """A copy of the network, on a stage that is empty yet. Nothing runs, and nobody is signed in: a session belongs to
    a socket. `commands` runs what the associations' people type.
    """
    told = json.loads((founded / _TOLD).read_text())
    apart = shutil.ignore_patterns(BALLAST, "logs", "run", "session", _TOLD)
    shutil.copytree(founded, stage.folder, dirs_exist_ok=True, ignore=apart)
    members, front = (f"127.0.0.1:{port}" for port in _free_ports(2))
    for pattern in _WITH_ADDRESSES:
        for path in stage.folder.rglob(pattern):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(told["members"], members).replace(told["front"], front), encoding="utf-8")
    stage.network = told["network"]
    stage.directory.arguments = (
        *("directory", "serve", "--data-dir", str(stage.folder / "directory")),
        *("--listen-members", members, "--listen-front", front),
    )
    for name, (member, words) in told["houses"].items():
        folder = stage.folder / name
        program = Program(
            name=name,
            arguments=("node", "serve"),
            environment=environment_of(folder, stage.run / name / "s"),
            log=stage.folder / "logs" / f"{name}.log",
        )
        profile = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
        stage.houses[name] = House(name, folder, profile, program, stage.run, member, words, run_command=commands)
