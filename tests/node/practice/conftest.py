"""The practice server as its users start it, beside a real node's folder that is watched; one for a worker's tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.demo import processes
from node.demo.processes import Program
from tests.node.practice.newcomer import Newcomer
from tests.node.practice.watching import Watch

PASSPHRASE = "une phrase de passe bien réelle"
PASSWORD = "un mot de passe bien réel"


@dataclass
class RealHouse:
    """A real node's folder with its secrets, and everything in the environment that leads to it."""

    folder: Path
    watch: Watch = field(init=False)
    before: dict[str, str] = field(init=False)

    @property
    def data(self) -> Path:
        return self.folder / "node"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CORDEE_NODE_DATA_DIR": str(self.data),
            "CORDEE_NODE_PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "CORDEE_SESSION_FILE": str(self.folder / "session"),
            "CORDEE_NODE_SOCKET": str(self.folder / "socket"),
            "CORDEE_ADMIN_HOME": str(self.folder / "office"),
            "CORDEE_SMTP_SERVER": "mail.example",
        }

    def bytes_now(self) -> dict[str, str]:
        """Each file's digest and time of change."""
        return {
            str(
                each.relative_to(self.folder)
            ): f"{hashlib.sha256(each.read_bytes()).hexdigest()} {each.stat().st_mtime_ns}"
            for each in sorted(self.folder.rglob("*"))
            if each.is_file()
        }


@pytest.fixture(scope="session")
def real_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHouse]:
    house = RealHouse(tmp_path_factory.mktemp("real"))
    for name, secret in (("passphrase", PASSPHRASE), ("password", PASSWORD)):
        (house.folder / name).write_text(secret + "\n")
    processes.run(
        *("node", "init", "--administrator", "direction", "--password-file", str(house.folder / "password")),
        environment=house.environment,
    )
    house.before = house.bytes_now()
    house.watch = Watch([house.folder, house.data])
    try:
        yield house
    finally:
        house.watch.close()


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory, real_house: RealHouse) -> Iterator[Program]:
    within = tmp_path_factory.mktemp("temporary")
    served = Program(
        name="practice",
        arguments=("--output", "json", "practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(within)),
        environment=real_house.environment,
        log=within.parent / "practice.log",
    )
    served.start()
    try:
        yield served
    finally:
        served.stop()
        assert not list(within.iterdir()), "everything is erased at the end"
        assert not real_house.watch.events(), "practice opened something of the real house"


@pytest.fixture(scope="session")
def newcomer(practice: Program) -> Newcomer:
    person = Newcomer(str(practice.ready["pages"]))
    person.sign_in()
    return person
