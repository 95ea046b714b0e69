"""What the directory says and nobody has signed: bounded before it is believed, and never kept where it cannot be.

A node keeps the number of the last event, of the last card and of the last restore that it was told. Whoever names one
from far ahead would make it deaf for ever, also after the directory is in good hands again (TUF calls that a fast
forward). An honest directory counts from one or, after a restore, from the time of that in microseconds (protocol §10).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography import x509
from google.protobuf.timestamp_pb2 import Timestamp

from cordee.errors import (
    N_,
    IntegrityFailure,
    InvalidInput,
    InvalidRecord,
    MalformedStatement,
    RemoteFailure,
    RosterStale,
)
from cordee.runtime.tls import TransportKey, certificates_in, issued_by, spki_digest
from cordee.times import moment_of
from cordee.transfer import State
from cordee.v1 import directory_pb2

__all__ = [
    "AHEAD",
    "microseconds_of",
    "reading_the_roster",
    "require_certificate",
    "require_possible",
    "restore_told",
    "since_of",
    "state_of",
]

AHEAD = timedelta(minutes=5)
"""How far another machine's clock may be before ours."""
_NUMBERS_AHEAD = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def require_possible(number: int, *, now: datetime, what: str) -> int:
    """A number that the directory counts by; it returns it. Raises: MalformedStatement where none can be so high."""
    if number > (now + _NUMBERS_AHEAD - _EPOCH) // _MICROSECOND:
        raise MalformedStatement(what=what, problem=N_("its number is from far ahead"))
    return number


def microseconds_of(told: Timestamp) -> int:
    """What a timestamp says, since 1970, also where that is no time at all."""
    return told.seconds * 1_000_000 + told.nanos // 1000


def restore_told(number: int, *, now: datetime) -> int:
    """When the directory came back from a backup, in microseconds since 1970, which names that restore.

    0 for never, and for a time that is not yet: whoever says so is heard again once it is.
    """
    return number if 0 < number <= (now + AHEAD - _EPOCH) // _MICROSECOND else 0


def since_of(told: directory_pb2.DirectoryRestored, *, earlier: timedelta) -> datetime | None:
    """So much before the backup was made; None, which means any time, where that is not told or cannot be."""
    if not told.HasField("since"):
        return None
    try:
        return max(moment_of(told.since), _EPOCH + earlier) - earlier
    except MalformedStatement:
        return None


def state_of(told: str) -> State:
    """A state that the broker names. Raises: RemoteFailure where there is no such state."""
    try:
        return State(told)
    except ValueError:
        raise RemoteFailure(peer=N_("The directory"), code="UNKNOWN") from None


def require_certificate(certificate: bytes, *, key: TransportKey, roots: bytes, now: datetime) -> bytes:
    """A certificate (DER) with which we can call from now on; it returns it. `roots` is a bundle of CAs.

    Raises: InvalidRecord, MalformedKey. What was kept unlooked-at could lock this node out for good.
    """
    if spki_digest(certificate) != key.digest:
        raise InvalidRecord(path=N_("certificate"), problem=N_("it is for another key"))
    if not any(issued_by(certificate, each) for each in certificates_in(roots)):
        raise InvalidRecord(path=N_("certificate"), problem=N_("it is by another authority"))
    parsed = x509.load_der_x509_certificate(certificate)
    if not parsed.not_valid_before_utc - AHEAD <= now < parsed.not_valid_after_utc:
        raise InvalidRecord(path=N_("certificate"), problem=N_("it is not in force"))
    return certificate


@contextmanager
def reading_the_roster() -> Iterator[None]:
    """Around what the directory is asked for log and cards. An alarm is what this node has found by itself: a refusal
    that the directory *names* is an answer like any other, whatever it is called.
    """
    try:
        yield
    except (IntegrityFailure, InvalidInput, RosterStale) as named:
        raise RemoteFailure(peer=N_("The directory"), code=named.reason) from named
