"""The public half of a signature key as a file that goes from hand to hand; nothing in it is secret."""

from __future__ import annotations

import base64
import json

from cordee.errors import N_, InvalidRecord, MalformedKey
from cordee.jsonform import parsed_json
from cordee.signing import SigningPublicKey

__all__ = ["FORMAT", "public_file", "read_public_file"]

FORMAT = "cordee public key 1"
_FORMATS = (FORMAT, "cordee administrator public key 1")


def public_file(key: SigningPublicKey) -> bytes:
    """The file."""
    public = {name: base64.b64encode(half).decode("ascii") for name, half in _halves(key)}
    return json.dumps({"format": FORMAT, "public": public}, indent=1).encode()


def read_public_file(data: bytes) -> SigningPublicKey:
    """Read what `public_file` gave. Raises: InvalidRecord."""
    try:
        plain = parsed_json(data)
        if plain["format"] not in _FORMATS:
            raise ValueError("another format")
        halves = {name: base64.b64decode(plain["public"][name], validate=True) for name in ("ed25519", "mldsa65")}
        return SigningPublicKey(**halves)
    except (ValueError, KeyError, TypeError, MalformedKey) as error:
        raise InvalidRecord(path=N_("public key"), problem=N_("it is no public key of Cordée")) from error


def _halves(key: SigningPublicKey) -> tuple[tuple[str, bytes], ...]:
    return ("ed25519", key.ed25519), ("mldsa65", key.mldsa65)
