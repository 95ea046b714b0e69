"""What marks a network as one for practice: the origin of its log, which its genesis fixes and its id depends on.

Practice is a network of its own, with invented cases. A real node refuses it, and a node for practice refuses every
other: nobody can carry a case from one into the other, not even by mistake.
"""

from __future__ import annotations

from typing import Final

from cordee.errors import PracticeNetwork, RealNetwork

__all__ = ["PRACTICE_ORIGIN", "is_practice", "require_kind"]

PRACTICE_ORIGIN: Final = "practice.invalid/roster"
"""`invalid` can be nobody's name (RFC 6761 §6.4): no real network has this origin."""
_HOST: Final = PRACTICE_ORIGIN.partition("/")[0]


def is_practice(origin: str) -> bool:
    """Whether a network whose checkpoints bear this origin is for practice."""
    return origin.partition("/")[0].lower() == _HOST


def require_kind(shown: bool, *, practice: bool) -> None:
    """That a network is of the kind that this node belongs to; `shown`: it is for practice.

    Raises: PracticeNetwork, RealNetwork.
    """
    if shown and not practice:
        raise PracticeNetwork()
    if practice and not shown:
        raise RealNetwork()
