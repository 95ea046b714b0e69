"""What the roster log says at one moment: the network, its members and their keys (protocol §4).

Values only; `cordee.roster` makes them, entry by entry.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from cordee.errors import N_, InvalidInput, MemberIsSuspended, NotAMember
from cordee.frame import Label, blake2b_256
from cordee.idmap import IdMap
from cordee.ids import Digest, KeyId, MemberId, NetworkId
from cordee.policy import Policy
from cordee.signing import SigningPublicKey
from cordee.times import timestamp_of

__all__ = [
    "AuthorityTrust",
    "Head",
    "Member",
    "MemberState",
    "Recovery",
    "Roster",
    "authority_digest",
    "registration_digest",
]


class MemberState(StrEnum):
    """Where a member stands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class Head(TypedDict):
    """The fields that every entry but the genesis begins with."""

    network: bytes
    previous: bytes
    time: Timestamp


@dataclass(frozen=True)
class Recovery:
    """A new identity key that administrators have announced for a member; the present key may object."""

    identity: SigningPublicKey
    stolen: bool
    """Somebody else may hold the present key; else it is lost."""
    announced: datetime
    due: datetime
    """From then on the key may be replaced."""
    lapses: datetime
    """From then on it may not: the recovery must be announced anew."""


@dataclass(frozen=True)
class Member:
    """One association as the log knows it: no name, no address."""

    id: MemberId
    state: MemberState
    identity: SigningPublicKey
    former_identities: tuple[tuple[int, SigningPublicKey], ...]
    """Each with the last size of the log at which it was in force; oldest first."""
    registration: Digest
    former_registrations: tuple[Digest, ...]
    """Those before it, newest first: a profile may bear one until the member has published another."""
    bound_by_secrecy: bool
    incarnation: bytes | None
    """16 bytes from the newest NodeRestored; None for a node that was never restored from a backup."""
    admitted_at: datetime
    admitted_size: int
    """The smallest size of the log that has this member."""
    last_entry: Digest
    last_time: datetime
    identity_since: datetime
    """When the identity key came into force."""
    recovery: Recovery | None = None
    """What is announced, until it is done or objected to."""
    revoked: bool = False
    """Its identity key is in the wrong hands: it counts no more, and the member is suspended until it is recovered."""
    resumes: MemberState = MemberState.ACTIVE
    """Of a member whose key is revoked: its state once it is recovered."""

    @property
    def registrations(self) -> tuple[Digest, ...]:
        """Those that its profile may bear, the present one first."""
        return (self.registration, *self.former_registrations)


@dataclass(frozen=True)
class AuthorityTrust:
    """A CA of the network's TLS, by the SHA-256 of its certificate (DER)."""

    digest: Digest
    until: datetime | None = None
    """When it is trusted no more; None for the one in force."""


@dataclass(frozen=True)
class Roster:
    """The network after the first `size` entries of its log."""

    network: NetworkId
    origin: str
    size: int
    policy: Policy
    administrators: Mapping[KeyId, SigningPublicKey]
    directory_key: SigningPublicKey
    ca_certificate: bytes
    """DER, as the genesis has it; whether it is a good certificate is for TLS to say."""
    authorities: tuple[AuthorityTrust, ...]
    """The CA in force, then the former ones that still were when the last of these entries came, newest first."""
    members: IdMap[MemberId, Member]
    genesis_entry: Digest
    genesis_time: datetime
    last_governance_entry: Digest
    last_governance_time: datetime
    time: datetime
    """The latest time that any entry carries."""
    used_keys: IdMap[KeyId, None] = field(repr=False)
    """Every key that ever had a holder."""
    registrations: IdMap[Digest, MemberId] = field(repr=False)
    """Of the members that are not removed: the present ones and those that they had before."""

    def trusted(self, now: datetime) -> tuple[Digest, ...]:
        """The CAs that certify at a time, by the digests of their certificates, the one in force first."""
        return tuple(each.digest for each in self.authorities if each.until is None or now < each.until)

    def active(self, member: MemberId) -> Member:
        """The member, if it is in good standing. Raises: NotAMember, MemberIsSuspended."""
        found = self.members.get(member)
        if found is None or found.state is MemberState.REMOVED:
            raise NotAMember(member=member.hex())
        if found.state is MemberState.SUSPENDED:
            raise MemberIsSuspended(member=member.hex())
        return found

    def identity_at(self, member: MemberId, size: int) -> SigningPublicKey:
        """The member's identity key in force when the log had `size` entries, whatever the member's state.

        A key given up long ago is found under an old size: the caller must not take a new statement that names a
        checkpoint older than the freshness limit.

        Raises: NotAMember if the log of that size (at most this roster's) had no such member.
        """
        found = self.members.get(member)
        if found is None or not found.admitted_size <= size <= self.size:
            raise NotAMember(member=member.hex())
        return next((key for until, key in found.former_identities if size <= until), found.identity)

    def head(self, member: MemberId | None, now: datetime) -> Head:
        """What the next entry begins with, about this member or, for None, about the network's government.

        A member that is not there yet begins at the genesis. Where the last entry's time is later than `now` it is
        taken instead: else a member could put off its own suspension with an entry from the far future.
        """
        if member is None:
            previous, earliest = self.last_governance_entry, self.last_governance_time
        elif member in self.members:
            previous, earliest = self.members[member].last_entry, self.members[member].last_time
        else:
            previous, earliest = self.genesis_entry, self.genesis_time
        return Head(network=self.network, previous=previous, time=timestamp_of(max(now, earliest)))


def authority_digest(certificate: bytes) -> Digest:
    """What the log says of a CA's certificate (DER)."""
    return Digest(hashlib.sha256(certificate).digest())


def registration_digest(legal_name: str, number: str) -> Digest:
    """What stands in the log for an association's legal name and registration number (SIRET, RNA or FINESS).

    Spelling does not count: case, width, spaces, and in the number anything but letters and digits.

    Raises: InvalidInput if nothing is left of one of them.
    """
    name = re.sub(r"\s+", " ", _folded(legal_name)).strip()
    digits = "".join(character for character in _folded(number) if character.isalnum())
    for what, value in (("legal_name", name), ("registration_number", digits)):
        if not value:
            raise InvalidInput(field=what, problem=N_("it is empty"))
    return Digest(blake2b_256(Label.REGISTRATION, name.encode("utf-8"), digits.encode("utf-8")))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
