"""What lies where in the directory's data folder, and how it is made (`cordee directory init`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from cordee.card import is_endpoint
from cordee.checkpoint import is_origin
from cordee.errors import N_, AlreadyExists, InvalidInput, InvalidRecord, MalformedKey, NotFound
from cordee.jsonform import parsed_json
from cordee.runtime.tls import CertificateAuthority, TransportKey
from cordee.signing import SigningKey, SigningPublicKey
from directory.files import private_folder, read_whole, write_new

__all__ = ["Founding", "House", "initialise"]

_FORMAT = "cordee founding 1"


@dataclass(frozen=True)
class Founding:
    """What the administrators need to found the network; nothing in it is secret. The file `founding.json`."""

    origin: str
    directory_key: SigningPublicKey
    ca_certificate: bytes  # DER
    members: str  # host:port for members
    front: str  # host:port for applicants and administrators

    def to_bytes(self) -> bytes:
        """The file."""
        plain = asdict(self) | {
            "format": _FORMAT,
            "directory_key": {
                "ed25519": _text64(self.directory_key.ed25519),
                "mldsa65": _text64(self.directory_key.mldsa65),
            },
            "ca_certificate": _text64(self.ca_certificate),
        }
        return json.dumps(plain, ensure_ascii=False, indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: InvalidRecord."""
        try:
            plain = parsed_json(data)
            if plain["format"] != _FORMAT:
                raise ValueError("another format")
            key = plain["directory_key"]
            found = cls(
                origin=str(plain["origin"]),
                directory_key=SigningPublicKey(
                    ed25519=base64.b64decode(key["ed25519"], validate=True),
                    mldsa65=base64.b64decode(key["mldsa65"], validate=True),
                ),
                ca_certificate=base64.b64decode(plain["ca_certificate"], validate=True),
                members=str(plain["members"]),
                front=str(plain["front"]),
            )
        except (ValueError, TypeError, KeyError, MalformedKey) as error:
            raise InvalidRecord(path=N_("founding"), problem=N_("it is no founding file of Cordée")) from error
        _check_addresses(found)
        return found


@dataclass(frozen=True)
class House:
    """The data folder."""

    folder: Path

    @property
    def database(self) -> Path:
        """All but ciphertext and keys."""
        return self.folder / "directory.db"

    @property
    def mailbox(self) -> Path:
        """Where ciphertext waits."""
        return self.folder / "mailbox"

    @property
    def last_signed(self) -> Path:
        """Never restored from a backup."""
        return self.folder / "last-signed"

    @property
    def closed_years(self) -> Path:
        """What was told of each closed year. Never restored from a backup: it must not be told otherwise."""
        return self.folder / "closed-years"

    @property
    def last_backup(self) -> Path:
        """When a copy was last made; in no copy itself."""
        return self.folder / "last-backup"

    @property
    def founding_file(self) -> Path:
        """For the administrators."""
        return self.folder / "founding.json"

    @property
    def secrets(self) -> tuple[Path, ...]:
        """The files that hold keys, of those that came later too."""
        kinds = ("ca-*.key", "ca-*.der", "ca*.used", "log-*.key")
        later = [path for kind in kinds for path in sorted(self.folder.glob(kind))]
        return (self._ca_key, self._log_key, self._server_key, *later)

    @property
    def _ca_key(self) -> Path:
        return self.folder / "ca.key"

    @property
    def _log_key(self) -> Path:
        return self.folder / "log.key"

    @property
    def _server_key(self) -> Path:
        return self.folder / "server.key"

    def founding(self) -> Founding:
        """Raises: NotFound before `cordee directory init`."""
        if not self.founding_file.exists():
            raise NotFound(what=N_("directory in {folder}"), folder=self.folder)
        return Founding.parse(read_whole(self.founding_file))

    def log_key(self) -> SigningKey:
        """The key that signed the first checkpoints."""
        return SigningKey.from_seed(read_whole(self._log_key))

    def authority(self) -> CertificateAuthority:
        """The CA that the network was founded with."""
        return CertificateAuthority.load(read_whole(self._ca_key), self.founding().ca_certificate)

    def server_key(self) -> TransportKey:
        """The key of the directory's own certificate, which is made anew at each start."""
        return TransportKey.from_pem(read_whole(self._server_key))


def initialise(
    folder: Path, *, origin: str, members: str, front: str, random: Callable[[int], bytes], now: datetime
) -> Founding:
    """Make the directory's keys and the file that its administrators found the network with.

    Raises: AlreadyExists where there is one; InvalidInput for an origin or address that will not do.
    """
    if not is_origin(origin):
        raise InvalidInput(field="--origin", problem=N_("visible characters without space and plus are asked for"))
    private_folder(folder)
    house = House(folder)
    if house.founding_file.exists():
        raise AlreadyExists(what=house.founding_file)
    authority = CertificateAuthority.create(now=now)
    log_key = SigningKey.generate(random)
    founding = Founding(
        origin=origin,
        directory_key=log_key.public,
        ca_certificate=authority.certificate,
        members=members,
        front=front,
    )
    _check_addresses(founding)
    for half_made in house.secrets:  # of an attempt that was cut off: without founding.json nobody has used them
        half_made.unlink(missing_ok=True)
    write_new(house.folder / "ca.key", authority.key_pem())
    write_new(house.folder / "log.key", log_key.seed)
    write_new(house.folder / "server.key", TransportKey.generate().pem)
    write_new(house.founding_file, founding.to_bytes(), mode=0o644)  # last: it says that the rest is there
    return founding


def _check_addresses(founding: Founding) -> None:
    for name, value in (("members", founding.members), ("front", founding.front)):
        if not is_endpoint(value):
            raise InvalidInput(field=name, problem=N_("an address has the form host:port"))


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
