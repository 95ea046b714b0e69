"""What time asks for: expiries, the hourly signature, files that nothing accounts for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from cordee.runtime.clock import Clock
from cordee.runtime.logs import logger
from directory.broker import Broker
from directory.events import Events, Growth
from directory.roster_store import RosterStore

__all__ = ["Upkeep"]

log = logger("directory.upkeep")

_TICK_SECONDS = 5.0
_ORPHANS_EVERY = timedelta(hours=1)


class Upkeep:
    """A round every five seconds. A round that fails is logged, told to health checks, and tried again."""

    def __init__(
        self,
        rosters: RosterStore,
        broker: Broker,
        events: Events,
        clock: Clock,
        *,
        tell: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._rosters = rosters
        self._broker = broker
        self._events = events
        self._clock = clock
        self._tell = tell
        self._swept: datetime | None = None
        self.failing = ""
        """Why the last round failed; empty where it did not."""
        self.then: list[Callable[[], Awaitable[None]]] = []

    async def run(self) -> None:
        """Until cancelled."""
        well = True
        while True:
            try:
                await self.round()
                self.failing = ""
            except Exception as failed:  # whatever it was: time goes on, and health checks say that something is wrong
                self.failing = getattr(failed, "reason", type(failed).__name__)
                log.error("upkeep.failed", reason=self.failing)
            if well != (not self.failing):
                well = await self._told(not self.failing)
            await self._clock.sleep(_TICK_SECONDS)

    async def _told(self, well: bool) -> bool:
        """What health checks say from now on; where they cannot be told, the other thing, until the next round."""
        try:
            await self._tell(well)
        except Exception as failed:
            log.error("upkeep.untold", reason=type(failed).__name__)
            return not well
        return well

    async def round(self) -> None:
        """Do what is due. While the log is not whole, that is nothing."""
        if self._rosters.behind:
            return
        await self._broker.expire_due()
        await self._broker.sweep()
        if await self._rosters.sign_if_due():
            self._events.roster_grown(Growth(self._rosters.checkpoint, self._rosters.signed_size))
        now = self._clock.now()
        if self._swept is None or now - self._swept >= _ORPHANS_EVERY:
            self._swept = now
            await self._broker.sweep_orphans()
        for each in self.then:
            await each()
