"""What is flooded: a real directory and a real node, processes both; an honest member, and one that is hostile.

The hostile member was admitted like any other and has its keys; its own node does not run, for its attackers do.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cordee.ids import MemberId
from cordee.runtime.tls import TransportKey
from node.demo import cases
from node.demo.stage import House, Stage, until
from node.directory_client import DirectoryClient
from node.house import Keys
from node.joining import CERTIFICATE, DATABASE, Membership, open_keys
from node.store.migrations import node_database
from node.vault import FILE, Vault
from tests.faults.floods.lines import Target

__all__ = ["Growth", "Member", "Scene", "opened"]

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Member:
    """What a member's node holds: enough to make its calls."""

    membership: Membership
    keys: Keys
    transport: TransportKey
    certificate: bytes  # DER

    @property
    def id(self) -> MemberId:
        return self.keys.member

    def client(self) -> DirectoryClient:
        """The product's own client, on a connection of its own."""
        root = self.membership.ca_certificate
        return DirectoryClient(self.membership.members, root=root, key=self.transport, certificate=self.certificate)


@dataclass(frozen=True)
class Scene:
    """Everything at work."""

    stage: Stage
    helpline: House
    honest: Member
    hostile: Member
    folder: Path

    @property
    def directory(self) -> int:
        """The directory's process."""
        return self.stage.directory.pid

    @property
    def node(self) -> int:
        """The helpline's."""
        return self.helpline.program.pid

    def members(self, **changes: Any) -> Target:
        """The directory's port for members, as the hostile member."""
        return self._target(self.hostile.membership.members, own=True, **changes)

    def front(self, **changes: Any) -> Target:
        """The directory's port for anybody."""
        return self._target(self.hostile.membership.front, own=False, **changes)

    def _target(self, address: str, *, own: bool, **changes: Any) -> Target:
        host, _, port = address.rpartition(":")
        keys = {"certificate": self._pem("certificate"), "key": self._pem("key")} if own else {}
        return Target(**{"host": host, "port": int(port), "root": self._pem("root"), **keys, **changes})

    def _pem(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")


class Growth:
    """By how much a process's resident memory grew at most since this was made (VmHWM, which is set back first)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): the peak begins anew
        self._before = self._read("VmRSS")
        self._busy = self._spent()

    @property
    def mebibytes(self) -> int:
        return max(0, self._read("VmHWM") - self._before) // _MIB

    @property
    def processor_seconds(self) -> float:
        """What the process was kept busy with since."""
        return self._spent() - self._busy

    def _spent(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _read(self, name: str) -> int:
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)


@contextmanager
def opened(folder: Path) -> Iterator[Scene]:
    """A network of two, one of them hostile."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    stage = Stage(folder / "stage", administrators=("bureau",))
    with stage.open():
        # What a Debian gives a program: a flood of connections must not eat what the database needs.
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, limit[1]), limit[1]))
        try:
            stage.found()
            profiles = cases.profiles(now=datetime.now(UTC))
            for name in ("helpline", "marseille"):
                stage.join(stage.house(name, profiles[name]))
            helpline = stage.houses["helpline"]
            honest, hostile = (member_of(stage, each) for each in stage.houses.values())
            stage.start(helpline)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        until(lambda: helpline.command("node", "status")["connected"], what="the helpline's connection")
        for name, data in (("root", hostile.membership.ca_certificate), ("certificate", hostile.certificate)):
            pem = x509.load_der_x509_certificate(data).public_bytes(Encoding.PEM)
            (folder / f"{name}.pem").write_bytes(pem)
        (folder / "key.pem").write_bytes(hostile.transport.pem)
        yield Scene(stage, helpline, honest, hostile, folder)


def member_of(stage: Stage, house: House) -> Member:
    """Its keys, from its own vault."""
    passphrase = (house.folder / "passphrase").read_text(encoding="utf-8").strip().encode()
    vault = Vault.open(house.data_dir / FILE, passphrase)
    with node_database(house.data_dir / DATABASE) as db:
        keys, transport = db.read_sync(lambda tx: open_keys(tx, vault))
    return Member(Membership.load(house.data_dir), keys, transport, (house.data_dir / CERTIFICATE).read_bytes())
