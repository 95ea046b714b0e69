"""An SMTP server that keeps what it gets, with a certificate of a test's own authority."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "MailServer", "free_port"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Signs certificates for a test."""

    def __init__(self, folder: Path, name: str = "test") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"authority {name}")
        self.path = folder / f"authority-{name}.pem"
        made = self._certificate(self._name, self._key, authority=True)
        self.path.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        return builder.sign(self._key, hashes.SHA256()) if authority else self._leaf(builder)

    def _leaf(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in self._hosts]
        if "localhost" in self._hosts:
            names.append(x509.IPAddress(ip_address("127.0.0.1")))
        return builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
            self._key, hashes.SHA256()
        )

    def context(self, *hosts: str) -> ssl.SSLContext:
        """A server's side, with a certificate for these names."""
        self._hosts = hosts
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(_name(hosts[0]), key, authority=False)
        path = self._folder / f"{hosts[0]}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@dataclass
class MailServer:
    """Keeps each message with its envelope. `unknown`: addresses that it takes no mail for."""

    port: int = field(default_factory=free_port)
    context: ssl.SSLContext | None = None
    from_the_first_byte: bool = False
    user: tuple[bytes, bytes] | None = None
    unknown: tuple[str, ...] = ()
    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    greeted: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_EHLO(  # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.greeted.append(hostname)
        return responses

    async def handle_RCPT(  # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return f"550 {address} is nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # aiosmtpd's name
        self.encrypted.append(session.ssl is not None or self.from_the_first_byte)
        self.taken.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return "250 taken"

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == self.user
        return AuthResult(success=right, handled=right)  # unhandled, the server says so itself

    @contextlib.contextmanager
    def running(self) -> Iterator[MailServer]:
        """Answers until the block ends."""
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": self.port}
        if self.from_the_first_byte:
            options["ssl_context"] = self.context
        elif self.context is not None:
            options |= {"tls_context": self.context, "require_starttls": True}
        if self.user is not None:
            options |= {"authenticator": self._authenticate, "auth_required": True}
            options |= {"auth_require_tls": not self.from_the_first_byte}
        controller = Controller(self, **options)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()
