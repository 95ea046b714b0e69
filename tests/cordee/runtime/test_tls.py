from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from grpc._cython import cygrpc

from cordee.errors import CertificateExpired, MalformedKey, MemberIsSuspended, NotAMember, Unreachable, WeakConnection
from cordee.ids import MemberId
from cordee.runtime import tls
from cordee.runtime.guard import StrongConnection, caller
from cordee.runtime.rpc_errors import from_rpc_error, reaching
from cordee.v1 import directory_pb2, directory_pb2_grpc


async def who(_: Any, context: Any) -> str:
    return caller(context).member.hex()


def test_leaves_are_for_one_key_and_ninety_days(network: Any) -> None:
    client = network.enrol(1)
    certificate = x509.load_der_x509_certificate(client.certificate)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.not_valid_after_utc - network.now == timedelta(days=90)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://cordee/member/{'01' * 16}"]
    assert tls.spki_digest(client.certificate) == client.key.digest == tls.spki_digest_of_request(client.key.request())


def test_the_authority_signs_leaves_only(network: Any) -> None:
    authority = x509.load_der_x509_certificate(network.root)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca
    assert constraints.value.path_length == 0


def test_the_authority_can_be_kept_under_a_passphrase(network: Any) -> None:
    pem = network.authority.key_pem(b"phrase")
    again = tls.CertificateAuthority.load(pem, network.root, passphrase=b"phrase")
    assert again.certificate == network.root
    with pytest.raises(MalformedKey):
        tls.CertificateAuthority.load(pem, network.root, passphrase=b"other")
    with pytest.raises(MalformedKey):
        tls.CertificateAuthority.load(
            network.authority.key_pem(), tls.CertificateAuthority.create(now=network.now).certificate
        )


def request_by(key: Any, algorithm: Any) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"not a request",
        request_by(ed25519.Ed25519PrivateKey.generate(), None),
        request_by(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
        tls.TransportKey.generate().request()[:-4] + b"\0\0\0\0",
    ],
    ids=["empty", "junk", "ed25519", "p384", "bad signature"],
)
def test_a_request_without_a_key_of_ours_is_refused(network: Any, request_bytes: bytes) -> None:
    with pytest.raises(MalformedKey):
        network.authority.issue(request_bytes, member=MemberId(bytes(16)), now=network.now)


async def test_a_member_is_known_by_its_key(hosting: Any, network: Any, submit_request: Any) -> None:
    port = await hosting.echo(who)
    for number in (1, 2):
        stub = await hosting.broker(network.enrol(number), port)
        assert (await stub.Submit(submit_request())).state == bytes([number] * 16).hex()


async def test_a_key_on_no_card_is_no_member(hosting: Any, network: Any, submit_request: Any) -> None:
    stranger = network.enrol(3)
    network.cards.clear()
    stub = await hosting.broker(stranger, await hosting.echo(who))
    with pytest.raises(NotAMember), reaching("directory"):
        await stub.Submit(submit_request())


async def test_a_member_whose_certificate_names_another_is_still_itself(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    victim = network.enrol(1)
    cheat = network.enrol(2)
    cheat.certificate = network.authority.issue(cheat.key.request(), member=victim.member, now=network.now)
    stub = await hosting.broker(cheat, await hosting.echo(who))
    assert (await stub.Submit(submit_request())).state == cheat.member.hex()


async def test_a_certificate_of_another_authority_gets_no_connection(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    client = network.enrol(1)
    other = tls.CertificateAuthority.create(now=network.now)
    client.certificate = other.issue(client.key.request(), member=client.member, now=network.now)
    stub = await hosting.broker(client, await hosting.echo(who))
    with pytest.raises(Unreachable), reaching("directory"):
        await stub.Submit(submit_request(), timeout=5)


async def test_a_members_certificate_cannot_issue_others(hosting: Any, network: Any, submit_request: Any) -> None:
    member = network.enrol(1)
    forged = network.enrol(2)
    issuer = x509.load_der_x509_certificate(member.certificate)
    key = serialization.load_pem_private_key(member.key.pem, None)
    leaf = x509.load_der_x509_certificate(forged.certificate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(issuer.subject)
        .public_key(leaf.public_key())
        .serial_number(7)
        .not_valid_before(network.now)
        .not_valid_after(network.now + timedelta(days=1))
    )
    for extension in leaf.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    pem = serialization.Encoding.PEM
    chain = builder.sign(key, hashes.SHA256()).public_bytes(pem) + issuer.public_bytes(pem)
    credentials = grpc.ssl_channel_credentials(
        x509.load_der_x509_certificate(network.root).public_bytes(pem), forged.key.pem, chain
    )
    port = await hosting.echo(who)
    options = [("grpc.ssl_target_name_override", tls.DIRECTORY_NAME)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        call = channel.unary_unary("/cordee.v1.Broker/Submit")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call(submit_request().SerializeToString(), timeout=5)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_trusts_its_own_network_only(hosting: Any, network: Any, submit_request: Any) -> None:
    client = network.enrol(1)
    client.root = tls.CertificateAuthority.create(now=network.now).certificate
    stub = await hosting.broker(client, await hosting.echo(who))
    with pytest.raises(Unreachable), reaching("directory"):
        await stub.Submit(submit_request(), timeout=5)


async def test_a_member_cannot_pose_as_the_directory(hosting: Any, network: Any, submit_request: Any) -> None:
    client, cheat = network.enrol(1), network.enrol(2)
    network.directory_key, network.directory_certificate = cheat.key, cheat.certificate
    port = await hosting.echo(who)
    stub = await hosting.broker(client, port)
    with pytest.raises(Unreachable), reaching("directory"):
        await stub.Submit(submit_request(), timeout=5)
    own_name = await hosting.broker(client, port, server_name=tls.server_name_of(cheat.member))
    assert (await own_name.Submit(submit_request())).state == client.member.hex()


async def test_a_suspended_member_is_refused_on_the_connection_it_has(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    client = network.enrol(1)
    stub = await hosting.broker(client, await hosting.echo(who))
    await stub.Submit(submit_request())
    network.suspend(client)
    with pytest.raises(MemberIsSuspended), reaching("directory"):
        await stub.Submit(submit_request())


async def test_a_suspended_member_loses_its_open_streams(hosting: Any, network: Any) -> None:
    ended = asyncio.Event()

    async def watch(_: Any, __: Any) -> Any:
        try:
            yield directory_pb2.Event(sequence=1)
            await asyncio.sleep(60)
        finally:
            ended.set()

    port = await hosting.watch(watch)
    suspended, other = network.enrol(1), network.enrol(2)
    streams = []
    for client in (suspended, other):
        stub = await hosting.events(client, port)
        stream = stub.Watch(directory_pb2.WatchRequest())
        assert (await stream.read()).sequence == 1
        streams.append(stream)
    network.suspend(suspended)
    await network.guard.revoke(suspended.member)
    with pytest.raises(NotAMember), reaching("directory"):
        await streams[0].read()
    await asyncio.wait_for(ended.wait(), 1)
    assert not streams[1].done()


async def test_an_expired_certificate_is_refused_on_a_connection_older_than_its_end(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    stub = await hosting.broker(network.enrol(1), await hosting.echo(who))
    await stub.Submit(submit_request())
    network.clock.advance(timedelta(days=91))
    with pytest.raises(CertificateExpired), reaching("directory"):
        await stub.Submit(submit_request())


class Rotating:
    """The directory's certificate as `fetch` gives it at each handshake."""

    def __init__(self, network: Any) -> None:
        self.present: Any = (network.directory_key, network.directory_certificate)
        self.credentials = tls.rotating_server_credentials(self.fetch, root=network.root)

    def fetch(self) -> Any:
        if isinstance(self.present, Exception):
            raise self.present
        return self.present


async def served_certificate(port: int, context: ssl.SSLContext) -> bytes:
    connection = await raw_tls(port, context)
    certificate = connection.getpeercert(binary_form=True)
    connection.close()
    assert certificate is not None
    return certificate


async def test_a_renewed_server_certificate_is_used_without_a_restart(
    hosting: Any, network: Any, tmp_path: Path
) -> None:
    rotating = Rotating(network)
    port = await hosting.echo(who, credentials=rotating.credentials)
    context = plain_context(network.enrol(1), tmp_path, network)
    assert await served_certificate(port, context) == network.directory_certificate
    renewed = network.authority.issue_server(network.directory_key, now=network.now)
    rotating.present = (network.directory_key, renewed)
    assert await served_certificate(port, context) == renewed


async def test_where_the_certificate_cannot_be_fetched_nobody_gets_in(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    rotating = Rotating(network)
    port = await hosting.echo(who, credentials=rotating.credentials)
    fine, rotating.present = rotating.present, OSError("no file")
    refused = await hosting.broker(network.enrol(1), port)
    with pytest.raises(Unreachable), reaching("directory"):
        await refused.Submit(submit_request(), timeout=5)
    rotating.present = fine
    again = await hosting.broker(network.enrol(2), port)
    assert (await again.Submit(submit_request(), timeout=5)).state == "02" * 16


async def test_a_resumed_session_proves_nothing_about_today(hosting: Any, network: Any, submit_request: Any) -> None:
    resumed = []

    async def answer(_: Any, context: Any) -> str:
        resumed.append(context.auth_context()["ssl_session_reused"])
        return ""

    client = network.enrol(1)
    port = await hosting.echo(answer)
    cache = ("grpc.ssl_session_cache", cygrpc.SSLSessionCacheLRU(4))
    name = ("grpc.ssl_target_name_override", tls.DIRECTORY_NAME)
    local = ("grpc.use_local_subchannel_pool", 1)
    pem = serialization.Encoding.PEM
    credentials = grpc.ssl_channel_credentials(
        x509.load_der_x509_certificate(network.root).public_bytes(pem),
        client.key.pem,
        x509.load_der_x509_certificate(client.certificate).public_bytes(pem),
    )

    async def call() -> None:
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=[cache, name, local]) as channel:
            with reaching("directory"):
                await channel.unary_unary("/cordee.v1.Broker/Submit")(submit_request().SerializeToString(), timeout=5)

    await call()
    await call()
    assert resumed == [[b"false"], [b"true"]]
    network.suspend(client)
    with pytest.raises(MemberIsSuspended):
        await call()


async def raw_tls(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    def connect() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=5)
        return context.wrap_socket(plain, server_hostname=tls.DIRECTORY_NAME)

    return await asyncio.to_thread(connect)


def plain_context(client: Any, folder: Path, network: Any) -> ssl.SSLContext:
    """OpenSSL without the hybrid key exchange: what an ordinary program would use."""
    pem = serialization.Encoding.PEM
    (folder / "root").write_bytes(x509.load_der_x509_certificate(network.root).public_bytes(pem))
    (folder / "key").write_bytes(client.key.pem)
    (folder / "certificate").write_bytes(x509.load_der_x509_certificate(client.certificate).public_bytes(pem))
    context = ssl.create_default_context(cafile=str(folder / "root"))
    context.load_cert_chain(folder / "certificate", folder / "key")
    context.set_alpn_protocols(["h2"])
    return context


async def test_tls_1_2_gets_no_connection(hosting: Any, network: Any, tmp_path: Path) -> None:
    port = await hosting.echo(who)
    context = plain_context(network.enrol(1), tmp_path, network)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        await raw_tls(port, context)


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def h2_literal(name: str, value: str) -> bytes:
    """RFC 7541 §6.2.2: a literal header field without indexing, new name, no Huffman coding."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def h2_call(path: str, message: bytes) -> bytes:
    headers = b"".join(
        h2_literal(name, value)
        for name, value in {
            ":method": "POST",
            ":scheme": "https",
            ":path": path,
            ":authority": tls.DIRECTORY_NAME,
            "te": "trailers",
            "content-type": "application/grpc",
        }.items()
    )
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + h2_frame(4, 0, 0, b"")  # SETTINGS
        + h2_frame(1, 4, 1, headers)  # HEADERS, END_HEADERS
        + h2_frame(0, 1, 1, body)  # DATA, END_STREAM
    )


@pytest.mark.parametrize("front", [False, True], ids=["members", "front"])
async def test_tls_1_3_without_the_hybrid_exchange_is_refused_at_the_first_call(
    hosting: Any, network: Any, tmp_path: Path, submit_request: Any, front: bool
) -> None:
    reached = []

    async def answer(_: Any, __: Any) -> str:
        reached.append(1)
        return ""

    port = await hosting.echo(answer, guard=StrongConnection() if front else None)
    connection = await raw_tls(port, plain_context(network.enrol(1), tmp_path, network))
    assert connection.version() == "TLSv1.3"

    def call() -> bytes:
        connection.sendall(h2_call("/cordee.v1.Broker/Submit", submit_request().SerializeToString()))
        received = b""
        connection.settimeout(5)
        while b"grpc-status" not in received:
            received += connection.recv(65536)
        connection.close()
        return received

    received = await asyncio.to_thread(call)
    assert WeakConnection.reason.encode() in received
    assert not reached


async def test_the_front_listener_needs_no_client_certificate_and_knows_nobody(
    hosting: Any, network: Any, submit_request: Any
) -> None:
    port = await hosting.echo(
        who,
        guard=StrongConnection(),
        credentials=tls.server_credentials(
            key=network.directory_key, certificate=network.directory_certificate, root=None
        ),
    )
    async with tls.channel(f"127.0.0.1:{port}", root=network.root) as channel:
        stub = directory_pb2_grpc.BrokerStub(channel)
        with pytest.raises(NotAMember), reaching("directory"):  # the servicer's own question who is calling
            await stub.Submit(submit_request())


async def test_the_members_listener_needs_a_client_certificate(hosting: Any, network: Any, submit_request: Any) -> None:
    port = await hosting.echo(who)
    async with tls.channel(f"127.0.0.1:{port}", root=network.root) as channel:
        with pytest.raises(Unreachable), reaching("directory"):
            await directory_pb2_grpc.BrokerStub(channel).Submit(submit_request(), timeout=5)


async def test_plain_text_gets_no_answer(hosting: Any, submit_request: Any) -> None:
    port = await hosting.echo(who)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary("/cordee.v1.Broker/Submit")(submit_request().SerializeToString(), timeout=5)
    assert isinstance(from_rpc_error(refusal.value), Unreachable)
