"""How far an association has come on its way into the network: one checklist, read from both sides (protocol §4).

The applicant's node and the administrators' tool show the same steps, with the same times, and who must act next. The
times are the directory's to tell: they help people to find one another and decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from cordee.errors import N_
from cordee.times import moment_of
from cordee.v1 import directory_pb2 as pb

__all__ = ["STEPS", "Progress", "Step", "Turn"]


class Turn(StrEnum):
    """Who must act next."""

    ASSOCIATION = "association"
    ADMINISTRATORS = "administrators"
    NOBODY = "nobody"


STEPS: Final[Mapping[str, str]] = {
    "invited": N_("The network’s office made the invitation."),
    "asked": N_("The association asked to join, with keys that its node made."),
    "compared": N_("It read out its six words by telephone; an administrator compared them."),
    "admitted": N_("The administrators signed its admission: {signatures} of {threshold}."),
    "connected": N_("Its node fetched its certificate."),
}
"""The steps in their order, by code. Three are the association's own: asking, reading out, fetching."""

_ASKS: Final = N_("The association’s turn: make the node and ask to join with the invitation.")
_READS_OUT: Final = N_("The office’s turn: call the association and have its six words read out.")
_SIGNS: Final = N_("The office’s turn: {left} more must sign the admission.")
_FETCHES: Final = N_("The association’s turn: repeat “cordee node join” with --wait, then start the node.")
_MENDS: Final = N_("The association’s turn: put right what the reason says and ask again with the same invitation.")
_DONE: Final = N_("Nothing is left to do.")


@dataclass(frozen=True)
class Step:
    """One line of the checklist."""

    code: str
    at: datetime | None
    """When it was done; None where it is still to be done."""


@dataclass(frozen=True)
class Progress:
    """Where a request stands. A time that is None has not come yet."""

    invited: datetime
    asked: datetime | None = None
    compared: datetime | None = None
    decided: datetime | None = None
    connected: datetime | None = None
    signatures: int = 0
    threshold: int = 1
    reason: str = ""
    """Why it was refused, in the administrators' words; empty where it was not."""

    @property
    def refused(self) -> bool:
        """The administrators said no, for now."""
        return bool(self.reason)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step, done or not, in order."""
        admitted = None if self.refused else self.decided
        times = (self.invited, self.asked, self.compared, admitted, self.connected)
        return tuple(Step(code, at) for code, at in zip(STEPS, times, strict=True))

    @property
    def next(self) -> tuple[Turn, str, dict[str, Any]]:
        """Who must act next, a marked text that says what to do, and the text's facts."""
        if self.asked is None:
            return Turn.ASSOCIATION, _ASKS, {}
        if self.refused:
            return Turn.ASSOCIATION, _MENDS, {}
        if self.decided is not None:
            return (Turn.ASSOCIATION, _FETCHES, {}) if self.connected is None else (Turn.NOBODY, _DONE, {})
        if self.compared is None:
            return Turn.ADMINISTRATORS, _READS_OUT, {}
        return Turn.ADMINISTRATORS, _SIGNS, {"left": max(1, self.threshold - self.signatures)}

    @classmethod
    def from_message(cls, message: pb.JoinProgress, reason: str) -> Progress:
        """As the directory tells it. Raises: MalformedStatement for a time that cannot be."""

        present = {field.name for field, _ in message.ListFields()}

        def time(name: str) -> datetime | None:
            return moment_of(getattr(message, name)) if name in present else None

        return cls(
            invited=moment_of(message.invite_time),
            asked=time("ask_time"),
            compared=time("compare_time"),
            decided=time("decide_time"),
            connected=time("certificate_time"),
            signatures=message.signatures,
            threshold=message.threshold,
            reason=reason,
        )

    def to_message(self) -> pb.JoinProgress:
        """What the directory sends of it; the reason travels beside it."""
        message = pb.JoinProgress(signatures=self.signatures, threshold=self.threshold)
        for name, at in (
            ("invite_time", self.invited),
            ("ask_time", self.asked),
            ("compare_time", self.compared),
            ("decide_time", self.decided),
            ("certificate_time", self.connected),
        ):
            if at is not None:
                getattr(message, name).FromDatetime(at)
        return message
