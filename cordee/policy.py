"""What the administrators of a network agreed on: how many must sign, and the limits that everybody keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from cordee.errors import N_, MalformedStatement
from cordee.times import duration_of, length_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["MAX_ADMINISTRATORS", "Policy"]

MAX_ADMINISTRATORS = 64
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_BYTES = range(64 * 1024, 2**40 + 1)  # from the smallest content that is ever sent (protocol §7) to a tebibyte


@dataclass(frozen=True)
class Policy:
    """Threshold and limits in force. The defaults are those of the protocol.

    Raises: MalformedStatement where a value is out of its range: a policy may tighten the limits or widen them within
    reason, but never switch one off.
    """

    threshold: int
    """Administrators who must sign (1 to 64)."""
    freshness_limit: timedelta = timedelta(hours=24)
    """Age at which a checkpoint is stale (1 minute to 7 days)."""
    offer_life_limit: timedelta = timedelta(days=14)
    """Longest life of an offer (1 minute to 14 days: the time for which a member keeps its old sealing key)."""
    shipping_limit: timedelta = timedelta(hours=72)
    """Longest life of a one-time key (1 minute to 14 days)."""
    content_size_limit: int = 2**30
    """Bytes of one shipment's ciphertext (64 KiB to 1 TiB)."""
    mailbox_quota: int = 4 * 2**30
    """Bytes that may wait for one sender (64 KiB to 1 TiB)."""
    act_life_limit: timedelta | None = None
    """Longest that a consent act counts, from its beginning (3 days, which an emergency needs, to 20 years); None: as
    long as it says."""
    shared_secrecy_closed: bool = False
    """Row 6 of the decision table allows nothing in this network: it asks for an agreement instead."""
    holders_alone_closed: bool = False
    """Row 8 of the decision table allows nothing in this network."""
    recovery_delay: timedelta | None = timedelta(days=7)
    """From the announcement that a member's identity key is to be replaced to the day on which it may be (2 to 30
    days). None in networks that were founded without it: there it may be replaced at once."""

    def __post_init__(self) -> None:
        for problem, holds in (
            ("threshold", 1 <= self.threshold <= MAX_ADMINISTRATORS),
            ("freshness_limit", _MINUTE <= self.freshness_limit <= timedelta(days=7)),
            ("offer_life_limit", _MINUTE <= self.offer_life_limit <= timedelta(days=14)),
            ("shipping_limit", _MINUTE <= self.shipping_limit <= timedelta(days=14)),
            ("content_size_limit", self.content_size_limit in _BYTES),
            ("mailbox_quota", self.mailbox_quota in _BYTES),
            ("act_life_limit", self.act_life_limit is None or 3 * _DAY <= self.act_life_limit <= 7305 * _DAY),
            ("recovery_delay", self.recovery_delay is None or 2 * _DAY <= self.recovery_delay <= 30 * _DAY),
        ):
            if not holds:
                raise MalformedStatement(what=N_("Policy"), problem=N_("{setting} is out of range"), setting=problem)

    def to_message(self) -> v1.Policy:
        """The policy as it stands in entries."""
        return v1.Policy(
            threshold=self.threshold,
            freshness_limit=duration_of(self.freshness_limit),
            offer_life_limit=duration_of(self.offer_life_limit),
            shipping_limit=duration_of(self.shipping_limit),
            content_size_limit=self.content_size_limit,
            mailbox_quota=self.mailbox_quota,
            act_life_limit=None if self.act_life_limit is None else duration_of(self.act_life_limit),
            shared_secrecy_closed=self.shared_secrecy_closed,
            holders_alone_closed=self.holders_alone_closed,
            recovery_delay=None if self.recovery_delay is None else duration_of(self.recovery_delay),
        )

    @classmethod
    def from_message(cls, message: v1.Policy) -> Self:
        """Raises: MalformedStatement."""
        return cls(
            threshold=message.threshold,
            freshness_limit=length_of(message.freshness_limit),
            offer_life_limit=length_of(message.offer_life_limit),
            shipping_limit=length_of(message.shipping_limit),
            content_size_limit=message.content_size_limit,
            mailbox_quota=message.mailbox_quota,
            act_life_limit=length_of(message.act_life_limit) if message.HasField("act_life_limit") else None,
            shared_secrecy_closed=message.shared_secrecy_closed,
            holders_alone_closed=message.holders_alone_closed,
            recovery_delay=length_of(message.recovery_delay) if message.HasField("recovery_delay") else None,
        )
