"""The invitation file that an administrator hands to an association (protocol §4, joining).

It carries what the new node must trust from the start: the network's id, its CA, and where the directory is. Hand it
over by a way that the association trusts; the six words, compared by telephone, catch a file that was exchanged.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Self

from cordee.errors import N_, InvalidRecord
from cordee.frame import Label, blake2b_256
from cordee.ids import NetworkId
from cordee.jsonform import parsed_json
from cordee.times import zoned

__all__ = ["Invitation", "secret_digest"]

_MAX_BYTES = 64 * 1024
_FORMAT = "cordee invitation 1"
_LINK = "cordee:invitation:"
_FOR_PRACTICE = "cordee practice invitation 1"  # a file that no real node takes, of whatever version


@dataclass(frozen=True)
class Invitation:
    """A single-use invitation."""

    network: NetworkId
    members: str  # host:port of the directory for members
    front: str  # host:port of the directory for applicants and administrators
    ca_certificate: bytes  # DER; several while a CA is exchanged, a bundle
    invitation: bytes  # id, 16 bytes
    secret: bytes  # 32 bytes, single use
    legal_name: str
    registration_number: str
    bound_by_secrecy: bool
    expires: datetime
    practice: bool = False

    def to_bytes(self) -> bytes:
        """The file."""
        plain = asdict(self) | {
            "format": _FOR_PRACTICE if self.practice else _FORMAT,
            "network": self.network.hex(),
            "ca_certificate": base64.b64encode(self.ca_certificate).decode(),
            "invitation": self.invitation.hex(),
            "secret": self.secret.hex(),
            "expires": self.expires.isoformat(),
        }
        del plain["practice"]  # the format says it
        return json.dumps(plain, ensure_ascii=False, indent=1).encode()

    def to_link(self) -> str:
        """The same as one line of text, to be pasted: it is as secret as the file."""
        packed = zlib.compress(self.to_bytes(), 9)
        return _LINK + base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The file or the link. Raises InvalidRecord, which says what is missing or wrong."""
        if data.lstrip().startswith(_LINK.encode()):
            data = _unpacked(data.strip()[len(_LINK) :])
        if len(data) > _MAX_BYTES:
            raise InvalidRecord(path=N_("invitation"), problem=N_("it has more than {limit} bytes"), limit=_MAX_BYTES)
        try:
            plain = parsed_json(data)
        except ValueError as malformed:
            raise InvalidRecord(path=N_("invitation"), problem=N_("it is no JSON file")) from malformed
        if not isinstance(plain, dict) or plain.get("format") not in (_FORMAT, _FOR_PRACTICE):
            raise InvalidRecord(path=N_("invitation"), problem=N_("it is no invitation of Cordée"))
        missing = [field.name for field in fields(cls) if field.name not in plain and field.name != "practice"]
        if missing:
            raise InvalidRecord(path=missing[0], problem=N_("it is missing"))
        try:
            return cls(
                network=NetworkId(bytes.fromhex(plain["network"])),
                members=_text(plain, "members"),
                front=_text(plain, "front"),
                ca_certificate=base64.b64decode(_text(plain, "ca_certificate"), validate=True),
                invitation=bytes.fromhex(plain["invitation"]),
                secret=bytes.fromhex(plain["secret"]),
                legal_name=_text(plain, "legal_name"),
                registration_number=_text(plain, "registration_number"),
                bound_by_secrecy=plain["bound_by_secrecy"] is True,
                expires=zoned(plain["expires"]),
                practice=plain["format"] == _FOR_PRACTICE,
            )
        except (ValueError, TypeError) as malformed:
            raise InvalidRecord(path=N_("invitation"), problem=N_("a value has the wrong form")) from malformed


def _unpacked(text: bytes) -> bytes:
    try:
        packed = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(packed, _MAX_BYTES + 1)
    except (ValueError, zlib.error) as malformed:
        raise InvalidRecord(path=N_("invitation"), problem=N_("the link is not whole")) from malformed
    if not unpacking.eof and len(data) <= _MAX_BYTES:
        raise InvalidRecord(path=N_("invitation"), problem=N_("the link is not whole"))
    return data


def _text(plain: dict[str, object], name: str) -> str:
    value = plain[name]
    if not isinstance(value, str):
        raise InvalidRecord(path=name, problem=N_("it must be a text"))
    return value


def secret_digest(secret: bytes) -> bytes:
    """What the directory keeps of an invitation's secret until it is used."""
    return blake2b_256(Label.INVITATION, secret)
