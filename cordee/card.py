"""A member's card: what changes often, or may have to be erased, and so is not in the log (protocol §4).

One statement signed by the member's identity key, numbered, valid for 90 days at most; only the newest is kept. The
directory can withhold a card, but neither make nor alter one, and a node that knows a number takes no lower one.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cordee.errors import N_, BadSignature, CardExpired, CardRefused, MalformedKey, MalformedStatement, NotAMember
from cordee.frame import Label, blake2b_256
from cordee.ids import Digest, MemberId, NetworkId
from cordee.members import MemberState, Roster
from cordee.sealing import SealingPublicKey
from cordee.signing import Signed, SigningKey, SigningPublicKey, parse_body, verify
from cordee.times import moment_of, timestamp_of
from cordee.v1 import statements_pb2 as v1

__all__ = ["MAX_LIFE", "MAX_PROFILE", "Card", "is_endpoint", "make_card", "profile_digest"]

MAX_LIFE = timedelta(days=90)
MAX_PROFILE = 64 * 1024
"""Bytes of a profile."""
MAX_NUMBER = 2**62
SKEW = timedelta(minutes=5)

_MAX_CARD_BODY = 4 * 1024
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_ENDPOINT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):(?P<port>[1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Card:
    """A card that verifies and is in force."""

    network: NetworkId
    member: MemberId
    number: int
    sealing_key: SealingPublicKey
    transport_key_digest: Digest
    """SHA-256 of the SubjectPublicKeyInfo of the member's certificate."""
    endpoint: str
    """host:port of the member's own mailbox; empty if it has none."""
    profile_digest: Digest
    not_before: datetime
    expire_time: datetime
    signed: Signed

    @classmethod
    def parse(
        cls, signed: Signed, roster: Roster, *, now: datetime, profile: bytes | None = None, at_least: int = 1
    ) -> Self:
        """Check a member's card against the roster.

        `at_least` is the highest number known, `profile` what came with the card. A suspended member's card is taken:
        it is needed again when the member comes back.

        Raises: NotAMember for one that was never admitted or is removed; CardExpired; CardRefused for all else.
        """
        member = roster.members.get(_member_named(signed))
        if member is None or member.state is MemberState.REMOVED:
            raise NotAMember()
        return cls.parse_for(
            signed,
            network=roster.network,
            member=member.id,
            identity=member.identity,
            now=now,
            profile=profile,
            at_least=at_least,
        )

    @classmethod
    def parse_for(
        cls,
        signed: Signed,
        *,
        network: NetworkId,
        member: MemberId,
        identity: SigningPublicKey,
        now: datetime,
        profile: bytes | None = None,
        at_least: int = 1,
    ) -> Self:
        """Check the card of one member whose identity key is known otherwise: that of an applicant.

        Raises: CardExpired; CardRefused for all else.
        """
        try:
            card = cls._read(signed, identity)
        except (MalformedStatement, MalformedKey) as error:
            raise CardRefused(member=member.hex(), problem=N_("it is malformed")) from error
        except BadSignature as error:
            raise CardRefused(member=member.hex(), problem=N_("its signature does not verify")) from error
        life = card.expire_time - card.not_before
        for holds, problem in (
            (card.network == network, N_("it belongs to another network")),
            (card.member == member, N_("it is another member's")),
            (at_least <= card.number and 1 <= card.number <= MAX_NUMBER, N_("its number is too low or out of range")),
            (not card.endpoint or is_endpoint(card.endpoint), N_("its endpoint is malformed")),
            (timedelta(0) < life <= MAX_LIFE, N_("its validity is out of range")),
            (card.not_before <= now + SKEW, N_("it is not valid yet")),
            (profile is None or len(profile) <= MAX_PROFILE, N_("its profile is too large")),
            (profile is None or profile_digest(profile) == card.profile_digest, N_("its profile is another")),
        ):
            if not holds:
                raise CardRefused(member=member.hex(), problem=problem)
        if card.expire_time <= now:
            raise CardExpired(member=member.hex())
        return card

    @classmethod
    def _read(cls, signed: Signed, identity: SigningPublicKey) -> Self:
        body = parse_body(signed, v1.Card, _MAX_CARD_BODY)
        verify(signed, identity)
        return cls(
            network=NetworkId(body.network),
            member=MemberId(body.member),
            number=body.number,
            sealing_key=SealingPublicKey.parse(body.sealing_key),
            transport_key_digest=Digest(body.transport_key_digest),
            endpoint=body.endpoint,
            profile_digest=Digest(body.profile_digest),
            not_before=moment_of(body.not_before),
            expire_time=moment_of(body.expire_time),
            signed=signed,
        )


def make_card(
    identity: SigningKey,
    *,
    network: NetworkId,
    member: MemberId,
    number: int,
    sealing_key: SealingPublicKey,
    transport_key_digest: Digest,
    profile: bytes,
    now: datetime,
    endpoint: str = "",
    life: timedelta = MAX_LIFE,
) -> Signed:
    """Sign a card, valid from `now` on; checked as its readers will check it. Raises: CardRefused."""
    signed = identity.sign(
        v1.Card(
            network=network,
            member=member,
            number=number,
            sealing_key=sealing_key,
            transport_key_digest=transport_key_digest,
            endpoint=endpoint,
            profile_digest=profile_digest(profile),
            not_before=timestamp_of(now),
            expire_time=timestamp_of(now + life),
        )
    )
    Card.parse_for(signed, network=network, member=member, identity=identity.public, now=now, profile=profile)
    return signed


def profile_digest(profile: bytes) -> Digest:
    """What a card says of the profile that lies beside it."""
    return Digest(blake2b_256(Label.PROFILE, profile))


def is_endpoint(endpoint: str) -> bool:
    """Whether a text is host:port; the host a DNS name, an IPv4 address or an IPv6 address in brackets."""
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or int(match["port"]) > 65_535:
        return False
    host = match["host"]
    if host.startswith("[") or re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True
    return all(_LABEL.fullmatch(label) for label in host.split("."))


def _member_named(signed: Signed) -> MemberId:
    """Whose card it says it is; not verified."""
    try:
        return MemberId(parse_body(signed, v1.Card, _MAX_CARD_BODY).member)
    except MalformedStatement as error:
        raise CardRefused(member="", problem=N_("it is malformed")) from error
