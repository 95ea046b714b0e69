"""Sealing a short secret to one key: HPKE base mode, MLKEM768-X25519, HKDF-SHA256, ChaCha20-Poly1305 (protocol §2).

Sources: RFC 9180; draft-ietf-hpke-pq for the hybrid key encapsulation (X-Wing). The library's private key cannot be
serialised, so what is kept is its 32-byte seed. Encapsulation draws randomness of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from cordee.errors import N_, CannotOpen, MalformedKey

__all__ = [
    "OVERHEAD",
    "PUBLIC_KEY_SIZE",
    "SEED_SIZE",
    "SealingKey",
    "SealingPublicKey",
    "open_padded",
    "open_sealed",
    "seal",
    "seal_padded",
]

SEED_SIZE = 32
PUBLIC_KEY_SIZE = 1216
OVERHEAD = 1136
"""How many bytes longer than the secret the sealed text is: the encapsulated key, then the tag."""

_MLKEM_KEY_SIZE = 1184
_MLKEM_SEED_SIZE = 64
_LENGTH_SIZE = 4
_ANY_X25519 = X25519PrivateKey.from_private_bytes(bytes(range(32)))
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealingPublicKey(bytes):
    """What others seal to: 1,184 bytes of ML-KEM-768, then 32 of X25519. It stands in statements as it is.

    Raises: MalformedKey where the length is wrong, the ML-KEM part is not reduced (FIPS 203 §7.2), or the X25519 part
    is a point of low order (RFC 7748 §6.1): nobody could seal to it, and whoever must answer would have no way to.
    """

    def __new__(cls, value: bytes) -> Self:
        """Check the key once, at the door."""
        key = super().__new__(cls, value)
        key._library_key()
        try:
            _ANY_X25519.exchange(X25519PublicKey.from_public_bytes(key[_MLKEM_KEY_SIZE:]))
        except ValueError as error:  # every private key gives zero with such a point
            raise MalformedKey(what=N_("sealing key")) from error
        return key

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Raises: MalformedKey."""
        return cls(value)

    def _library_key(self) -> MLKEM768X25519PublicKey:
        if len(self) != PUBLIC_KEY_SIZE:
            raise MalformedKey(what=N_("sealing key"))
        try:
            return MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(self[:_MLKEM_KEY_SIZE]),
                X25519PublicKey.from_public_bytes(self[_MLKEM_KEY_SIZE:]),
            )
        except ValueError as error:
            raise MalformedKey(what=N_("sealing key")) from error

    def __repr__(self) -> str:
        return f"SealingPublicKey({self[:4].hex()}…)"


@dataclass(frozen=True)
class SealingKey:
    """A key pair for sealing. `seed` is all of it (the X-Wing decapsulation key)."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_SIZE:
            raise MalformedKey(what=N_("sealing key seed"))

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """A new key pair. `random(n)` gives n bytes that nobody can guess."""
        return cls(random(SEED_SIZE))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key pair of this seed. Raises: MalformedKey where it has not 32 bytes."""
        return cls(seed)

    @cached_property
    def _halves(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        expanded = hashlib.shake_256(self.seed).digest(_MLKEM_SEED_SIZE + 32)
        return (
            MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_SIZE]),
            X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_SIZE:]),
        )

    @cached_property
    def public(self) -> SealingPublicKey:
        """What others seal to."""
        mlkem, x25519 = self._halves
        return SealingPublicKey(mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())

    @cached_property
    def _library_key(self) -> MLKEM768X25519PrivateKey:
        return MLKEM768X25519PrivateKey(*self._halves)


def seal(secret: bytes, *, to: SealingPublicKey, info: bytes) -> bytes:
    """Encrypt a short secret so that only the holder of `to` can open it.

    The result is 1,136 bytes longer than `secret`. `info` must be what the opener expects: `frame(label, …)`.

    """
    return _SUITE.encrypt(secret, to._library_key(), info)


def open_sealed(sealed: bytes, *, key: SealingKey, info: bytes, what: str = N_("The sealed text")) -> bytes:
    """Open what was sealed to `key` with this `info`. `what` names it in the error.

    Raises: CannotOpen for every failure: too short, altered, sealed to another key or with another `info`.
    """
    try:
        return _SUITE.decrypt(sealed, key._library_key, info)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen(what=what) from error


def seal_padded(secret: bytes, *, to: SealingPublicKey, info: bytes, bucket: int) -> bytes:
    """Like `seal`, with the length hidden: the directory sees only how many buckets it fills.

    Inside: 4 bytes of big-endian length, the secret, zeros up to a multiple of `bucket` bytes.

    Raises: ValueError where `bucket` is not positive.
    """
    _check_bucket(bucket)
    used = _LENGTH_SIZE + len(secret)
    padding = bytes(-used % bucket)
    return seal(len(secret).to_bytes(_LENGTH_SIZE, "big") + secret + padding, to=to, info=info)


def open_padded(
    sealed: bytes, *, key: SealingKey, info: bytes, bucket: int, what: str = N_("The sealed text")
) -> bytes:
    """Open what `seal_padded` gave.

    Raises: CannotOpen as `open_sealed` does, and for another bucket, a length that lies, or padding that is not zero:
    one secret has one form.
    """
    _check_bucket(bucket)
    padded = open_sealed(sealed, key=key, info=info, what=what)
    end = _LENGTH_SIZE + int.from_bytes(padded[:_LENGTH_SIZE], "big")
    well_formed = len(padded) == end + -end % bucket
    if not well_formed or any(padded[end:]):
        raise CannotOpen(what=what)
    return padded[_LENGTH_SIZE:end]


def _check_bucket(bucket: int) -> None:
    if bucket < 1:
        raise ValueError("a bucket has one byte at least")
