"""What was to be verified, and does not hold."""

from __future__ import annotations

__all__ = ["DoesNotHold", "require"]


class DoesNotHold(Exception):
    """Something that was to be verified is not so."""


def require(holds: bool, what: str) -> None:
    """Raises DoesNotHold, with these words, where it does not."""
    if not holds:
        raise DoesNotHold(what)
