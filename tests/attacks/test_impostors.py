"""Certificates that are not what they should be, at a real directory's two listeners and at a real node's end.

What stands elsewhere: a resumed TLS session after a suspension (tests/directory/test_suspending.py), TLS 1.3 without
the hybrid key exchange (tests/cordee/runtime/test_tls.py, with ordinary OpenSSL and a call).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cordee.errors import CordeeError, Unreachable
from cordee.runtime.interceptors import Gate
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.server import Server
from cordee.runtime.tls import DIRECTORY_NAME, CertificateAuthority, TransportKey, server_credentials
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from node.directory_client import DirectoryClient
from tests.directory.town import Node, Town
from tests.faults.tally import Row, count

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault]

_PEM = Encoding.PEM


@dataclass
class Door:
    """A directory with one member, and its real authority, so that what is wrong is one thing alone."""

    town: Town
    member: Node
    authority: CertificateAuthority

    @property
    def now(self) -> datetime:
        return self.town.clock.now()

    def chain(self, *certificates: bytes) -> bytes:
        return b"".join(x509.load_der_x509_certificate(each).public_bytes(_PEM) for each in certificates)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    town = Town.make(tmp_path_factory.mktemp("door"))
    async with town.open() as directory:
        await town.found()
        member = await town.join("Marseille")
        holdings = directory.authority._authorities
        yield Door(town, member, holdings.of(directory.authority._trusted()[0]))


def leaf(
    key: TransportKey,
    issuer: x509.Name,
    signed_by: TransportKey,
    *,
    now: datetime,
    names: list[x509.GeneralName] | None = None,
    usages: list[x509.ObjectIdentifier] | None = None,
    ca: bool = False,
    subject: x509.Name | None = None,
    days: tuple[int, int] = (-1, 60),
) -> bytes:
    """A certificate with whatever in it."""
    public = load_pem_private_key(key.pem, None)
    signer = load_pem_private_key(signed_by.pem, None)
    assert isinstance(public, ec.EllipticCurvePrivateKey)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or x509.Name([]))
        .issuer_name(issuer)
        .public_key(public.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cordée network")])
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def self_signed(door: Door) -> tuple[TransportKey, bytes]:
    key = TransportKey.generate()
    return key, door.chain(leaf(key, _NAME, key, now=door.now, subject=_NAME, usages=[_CLIENT]))


def issued_by_a_self_signed_one(door: Door) -> tuple[TransportKey, bytes]:
    key, own = TransportKey.generate(), TransportKey.generate()
    root = leaf(own, _NAME, own, now=door.now, subject=_NAME)
    return key, door.chain(leaf(key, _NAME, own, now=door.now, usages=[_CLIENT]), root)


def issued_by_the_member(door: Door) -> tuple[TransportKey, bytes]:
    key, issuer = TransportKey.generate(), x509.load_der_x509_certificate(door.member.certificate)
    made = leaf(key, issuer.subject, door.member.transport, now=door.now, usages=[_CLIENT])
    return key, door.chain(made, door.member.certificate)


def of_another_authority_with_the_members_key(door: Door) -> tuple[TransportKey, bytes]:
    other, key = CertificateAuthority.create(now=door.now), door.member.transport
    return key, door.chain(other.issue(key.request(), member=door.member.keys.id, now=door.now))


def of_a_key_on_no_card(door: Door) -> tuple[TransportKey, bytes]:
    key = TransportKey.generate()
    return key, door.chain(door.authority.issue(key.request(), member=door.member.keys.id, now=door.now))


def run_out(door: Door) -> tuple[TransportKey, bytes]:
    key, long_ago = door.member.transport, datetime.now(door.now.tzinfo) - timedelta(days=91)
    return key, door.chain(door.authority.issue(key.request(), member=door.member.keys.id, now=long_ago))


def not_yet(door: Door) -> tuple[TransportKey, bytes]:
    key, then = door.member.transport, datetime.now(door.now.tzinfo) + timedelta(days=2)
    return key, door.chain(door.authority.issue(key.request(), member=door.member.keys.id, now=then))


def for_servers_alone(door: Door) -> tuple[TransportKey, bytes]:
    key = door.member.transport
    return key, door.chain(door.authority.issue_server(key, now=door.now))


def the_directorys_own(door: Door) -> tuple[TransportKey, bytes]:
    """Stolen from nobody: it is shown in every handshake. Its key is not."""
    _, certificate = door.town.directory.authority.server_certificate()
    return TransportKey.generate(), door.chain(certificate)


def none_at_all(door: Door) -> tuple[None, None]:
    return None, None


IMPOSTORS: list[Callable[[Door], tuple[TransportKey | None, bytes | None]]] = [
    self_signed,
    issued_by_a_self_signed_one,
    issued_by_the_member,
    of_another_authority_with_the_members_key,
    of_a_key_on_no_card,
    run_out,
    not_yet,
    for_servers_alone,
    the_directorys_own,
    none_at_all,
]


async def asks(door: Door, key: TransportKey | None, chain: bytes | None) -> str:
    """What a caller with these gets: a size of the log, or a reason."""
    credentials = grpc.ssl_channel_credentials(door.chain(door.town.ca), key.pem if key else None, chain)
    options = [("grpc.ssl_target_name_override", DIRECTORY_NAME), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(door.town.listening.members, credentials, options=options) as line:
        try:
            with reaching("directory"):
                await directory_pb2_grpc.RosterStub(line).GetCheckpoint(pb.GetCheckpointRequest(), timeout=10)
        except CordeeError as refused:
            return refused.reason
    return "let in"


@pytest.mark.parametrize("impostor", IMPOSTORS, ids=lambda each: each.__name__)
async def test_nobody_but_the_member_with_its_certificate_gets_in(door: Door, impostor: Any) -> None:
    assert await asks(door, *impostor(door)) in ("UNREACHABLE", "NOT_A_MEMBER", "CERTIFICATE_EXPIRED")
    assert await asks(door, door.member.transport, door.chain(door.member.certificate)) == "let in"
    count(Row("impostor certificates", tries=1))


@pytest.mark.parametrize("listener", ["members", "front"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_1])
async def test_an_older_tls_gets_no_connection(door: Door, tmp_path: Path, listener: str, version: Any) -> None:
    (tmp_path / "root").write_bytes(door.chain(door.town.ca))
    (tmp_path / "key").write_bytes(door.member.transport.pem)
    (tmp_path / "certificate").write_bytes(door.chain(door.member.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tmp_path / "root")
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with contextlib.suppress(ValueError):
        context.minimum_version = version
    context.maximum_version = version
    host, _, port = getattr(door.town.listening, listener).rpartition(":")

    def shake() -> str:
        with socket.create_connection((host, int(port)), timeout=10) as line:
            try:
                with context.wrap_socket(line, server_hostname=DIRECTORY_NAME) as secure:
                    return f"{secure.version()} {secure.cipher()}"
            except (ssl.SSLError, OSError):
                return "refused"

    assert await asyncio.to_thread(shake) == "refused"
    count(Row("impostor certificates", tries=1))


@pytest.mark.parametrize(("first", "late"), [("import cordee.runtime", False), ("import grpc", True)])
async def test_whether_grpc_came_too_early_is_known(first: str, late: bool) -> None:
    """It reads which TLS it may speak when it is imported; the command imports `cordee.runtime` before all else."""
    program = f"{first}\nimport cordee.runtime, grpc\nprint(cordee.runtime.LATE)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(late)


# ---- and the other way: who poses as the directory ----


def by_a_stranger(door: Door, key: TransportKey) -> bytes:
    return CertificateAuthority.create(now=door.now).issue_server(key, names=["127.0.0.1"], now=door.now)


def by_itself(door: Door, key: TransportKey) -> bytes:
    return leaf(key, _NAME, key, now=door.now, subject=_NAME, names=[x509.DNSName(DIRECTORY_NAME)], usages=[_SERVER])


def a_members(door: Door, key: TransportKey) -> bytes:
    return door.authority.issue(key.request(), member=door.member.keys.id, now=door.now)


def the_directorys_but_long_ago(door: Door, key: TransportKey) -> bytes:
    return door.authority.issue_server(key, now=datetime.now(door.now.tzinfo) - timedelta(days=200))


@pytest.mark.parametrize("pose", [by_a_stranger, by_itself, a_members, the_directorys_but_long_ago])
async def test_a_node_asks_nothing_of_a_machine_that_is_not_the_directory(door: Door, pose: Any) -> None:
    asked = []

    class Poses(directory_pb2_grpc.RosterServicer):
        async def GetCheckpoint(self, request: Any, context: Any) -> Any:
            asked.append(request)
            return pb.GetCheckpointResponse()

    key = TransportKey.generate()
    server = Server(Gate(guard=None, limits=None))
    server.add(pb.DESCRIPTOR.services_by_name["Roster"], directory_pb2_grpc.add_RosterServicer_to_server, Poses())
    credentials = server_credentials(key=key, certificate=pose(door, key), root=None)
    port = server.listen("127.0.0.1:0", credentials)
    await server.start()
    client = DirectoryClient(
        f"127.0.0.1:{port}", root=door.town.ca, key=door.member.transport, certificate=door.member.certificate
    )
    try:
        with pytest.raises(Unreachable):
            await client.checkpoint()
    finally:
        await client.close()
        await server.stop(0)
    assert not asked
    count(Row("impostor certificates", tries=1))
