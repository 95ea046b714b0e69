"""An administrator's place of work while their key is open: the log kept verified, colleagues' work and the members."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cordee.errors import N_, CordeeError, Unreachable
from cordee.ids import MemberId
from cordee.members import Roster
from cordee.runtime.clock import Clock
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from directory.administrator.client import FrontClient
from directory.administrator.home import Home, LogCopy
from directory.administrator.signing import Ready
from directory.administrator.standings import Standing
from directory.administrator.stopwatch import NodeKnows

__all__ = ["Desk", "Signed"]

_FRESH = timedelta(seconds=20)  # what the directory told of members is asked again after this


@dataclass(frozen=True)
class Signed:
    """What became of a signature."""

    appended: bool
    left: int
    """How many more must sign."""


class Desk:
    """One administrator at work. `refresh` first; where it fails, `trouble` says why and the last verified log stays.

    Raises: NotFound in the constructor before the network was founded or joined here.
    """

    def __init__(
        self, home: Home, client: FrontClient, key: SigningKey, *, clock: Clock, random: Callable[[int], bytes]
    ) -> None:
        self.home = home
        self.client = client
        self.key = key
        self.clock = clock
        self.random = random
        self.network = home.network()
        self.log: LogCopy = home.log()
        self.trouble: CordeeError | None = None
        self.checked: datetime | None = None
        """When the directory last showed a log that verified."""
        self._standings: dict[MemberId, Standing] = {}
        self._standings_at: datetime | None = None
        self._busy = asyncio.Lock()

    @property
    def roster(self) -> Roster | None:
        """The network as of the last verified entry; None before there was any."""
        return self.log.roster

    async def refresh(self) -> None:
        """Bring the log up to date. What fails is kept in `trouble`; nothing that does not verify is taken over."""
        async with self._busy:
            try:
                self.home.follow(await self.client.sync(self.log))
            except CordeeError as trouble:
                self.trouble = trouble
                if not isinstance(trouble, Unreachable):  # entries may be in memory that nobody signed for
                    self.log = await asyncio.to_thread(self.home.log)
            else:
                self.trouble, self.checked = None, self.clock.now()

    async def standings(self, *, anew: bool = False) -> Mapping[MemberId, Standing]:
        """How the members stand, at most twenty seconds old. Raises: Unreachable and what the directory refuses."""
        roster, now = self._known(), self.clock.now()
        if anew or self._standings_at is None or now - self._standings_at >= _FRESH:
            self._standings = await self.client.standings(roster)
            self._standings_at = now
        return self._standings

    async def nodes(self) -> tuple[Mapping[MemberId, NodeKnows], Mapping[MemberId, CordeeError]]:
        """What each member's node has signed that it knows of the log, and of whom that is not believed.

        Raises: Unreachable and what `LogCopy.extend` raises.
        """
        async with self._busy:
            return await self.client.nodes(self.log)

    def names(self) -> dict[MemberId, str]:
        """What to call the members: the legal name that a verified profile proves, else what was signed for here."""
        proven = {
            member: standing.profile.legal_name
            for member, standing in self._standings.items()
            if standing.profile is not None
        }
        return self.home.names() | proven

    async def hand_in(self, ready: Ready) -> Signed:
        """Give the directory an entry with this administrator's signature, and verify that it stands in the log."""
        answer = await self.client.sign_entry(ready.signed)
        if answer.appended:
            self._standings_at = None
            await self.refresh()
        return Signed(appended=answer.appended, left=max(0, answer.threshold - answer.signatures))

    async def pending(self) -> list[v1.Entry]:
        """Entries that want signatures, as the directory tells; nothing of them is checked yet."""
        return await self.client.pending()

    def _known(self) -> Roster:
        if self.roster is None:
            raise self.trouble if self.trouble is not None else Unreachable(peer=N_("The directory"))
        return self.roster
