"""What a node renews by itself: card and sealing key, certificate, in-flight keys, the journal's signed head."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from cryptography import x509
from sqlalchemy import Connection

from cordee.errors import CordeeError
from cordee.runtime.logs import logger
from node import agenda, drafts, journal, records, transfer_store
from node.comparing import Comparing
from node.house import House
from node.identity import Identity
from node.publishing import Publishing

__all__ = ["Upkeep"]

log = logger("node.upkeep")

_FIRST_SECONDS = 10.0
_EVERY_SECONDS = 3600.0
_SCRUB_SECONDS = 1.0
_CASES_AT_ONCE = 50


class Upkeep:
    """Looks once an hour whether something is past two thirds of its life."""

    def __init__(
        self,
        house: House,
        publishing: Publishing,
        identity: Identity,
        comparing: Comparing,
        certificate: Path,
    ) -> None:
        self._house = house
        self._publishing = publishing
        self._identity = identity
        self._comparing = comparing
        self._certificate = certificate

    async def run(self) -> None:
        """Until cancelled. What fails is tried again an hour later; there is a month for it."""
        await self.catch_up()
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
            await self._house.scrub()  # where something was in the way: once more

    async def catch_up(self) -> None:
        """After an upgrade: what each case asks for, a few at a time, so that other steps find their turn."""
        house = self._house

        def some(tx: Connection) -> int:
            return records.catch_up(tx, house.vault, many=_CASES_AT_ONCE, now=house.clock.now())

        made = await house.db.write(some)
        while made:
            made = await house.db.write(some)

    async def look(self) -> None:
        """Renew what is due."""
        for task in (
            self._identity.look_if_cut_off,
            self._identity.resume,
            self._publishing.resume_transport,
            self._renew_card,
            self._renew_certificate,
            self._comparing.look_at_times,
            self._forget,
            self._tidy,
            self._destroy_keys,
            self._sign_journal,
        ):
            try:
                await task()
            except CordeeError as failed:
                log.warning("upkeep.failed", reason=failed.reason)
            except Exception as failed:
                # A disk that is full, a certificate that cannot be read: nothing of it must end the whole node, which
                # would meet it again after each start.
                log.error("upkeep.failed", reason=type(failed).__name__)

    async def _forget(self) -> None:
        house = self._house
        await house.db.write(self._publishing.forget_old_keys)
        await house.db.write(lambda tx: drafts.forget_old(tx, now=house.clock.now()))

    async def _tidy(self) -> None:
        house, today = self._house, self._house.clock.now().date()
        await house.db.write(lambda tx: agenda.tidy(tx, house.vault, today=today))

    async def _destroy_keys(self) -> None:
        self._house.in_flight.prune(await self._house.db.read(self._days_in_use))

    async def _sign_journal(self) -> None:
        house = self._house
        await house.db.write(lambda tx: journal.sign_head(tx, house.keys.identity, now=house.clock.now()))

    async def _renew_card(self) -> None:
        house, now = self._house, self._house.clock.now()
        known = house.roster.own_card()  # also one that ran out while the node was away or suspended
        grown_old = past_two_thirds(known.card.not_before, known.card.expire_time, now)
        same_key = known.card.signed.signer == house.keys.identity.public.key_id
        if same_key and not grown_old and known.card.endpoint == house.endpoint:
            return
        number = await self._publishing.publish()
        log.info("card.renewed", number=number)

    async def _renew_certificate(self) -> None:
        now = self._house.clock.now()
        try:
            present = x509.load_der_x509_certificate(self._certificate.read_bytes())
        except ValueError:  # damaged: the line that is open still goes by what was read at the start
            await self._publishing.renew_certificate()
            return
        if not past_two_thirds(present.not_valid_before_utc, present.not_valid_after_utc, now):
            return
        await self._publishing.renew_certificate()

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
