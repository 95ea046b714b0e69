"""TLS sessions that a test resumes on purpose: by ordinary OpenSSL, which tells, and by gRPC, which does not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cordee.runtime import tls
from cordee.runtime.tls import TransportKey

__all__ = ["plain_context", "resuming_channel", "shake_hands"]


def plain_context(root: bytes, key: TransportKey, certificate: bytes, folder: Path) -> ssl.SSLContext:
    """A client of ordinary OpenSSL with a member's certificate. It can shake hands; calls need the hybrid exchange."""
    (folder / "root").write_bytes(_pem(root))
    (folder / "key").write_bytes(key.pem)
    (folder / "certificate").write_bytes(_pem(certificate))
    context = ssl.create_default_context(cafile=str(folder / "root"))
    context.load_cert_chain(folder / "certificate", folder / "key")
    context.set_alpn_protocols(["h2"])
    return context


async def shake_hands(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None, *, server_name: str = tls.DIRECTORY_NAME
) -> tuple[bool, ssl.SSLSession]:
    """Whether the session was resumed, and the one to resume next."""

    def connect() -> tuple[bool, ssl.SSLSession]:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as line,
            context.wrap_socket(line, server_hostname=server_name, session=session) as secure,
        ):
            secure.recv(1)  # a ticket comes before the server's first frame
            assert secure.session is not None
            return bool(secure.session_reused), secure.session

    return await asyncio.to_thread(connect)


def resuming_channel(
    target: str,
    root: bytes,
    key: TransportKey,
    certificate: bytes,
    *,
    cache: Any,
    server_name: str = tls.DIRECTORY_NAME,
) -> grpc.aio.Channel:
    """A channel that resumes what `cache` (SSLSessionCacheLRU) kept of those before; ours never do."""
    credentials = grpc.ssl_channel_credentials(_pem(root), key.pem, _pem(certificate))
    options: list[Any] = [
        ("grpc.ssl_session_cache", cache),
        ("grpc.ssl_target_name_override", server_name),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.aio.secure_channel(target, credentials, options=options)


def _pem(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
