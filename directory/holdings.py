"""The keys that the directory signs and certifies with, as they come and go: of its log, and the network's CAs.

`cordee directory rotate-key` and `rotate-ca` make the next one beside a directory that runs; administrators sign an
entry that names it; from that entry on it is used. An entry that names a key which is not here is refused, for the
directory could not go on. A key that the log says was replaced is erased: of the log at once, for whoever finds it
could deceive a node that was away; of a CA once it is trusted no more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cordee.errors import N_, InvalidInput, NotFound
from cordee.ids import Digest
from cordee.members import Roster, authority_digest
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.tls import CertificateAuthority
from cordee.signing import SigningKey, SigningPublicKey, parse_message
from cordee.v1 import statements_pb2 as v1
from directory.files import read_whole, write_new

__all__ = ["Authorities", "LogKeys", "require_held"]

BEFORE_ERASING = register("directory.log_key.before_erasing")

_LOG, _CA = "log", "ca"
_KEY, _CERTIFICATE = ".key", ".der"


class LogKeys:
    """The keys of the log: `log.key` from the founding, `log-….key` for each later one."""

    def __init__(self, folder: Path, crashpoints: Crashpoints | None = None) -> None:
        self._folder = folder
        self._crashpoints = crashpoints or Crashpoints()

    def held(self) -> dict[SigningPublicKey, Path]:
        """Every key that is here."""
        paths = [self._folder / f"{_LOG}{_KEY}", *sorted(self._folder.glob(f"{_LOG}-*{_KEY}"))]
        return {SigningKey.from_seed(read_whole(path)).public: path for path in paths if path.exists()}

    def of(self, public: SigningPublicKey) -> SigningKey:
        """The private half. Raises: NotFound."""
        path = self.held().get(public)
        if path is None:
            raise NotFound(what=N_("key of the roster log"))
        return SigningKey.from_seed(read_whole(path))

    def make(self, random: Callable[[int], bytes], roster: Roster) -> SigningPublicKey:
        """The next key: one that was made and never named by the log, or a new one."""
        for public in self.held():
            if public.key_id not in roster.used_keys:
                return public
        made = SigningKey.generate(random)
        write_new(self._folder / f"{_LOG}-{made.public.key_id.hex()[:16]}{_KEY}", made.seed)
        return made.public

    def forget(self, roster: Roster) -> None:
        """Erase those that the log has replaced."""
        for public, path in self.held().items():
            if public != roster.directory_key and public.key_id in roster.used_keys:
                self._crashpoints.reach(BEFORE_ERASING)
                path.unlink(missing_ok=True)


class Authorities:
    """The CAs: the founding's `ca.key`, and `ca-….key` with `ca-….der` for each later one."""

    def __init__(self, folder: Path, founding_certificate: bytes) -> None:
        self._folder = folder
        self._founding = founding_certificate
        self._known: dict[Digest, CertificateAuthority] = {}

    def certificates(self) -> dict[Digest, bytes]:
        """Every certificate that is here, also of CAs whose key is erased."""
        found = [self._founding, *(read_whole(path) for path in self._folder.glob(f"{_CA}-*{_CERTIFICATE}"))]
        return {authority_digest(each): each for each in found}

    def of(self, digest: Digest) -> CertificateAuthority:
        """The CA with its key. Raises: NotFound."""
        if digest not in self._known:
            certificate, key = self.certificates().get(digest), self._key_of(digest)
            if certificate is None or not key.exists():
                raise NotFound(what=N_("key of the certification authority"))
            self._known[digest] = CertificateAuthority.load(read_whole(key), certificate)
        return self._known[digest]

    def in_use(self) -> tuple[Digest, ...]:
        """Those that were trusted when this was last asked, the founding's last: for a log that does not say."""
        here = [digest for digest in self.certificates() if self._key_of(digest).exists()]
        used = [digest for digest in here if self._used(digest).exists()]
        return tuple(sorted(used or here, key=lambda digest: digest == authority_digest(self._founding)))

    def make(self, now: datetime, trusted: tuple[Digest, ...]) -> bytes:
        """The certificate (DER) of the next CA: one that was made and is not `trusted` yet, or a new one."""
        for digest, certificate in self.certificates().items():
            if digest not in trusted and self._key_of(digest).exists() and not self._used(digest).exists():
                return certificate
        made = CertificateAuthority.create(now=now)
        digest = authority_digest(made.certificate)
        write_new(self._key_of(digest), made.key_pem())
        write_new(self._key_of(digest).with_suffix(_CERTIFICATE), made.certificate, mode=0o644)  # last: both are there
        return made.certificate

    def forget(self, trusted: tuple[Digest, ...]) -> None:
        """Erase the keys of those that were trusted and are no more; which were is remembered beside them."""
        for digest in self.certificates():
            if digest in trusted:
                self._used(digest).touch(mode=0o600)
            elif self._used(digest).exists():
                self._known.pop(digest, None)
                self._key_of(digest).unlink(missing_ok=True)

    def _used(self, digest: Digest) -> Path:
        """Is there once the CA was trusted."""
        return self._key_of(digest).with_suffix(".used")

    def _key_of(self, digest: Digest) -> Path:
        if digest == authority_digest(self._founding):
            return self._folder / f"{_CA}{_KEY}"
        return self._folder / f"{_CA}-{digest.hex()[:16]}{_KEY}"


def require_held(entry: v1.Entry, keys: LogKeys, authorities: Authorities) -> None:
    """The directory can go on after this entry. Raises: InvalidInput, MalformedStatement, MalformedKey."""
    if entry.type == v1.DirectoryKeyRotated.DESCRIPTOR.full_name:
        named = SigningPublicKey.from_message(parse_message(entry.body, v1.DirectoryKeyRotated).key)
        if named not in keys.held():
            raise InvalidInput(field="key", problem=N_("the directory has no such key: make it with rotate-key there"))
    elif entry.type == v1.AuthorityRotated.DESCRIPTOR.full_name:
        digest = Digest(parse_message(entry.body, v1.AuthorityRotated).certificate_digest)
        if digest not in authorities.certificates():
            raise InvalidInput(
                field="certificate", problem=N_("the directory has no such authority: make it with rotate-ca there")
            )
