"""What is flooded: a real directory and a real node, processes both; an honest member, and one that is hostile.

The hostile member was admitted like any other and has its keys; its own node does not run, for its attackers do.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cordee.ids import MemberId
from cordee.runtime.tls import TransportKey, server_name_of
from node.demo.stage import House, Stage, until
from node.directory_client import DirectoryClient
from node.house import Keys
from node.joining import CERTIFICATE, DATABASE, Membership, open_keys
from node.store.migrations import node_database
from node.vault import FILE, Vault
from tests.faults.floods.lines import Target
from tests.faults.founded import move_in
from tests.web.browsing import come_in

__all__ = ["Growth", "Member", "Scene", "opened", "self_signed"]

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
    own_mailbox: str

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

    def pages(self, **changes: Any) -> Target:
        """The helpline's pages, from another machine's address than the honest handlers'."""
        port = urlsplit(self.helpline.pages).port or 0
        root = str(self.pages_root)
        return Target(
            **{"port": port, "root": root, "name": "localhost", "h2": False, "source": "127.0.0.2", **changes}
        )

    def commands(self, **changes: Any) -> Target:
        """The helpline's unix socket, from a program that runs under the node's own account."""
        method = "/cordee.v1.Sessions/WhoAmI"
        return Target(**{"socket": str(self.helpline.socket), "method": method, "many": 4_000, **changes})

    def mailbox(self, **changes: Any) -> Target:
        """The helpline's own mailbox, as the hostile member."""
        return self._target(self.own_mailbox, own=True, name=server_name_of(self.honest.id), **changes)

    @property
    def pages_root(self) -> Path:
        """Whom browsers trust."""
        return self.folder / "pages.pem"

    @property
    def cookies(self) -> dict[str, str]:
        """Of somebody who is in."""
        return json.loads((self.folder / "cookies.json").read_text())

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
def opened(folder: Path, founded: Path) -> Iterator[Scene]:
    """A network of two, one of them hostile: a copy of the one that was founded."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    stage = Stage(folder / "stage", administrators=("bureau",))
    with stage.open():
        move_in(stage, founded)
        # What a Debian gives a program: a flood of connections must not eat what the database needs.
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, limit[1]), limit[1]))
        try:
            stage.directory.start()
            helpline = stage.houses["helpline"]
            honest, hostile = (member_of(stage, each) for each in stage.houses.values())
            mailbox = f"127.0.0.1:{_free_port()}"
            certificate, key = self_signed(folder)
            stage.start(
                helpline,
                CORDEE_NODE_MAILBOX_LISTEN=mailbox,
                CORDEE_NODE_MAILBOX_ENDPOINT=mailbox,
                CORDEE_NODE_PAGES_CERTIFICATE=str(certificate),
                CORDEE_NODE_PAGES_KEY=str(key),
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        stage.sign_in(helpline)
        until(lambda: helpline.command("node", "status")["connected"], what="the helpline's connection")
        for name, data in (("root", hostile.membership.ca_certificate), ("certificate", hostile.certificate)):
            pem = x509.load_der_x509_certificate(data).public_bytes(Encoding.PEM)
            (folder / f"{name}.pem").write_bytes(pem)
        (folder / "key.pem").write_bytes(hostile.transport.pem)
        trusted = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=helpline.pages, timeout=60, verify=trusted) as client:
            come_in(client, helpline)
            (folder / "cookies.json").write_text(json.dumps(dict(client.cookies)))
        yield Scene(stage, helpline, honest, hostile, folder, mailbox)


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Of the pages: signed by itself, for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "pages.pem").write_bytes(made.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "pages-key.pem").write_bytes(pem)
    return folder / "pages.pem", folder / "pages-key.pem"


def member_of(stage: Stage, house: House) -> Member:
    """Its keys, from its own vault."""
    passphrase = (house.folder / "passphrase").read_text(encoding="utf-8").strip().encode()
    vault = Vault.open(house.data_dir / FILE, passphrase)
    with node_database(house.data_dir / DATABASE) as db:
        keys, transport = db.read_sync(lambda tx: open_keys(tx, vault))
    return Member(Membership.load(house.data_dir), keys, transport, (house.data_dir / CERTIFICATE).read_bytes())
