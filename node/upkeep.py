"""What a node renews by itself: card and sealing key, certificate, in-flight keys, the journal's signed head."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from pathlib import Path

from cryptography import x509
from sqlalchemy import Connection

from cordee.card import make_card
from cordee.errors import CordeeError
from cordee.runtime.logs import logger
from cordee.runtime.tls import TransportKey
from cordee.sealing import SealingKey
from node import drafts, journal, transfer_store
from node.directory_client import DirectoryClient
from node.files import replace
from node.house import House
from node.secrets import delete_secret, get_secret, put_secret

__all__ = ["Upkeep"]

log = logger("node.upkeep")

_FIRST_SECONDS = 10.0
_EVERY_SECONDS = 3600.0
_SCRUB_SECONDS = 1.0
_OFFER_LIFE = timedelta(days=14)  # a superseded sealing key is kept as long as an offer may live


class Upkeep:
    """Looks once an hour whether something is past two thirds of its life."""

    def __init__(self, house: House, client: DirectoryClient, transport: TransportKey, certificate: Path) -> None:
        self._house = house
        self._client = client
        self._transport = transport
        self._certificate = certificate

    async def run(self) -> None:
        """Until cancelled. What fails is tried again an hour later; there is a month for it."""
        await self._house.clock.sleep(_FIRST_SECONDS)  # the roster is looked at first
        while True:
            await self.look()
            await self._house.clock.sleep(_EVERY_SECONDS)

    async def scrub(self) -> None:
        """Until cancelled: soon after a transfer has ended, nothing of its keys is left in the write-ahead log."""
        ended = self._house.changes.ended
        while True:
            await ended.wait()
            ended.clear()
            await self._house.clock.sleep(_SCRUB_SECONDS)
            if not await asyncio.to_thread(self._house.db.truncate_log):
                ended.set()  # a reader was in the way: once more

    async def look(self) -> None:
        """Renew what is due."""
        for task in (self._renew_card, self._renew_certificate):
            try:
                await task()
            except CordeeError as failed:
                log.warning("upkeep.failed", reason=failed.reason)
        await self._house.db.write(self._forget_old_sealing_keys)
        await self._house.db.write(lambda tx: drafts.forget_old(tx, now=self._house.clock.now()))
        days = await self._house.db.read(self._days_in_use)
        self._house.in_flight.prune(days)
        await self._house.db.write(
            lambda tx: journal.sign_head(tx, self._house.keys.identity, now=self._house.clock.now())
        )

    async def _renew_card(self) -> None:
        house, now = self._house, self._house.clock.now()
        known = house.roster.card(house.member, now=now)
        if not past_two_thirds(known.card.not_before, known.card.expire_time, now):
            return
        number = known.card.number + 1

        def new_key(tx: Connection) -> SealingKey:
            seed = get_secret(tx, house.vault, f"sealing.{number}")
            key = SealingKey.from_seed(seed) if seed else SealingKey.generate(house.random)
            # Kept before it is published: an offer sealed to it may come at once.
            put_secret(tx, house.vault, f"sealing.{number}", key.seed)
            return key

        key = await house.db.write(new_key)
        house.keys.sealing[number] = key
        card = make_card(
            house.keys.identity,
            network=house.network,
            member=house.member,
            number=number,
            sealing_key=key.public,
            transport_key_digest=self._transport.digest,
            endpoint=known.card.endpoint,
            profile=known.profile_bytes,
            now=now,
        )
        await self._client.publish_card(card, profile=known.profile_bytes)
        await house.roster.sync()
        log.info("card.renewed", number=number)

    async def _renew_certificate(self) -> None:
        now = self._house.clock.now()
        present = x509.load_der_x509_certificate(self._certificate.read_bytes())
        if not past_two_thirds(present.not_valid_before_utc, present.not_valid_after_utc, now):
            return
        renewed = await self._client.renew_certificate(self._transport.request())
        replace(self._certificate, renewed)
        await self._client.reconnect(key=self._transport, certificate=renewed)
        log.info("certificate.renewed")

    def _forget_old_sealing_keys(self, tx: Connection) -> None:
        house, now = self._house, self._house.clock.now()
        try:
            present = house.roster.card(house.member, now=now).card
        except CordeeError:
            return
        if now < present.not_before + _OFFER_LIFE:
            return
        for number in [each for each in house.keys.sealing if each < present.number]:
            delete_secret(tx, f"sealing.{number}")
            del house.keys.sealing[number]

    def _days_in_use(self, tx: Connection) -> set[date]:
        sealed = [
            secret
            for each in transfer_store.all_transfers(tx)
            for secret in (each.sealed_content_key, each.sealed_one_time_seed)
            if secret is not None
        ]
        return {self._house.in_flight.day_of(secret) for secret in sealed}


def past_two_thirds(begins: datetime, ends: datetime, now: datetime) -> bool:
    """Whether two thirds of a life have passed."""
    return now >= begins + (ends - begins) * 2 / 3
