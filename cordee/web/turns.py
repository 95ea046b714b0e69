"""Taking turns at what takes long and much memory, so that nobody who asks a hundred times keeps the others waiting."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cordee.errors import TooManyRequests

__all__ = ["Turns", "machine_of"]

_WAITING = 40
_SECONDS = "5.0"


def machine_of(host: str | None) -> str:
    """Who counts as one: an address; of IPv6 the /64, since one machine has all of it."""
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Turns:
    """One at a time; of those who wait each machine has its turn after the others, however often it stands in the line.

    `waiting` is how often one machine may stand there.
    """

    def __init__(self, *, waiting: int = _WAITING) -> None:
        self._limit = waiting
        self._busy = False
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, machine: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the block. Raises TooManyRequests where this machine waits often enough."""
        if self._busy:
            await self._wait(machine)
        self._busy = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, machine: str) -> None:
        line = self._lines.setdefault(machine, deque())
        if len(line) >= self._limit:
            raise TooManyRequests(seconds=_SECONDS)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # its turn had come: the next has it
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """To the machine that has waited longest for one; the turn stays taken in between."""
        self._busy = False
        while self._lines and not self._busy:
            machine, line = self._lines.popitem(last=False)
            while line and not self._busy:
                place = line.popleft()
                if not place.done():
                    place.set_result(None)
                    self._busy = True
            if line:
                self._lines[machine] = line  # behind the others
