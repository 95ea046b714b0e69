"""One seed: a network, people at work, faults; then everything is well, and all must come to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from . import threads
from .invariants import Ledger, Wrong
from .loop import Loop
from .nemesis import Nemesis
from .people import People
from .template import NAMES, Template
from .world import Place, World

__all__ = ["Outcome", "play"]

_STORM = 12.0  # seconds of simulated time in which things go wrong
_AFTERMATH = 4.0  # and in which people go on afterwards
_CALM = 240.0  # and after which, at most, everything has come to rest
_UNDER_WAY = 5.0  # within which whatever was sent has come, or is sent again
_WHOLE = 3000.0  # and in which all of it is over
_OVER: list[Loop] = []  # of each seed so far: a `finally` of a process that has died must not run later either
_LEAP = timedelta(days=15)  # beyond the end of every offer and of every acceptance


class NeverUp(Exception):
    """A process that does not come back, though whoever watches over it starts it again."""


@dataclass
class Outcome:
    """What came of a seed."""

    seed: int
    wrong: list[Wrong] = field(default_factory=list)
    deaths: int = 0
    steps: int = 0
    calls: int = 0
    received: int = 0
    transfers: int = 0


def play(seed: int, template: Template, folder: Path, *, told: Callable[[str], None]) -> Outcome:
    """Play one seed in an empty folder."""
    threads.forget()
    loop = Loop()
    _OVER.append(loop)
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_Seed(seed, template, folder, told).play())


class _Seed:
    def __init__(self, seed: int, template: Template, folder: Path, told: Callable[[str], None]) -> None:
        self.number, self.template = seed, template
        self._folder, self._told = folder, told

    async def play(self) -> Outcome:
        world = self.world = World(str(self.number), self._folder, told=self._told)
        template = self.template
        world.settle("directory", template.folder / "directory")
        for name in NAMES:
            world.settle(name, template.folder / name, template.vault(name))
        self.people = People(world, template)
        self.ledger = Ledger(world, template, self.people)
        self.nemesis = Nemesis(world, template, self.ledger)
        world.trace(f"seed {self.number}: {', '.join(self.nemesis.kinds)}; lossy {world.network.lossy}")
        self.patient = False
        keepers = [asyncio.create_task(self._keep(each)) for each in world.places.values()]
        try:
            async with asyncio.timeout(_WHOLE):
                await self._course()
        except (NeverUp, TimeoutError) as stuck:
            self.ledger.blame("stuck", f"never up again: {stuck}" if str(stuck) else "it comes to no end")
        else:
            await self.ledger.close()
        for each in keepers:
            each.cancel()
        return Outcome(
            self.number,
            self.ledger.wrong,
            deaths=world.deaths,
            steps=len(self.people.words),
            calls=world.network.calls,
            received=self.ledger.received,
            transfers=self.ledger.transfers,
        )

    async def _course(self) -> None:
        world = self.world
        await self._all_up()
        await self._storm()
        await self.nemesis.heal()
        self.patient = True
        await self._all_up()
        await self.nemesis.reinstate()
        await self._aftermath()
        await self._come_to_rest("after the storm", leap=False)
        world.offset += _LEAP
        world.trace("time leaps")
        for place in world.nodes:
            if place.up and self.ledger.changes_key(place):
                await place.stop()  # within the hour it would go on by itself; so it does when it is started
        await self._come_to_rest("after the leap", leap=True)

    async def _keep(self, place: Place) -> None:
        """Whoever watches over a process: starts it again when it has ended."""
        while True:
            if place.life is None:
                await asyncio.sleep(0.1 if self.patient else self.world.chance.uniform(0.2, 4))
                if place.life is None and not place.held:
                    place.start()
            await place.life.ended.wait() if place.life is not None else None

    async def _all_up(self) -> None:
        """Raises: NeverUp."""
        ends = self.world.loop.time() + _CALM
        while down := [each.name for each in self.world.places.values() if not each.up]:
            if self.world.loop.time() > ends:
                raise NeverUp(", ".join(down))
            await asyncio.sleep(0.05)

    async def _storm(self) -> None:
        world = self.world
        ends = world.loop.time() + _STORM
        workers = [asyncio.create_task(self._work(each, ends, 9)) for each in world.nodes]
        while world.loop.time() < ends:
            await asyncio.sleep(world.chance.uniform(0.5, 5))
            await self.nemesis.strike()
            self.ledger.look()
        await asyncio.gather(*workers)

    async def _aftermath(self) -> None:
        """People find what has come meanwhile, and go on."""
        await self._all_up()
        ends = self.world.loop.time() + _AFTERMATH
        await asyncio.gather(*(self._work(each, ends, 4) for each in self.world.nodes))

    async def _work(self, place: Place, ends: float, longest: float) -> None:
        while self.world.loop.time() < ends:
            await asyncio.sleep(self.world.chance.uniform(longest / 6, longest))
            await self.people.one_thing(place)

    async def _come_to_rest(self, when: str, *, leap: bool) -> None:
        """Until nothing is under way any more: no statement waits, no job is left; after the leap, all is over."""
        world = self.world
        ends, quiet = world.loop.time() + _CALM, 0
        while True:
            await self._all_up()
            quiet = quiet + 1 if next(self.ledger.restless(over=leap), None) is None else 0
            if quiet > 1:  # at one look, what is on its way between two of them is nowhere to be seen
                world.trace(f"at rest {when}")
                return
            if not quiet and world.loop.time() > ends:
                restless = list(self.ledger.restless(over=leap))
                self.ledger.blame("stuck", f"{when}: {restless[0]}", many=len(restless))
                return
            await asyncio.sleep(2 if not quiet else _UNDER_WAY)
