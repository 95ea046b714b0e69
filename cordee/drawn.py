"""A secret that a program draws for itself, in the place of a passphrase that somebody thinks of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

__all__ = ["DrawnSecret"]

_BYTES = 32


class DrawnSecret(bytes):
    """256 random bits as 64 hexadecimal digits: nobody can search for them, so nothing is gained by stretching them.

    There is no other way to make one: what a person typed, or what a file holds, is never taken for one, and is
    stretched at full strength whatever it looks like.
    """

    def __new__(cls, random: Callable[[int], bytes]) -> Self:
        """Draw one. `random` gives as many random bytes as it is asked for. Raises TypeError for bytes."""
        return super().__new__(cls, random(_BYTES).hex().encode("ascii"))

    def __repr__(self) -> str:
        return "DrawnSecret(…)"

    __str__ = __repr__
