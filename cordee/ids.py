"""Types that cannot be mixed up. Each is bytes of one exact length, checked once at the door."""

from __future__ import annotations

from typing import Self

from cordee.errors import N_, MalformedStatement

__all__ = ["Digest", "Identifier", "KeyId", "MemberId", "NetworkId", "TokenId", "TransferId"]


class Identifier(bytes):
    """Bytes of one exact length. Subclasses of it are not interchangeable for the type checker."""

    length = 16

    def __new__(cls, value: bytes) -> Self:
        """Check the length. Raises MalformedStatement where it is wrong."""
        if len(value) != cls.length:
            raise MalformedStatement(
                what=cls.__name__,
                problem=N_("it has {size} bytes instead of {expected}"),
                size=len(value),
                expected=cls.length,
            )
        return super().__new__(cls, value)

    @property
    def short(self) -> str:
        """The first four bytes in hexadecimal: for logs and tables."""
        return self[:4].hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"


class MemberId(Identifier):
    """BLAKE2b-128 of a member's first identity key (protocol §2)."""


class KeyId(Identifier):
    """BLAKE2b-128 over both public halves of a signature key (protocol §3)."""


class TransferId(Identifier):
    """16 random bytes, chosen by the sender."""


class TokenId(Identifier):
    """16 random bytes, chosen by the sender."""


class Digest(Identifier):
    """32 bytes: BLAKE2b-256 of a frame, or SHA-256 where a standard asks for it."""

    length = 32


class NetworkId(Digest):
    """The digest of the network's genesis."""
