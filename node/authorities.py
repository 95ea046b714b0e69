"""Which CAs of the network's TLS this node trusts: what the verified log says, no more and no less.

The log has digests; the certificates come from the directory and count only if their digest is in the log. They are
kept beside the database as one bundle, so that the node gets in after a restart. Once another CA is in force, the
node's own certificate is made anew by it, at a moment of chance within some minutes: all nodes hear of it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace as changed

from cordee.errors import CordeeError
from cordee.members import Roster, authority_digest
from cordee.runtime.logs import logger
from cordee.runtime.tls import bundle_of, certificates_in, issued_by
from node.directory_client import DirectoryClient
from node.house import House
from node.joining import CERTIFICATE, Membership
from node.publishing import Publishing

__all__ = ["Trust"]

log = logger("node.trust")

_EVERY_SECONDS = 3600.0
_SPREAD_SECONDS = 300.0


class Trust:
    """Follows the log's authorities."""

    def __init__(self, house: House, client: DirectoryClient, publishing: Publishing, membership: Membership) -> None:
        self._house = house
        self._client = client
        self._publishing = publishing
        self._membership = membership
        self._due = asyncio.Event()

    async def follow(self, roster: Roster) -> None:
        """Look again, should this roster trust others than we do."""
        if not self._agrees(roster):
            self._due.set()

    async def run(self) -> None:
        """Until cancelled: when the log has changed, and every hour, for a CA may have come to its end."""
        while True:
            try:
                await self.look()
            except CordeeError as later:
                log.info("authorities.later", reason=later.reason)
            except Exception as unforeseen:  # no descriptor to read our certificate with, say
                log.error("authorities.later", reason=type(unforeseen).__name__)
            waiting = asyncio.create_task(self._due.wait())
            pause = asyncio.ensure_future(self._house.clock.sleep(_EVERY_SECONDS))
            try:
                await asyncio.wait({waiting, pause}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                pause.cancel()
            self._due.clear()

    async def look(self) -> None:
        """Trust what the log trusts; then have a certificate of the CA in force. Raises: Unreachable, RosterStale."""
        roster = self._house.roster.roster
        if not self._agrees(roster):
            await self._trust(roster)
        present = next(
            (each for each in certificates_in(self._membership.ca_certificate) if _is_in_force(each, roster)), None
        )
        if present is not None and not issued_by(self._own(), present):
            await self._house.clock.sleep(_SPREAD_SECONDS * self._house.random(1)[0] / 255)
            await self._publishing.renew_certificate()

    def _agrees(self, roster: Roster) -> bool:
        trusted = set(roster.trusted(self._house.clock.now()))
        return {authority_digest(each) for each in certificates_in(self._membership.ca_certificate)} == trusted

    async def _trust(self, roster: Roster) -> None:
        trusted = set(roster.trusted(self._house.clock.now()))
        here = {authority_digest(each): each for each in certificates_in(self._membership.ca_certificate)}
        if not trusted <= here.keys():
            here |= {authority_digest(each): each for each in await self._client.authorities()}
        bundle = bundle_of(certificate for digest, certificate in here.items() if digest in trusted)
        if not bundle:
            return  # nothing that is trusted is known: what we have lets us ask again
        self._membership = changed(self._membership, ca_certificate=bundle)
        self._membership.save(self._house.data_dir)
        log.info("authorities.trusted", count=len(certificates_in(bundle)))
        if not any(issued_by(self._own(), each) for each in certificates_in(bundle)):
            # Ours is worth nothing any more: over the line that is still open we get another one, or never.
            with contextlib.suppress(CordeeError):
                await self._publishing.renew_certificate(root=bundle)
                return
        key, certificate = self._client.identity
        await self._client.reconnect(key=key, certificate=certificate, root=bundle)

    def _own(self) -> bytes:
        return (self._house.data_dir / CERTIFICATE).read_bytes()


def _is_in_force(certificate: bytes, roster: Roster) -> bool:
    return authority_digest(certificate) == roster.authorities[0].digest
