"""What a network allows less of than the law: how long an act counts, and which rows of the table allow nothing.

The administrators decide it (protocol §4, the policy). It counts from the moment at which a node knows of it, for acts
that are on record too: an act is no promise that the network goes on sharing under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cordee.act.form import Act

if TYPE_CHECKING:
    from cordee.policy import Policy

__all__ = ["NO_LIMITS", "ActLimits"]

_SHARED_SECRECY: Final = 6
_HOLDERS_ALONE: Final = 8


@dataclass(frozen=True, slots=True)
class ActLimits:
    """The part of a network's policy that acts are judged by."""

    life: timedelta | None = None
    """Longest that an act counts, from `valid_from` on; None: as long as it says."""
    closed: frozenset[int] = frozenset()
    """Rows of the decision table that allow nothing here: 6 and 8 alone can be closed."""

    @classmethod
    def of(cls, policy: Policy) -> ActLimits:
        """Those of a policy in force."""
        rows = ((_SHARED_SECRECY, policy.shared_secrecy_closed), (_HOLDERS_ALONE, policy.holders_alone_closed))
        return cls(life=policy.act_life_limit, closed=frozenset(row for row, closed in rows if closed))

    def end_of(self, act: Act) -> datetime:
        """When an act stops counting."""
        return act.valid_until if self.life is None else min(act.valid_until, act.valid_from + self.life)


NO_LIMITS: Final = ActLimits()
