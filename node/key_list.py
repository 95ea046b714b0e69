"""A node's own keys and what they hang from, with their ages and ends: nothing in it is secret."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509

from cordee.errors import CordeeError
from node.joining import CERTIFICATE

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["IN_FORCE", "KEPT", "WAITING", "OwnKey", "own_keys"]

IN_FORCE, KEPT, WAITING = "in_force", "kept", "waiting"


@dataclass(frozen=True)
class OwnKey:
    """One key, or the certificate of one."""

    kind: str
    id: bytes
    state: str = IN_FORCE
    since: datetime | None = None
    expires: datetime | None = None
    number: int = 0
    """Of the card that bears it."""


def own_keys(node: Node) -> list[OwnKey]:
    """As they are now."""
    now, house = node.clock.now(), node.house
    member = node.roster.roster.members.get(node.member)
    found = [
        OwnKey("identity", house.keys.identity.public.key_id, since=member.identity_since if member else None),
    ]
    if house.keys.waiting is not None:
        found.append(OwnKey("identity", house.keys.waiting.public.key_id, state=WAITING))
    try:
        card = node.roster.card(node.member, now=now).card
    except CordeeError:
        card = None
    for number, key in sorted(house.keys.sealing.items(), reverse=True):
        present = card is not None and number == card.number
        found.append(
            OwnKey(
                "sealing",
                hashlib.sha256(key.public).digest(),
                state=IN_FORCE if present else (WAITING if card and number > card.number else KEPT),
                since=card.not_before if card and present else None,
                expires=card.expire_time if card and present else None,
                number=number,
            )
        )
    certificate = x509.load_der_x509_certificate((node.data_dir / CERTIFICATE).read_bytes())
    found.append(OwnKey("transport", node.publishing.transport.digest, number=card.number if card else 0))
    found.append(_certificate("certificate", certificate))
    roster = node.roster.roster
    for number, authority in enumerate(roster.authorities):
        if authority.until is None or now < authority.until:
            state = KEPT if number else IN_FORCE
            found.append(OwnKey("authority", authority.digest, state=state, expires=authority.until))
    found.append(OwnKey("directory", roster.directory_key.key_id))
    return found


def _certificate(kind: str, certificate: x509.Certificate) -> OwnKey:
    return OwnKey(
        kind,
        hashlib.sha256(certificate.tbs_certificate_bytes).digest(),
        since=certificate.not_valid_before_utc,
        expires=certificate.not_valid_after_utc,
    )
