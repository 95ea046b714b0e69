"""Where a sender leaves ciphertext: in the recipient's own mailbox where that answers, else in the directory's (§8)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from cordee.errors import N_, CordeeError, Unreachable
from cordee.runtime.logs import logger
from node.chain import Chain
from node.directory_client import DirectoryClient
from node.house import House
from node.mailbox_line import MailboxHost, MailboxLine
from node.transfer_store import Transfer

__all__ = ["MailboxChoice"]

log = logger("node.mailbox_choice")

_ANSWER_SECONDS = 5.0  # for a recipient's mailbox to answer; somebody waits for the case
_AVOIDED = timedelta(minutes=10)  # one that did not, so that the next case is not held up as well
_REMEMBERED = 256


class MailboxChoice:
    """Chooses anew at each attempt, but never leaves one that holds a part for another that would hold the rest."""

    def __init__(self, house: House, client: DirectoryClient) -> None:
        self._house = house
        self._client = client
        self._avoided: dict[str, datetime] = {}  # until when

    @contextlib.asynccontextmanager
    async def host_of(self, job: Transfer) -> AsyncIterator[MailboxHost]:
        """The host of one attempt to ship. What the recipient's own refuses is tried at the directory next.

        Raises: Unreachable where the recipient's own mailbox answered and then failed.
        """
        endpoint = self._house.db.look(lambda tx: Chain.read(self._house, tx, job.id)).answer.accepted().mailbox
        if not endpoint or self._is_avoided(endpoint) or await self._client.waiting_bytes(job.id):
            yield self._client
            return
        async with self._client.channel_to(job.peer, endpoint) as channel:
            line = MailboxLine(channel)
            if not await self._answers(job, line, endpoint):
                yield self._client
                return
            log.info("mailbox.direct", transfer=job.id.short)
            try:
                yield line
            except CordeeError as failed:
                self._avoid(endpoint)
                log.info("mailbox.direct_failed", transfer=job.id.short, reason=failed.reason)
                raise Unreachable(peer=N_("mailbox")) from failed

    async def _answers(self, job: Transfer, line: MailboxLine, endpoint: str) -> bool:
        try:
            await line.waiting_bytes(job.id, seconds=_ANSWER_SECONDS)
        except CordeeError as failed:  # away, or it does not know us yet: the directory is always there
            self._avoid(endpoint)
            log.info("mailbox.not_direct", transfer=job.id.short, reason=failed.reason)
            return False
        return True

    def _is_avoided(self, endpoint: str) -> bool:
        until = self._avoided.get(endpoint)
        return until is not None and self._house.clock.now() < until

    def _avoid(self, endpoint: str) -> None:
        self._avoided.pop(endpoint, None)
        self._avoided[endpoint] = self._house.clock.now() + _AVOIDED
        if len(self._avoided) > _REMEMBERED:
            del self._avoided[next(iter(self._avoided))]
