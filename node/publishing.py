"""Publishing this association's own card: with another profile, or because the present one grows old.

Every card has a sealing key of its own. An older key is kept as long as an offer that was sealed to it may live.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cordee.card import make_card
from cordee.errors import CordeeError
from cordee.runtime.logs import logger
from cordee.runtime.tls import TransportKey
from cordee.sealing import SealingKey
from node import journal
from node.directory_client import DirectoryClient
from node.house import House
from node.secrets import delete_secret, get_secret, put_secret

__all__ = ["Publishing"]

log = logger("node.publishing")

_OFFER_LIFE = timedelta(days=14)


class Publishing:
    """One card at a time: two that bear the same number would be refused by everybody."""

    def __init__(self, house: House, client: DirectoryClient, transport: TransportKey) -> None:
        self._house = house
        self._client = client
        self._transport = transport
        self._lock = asyncio.Lock()

    async def publish(self, profile: bytes | None = None, *, by: str = "node") -> int:
        """A new card, with this profile or the one that the present card has. Its number.

        Raises: Unreachable, CardRefused, CardExpired; nothing has changed then but a key that waits for its card.
        """
        async with self._lock:
            house, now = self._house, self._house.clock.now()
            known = house.roster.card(house.member, now=now)
            number, told = known.card.number + 1, known.profile_bytes if profile is None else profile
            key = await house.db.write(lambda tx: self._key_for(tx, number))
            house.keys.sealing[number] = key
            card = make_card(
                house.keys.identity,
                network=house.network,
                member=house.member,
                number=number,
                sealing_key=key.public,
                transport_key_digest=self._transport.digest,
                endpoint=house.endpoint,
                profile=told,
                now=now,
            )
            await self._client.publish_card(card, profile=told)
            await house.db.write(lambda tx: self._note(tx, known.card.number, now, by))
            await house.roster.sync()
            log.info("card.published", number=number)
            return number

    def _key_for(self, tx: Connection, number: int) -> SealingKey:
        seed = get_secret(tx, self._house.vault, f"sealing.{number}")
        key = SealingKey.from_seed(seed) if seed else SealingKey.generate(self._house.random)
        # Kept before it is published: an offer sealed to it may come at once.
        put_secret(tx, self._house.vault, f"sealing.{number}", key.seed)
        return key

    def _note(self, tx: Connection, superseded: int, now: datetime, by: str) -> None:
        put_secret(tx, self._house.vault, f"superseded.{superseded}", now.isoformat().encode())
        facts = {"number": str(superseded + 1)}
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
