"""What every entry of the roster log must show, whatever it says: its signatures, its place, its time (protocol §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

from google.protobuf.message import Message

from cordee.entries import entry_digest
from cordee.errors import N_
from cordee.ids import Digest, KeyId
from cordee.members import Roster
from cordee.signing import MAX_BODY, SigningPublicKey, parse_message, verify_signature
from cordee.times import moment_of
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "Breach",
    "Rule",
    "Step",
    "check_place",
    "check_signatures",
    "grown",
    "new_key",
    "require",
    "statement_of",
    "time_of",
]

M = TypeVar("M", bound=Message)


class Rule(StrEnum):
    """The rule that a refused entry breaks: the fact `rule` of EntryRefused."""

    NO_GENESIS = N_("the first entry is no genesis")
    UNKNOWN_TYPE = N_("no such entry")
    MALFORMED = N_("malformed")
    WRONG_NETWORK = N_("another network")
    WRONG_PREVIOUS = N_("not the next entry about its subject")
    WRONG_TIME = N_("a time before an earlier entry or in the future")
    SIGNATURE_ORDER = N_("signatures out of order or repeated")
    UNKNOWN_SIGNER = N_("signed by a key that is not in force")
    TOO_FEW_SIGNATURES = N_("too few signatures")
    BAD_SIGNATURE = N_("a signature does not verify")
    NO_SUCH_MEMBER = N_("no such member")
    WRONG_MEMBER_ID = N_("the member's id is not that of its key")
    MEMBER_ID_TAKEN = N_("the member's id was given before")
    REGISTRATION_TAKEN = N_("another member has this name and number")
    KEY_TAKEN = N_("the key was used before")
    WRONG_STATE = N_("the member's state does not allow it")
    SAME_INCARNATION = N_("the incarnation is not new")
    NOTHING_CORRECTED = N_("it corrects nothing")
    NO_SUCH_ADMINISTRATOR = N_("no such administrator")
    TOO_MANY_ADMINISTRATORS = N_("too many administrators")
    THRESHOLD_OUT_OF_REACH = N_("fewer administrators than the policy asks for")
    NO_RECOVERY = N_("no recovery of this member is announced")
    NOT_THE_ANNOUNCED_KEY = N_("not the key that was announced")
    RECOVERY_NOT_DUE = N_("before the delay of the recovery has passed, or long after it")
    KEY_REVOKED = N_("the member's identity key is revoked")
    AUTHORITY_TAKEN = N_("this certification authority was named before")
    AUTHORITY_OVERLAP = N_("the former certification authority would end too early or too late")
    DELAY_SWITCHED_OFF = N_("the delay of a recovery cannot be switched off")


class Breach(Exception):
    """A rule is broken; `apply` adds the entry's index."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.rule = rule


def require(holds: bool, rule: Rule) -> None:
    """Raises: Breach."""
    if not holds:
        raise Breach(rule)


def statement_of(entry: v1.Entry, kind: type[M], max_size: int = MAX_BODY) -> M:
    """The statement inside an entry. Its body is no longer than its fields need: of one that is written twice all but
    the last would be read by nobody, and stand in the log for ever.

    Raises: Breach, MalformedStatement.
    """
    statement = parse_message(entry.body, kind, max_size)
    require(statement.ByteSize() == len(entry.body), Rule.MALFORMED)
    return statement


@dataclass(frozen=True)
class Step:
    """An entry that is next about its subject, signed as its kind asks for."""

    roster: Roster
    statement: Any  # the message that the entry's type names
    digest: Digest
    time: datetime


def check_place(
    roster: Roster,
    entry: v1.Entry,
    statement: Any,
    *,
    signers: Mapping[KeyId, SigningPublicKey],
    at_least: int,
    previous: Digest,
    not_before: datetime,
    latest: datetime | None,
) -> Step:
    """What every entry but the genesis must show: signatures, then network, then its place, then its time.

    `signers` may sign, `at_least` so many must; `previous` and `not_before` are the digest and the time of the last
    entry about the same subject; `latest` is the directory's limit, if there is one, but never before `not_before`.

    Raises: Breach, MalformedStatement, BadSignature.
    """
    check_signatures(entry, signers, at_least=at_least)
    require(statement.network == roster.network, Rule.WRONG_NETWORK)
    require(statement.previous == previous, Rule.WRONG_PREVIOUS)
    # What follows an entry from the future bears that entry's time: else its subject would be out of everybody's reach.
    latest = None if latest is None else max(latest, not_before)
    time = time_of(statement, not_before=not_before, latest=latest)
    return Step(roster=roster, statement=statement, digest=entry_digest(entry), time=time)


def grown(step: Step, **changes: Any) -> Roster:
    """The roster with one entry more and these changes."""
    return replace(step.roster, size=step.roster.size + 1, time=max(step.roster.time, step.time), **changes)


def check_signatures(entry: v1.Entry, signers: Mapping[KeyId, SigningPublicKey], *, at_least: int) -> None:
    """Each signer once, in order, in force, and enough of them; then every signature.

    Raises: Breach, MalformedStatement, BadSignature.
    """
    given = [KeyId(one.signer) for one in entry.signatures]
    require(all(one < following for one, following in pairwise(given)), Rule.SIGNATURE_ORDER)
    require(all(one in signers for one in given), Rule.UNKNOWN_SIGNER)
    require(len(given) >= at_least, Rule.TOO_FEW_SIGNATURES)
    for signer, signature in zip(given, entry.signatures, strict=True):
        verify_signature(signature, entry.type, entry.body, signers[signer])


def time_of(statement: Any, *, not_before: datetime | None, latest: datetime | None) -> datetime:
    """The statement's time, if it lies between the two. Raises: Breach, MalformedStatement."""
    require(statement.HasField("time"), Rule.MALFORMED)
    time = moment_of(statement.time)
    require(not_before is None or time >= not_before, Rule.WRONG_TIME)
    require(latest is None or time <= latest, Rule.WRONG_TIME)
    return time


def new_key(roster: Roster, message: v1.PublicKey) -> SigningPublicKey:
    """A key that nobody ever held. Raises: Breach, MalformedKey."""
    key = SigningPublicKey.from_message(message)
    require(key.key_id not in roster.used_keys, Rule.KEY_TAKEN)
    return key
