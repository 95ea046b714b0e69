"""Publishing this association's own card: with another profile, or because the present one grows old.

Every card has a sealing key of its own. An older key is kept as long as an offer that was sealed to it may live. A new
transport key is kept before its card is published; the former one works until the new one was used once, and is
forgotten when the certificate of the new one is on disk: a crash at any point leaves a key that gets in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from cordee.card import make_card
from cordee.errors import CardRefused, CordeeError
from cordee.ids import Digest
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.runtime.tls import TransportKey, spki_digest
from cordee.sealing import SealingKey
from cordee.signing import Signed, SigningPublicKey
from node import journal, rejoining
from node.directory_client import DirectoryClient
from node.files import replace
from node.hearsay import require_certificate
from node.house import House
from node.joining import Membership
from node.secrets import delete_secret, get_secret, put_secret
from node.vault import Vault

__all__ = ["Publishing", "transport_in_use"]

log = logger("node.publishing")

_OFFER_LIFE = timedelta(days=14)
_SENT_AGAIN = timedelta(days=1)  # a card of which no answer came; later another one, with another number
_TRANSPORT, _NEXT_TRANSPORT = "transport", "transport.next"

TRANSPORT_KEPT = register("node.transport.kept")
TRANSPORT_ON_CARD = register("node.transport.on_card")
TRANSPORT_CERTIFIED = register("node.transport.certified")


@dataclass(frozen=True)
class _Says:
    """What one card of ours says, and another one would say too."""

    signer: SigningPublicKey
    transport: Digest
    profile: bytes


@dataclass(frozen=True)
class _Sent:
    """A card that was signed, and of which the directory has not answered that it has it."""

    says: _Says
    number: int
    made: datetime
    card: Signed


class Publishing:
    """One card at a time: two that bear the same number would be refused by everybody."""

    def __init__(self, house: House, client: DirectoryClient, transport: TransportKey, certificate: Path) -> None:
        self._house = house
        self._client = client
        self._certificate = certificate
        self._lock = asyncio.Lock()
        self.transport = transport
        """The key that this node calls with."""
        self._sent: _Sent | None = None

    async def publish(self, profile: bytes | None = None, *, by: str = "node") -> int:
        """A new card, with this profile or the one that the present card has. Its number.

        Raises: Unreachable, CardRefused, CardExpired; nothing has changed then but a key that waits for its card.
        """
        async with self._lock:
            return await self._publish(profile, self.transport, by)

    async def _publish(self, profile: bytes | None, transport: TransportKey, by: str) -> int:
        house, now = self._house, self._house.clock.now()
        known = house.roster.own_card()
        told = known.profile_bytes if profile is None else profile
        says = _Says(house.keys.identity.public, transport.digest, told)
        sent = self._sent
        if sent is None or sent.says != says or sent.number <= known.card.number or now - sent.made > _SENT_AGAIN:
            sent = self._sent = await self._signed(says, now)
        number = sent.number
        try:
            await self._client.publish_card(sent.card, profile=told)
        except CardRefused:
            self._sent = None  # otherwise it may have come all the same, and the very same one is sent again
            raise
        await house.db.write(lambda tx: self._note(tx, known.card.number, number, now, by))
        self._sent = None
        await house.roster.sync()
        log.info("card.published", number=number)
        return number

    async def _signed(self, says: _Says, now: datetime) -> _Sent:
        """A card with a number that no card of ours has had: one that was sent, and of which no answer came, may be
        known to others, also where the directory knows it no longer.
        """
        house = self._house
        number = max([house.roster.own_card().card.number, *house.keys.sealing]) + 1
        key = SealingKey.generate(house.random)
        # Kept before it is published: an offer sealed to it may come at once, and the number is not used again.
        await house.db.write(lambda tx: put_secret(tx, house.vault, f"sealing.{number}", key.seed))
        house.keys.sealing[number] = key
        card = make_card(
            house.keys.identity,
            network=house.network,
            member=house.member,
            number=number,
            sealing_key=key.public,
            transport_key_digest=says.transport,
            endpoint=house.endpoint,
            profile=says.profile,
            now=now,
        )
        return _Sent(says, number, now, card)

    # ---- the transport key and its certificate ----

    async def rotate_transport(self, *, by: str = "node") -> None:
        """Call with another key from now on. Cut off, it is finished by `resume_transport`.

        Raises: Unreachable, CardRefused, CardExpired, MalformedKey.
        """
        async with self._lock:
            following = await self._house.db.write(self._next_transport)
            self._house.crashpoints.reach(TRANSPORT_KEPT)
            await self._change_transport(following, by)

    async def resume_transport(self) -> None:
        """Finish a change of the transport key that was cut off, if there is one. Raises: as `rotate_transport`."""
        async with self._lock:
            house = self._house
            pem = await house.db.read(lambda tx: get_secret(tx, house.vault, _NEXT_TRANSPORT))
            if pem is not None:
                await self._change_transport(TransportKey.from_pem(pem), "node")

    async def _change_transport(self, following: TransportKey, by: str) -> None:
        house = self._house
        present = house.roster.own_card().card
        if present.transport_key_digest != following.digest:
            await self._publish(None, following, by)
        house.crashpoints.reach(TRANSPORT_ON_CARD)
        certificate = await self._certified(following)
        await self._call_with(following, certificate)
        log.info("transport.rotated")

    async def _certified(self, key: TransportKey, *, roots: bytes | None = None) -> bytes:
        """A certificate for a key. Raises: what the directory answers; InvalidRecord, MalformedKey for one that would
        keep us out: then we go on with what we have.
        """
        answered = await self._client.renew_certificate(key.request())
        now = self._house.clock.now()
        return require_certificate(answered, key=key, roots=roots or self._client.root, now=now)

    async def _call_with(self, following: TransportKey, certificate: bytes) -> None:
        house = self._house
        replace(self._certificate, certificate)
        house.crashpoints.reach(TRANSPORT_CERTIFIED)
        await house.db.write(lambda tx: _take_up(tx, house.vault, following))
        self.transport = following
        await self._client.reconnect(key=following, certificate=certificate)

    async def come_in_anew(self, membership: Membership) -> None:
        """A new transport key and card, by the identity key alone: for a node from a backup whose transport key, or
        whose certificate or card, counts no more. Safe to repeat. Raises: as `rejoining.ask`.
        """
        async with self._lock:
            house = self._house
            following = await house.db.write(self._next_transport)
            profile = await house.db.read(
                lambda tx: house.roster.kept_profile(tx) or get_secret(tx, house.vault, "profile") or b""
            )
            now, sealing = house.clock.now(), SealingKey.generate(house.random)
            number = int(now.timestamp())  # above any that this member counted up to (as in `rejoining.come_back`)
            # Kept before it is published: an offer sealed to it may come at once.
            await house.db.write(lambda tx: put_secret(tx, house.vault, f"sealing.{number}", sealing.seed))
            house.keys.sealing[number] = sealing
            certificate = await rejoining.ask(
                membership,
                house.member,
                house.keys.identity,
                following,
                sealing,
                number=number,
                profile=profile,
                now=now,
                nonce=house.random(16),
                endpoint=house.endpoint,
            )
            await self._call_with(following, certificate)
            log.info("transport.readmitted")

    def _next_transport(self, tx: Connection) -> TransportKey:
        pem = get_secret(tx, self._house.vault, _NEXT_TRANSPORT)
        key = TransportKey.from_pem(pem) if pem else TransportKey.generate()
        put_secret(tx, self._house.vault, _NEXT_TRANSPORT, key.pem)
        return key

    async def renew_certificate(self, *, root: bytes | None = None) -> None:
        """Another certificate for the same key, used from the next call on; the CAs that `root` names are trusted from
        then on, where it is given. Raises: Unreachable, MalformedKey.
        """
        async with self._lock:
            renewed = await self._certified(self.transport, roots=root)
            replace(self._certificate, renewed)
            await self._client.reconnect(key=self.transport, certificate=renewed, root=root)
            log.info("certificate.renewed")

    # ---- sealing keys ----

    def _note(self, tx: Connection, superseded: int, number: int, now: datetime, by: str) -> None:
        put_secret(tx, self._house.vault, f"superseded.{superseded}", now.isoformat().encode())
        facts = {"number": str(number)}
        journal.append(tx, now=now, actor=by, action="card.published", subject="", facts=facts)

    def forget_old_keys(self, tx: Connection) -> None:
        """Those whose card was superseded so long ago that no offer sealed to it can come any more."""
        house, now = self._house, self._house.clock.now()
        try:
            present = house.roster.card(house.member, now=now).card
        except CordeeError:
            return
        for number in [each for each in house.keys.sealing if each < present.number]:
            noted = get_secret(tx, house.vault, f"superseded.{number}")
            since = datetime.fromisoformat(noted.decode()) if noted else present.not_before
            if now < since + _OFFER_LIFE:
                continue
            delete_secret(tx, f"sealing.{number}")
            delete_secret(tx, f"superseded.{number}")
            del house.keys.sealing[number]


def transport_in_use(tx: Connection, vault: Vault, present: TransportKey, certificate: bytes) -> TransportKey:
    """The key that a certificate is for: where its change was cut off last of all, the new one, now kept as such."""
    pem = get_secret(tx, vault, _NEXT_TRANSPORT)
    if pem is None or TransportKey.from_pem(pem).digest != spki_digest(certificate):
        return present
    following = TransportKey.from_pem(pem)
    _take_up(tx, vault, following)
    return following


def _take_up(tx: Connection, vault: Vault, following: TransportKey) -> None:
    put_secret(tx, vault, _TRANSPORT, following.pem)
    delete_secret(tx, _NEXT_TRANSPORT)
