"""Says, in this node's own signed words, how much of the log it holds and acts on (protocol §4, who knows)."""

from __future__ import annotations

from datetime import datetime, timedelta

from cordee.errors import CordeeError
from cordee.runtime.logs import logger
from cordee.signing import Signed
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from node.directory_client import DirectoryClient
from node.house import House

__all__ = ["Acknowledging"]

log = logger("node.acknowledging")

_EVERY = timedelta(minutes=50)  # a checkpoint comes every hour: this one is not to be left out
_SPREAD = 1.0  # seconds, at random: the directory has the news itself to carry first, and all have it at once
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 600.0


class Acknowledging:
    """Tells the directory whenever the log has grown, and once an hour. It is news for people: nothing waits for it."""

    def __init__(self, house: House, client: DirectoryClient) -> None:
        self._house = house
        self._client = client
        self._told: tuple[int, datetime] | None = None

    async def run(self) -> None:
        """Until cancelled. What fails is tried again, with a pause that grows, and with what is held by then."""
        news = self._house.roster.news
        while True:
            await news.wait()
            await self._house.clock.sleep(_SPREAD * self._house.random(1)[0] / 255)
            news.clear()
            pause = _FIRST_PAUSE
            while not await self._tell():
                await self._house.clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _tell(self) -> bool:
        """False where it must be tried again."""
        head, now = self._house.roster.checkpoint, self._house.clock.now()
        if self._told is not None and self._told[0] == head.size and now - self._told[1] < _EVERY:
            return True
        try:
            await self._client.tell_held(self._statement(head.size, head.root, now))
        except CordeeError as failed:  # also where this node is suspended: there is nobody to tell
            log.info("held.untold", reason=failed.reason)
            return False
        except Exception as unforeseen:
            log.error("held.untold", reason=type(unforeseen).__name__)
            return False
        self._told = head.size, now
        return True

    def _statement(self, size: int, root: bytes, now: datetime) -> Signed:
        house = self._house
        held = v1.HeldCheckpoint(
            network=house.network, member=house.member, size=size, root=root, time=timestamp_of(now)
        )
        return house.keys.identity.sign(held)
