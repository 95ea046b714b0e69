"""A node that came from a backup tells the network so, and takes over what it has missed, before anything goes on.

Until that is done nothing is sent and nothing is heard. In order: a certificate where ours has run out, the roster,
`NodeRestored` with a new incarnation (with which the directory ends all transfers of ours that were under way, for
both sides), a card with a sealing key that we have, and then what the broker keeps of every transfer (protocol §10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import Connection

from cordee.entries import add_signature, propose
from cordee.errors import CardExpired, CertificateExpired, CordeeError, MemberIsSuspended, NotAMember
from cordee.roster import Roster
from cordee.runtime.logs import logger
from cordee.v1 import statements_pb2 as v1
from node import journal
from node.aftermath import HANDED_ON, Aftermath
from node.directory_client import DirectoryClient
from node.house import House
from node.joining import Membership
from node.publishing import Publishing
from node.secrets import delete_secret, get_secret, put_secret
from node.vault import Vault

__all__ = ["Announcement", "await_announcement", "handed_on", "incarnations"]

log = logger("node.restored")

_PENDING = "incarnation.pending"
_PRESENT = "incarnation"
_INCARNATION_BYTES = 16
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_MOST_TOLD = 100


def await_announcement(tx: Connection, vault: Vault, *, random: Callable[[int], bytes]) -> None:
    """Note, in a database that was restored just now, that the network is to be told: with this new incarnation."""
    put_secret(tx, vault, _PENDING, random(_INCARNATION_BYTES))


def incarnations(tx: Connection, vault: Vault) -> frozenset[bytes] | None:
    """The incarnations of this node that it knows of; None while one waits to be told: it may have missed some."""
    if get_secret(tx, vault, _PENDING) is not None:
        return None
    present = get_secret(tx, vault, _PRESENT)
    return frozenset() if present is None else frozenset({present})


def handed_on(tx: Connection, *, since: datetime) -> list[journal.JournalEntry]:
    """Transfers that took a case of ours away after the backup, found after a restore: which, only the others know."""
    found = journal.latest(tx, action=HANDED_ON, limit=_MOST_TOLD)
    return [each for each in found if each.at >= since]


class Announcement:
    """What a restored node does before all else. For any other node there is nothing to do."""

    def __init__(self, house: House, client: DirectoryClient, publishing: Publishing, certificate: Path) -> None:
        self._house = house
        self._client = client
        self._publishing = publishing
        self._certificate = certificate
        self._aftermath = Aftermath(house, client)
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; tried again while the directory is away, with a pause that grows."""
        house, pause = self._house, _FIRST_PAUSE
        while (pending := house.db.look(lambda tx: get_secret(tx, house.vault, _PENDING))) is not None:
            try:
                await self._announce(pending)
                await self._aftermath.take_over()
                await house.db.write(lambda tx, pending=pending: self._told(tx, pending))  # type: ignore[misc]
            except CordeeError as waits:
                log.warning("restored.waits", reason=waits.reason)
                await house.clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        house.roster.incarnations = house.db.look(lambda tx: incarnations(tx, house.vault))
        self._done.set()
        await asyncio.Event().wait()  # a part of the node that ends has failed

    async def before(self, part: Coroutine[Any, Any, None]) -> None:
        """Run a part of the node once this is done."""
        try:
            await self._done.wait()
        except BaseException:
            part.close()
            raise
        await part

    async def _announce(self, incarnation: bytes) -> None:
        house = self._house
        roster = await self._come_in()
        if roster.active(house.member).incarnation != incarnation:
            head = roster.head(house.member, house.clock.now())
            statement = v1.NodeRestored(**head, member=house.member, incarnation=incarnation)
            await self._client.append_entry(add_signature(propose(statement), house.keys.identity))
            await house.roster.sync()
        try:
            # The present card may name a sealing key that was made after the backup.
            await self._publishing.publish()
        except CardExpired:
            await self._publishing.come_in_anew(Membership.load(house.data_dir))
            await house.roster.sync()

    async def _come_in(self) -> Roster:
        """The roster as it stands now: by the backup's transport key, or, where that counts no more, by identity."""
        house = self._house
        certificate = x509.load_der_x509_certificate(self._certificate.read_bytes())
        try:
            if certificate.not_valid_after_utc <= house.clock.now():
                raise CertificateExpired(expired=certificate.not_valid_after_utc.date())
            return await house.roster.sync()
        except MemberIsSuspended:
            raise
        except (CertificateExpired, NotAMember) as shut_out:
            log.info("restored.comes_in_anew", reason=shut_out.reason)
            await self._publishing.come_in_anew(Membership.load(house.data_dir))
            return await house.roster.sync()

    def _told(self, tx: Connection, incarnation: bytes) -> None:
        house = self._house
        put_secret(tx, house.vault, _PRESENT, incarnation)
        delete_secret(tx, _PENDING)
        facts = {"incarnation": incarnation.hex()}
        journal.append(tx, now=house.clock.now(), actor="node", action="node.restored_told", subject="", facts=facts)
