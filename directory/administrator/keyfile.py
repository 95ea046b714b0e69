"""An administrator's signing key in an encrypted file, and its public half in a file beside it.

Argon2id (RFC 9106, 256 MiB) makes a key of the passphrase; XChaCha20-Poly1305 seals the seed with it. The public half
and the parameters are bound to it: a file whose public half was exchanged does not open. A secret that the program drew
itself is not stretched.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from cordee.drawn import DrawnSecret
from cordee.errors import N_, InvalidInput, InvalidRecord, KeyLocked, MalformedKey
from cordee.frame import Label, frame
from cordee.jsonform import parsed_json
from cordee.keyfile import public_file, read_public_file
from cordee.signing import SigningKey, SigningPublicKey
from directory.files import read_whole, write_new

__all__ = ["create", "load_public", "open_key", "public_path", "read_public", "write"]

_FORMAT = "cordee administrator key 1"
_KEY_SIZE, _NONCE_SIZE = 32, 24
_MAX_MEMORY = 2**30  # what a file may ask for: a file is no reason to fill the machine
_MAX_ROUNDS = 64
_SHORTEST = 12


def public_path(path: Path) -> Path:
    """The public half's file: the one to hand to the other administrators."""
    return path.with_name(path.name + ".pub")


def create(
    path: Path,
    passphrase: bytes,
    *,
    random: Callable[[int], bytes],
    rounds: int = argon2id.OPSLIMIT_MODERATE,
    memory: int = argon2id.MEMLIMIT_MODERATE,
) -> SigningKey:
    """Make a key, its file (0600) and its public file.

    Raises: AlreadyExists, InvalidInput for a passphrase of fewer than 12 characters.
    """
    key = SigningKey.generate(random)
    write(path, key, passphrase, random=random, rounds=rounds, memory=memory)
    return key


def write(
    path: Path,
    key: SigningKey,
    passphrase: bytes,
    *,
    random: Callable[[int], bytes],
    rounds: int = argon2id.OPSLIMIT_MODERATE,
    memory: int = argon2id.MEMLIMIT_MODERATE,
) -> None:
    """The files of a key that is there already: made just now, or brought back from its recovery sheets.

    Raises: AlreadyExists, InvalidInput for a passphrase of fewer than 12 characters.
    """
    _require_long(passphrase)
    if isinstance(passphrase, DrawnSecret):
        rounds, memory = argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN
    salt, nonce = random(argon2id.SALTBYTES), random(_NONCE_SIZE)
    wrapping = argon2id.kdf(_KEY_SIZE, passphrase, salt, opslimit=rounds, memlimit=memory)
    bound = _bound(key.public, rounds, memory)
    plain = {
        "format": _FORMAT,
        "public": _public(key.public),
        "argon2id": {"rounds": rounds, "memory": memory, "salt": _text64(salt)},
        "nonce": _text64(nonce),
        "sealed": _text64(crypto_aead_xchacha20poly1305_ietf_encrypt(key.seed, bound, nonce, wrapping)),
    }
    write_new(path, json.dumps(plain, indent=1).encode())
    write_new(public_path(path), public_file(key.public), mode=0o644)


def open_key(path: Path, passphrase: bytes) -> SigningKey:
    """The key of a file. Raises: KeyLocked for another passphrase; InvalidRecord, InvalidInput for no such file."""
    try:
        plain = json.loads(read_whole(path))
        if plain["format"] != _FORMAT:
            raise ValueError("another format")
        public = _read_public(plain["public"])
        rounds, memory = int(plain["argon2id"]["rounds"]), int(plain["argon2id"]["memory"])
        salt, nonce, sealed = (
            base64.b64decode(value, validate=True)
            for value in (plain["argon2id"]["salt"], plain["nonce"], plain["sealed"])
        )
        if not (1 <= rounds <= _MAX_ROUNDS and 8192 <= memory <= _MAX_MEMORY):
            raise ValueError("parameters out of range")
        if len(salt) != argon2id.SALTBYTES or len(nonce) != _NONCE_SIZE:
            raise ValueError("another length")
    except (ValueError, KeyError, TypeError, MalformedKey) as error:
        raise InvalidRecord(path=path.name, problem=N_("it is no administrator's key of Cordée")) from error
    wrapping = argon2id.kdf(_KEY_SIZE, passphrase, salt, opslimit=rounds, memlimit=memory)
    try:
        seed = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, _bound(public, rounds, memory), nonce, wrapping)
    except CryptoError:
        raise KeyLocked() from None
    return SigningKey.from_seed(seed)


def load_public(path: Path) -> SigningPublicKey:
    """A public half, from the `.pub` file or from the key's own file. Raises: InvalidRecord, InvalidInput."""
    return read_public(read_whole(path), what=path.name)


def read_public(data: bytes, *, what: str) -> SigningPublicKey:
    """A public half, from the bytes of such a file; `what` names it. Raises: InvalidRecord."""
    try:
        plain = parsed_json(data)
        return _read_public(plain["public"]) if plain["format"] == _FORMAT else read_public_file(data)
    except (ValueError, KeyError, TypeError, MalformedKey, InvalidRecord) as error:
        raise InvalidRecord(path=what, problem=N_("it is no administrator's public key of Cordée")) from error


def _require_long(passphrase: bytes) -> None:
    if len(passphrase.decode("utf-8", "replace")) < _SHORTEST:
        raise InvalidInput(field="passphrase", problem=N_("it has fewer than {limit} characters"), limit=_SHORTEST)


def _bound(public: SigningPublicKey, rounds: int, memory: int) -> bytes:
    parameters = f"{rounds}/{memory}".encode()
    return frame(Label.ADMINISTRATOR_KEY, public.ed25519, public.mldsa65, parameters)


def _public(key: SigningPublicKey) -> dict[str, str]:
    return {"ed25519": _text64(key.ed25519), "mldsa65": _text64(key.mldsa65)}


def _read_public(plain: dict[str, str]) -> SigningPublicKey:
    return SigningPublicKey(
        ed25519=base64.b64decode(plain["ed25519"], validate=True),
        mldsa65=base64.b64decode(plain["mldsa65"], validate=True),
    )


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
