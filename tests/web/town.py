"""The network that the pages are tested on: real processes, synthetic cases, one account for each role.

The helpline has four cases and offers; Rive d'Aurore has what came of them.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from node.demo import cases
from node.demo.stage import House, Stage, until
from tests.faults.nursery import nursery
from tests.web.quick import COMMANDS, QuickStage

PASSWORD = "bergamote-2026-demo"
EVERYTHING = "camille"  # handler and lead, as on the stage
PEOPLE = {"Hélène": "handler", "Léa": "lead", "Adrien": "administrator", "Aude": "auditor"}
"""The helpline's accounts that hold one role each; their password is `PASSWORD`."""

_PURPOSE = "relocation"


@dataclass
class Town:
    """A directory and two associations."""

    stage: Stage
    helpline: House
    shelter: House
    records: list[dict[str, Any]]
    ended: str = ""  # a transfer to the shelter that came to its end
    waiting: str = ""  # an offer to the shelter that nobody has answered yet

    @property
    def full(self) -> str:
        """The id of the helpline's case that fills the most sections."""
        return str(self.records[0]["meta"]["case_id"])

    @property
    def ready(self) -> str:
        """The id of a case with an agreement that was not used yet."""
        return str(self.records[2]["meta"]["case_id"])

    @property
    def temporary(self) -> Path:
        """The only folder for temporary files that the nodes know of."""
        return self.stage.folder.parent / "temporary"

    @contextmanager
    def killed(self, house: House) -> Iterator[None]:
        """Its node dies as in a power cut; when the block ends it runs again, under the same address."""
        port = urlsplit(house.pages).port
        house.program.kill()
        try:
            yield
        finally:
            house.program.start(CORDEE_NODE_PAGES=f"127.0.0.1:{port}")

    @contextmanager
    def asleep(self, house: House) -> Iterator[None]:
        """Its node does nothing and answers nobody as long as the block lasts."""
        os.kill(house.program.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(house.program.pid, signal.SIGCONT)

    def journal(self, house: House) -> list[dict[str, Any]]:
        """What the node's journal says."""
        found: list[dict[str, Any]] = as_administrator(house, "audit", "list")
        return found

    def case(self, house: House, number: int = 1) -> dict[str, Any]:
        """A case of its own for one test."""
        record = cases.cases(now=datetime.now(UTC), owner=house.profile["org_id"], random=os.urandom)[number]
        self._command(house, record, "case", "new")
        return record

    def newcomer(self, role: str = "handler") -> str:
        """Somebody who was never here: the name of an account of the helpline's, for a test that ends its session."""
        name = f"{role} {os.urandom(4).hex()}"
        given = ("--role", role, "--bound-by-secrecy", "--password-file", str(self.stage.password))
        as_administrator(self.helpline, "node", "user", "add", name, *given)
        return name

    def act(self, record: dict[str, Any], *, purpose: str = _PURPOSE) -> str:
        """The agreement to share a case of the helpline's with the shelter; its id."""
        act = cases.act(
            record,
            purpose=purpose,
            recipients=[self.shelter.profile["org_id"]],
            attachments=[],
            now=datetime.now(UTC),
            random=os.urandom,
        )
        self._command(self.helpline, act, "consent", "record", record["meta"]["case_id"])
        return str(act["act_id"])

    def offer(self, record: dict[str, Any], act: str, *options: str, purpose: str = _PURPOSE) -> str:
        """Offer a case to the shelter, and wait until it is seen there; the transfer's id."""
        case_id = record["meta"]["case_id"]
        to = ("--to", self.shelter.member, "--purpose", purpose, "--act", act, "--tick", "health", *options)
        transfer = str(self.helpline.command("transfer", "offer", case_id, *to)["transfer"])
        self.wait(self.shelter, transfer, "offered")
        return transfer

    def wait(self, house: House, transfer: str, state: str) -> None:
        """Until this house sees the transfer in this state."""

        def reached() -> bool:
            lines = house.command("transfer", "list")
            return any(each["transfer"] == transfer and each["state"] == state for each in lines)

        until(reached, what=f"{house.name}: {transfer} {state}")

    def _command(self, house: House, document: dict[str, Any], *arguments: str) -> None:
        path = self.stage.folder / "given.json"
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        house.command(*arguments, str(path))
        path.unlink()


def as_administrator(house: House, *arguments: str) -> Any:
    """A command of the association's administrator, in a session of its own."""
    environment = house.environment | {"CORDEE_SESSION_FILE": str(house.folder / "administrator")}
    return house.run_command("--yes", *arguments, environment=environment)


@contextmanager
def opened(folder: Path) -> Iterator[Town]:
    """Everything running, with cases, an offer that waits and a transfer that ended."""
    with nursery(COMMANDS) as place, QuickStage(folder / "stage", place).open() as stage:
        stage.found()
        profiles = cases.profiles(now=datetime.now(UTC))
        (folder / "temporary").mkdir()
        for name in ("helpline", "marseille"):
            stage.join(stage.house(name, profiles[name]))
        for house in stage.houses.values():
            house.program.environment = {**house.program.environment, "TMPDIR": str(folder / "temporary")}
            stage.start(house)
        for house in stage.houses.values():
            until(partial(_knows_both, house), what=f"{house.name}: both cards")
        helpline, shelter = stage.houses["helpline"], stage.houses["marseille"]
        records = cases.cases(now=datetime.now(UTC), owner=helpline.profile["org_id"], random=os.urandom)
        _with_people(stage, helpline)
        town = Town(stage, helpline, shelter, records)
        for record in records:
            town._command(helpline, record, "case", "new")
        town.act(records[2])
        town.ended, town.waiting = (town.offer(record, town.act(record)) for record in records[:2])
        shelter.command("transfer", "accept", town.ended)
        for house in (helpline, shelter):
            town.wait(house, town.ended, "received")
        town.wait(shelter, town.waiting, "offered")
        yield town


def _with_people(stage: Stage, house: House) -> None:
    given = ("--password-file", str(stage.password))
    as_administrator(house, "node", "login", "direction", *given)
    for name, role in PEOPLE.items():
        as_administrator(house, "node", "user", "add", name, "--role", role, "--bound-by-secrecy", *given)


def _knows_both(house: House) -> bool:
    return len([each for each in house.command("members", "list") if each["card_expires"]]) == 2
