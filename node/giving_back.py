"""Giving back to a directory that came back from a backup what it has forgotten (protocol §10).

The log and the cards go to its front: with the cards that it has it may not know who calls. Cards go before any are
taken from it, so that it shows to nobody who was here an older one than they know. What was taken of our transfers goes
the usual way, and again whenever the broker seems to know less of one than we do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import grpc
from sqlalchemy import Connection

from cordee.errors import CordeeError, DirectoryBehind, NotAMember, RosterRolledBack, TooManyRequests, Unreachable
from cordee.ids import MemberId, TransferId
from cordee.members import Roster
from cordee.runtime.logs import logger
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.runtime.tls import channel
from cordee.runtime.upload_answers import answer_of
from cordee.v1 import directory_pb2, directory_pb2_grpc, statements_pb2
from node import journal, transfer_store
from node.directory_client import DirectoryClient
from node.hearsay import microseconds_of, restore_told, since_of
from node.house import House

__all__ = ["Front", "GivingBack"]

log = logger("node.giving_back")

_CALL_SECONDS = 600.0
_CARD_EVERY = timedelta(hours=1)
_LONGEST_WAIT = timedelta(days=31)
_PAGE = 256
_NO_ENTRIES = 2**62
_CARDS, _TRANSFERS = "restored.cards", "restored.transfers"  # the last restore after which they were given


class Front:
    """The directory's listener for whoever has no certificate that it knows."""

    def __init__(self, target: str, *, root: bytes) -> None:
        """`target` is "host:port", `root` the network's CA (DER)."""
        self._target = target
        self._root = root

    async def give_back(self, parts: AsyncIterator[directory_pb2.GiveBackRequest]) -> directory_pb2.GiveBackResponse:
        """Raises: what the directory answered, or Unreachable."""
        async with channel(self._target, root=self._root) as line:
            stub = directory_pb2_grpc.RecoveryStub(line)
            try:
                call: Any = stub.GiveBack(parts, timeout=_CALL_SECONDS)
                answer: directory_pb2.GiveBackResponse = await answer_of(call)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from error
        return answer


class GivingBack:
    """All of it is verified by the directory, and giving it twice changes nothing."""

    def __init__(self, house: House, client: DirectoryClient, front: Front) -> None:
        self._house = house
        self._client = client
        self._front = front
        self._gave_card: datetime | None = None
        self.come_in: Callable[[], Awaitable[None]] | None = None
        """Brings this node in by its identity key alone."""

    async def after(self, ended: CordeeError) -> None:
        """The directory's answer may mean that it has forgotten something: then it is given that, as far as we can."""
        try:
            if isinstance(ended, DirectoryBehind) and ended.facts.get("size", "").isdecimal():
                await self._log(int(ended.facts["size"]))
            elif isinstance(ended, RosterRolledBack) and ended.facts.get("shown", "").isdecimal():
                await self._log(int(ended.facts["shown"]))
            elif isinstance(ended, NotAMember):
                await self._own_card_at_times()
        except CordeeError as refused:
            log.info("giving_back.refused", reason=refused.reason)

    async def _log(self, size: int) -> None:
        """From the first entry that it lacks on, and every card that we hold."""
        roster = self._house.roster
        if not roster.note or size >= roster.checkpoint.size:
            return  # we know no more than it does
        answer = await self._front.give_back(self._parts(size))
        log.info("giving_back.log", entries=answer.entries, cards=answer.cards)
        if answer.entries:
            await self._journal("roster.given_back", {"entries": str(answer.entries)})

    async def _parts(self, first: int, member: MemberId | None = None) -> AsyncIterator[directory_pb2.GiveBackRequest]:
        """The entries from an index on, and the newest card of every member, or of one."""
        roster = self._house.roster
        note, size = roster.note, roster.checkpoint.size
        yield directory_pb2.GiveBackRequest(start=directory_pb2.GiveBackStart(checkpoint=note, first=min(first, size)))
        for begins in range(first, size, _PAGE):
            for entry in await roster.entries(begins, min(_PAGE, size - begins)):
                yield directory_pb2.GiveBackRequest(entry=entry)
        for signed, profile in await roster.kept_cards(member):
            card = directory_pb2.GivenCard(card=signed.to_message(), profile=profile)
            yield directory_pb2.GiveBackRequest(card=card)

    async def cards(self, _roster: Roster) -> None:
        """Every card that we hold, once for each restore, before we look at those that the directory has now.

        Raises: Unreachable, TooManyRequests: the synchronisation begins anew later.
        """
        house, db = self._house, self._house.db
        number = restore_told(self._client.restored, now=house.clock.now())
        if await db.read(lambda tx: transfer_store.cursor(tx, _CARDS)) >= number:
            return
        try:
            answer = await self._front.give_back(self._parts(_NO_ENTRIES))
            log.info("giving_back.cards", cards=answer.cards)
        except (Unreachable, TooManyRequests):
            raise
        except CordeeError as refused:
            log.warning("giving_back.refused", reason=refused.reason)
        await db.write(lambda tx: transfer_store.keep_cursor(tx, number, _CARDS))

    async def _own_card_at_times(self) -> None:
        """It does not know our key: perhaps its cards are old. Seldom, for we may be no member any more.

        A card that a former identity key signed is none any more, once it is lost there: then only the key itself
        brings us in. In no other case, for another machine of ours may have taken this one's place.
        """
        house, now = self._house, self._house.clock.now()
        if self._gave_card is not None and now - self._gave_card < _CARD_EVERY:
            return
        self._gave_card = now
        kept = await house.roster.kept_cards(house.member)
        if self.come_in is not None and any(s.signer != house.keys.identity.public.key_id for s, _ in kept):
            await self.come_in()
            log.info("giving_back.came_in")
            return
        answer = await self._front.give_back(self._parts(_NO_ENTRIES, house.member))
        log.info("giving_back.card", cards=answer.cards)

    # ---- transfers ----

    async def since(self, restored: directory_pb2.DirectoryRestored) -> None:
        """All of our transfers that changed since the backup was made; once for each restore.

        Raises: Unreachable; then it begins anew with the next stream.
        """
        house = self._house
        number = restore_told(microseconds_of(restored.restored), now=house.clock.now())
        if await house.db.read(lambda tx: transfer_store.cursor(tx, _TRANSFERS)) >= number:
            return
        transfers = await house.db.read(transfer_store.all_transfers)
        # A statement of ours may have waited at home for long before it was taken.
        since = since_of(restored, earlier=_LONGEST_WAIT)
        count = 0
        for each in sorted(transfers, key=lambda one: one.opened_at):
            if since is None or each.updated_at >= since:
                count += await self.transfer(each.id)
        await house.db.write(lambda tx: transfer_store.keep_cursor(tx, number, _TRANSFERS))
        if count:
            await self._journal("transfer.given_back", {"statements": str(count)})
        log.info("giving_back.transfers", statements=count)

    async def transfer(self, transfer: TransferId) -> int:
        """What was taken of one transfer, by our own word. How many statements the broker had forgotten.

        Raises: Unreachable.
        """
        kept = await self._house.db.read(partial(_taken, transfer=transfer))
        if not kept:
            return 0
        try:
            answer = await self._client.give_back_transfer(kept)
        except Unreachable:
            raise
        except CordeeError as refused:
            log.warning("giving_back.refused", transfer=transfer.short, reason=refused.reason)
            return 0
        return answer.added

    async def _journal(self, action: str, facts: dict[str, str]) -> None:
        now = self._house.clock.now()
        await self._house.db.write(
            lambda tx: journal.append(tx, now=now, actor="node", action=action, subject="", facts=facts)
        )


def _taken(tx: Connection, *, transfer: TransferId) -> list[statements_pb2.Signed]:
    """Statements that the broker has had: the other's, and those of ours that do not wait."""
    waits = {kind for kind, waits in transfer_store.kinds(tx, transfer) if waits}
    kept = transfer_store.statements(tx, transfer)
    return [signed.to_message() for kind, signed, _ in kept if kind not in waits]
