"""Certificates for the peers, of the same kind as the network's own: P-256 leaves of a fresh authority."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cordee.ids import MemberId
from cordee.runtime.tls import CertificateAuthority, TransportKey

__all__ = ["write_certificates"]


def write_certificates(folder: Path, *, clients: tuple[str, ...] = ("client",)) -> dict[str, MemberId]:
    """ca, server and each client: NAME.der and NAME.pem, and the keys NAME.key (0600). Gives each client's member."""
    now = datetime.now(UTC)
    authority = CertificateAuthority.create(now=now)
    keys = {name: TransportKey.generate() for name in ("server", *clients)}
    members = {name: MemberId(os.urandom(MemberId.length)) for name in clients}
    issued = {
        "ca": authority.certificate,
        "server": authority.issue_server(keys["server"], names=["127.0.0.1"], now=now),
    }
    for name, member in members.items():
        issued[name] = authority.issue(keys[name].request(), member=member, now=now)
    for name, certificate in issued.items():
        (folder / f"{name}.der").write_bytes(certificate)
        (folder / f"{name}.pem").write_bytes(x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))
    for name, key in keys.items():
        path = folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(key.pem)
    return members
