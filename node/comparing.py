"""What the broker keeps of this node's transfers, compared with what the node has of them.

An event comes once its cursor is kept, and never again. A directory in an attacker's hands can let one pass unsaid, or
say that it took what it threw away; it cannot make others forget what they have signed. So once a day a node looks by
itself: a withdrawal that it was not told of is heard a day late and not never, and nothing waits for what cannot come.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from cordee.errors import CordeeError, NotFound, Unreachable
from cordee.ids import TransferId
from cordee.runtime.logs import logger
from cordee.transfer import END_STATES, State
from node import transfer_store
from node.directory_client import DirectoryClient
from node.hearsay import state_of
from node.house import House
from node.listening import Listener
from node.transfer_store import Transfer

__all__ = ["Comparing"]

log = logger("node.comparing")

_EVERY = timedelta(days=1)
_GRACE = timedelta(hours=1)  # after a transfer's end, for the broker's clock and its own round of upkeep
_MOST = 1000  # transfers in one round: whoever lists more of them is asked about the rest tomorrow


class Comparing:
    """Once after each start, and once a day."""

    def __init__(self, house: House, client: DirectoryClient, listener: Listener) -> None:
        self._house = house
        self._client = client
        self._listener = listener
        self._done: datetime | None = None

    async def look_at_times(self) -> None:
        """Compare, if it is due and the directory can be heard. Raises: Unreachable; the next round tries again."""
        now = self._house.clock.now()
        if not self._listener.caught_up.is_set() or self._house.roster.alarm is not None:
            return
        await self._house.roster.look_behind()
        if self._done is not None and now - self._done < _EVERY:
            return
        await self._compare(now)
        self._done = now

    async def _compare(self, now: datetime) -> None:
        known = {each.id: each for each in await self._house.db.read(transfer_store.all_transfers)}
        listed: set[TransferId] = set()
        differing: list[TransferId] = []
        async for each in self._client.own_transfers():
            transfer = TransferId(each.transfer_id)
            listed.add(transfer)
            if self._differs(known.get(transfer), transfer, state_of(each.state), each.statements):
                differing.append(transfer)
            if len(differing) == _MOST:
                break
        else:
            # Over by our own clock, and the broker has nothing of it: nothing will come of it any more.
            for one in known.values():
                if one.id not in listed and not one.over and one.expires_at + _GRACE < now:
                    await self._listener.time_is_over(one.id)
        for transfer in differing:
            await self._take_over(transfer)
        if differing:
            log.info("comparing.differed", count=len(differing))

    def _differs(self, known: Transfer | None, transfer: TransferId, state: State, count: int) -> bool:
        if known is None:
            return state is State.OFFERED  # what has ended without us has no use for us
        kept = self._house.db.look(lambda tx: _taken(tx, transfer))
        return count > kept or (state in END_STATES and not known.over)

    async def _take_over(self, transfer: TransferId) -> None:
        try:
            await self._listener.catch_up_with(transfer)
        except (Unreachable, NotFound):
            raise
        except CordeeError as refused:
            log.warning("comparing.refused", transfer=transfer.short, reason=refused.reason)


def _taken(tx: Connection, transfer: TransferId) -> int:
    """How many statements of a transfer are here, those that still wait to be sent left out."""
    return sum(not waits for _, waits in transfer_store.kinds(tx, transfer))
