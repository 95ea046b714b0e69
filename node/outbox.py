"""Our statements on their way to the broker: kept before they are sent, sent until they are taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import Connection

from cordee.errors import (
    BadSignature,
    CardExpired,
    ClockSkew,
    Conflict,
    CordeeError,
    IntegrityFailure,
    InvalidInput,
    NotAMember,
    NotFound,
    QuotaExceeded,
    Refused,
    RosterStale,
    TooManyRequests,
    Unreachable,
)
from cordee.ids import TransferId
from cordee.members import MemberState
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.statements import Offer, redate, time_of, withdraw
from cordee.transfer import Kind
from node import transfer_store
from node.chain import Chain
from node.directory_client import DirectoryClient
from node.house import House
from node.listening import Listener
from node.transfer_store import Waiting

__all__ = ["Outbox"]

log = logger("node.outbox")

_SKEW = timedelta(minutes=5)
_LEAST_PAUSE = 0.1
_PAUSE = 2.0
_AT_ONCE = 8  # the directory lets a member have two dozen calls open: these, the worker's and the event stream
_LONGEST_PAUSE = 60.0
# Steps that can be taken back when the broker says no for good.
_GIVEN_UP = frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.REFUSAL, Kind.SHIPMENT})

_SENT: tuple[Kind, ...] = tuple(kind for kind in Kind if kind != Kind.EXPIRY)
_BEFORE = {kind: register(f"node.outbox.{kind}.before_submit") for kind in _SENT}
_AFTER = {kind: register(f"node.outbox.{kind}.after_submit") for kind in _SENT}


class Outbox:
    """Sends what waits, oldest first for each transfer, until the broker has answered for each.

    `settle` finishes a change of this node's identity key that was begun: what the old key signed is read by nobody
    once the log has the new one.
    """

    def __init__(
        self, house: House, client: DirectoryClient, listener: Listener, settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._settle = settle
        self._house = house
        self._client = client
        self._listener = listener
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way: dict[TransferId, asyncio.Task[None]] = {}
        self._posted = asyncio.Event()
        self.refusal: CordeeError | None = None  # the last answer that keeps something waiting, for the doctor

    async def run(self) -> None:
        """Until cancelled. Transfers do not wait for one another."""
        post = self._house.changes.post
        try:
            while True:
                post.clear()
                self._posted.set()
                self._posted = asyncio.Event()
                for transfer in self._house.db.look(transfer_store.waiting):
                    if transfer not in self._under_way:
                        self._under_way[transfer] = asyncio.create_task(self._work(transfer))
                await post.wait()
        finally:
            tasks = list(self._under_way.values())
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def flush(self) -> bool:
        """Send what waits now. False where something still waits."""
        waiting = self._house.db.look(transfer_store.waiting)
        return all(await asyncio.gather(*map(self._send_all, waiting)))

    async def _work(self, transfer: TransferId) -> None:
        """All of one transfer, again and again, with a pause that grows or until there is other news."""
        pause = _PAUSE
        try:
            while not await self._try(transfer):
                posted = self._posted
                asked = self.refusal.retry_after if isinstance(self.refusal, TooManyRequests) else 0.0
                await asyncio.sleep(
                    max(_LEAST_PAUSE, min(asked, _LONGEST_PAUSE))
                )  # the attempt itself may have been the news
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):  # `wait_for` may lose a cancellation that comes with the news
                        await posted.wait()
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._under_way.pop(transfer, None)
            self._house.changes.post.set()  # something may have come in just after the last look

    async def _try(self, transfer: TransferId) -> bool:
        try:
            return await self._send_all(transfer)
        except Exception as unforeseen:  # a full disk, say: it must neither spin nor stop the others
            log.error("outbox.waits", transfer=transfer.short, reason=type(unforeseen).__name__)
            return False

    async def _send_all(self, transfer: TransferId) -> bool:
        """What waits for one transfer, each read when its turn comes: the one before it may have changed it."""
        async with self._places:
            while each := self._house.db.look(lambda tx: transfer_store.next_waiting(tx, transfer)):
                if not await self._send(each):
                    return False
        return True

    async def _send(self, waiting: Waiting, *, gave_back: bool = False) -> bool:
        house = self._house
        house.crashpoints.reach(_BEFORE[waiting.kind])
        try:
            await self._with_settled_key()
            await self._client.submit(waiting.signed)
        except ClockSkew as skew:
            return await self._redate(waiting, skew)
        except BadSignature as refused:
            if waiting.signed.signer == house.keys.identity.public.key_id:
                self.refusal = refused
                return waiting.kind in _GIVEN_UP and await self._drop(waiting, refused)
            return await self._sign_again(waiting)  # the identity key was replaced while it waited
        except NotAMember as gone:
            self.refusal = gone
            log.info("outbox.waits", transfer=waiting.transfer.short, kind=str(waiting.kind), reason=gone.reason)
            return waiting.kind is Kind.OFFER and self._removed(waiting) and await self._drop(waiting, gone)
        except (Unreachable, CardExpired, RosterStale, QuotaExceeded, TooManyRequests) as wait:
            self.refusal = wait
            log.info("outbox.waits", transfer=waiting.transfer.short, kind=str(waiting.kind), reason=wait.reason)
            return False
        except (Conflict, NotFound) as other:
            if not gave_back and await self._gave_back(waiting.transfer):
                return await self._send(waiting, gave_back=True)  # it knows again what this statement follows
            return await self._overtaken(waiting, other)
        except (InvalidInput, IntegrityFailure, Refused) as refused:
            self.refusal = refused
            # A receipt or an erasure is a fact: it waits until the broker can take it.
            return waiting.kind in _GIVEN_UP and await self._drop(waiting, refused)
        except CordeeError as unexpected:
            self.refusal = unexpected
            log.warning(
                "outbox.waits", transfer=waiting.transfer.short, kind=str(waiting.kind), reason=unexpected.reason
            )
            return False
        self.refusal = None
        house.crashpoints.reach(_AFTER[waiting.kind])

        def taken(tx: Connection) -> None:
            transfer_store.mark_taken(tx, waiting.transfer, waiting.kind)

        await house.db.write(taken)
        house.changes.tell(waiting.transfer)
        return True

    async def _with_settled_key(self) -> None:
        """Raises: Unreachable, RosterStale where the change waits still. One that was refused is told elsewhere."""
        try:
            await self._settle()
        except (Unreachable, RosterStale, TooManyRequests):
            raise
        except CordeeError as refused:
            log.warning("outbox.key_unsettled", reason=refused.reason)

    def _removed(self, waiting: Waiting) -> bool:
        """By our own verified log its recipient is no member any more, nor ever will be: no broker takes this offer."""
        members = self._house.roster.roster.members
        found = members.get(self._house.db.look(lambda tx: transfer_store.read_transfer(tx, waiting.transfer)).peer)
        return found is not None and found.state is MemberState.REMOVED

    async def _overtaken(self, waiting: Waiting, other: Conflict | NotFound) -> bool:
        if isinstance(other, Conflict):
            # The transfer moved on without us: ask the broker what happened, then follow it.
            return await self._drop(waiting, None)
        self.refusal = other
        # The offer never came there, so there is nothing to withdraw.
        return waiting.kind is Kind.WITHDRAWAL and await self._drop(waiting, None)

    async def _gave_back(self, transfer: TransferId) -> bool:
        try:
            return await self._listener.give_back(transfer)
        except CordeeError:
            return False

    async def _redate(self, waiting: Waiting, skew: ClockSkew) -> bool:
        """The broker took nothing: it would have known the statement. Sign it again with the present time."""
        house = self._house
        now = house.clock.now()
        if abs(now - time_of(waiting.signed)) <= _SKEW:
            self.refusal = skew  # not the statement is old: this machine's clock is wrong
            return False
        return await self._sign_again(waiting)

    async def _sign_again(self, waiting: Waiting) -> bool:
        house, now = self._house, self._house.clock.now()
        fresh = redate(waiting.signed, key=house.keys.identity, now=now, checkpoint=house.tree_head())
        if waiting.kind is Kind.OFFER and waiting.signed.signer == house.keys.identity.public.key_id:
            known = house.roster
            try:  # an offer that its own node cannot read would stand in the way of whatever concerns its case
                Offer.parse(fresh, known.roster, now=now, tree=known.root_at, fresh=True)
            except CordeeError as refused:
                self.refusal = refused
                return await self._drop(waiting, refused)

        def keep(tx: Connection) -> bool:
            if not transfer_store.replace_statement(tx, waiting, fresh):
                return False  # overtaken meanwhile: it is not sent any more
            following = transfer_store.next_waiting(tx, waiting.transfer, after=waiting.kind)
            if waiting.kind is Kind.OFFER and following is not None and following.kind is Kind.WITHDRAWAL:
                # It names the offer by its digest, which is another one now.
                again = withdraw(Chain.read(house, tx, waiting.transfer).offer, now=now, key=house.keys.identity)
                transfer_store.replace_statement(tx, following, again)
            return True

        if not await house.db.write(keep):
            return True
        return await self._send(Waiting(waiting.transfer, waiting.kind, fresh, waiting.position))

    async def _drop(self, waiting: Waiting, refused: CordeeError | None) -> bool:
        """Nothing is forgotten before the broker has said how the transfer stands. False where it cannot say now."""
        try:
            await self._listener.reconcile(waiting.transfer, dropped=waiting.kind, refused=refused)
        except CordeeError as away:
            self.refusal = away
            log.info("outbox.waits", transfer=waiting.transfer.short, kind=str(waiting.kind), reason=away.reason)
            return False
        return True
