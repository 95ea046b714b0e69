"""The stage of the demonstration: a directory, administrators and associations, each with a folder of its own.

Everything is done through the commands that people use. The fault tests and the benchmarks stand on it too.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.demo import processes
from node.demo.processes import Program

__all__ = ["ADMINISTRATOR", "HANDLER", "House", "Stage", "until"]

_PASSPHRASE = "une phrase de passe pour la démonstration"  # noqa: S105  # opens synthetic data in a throw-away folder
_PASSWORD = "bergamote-2026-demo"  # noqa: S105  # as above
HANDLER = "camille"
ADMINISTRATOR = "direction"
_PAUSE = 0.05
_DEEP = 70  # characters


@dataclass
class House:
    """One association on the stage."""

    name: str
    folder: Path
    profile: dict[str, Any]
    program: Program
    run: Path
    member: str = ""
    words: list[str] = field(default_factory=list)
    run_command: Callable[..., Any] = processes.run

    @property
    def data_dir(self) -> Path:
        """The node's own folder."""
        return self.folder / "node"

    def second_factor(self, name: str) -> Path:
        """The file with the otpauth address of a practice account's codes."""
        return self.folder / f"second-factor-{name}"

    def code(self, name: str) -> str:
        """A practice account's code for the pages at this moment. Each works once: the next comes in 30 seconds."""
        import pyotp

        made = pyotp.parse_uri(self.second_factor(name).read_text(encoding="utf-8").strip())
        return str(made.now()) if isinstance(made, pyotp.TOTP) else ""

    @property
    def environment(self) -> dict[str, str]:
        """How this association's people reach their node."""
        return environment_of(self.folder, self.socket)

    @property
    def socket(self) -> Path:
        """Where the node answers; the kernel takes no long path."""
        return self.run / self.name / "s"

    @property
    def pages(self) -> str:
        """Where its handlers open their pages, as the node told when it was ready."""
        return str(self.program.ready["pages"])

    @property
    def title(self) -> str:
        """The association's name for people."""
        return str(self.profile["display_name"])

    def command(self, *arguments: str, expect: int = 0) -> Any:
        """A command of this association's people, as they type it."""
        return self.run_command("--yes", *arguments, environment=self.environment, expect=expect)

    def transfer(self, transfer: str) -> dict[str, Any]:
        """One transfer, as this node sees it now."""
        found: dict[str, Any] = self.command("transfer", "show", transfer)
        return found


class Stage:
    """A network of a few associations on this machine, in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        administrators: Sequence[str] = ("bureau-1", "bureau-2"),
        run_command: Callable[..., Any] = processes.run,
    ) -> None:
        """`run_command` runs what people type, where that is done in another way than usual."""
        self.folder = folder
        self._run_command = run_command
        self.administrators = tuple(administrators)
        self.houses: dict[str, House] = {}
        self.network = ""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "logs").mkdir(exist_ok=True)
        # A socket's path has 107 bytes at most: where the folder lies deep, the sockets lie elsewhere.
        short = len(str(folder)) <= _DEEP
        self.run = folder / "run" if short else Path(tempfile.mkdtemp(prefix="cordee-", dir="/tmp"))  # short
        self.passphrase = _private(folder / "passphrase", _PASSPHRASE)
        self.password = _private(folder / "password", _PASSWORD)
        self.directory = Program(
            name="directory",
            arguments=("directory", "serve", "--data-dir", str(folder / "directory")),
            environment={},
            log=folder / "logs" / "directory.log",
        )

    @property
    def programs(self) -> list[Program]:
        """Every process of the stage."""
        return [self.directory, *(house.program for house in self.houses.values())]

    def close(self) -> None:
        """Stop everything, the nodes first."""
        for program in reversed(self.programs):
            program.stop()
        shutil.rmtree(self.run, ignore_errors=True)

    @contextmanager
    def open(self) -> Iterator[Stage]:
        """The stage, closed at the end whatever happens."""
        try:
            yield self
        finally:
            self.close()

    # ---- the network ----

    def found(self, *, origin: str = "", offer_minutes: int = 0, draw: bool = False) -> str:
        """The directory is set up, the administrators make their keys and found the network. Its id is returned.

        `origin` names its log, `offer_minutes` limits how long offers wait; both as usual where they are not given.
        With `draw` there is one administrator, and the key's passphrase is drawn with it.
        """
        data, office = self.folder / "directory", self.folder / "office"
        office.mkdir(mode=0o700)
        members, front = (f"127.0.0.1:{port}" for port in _free_ports(2))
        self.office(
            *("directory", "init", "--data-dir", str(data), "--name", "127.0.0.1"),
            *("--members", members, "--front", front),
            *(("--origin", origin) if origin else ()),
        )
        self.directory.arguments = (
            *("directory", "serve", "--data-dir", str(data)),
            *("--listen-members", members, "--listen-front", front),
        )
        self.directory.start()
        for name in self.administrators:
            drawn = ("--draw-passphrase", str(self.passphrase)) if draw else ()
            self.office("admin", "key", "new", "--out", str(office / name), *drawn, who=name)
        first, *others = self.administrators
        keys = [word for name in self.administrators for word in ("--administrator", f"{office / name}.pub")]
        genesis = str(office / "genesis.json")
        threshold = str(len(self.administrators))
        self.office(
            *("admin", "found", "--founding", str(data / "founding.json"), "--genesis", genesis),
            *("--threshold", threshold, *keys),
            *(("--offer-minutes", str(offer_minutes)) if offer_minutes else ()),
            who=first,
        )
        for name in others:
            self.office("admin", "sign-genesis", genesis, who=name)
        founded = self.office("admin", "found", "--genesis", genesis, "--submit", who=first)
        self.network = str(founded["network"])
        return self.network

    def office(self, *arguments: str, who: str = "", expect: int = 0) -> Any:
        """A command of the network's office: the directory's operator, or the administrator named `who`."""
        environment = {}
        if who:
            environment = {
                "CORDEE_ADMIN_HOME": str(self.folder / "office" / f"home-{who}"),
                "CORDEE_ADMIN_KEY": str(self.folder / "office" / who),
                "CORDEE_ADMIN_PASSPHRASE_FILE": str(self.passphrase),
            }
        return self._run_command("--yes", *arguments, environment=environment, expect=expect)

    def join(self, house: House) -> list[str]:
        """Invite, ask, compare the six words on both sides, sign by every administrator, fetch the certificate."""
        invitation = self.folder / "office" / f"{house.name}.invitation.json"
        secrecy = "--secrecy" if house.profile["professional_secrecy"]["bound"] else "--no-secrecy"
        self.office(
            *("admin", "invite", "--legal-name", house.profile["legal_name"], "--number", house.profile["siret"]),
            *(secrecy, "--out", str(invitation)),
            who=self.administrators[0],
        )
        asked = ("node", "join", str(invitation), "--profile", str(house.folder / "profile.json"))
        house.words = list(house.command(*asked)["words"])
        for name in self.administrators:
            waiting = self.office("admin", "requests", who=name)
            shown = next(each for each in waiting if each["member"] == house.member)
            if shown["words"] != house.words:
                raise RuntimeError(f"{name} sees other words than {house.name}")
            self.office("admin", "admit", house.member, "--words", " ".join(house.words), who=name)
        house.command(*asked, "--wait")
        return house.words

    @contextmanager
    def cheating(self, house: House) -> Iterator[None]:
        """As long as the block lasts, the house's node is one that cheats: its folder, another program."""
        honest = house.program
        honest.stop()
        house.program = self.cheater(house)
        house.program.start()
        try:
            yield
        finally:
            house.program.stop()
            honest.peak = max(honest.peak, house.program.peak)
            house.program = honest
            honest.start()

    def cheater(self, house: House) -> Program:
        """The program of a node that cheats, in this house's folder."""
        return Program(
            name=f"{house.name} (cheating)",
            arguments=(
                *(sys.executable, "-m", "node.demo.cheating"),
                *(str(house.data_dir), str(house.folder / "passphrase"), str(house.socket)),
            ),
            environment=house.program.environment,
            log=self.folder / "logs" / f"{house.name}-cheating.log",
        )

    # ---- associations ----

    def house(self, name: str, profile: dict[str, Any]) -> House:
        """An association with a vault, keys and a first account; it has not asked to join yet."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        _private(folder / "passphrase", _PASSPHRASE)
        (folder / "profile.json").write_text(json.dumps(profile, ensure_ascii=False), encoding="utf-8")
        program = Program(
            name=name,
            arguments=("node", "serve"),
            environment=environment_of(folder, self.run / name / "s"),
            log=self.folder / "logs" / f"{name}.log",
        )
        house = House(name, folder, profile, program, self.run, run_command=self._run_command)
        made = house.command("node", "init", "--administrator", ADMINISTRATOR, "--password-file", str(self.password))
        house.member = made["member"]
        self.houses[name] = house
        return house

    def start(self, house: House, **environment: str) -> None:
        """Start an association's node, and sign its handler in."""
        house.program.start(**environment)
        accounts = house.folder / "accounts"
        if not accounts.exists():
            house.command("node", "login", ADMINISTRATOR, "--password-file", str(self.password))
            house.command(
                *("node", "user", "add", HANDLER, "--role", "handler", "--role", "lead", "--bound-by-secrecy"),
                *("--password-file", str(self.password)),
            )
            for name in (HANDLER, ADMINISTRATOR):
                given = house.command("node", "user", "second-factor", name)
                _private(house.second_factor(name), given["otpauth_uri"])
            accounts.touch()
            house.command("node", "login", HANDLER, "--password-file", str(self.password))

    def sign_in(self, house: House, name: str = HANDLER) -> None:
        """Sign the handler in again, after a session ended, or somebody else."""
        house.command("node", "login", name, "--password-file", str(self.password))


def environment_of(folder: Path, socket: Path) -> dict[str, str]:
    """How an association's commands find its node."""
    return {
        "CORDEE_NODE_DATA_DIR": str(folder / "node"),
        "CORDEE_NODE_SOCKET": str(socket),
        "CORDEE_NODE_PASSPHRASE_FILE": str(folder / "passphrase"),
        "CORDEE_SESSION_FILE": str(folder / "session"),
        "CORDEE_NODE_PAGES": "127.0.0.1:0",
    }


def until(
    found: Callable[[], Any],
    *,
    seconds: float = 180.0,
    told: Callable[[Any], None] | None = None,
    what: str = "it",
) -> Any:
    """Ask again until something true comes back: by default so long that a slow machine has done it too.

    Raises: TimeoutError, with `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if told is not None:
            told(answer)
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen in {seconds:.0f} seconds")
        time.sleep(_PAUSE)


def _private(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return path


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
