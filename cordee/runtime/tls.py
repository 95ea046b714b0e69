"""The network's certificates and the credentials made from them (protocol §2, transport).

Leaves are ECDSA P-256: gRPC accepts no Ed25519 or ML-DSA leaf. Who is calling is decided by the SHA-256 of the
certificate's public key, never by a name in it: names only tell servers apart.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import grpc
import grpc.aio
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cordee.errors import N_, MalformedKey
from cordee.ids import Digest, MemberId
from cordee.runtime import ONLY_TLS_1_3
from cordee.runtime.memory import WINDOW

__all__ = [
    "CLIENT_OPTIONS",
    "DIRECTORY_NAME",
    "LEAF_LIFE",
    "ONLY_TLS_1_3",
    "CertificateAuthority",
    "TransportKey",
    "bundle_of",
    "certificates_in",
    "channel",
    "issued_by",
    "rotating_server_credentials",
    "server_credentials",
    "server_name_of",
    "spki_digest",
    "spki_digest_of_request",
]

DIRECTORY_NAME = "cordee-directory"
LEAF_LIFE = timedelta(days=90)
_CA_LIFE = timedelta(days=20 * 365)
_CLOCK_SKEW = timedelta(minutes=5)

_KIB = 1024
MAX_MESSAGE = 1088 * _KIB
_OVERHEAD = 64 * _KIB

CLIENT_OPTIONS: tuple[tuple[str, int], ...] = (
    *WINDOW,
    ("grpc.enable_retries", 0),  # whoever may repeat a call does so knowingly
    ("grpc.max_receive_message_length", MAX_MESSAGE + _OVERHEAD),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # without it a mute peer is noticed after a minute only
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 30_000),
    ("grpc.use_local_subchannel_pool", 1),  # never share a connection with a channel of another identity
)


class TransportKey:
    """A P-256 key for TLS: a node's or the directory's."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> Self:
        """A new key. The library draws the randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read what `pem` gave. Raises: MalformedKey."""
        return cls(_load_key(pem, None))

    @property
    def pem(self) -> bytes:
        """PKCS #8, not encrypted: for a file that only its owner can read, and for gRPC."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def digest(self) -> Digest:
        """What stands on the member's card."""
        return _digest(self._key.public_key())

    def request(self) -> bytes:
        """A certificate request (PKCS #10, DER). It names nobody: the authority decides whose key it is."""
        return (
            x509.CertificateSigningRequestBuilder(x509.Name([]))
            .sign(self._key, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )


class CertificateAuthority:
    """The network's CA: one P-256 key that signs leaves and nothing else."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        if _digest(key.public_key()) != _digest(certificate.public_key()):
            raise MalformedKey(what=N_("certificate authority: key and certificate do not belong together"))
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, *, now: datetime) -> Self:
        """Make a new authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cordée network")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, key_pem: bytes, certificate: bytes, *, passphrase: bytes | None = None) -> Self:
        """Read what `key_pem` and `certificate` gave. Raises: MalformedKey."""
        return cls(_load_key(key_pem, passphrase), _load_certificate(certificate))

    @property
    def certificate(self) -> bytes:
        """The CA's own certificate, DER: what `channel` pins and the genesis names."""
        return self._certificate.public_bytes(Encoding.DER)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """The key as PKCS #8, encrypted if there is a passphrase."""
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def issue(self, request: bytes, *, member: MemberId, now: datetime) -> bytes:
        """A member's certificate (DER) for the key of a certificate request, valid for 90 days.

        Nothing of the request but its key is used. It is good for calling, and for hosting the member's own mailbox
        under `server_name_of(member)`.

        Raises: MalformedKey if the request is not signed by a P-256 key of its own.
        """
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(f"spiffe://cordee/member/{member.hex()}"),
            x509.DNSName(server_name_of(member)),
        ]
        return self._leaf(_key_of_request(request), names, (_CLIENT, _SERVER), now)

    def issue_server(self, key: TransportKey, *, names: Sequence[str] = (), now: datetime) -> bytes:
        """The directory's own certificate (DER): for `cordee-directory` and the host names or addresses given."""
        everything = [_general_name(name) for name in dict.fromkeys((DIRECTORY_NAME, *names))]
        return self._leaf(_load_key(key.pem, None).public_key(), everything, (_SERVER,), now)

    def _leaf(
        self,
        key: ec.EllipticCurvePublicKey,
        names: Sequence[x509.GeneralName],
        usages: Collection[x509.ObjectIdentifier],
        now: datetime,
    ) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
            .add_extension(
                x509.SubjectAlternativeName(names), critical=True
            )  # the subject is empty (RFC 5280 §4.1.2.6)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )


def server_name_of(member: MemberId) -> str:
    """The name under which a member's own mailbox answers."""
    return f"{member.hex()}.member.cordee"


def spki_digest(certificate: bytes) -> Digest:
    """SHA-256 of a certificate's SubjectPublicKeyInfo. Takes DER or PEM. Raises: MalformedKey."""
    return _digest(_load_certificate(certificate).public_key())


def spki_digest_of_request(request: bytes) -> Digest:
    """SHA-256 of the public key in a certificate request (DER), once its signature is checked. Raises: MalformedKey."""
    return _digest(_key_of_request(request))


def server_credentials(*, key: TransportKey, certificate: bytes, root: bytes | None) -> grpc.ServerCredentials:
    """Credentials of a listener. With `root` (DER), only clients with a certificate of that CA get in."""
    return rotating_server_credentials(lambda: (key, certificate), root=root)


def rotating_server_credentials(
    fetch: Callable[[], tuple[TransportKey, bytes]],
    *,
    root: bytes | Callable[[], bytes] | None,
    sessions: Callable[[], int] = lambda: 0,
    came: Callable[[], None] = lambda: None,
) -> grpc.ServerCredentials:
    """As `server_credentials`, but `fetch` is asked at every handshake, so that a renewed certificate is used at once.
    So is `root`, where it is no certificate but says which. Once the number that `sessions` gives is another, no TLS
    session from before is resumed: gRPC resumes one without a look at the client's certificate. `came` hears of each
    handshake, from a thread of gRPC's.

    Where one of them fails, nobody gets in: gRPC itself would go on with the old certificates, failing open.
    """
    made: list[tuple[tuple[bytes, bytes | None, int], grpc.ServerCertificateConfiguration]] = []

    def configuration() -> grpc.ServerCertificateConfiguration | None:
        key, certificate = fetch()
        trusted = root() if callable(root) else root
        wanted = certificate, trusted, sessions()
        if made and made[0][0] == wanted:
            return None  # unchanged: a fresh configuration at each handshake is costly
        authority = _pem(trusted) if trusted is not None else None
        made[:] = [(wanted, _configuration(key, certificate, authority))]
        return made[0][1]

    initial = configuration()
    if initial is None:  # cannot happen on the first call
        raise RuntimeError("no certificate")

    nobody = _nobody()

    def fetcher() -> grpc.ServerCertificateConfiguration | None:
        try:
            came()
            return configuration()
        except Exception:  # whatever it was, gRPC must not fall back on what it has
            made.clear()
            return nobody

    return grpc.dynamic_ssl_server_credentials(
        initial,
        fetcher,  # type: ignore[arg-type]  # the stubs forget that None means "unchanged"
        require_client_authentication=root is not None,
    )


def channel(
    target: str,
    *,
    root: bytes,
    key: TransportKey | None = None,
    certificate: bytes | None = None,
    server_name: str = DIRECTORY_NAME,
    max_receive: int = MAX_MESSAGE + _OVERHEAD,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """A channel to `target` ("host:port") that trusts the CA `root` (DER, or several, see `bundle_of`) and no other.

    The server must be certified for `server_name`, wherever it runs. `key` and `certificate` (DER) say who is calling.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(root),
        private_key=key.pem if key is not None else None,
        certificate_chain=_pem(certificate) if certificate is not None else None,
    )
    options: list[tuple[str, int | str]] = [
        (name, value) for name, value in CLIENT_OPTIONS if name != "grpc.max_receive_message_length"
    ]
    options.append(("grpc.max_receive_message_length", max_receive))
    options.append(("grpc.ssl_target_name_override", server_name))
    return grpc.aio.secure_channel(target, credentials, options=options, interceptors=list(interceptors))


# ---- in this file only ----

_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH


def _digest(key: object) -> Digest:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise MalformedKey(what=N_("P-256 key"))
    return Digest(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest())


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load_key(pem: bytes, passphrase: bytes | None) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError):
        raise MalformedKey(what=N_("private key, or the passphrase is wrong")) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedKey(what=N_("P-256 key"))
    return key


def _load_certificate(certificate: bytes) -> x509.Certificate:
    try:
        if certificate.startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(certificate)
        return x509.load_der_x509_certificate(certificate)
    except ValueError:
        raise MalformedKey(what=N_("certificate")) from None


def _key_of_request(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        parsed = x509.load_der_x509_csr(request)
        key = parsed.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise MalformedKey(what=N_("certificate request"))
        algorithm = parsed.signature_hash_algorithm
        if algorithm is None:
            raise MalformedKey(what=N_("certificate request"))
        key.verify(parsed.signature, parsed.tbs_certrequest_bytes, ec.ECDSA(algorithm))
    except (ValueError, InvalidSignature):
        raise MalformedKey(what=N_("certificate request")) from None
    return key


def bundle_of(certificates: Iterable[bytes]) -> bytes:
    """Certificates (DER) one after the other, in one order: what is trusted while a CA is exchanged."""
    return b"".join(sorted(set(certificates)))


def certificates_in(bundle: bytes) -> list[bytes]:
    """The certificates (DER) of a bundle; one alone is a bundle of one. Raises: MalformedKey."""
    found = []
    while bundle:
        size = _der_size(bundle)
        found.append(bundle[:size])
        bundle = bundle[size:]
    return found


def _der_size(data: bytes) -> int:
    """Bytes of the SEQUENCE that data begins with (X.690 §8.1.3). Raises: MalformedKey."""
    if len(data) < 4 or data[0] != 0x30:
        raise MalformedKey(what=N_("certificate"))
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    length = int.from_bytes(data[2 : 2 + octets]) if octets else data[1]
    size = 2 + octets + length
    if octets > 3 or size > len(data):
        raise MalformedKey(what=N_("certificate"))
    return size


def issued_by(certificate: bytes, authority: bytes) -> bool:
    """Whether a certificate (DER) bears the signature of a CA (DER). Raises: MalformedKey."""
    try:
        _load_certificate(certificate).verify_directly_issued_by(_load_certificate(authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(bundle: bytes) -> bytes:
    if bundle.startswith(b"-----BEGIN"):
        return _load_certificate(bundle).public_bytes(Encoding.PEM)
    return b"".join(_load_certificate(each).public_bytes(Encoding.PEM) for each in certificates_in(bundle))


def _configuration(
    key: TransportKey, certificate: bytes, authority: bytes | None
) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(key.pem, _pem(certificate))], root_certificates=authority)


def _nobody() -> grpc.ServerCertificateConfiguration:
    """A configuration that no client accepts, and that accepts no client: an authority made and thrown away here."""
    # The certificate's own times do not matter: nobody trusts its issuer.
    stranger = CertificateAuthority.create(now=datetime.fromtimestamp(0, tz=UTC))
    key = TransportKey.generate()
    certificate = stranger.issue_server(key, now=datetime.fromtimestamp(0, tz=UTC))
    return _configuration(key, certificate, _pem(stranger.certificate))
