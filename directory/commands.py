"""What administrators ask of the directory: each command is signed, for this network, now, and works once."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TypeVar

from cordee.errors import ClockSkew, NotAnAdministrator, Replayed, TooManyRequests, WrongNetwork
from cordee.ids import KeyId
from cordee.runtime.clock import Clock
from cordee.signing import Signed, parse_body, verify
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1
from directory.roster_store import RosterStore

__all__ = ["SKEW", "Command", "Commands", "require_now"]

SKEW = timedelta(minutes=5)
_MAX_COMMANDS = 2_000  # of one administrator within twice the skew: more is no person's work

Command = (
    v1.CreateInvitation
    | v1.ListHeldCheckpoints
    | v1.ListJoinRequests
    | v1.ListPendingEntries
    | v1.ListStandings
    | v1.ReadCard
    | v1.ReadFigures
    | v1.ReadLog
    | v1.RefuseCard
    | v1.RefuseJoinRequest
)
C = TypeVar(
    "C",
    v1.CreateInvitation,
    v1.ListHeldCheckpoints,
    v1.ListJoinRequests,
    v1.ListPendingEntries,
    v1.ListStandings,
    v1.ReadCard,
    v1.ReadFigures,
    v1.ReadLog,
    v1.RefuseCard,
    v1.RefuseJoinRequest,
)


class Commands:
    """Checks commands. It remembers what was used for as long as its time would still be taken."""

    def __init__(self, rosters: RosterStore, clock: Clock) -> None:
        self._rosters = rosters
        self._clock = clock
        self._used: dict[KeyId, OrderedDict[bytes, datetime]] = {}

    def check(self, message: v1.Signed, command: type[C]) -> tuple[C, Signed]:
        """The command, if an administrator in force signed it for here and now, for the first time.

        Raises: NotFounded, MalformedStatement, NotAnAdministrator, BadSignature, WrongNetwork, ClockSkew, Replayed,
        TooManyRequests, for this administrator alone.
        """
        roster = self._rosters.roster
        signed = Signed.from_message(message)
        body = parse_body(signed, command)
        key = roster.administrators.get(signed.signer)
        if key is None:
            raise NotAnAdministrator()
        verify(signed, key)
        if body.network != roster.network:
            raise WrongNetwork(what=command.DESCRIPTOR.name)
        now = self._clock.now()
        require_now(body, command.DESCRIPTOR.name, now)
        self._use(signed, now)
        return body, signed

    def _use(self, signed: Signed, now: datetime) -> None:
        # Each for themselves: whoever stole one key must not keep the others from removing it.
        used = self._used.setdefault(signed.signer, OrderedDict())
        while used and next(iter(used.values())) < now:
            used.popitem(last=False)
        if signed.digest in used:
            raise Replayed()
        if len(used) >= _MAX_COMMANDS:
            raise TooManyRequests()
        used[signed.digest] = now + 2 * SKEW


def require_now(
    body: Command | v1.JoinRequest | v1.JoinStatusQuery | v1.RejoinRequest, what: str, now: datetime
) -> None:
    """The statement's time is within five minutes of now. Raises: ClockSkew, MalformedStatement."""
    time = moment_of(body.time)
    if abs(time - now) > SKEW:
        raise ClockSkew(what=what, time=time.isoformat(timespec="seconds"))
