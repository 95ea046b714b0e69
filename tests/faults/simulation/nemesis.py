"""What goes wrong: processes die, lines break and clog, disks fill up and fail, clocks step. Then all of it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from .world import Place, World

__all__ = ["KINDS", "Nemesis"]

KINDS = ("kill", "kill_at_point", "kill_at_disk", "restart", "cut", "one_way", "clog", "swizzle", "full", "failing", "clock")


class Nemesis:
    """Some kinds of faults for each seed, at random times of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        chance = world.chance
        self.kinds = chance.sample(KINDS, chance.randint(1, 5))
        network = world.network
        network.lossy = chance.choice((0, 0, 10, 50, 200))
        network.twice = chance.choice((0, 50, 200))
        network.slow = chance.choice((0.02, 0.2, 2.0))
        self.reset: list[Callable[[], None]] = []

    async def strike(self) -> None:
        """One fault, begun; most of them end by themselves a little later."""
        chance = self.world.chance
        await getattr(self, f"_{chance.choice(self.kinds)}")(chance.choice(list(self.world.places.values())))

    async def heal(self) -> None:
        """Everything is well again: processes run, lines are clear, disks have room, clocks are right."""
        self.world.network.heal()
        for place in self.world.places.values():
            place.skew = timedelta(0)
            if place.life is not None:
                place.life.disk.full, place.life.disk.fails = False, 0
                place.life.disk.dies_in = place.life.dies_at = None
        self.world.trace("all is well")

    # ---- deaths ----

    async def _kill(self, place: Place) -> None:
        if place.life is not None:
            place.life.power_cut = self.world.chance.random() < 0.5
            place.life.end("any await")

    async def _kill_at_point(self, place: Place) -> None:
        if place.life is not None:
            place.life.power_cut = self.world.chance.random() < 0.5
            place.life.dies_at = self.world.chance.randint(1, 12)

    async def _kill_at_disk(self, place: Place) -> None:
        if place.life is not None:
            place.life.power_cut = self.world.chance.random() < 0.7
            place.life.disk.dies_in = self.world.chance.randint(1, 40)

    async def _restart(self, place: Place) -> None:
        if place.up:
            await place.stop()

    # ---- lines ----

    async def _cut(self, place: Place) -> None:
        self._cut_for(place, True, True)

    async def _one_way(self, place: Place) -> None:
        there = self.world.chance.random() < 0.5
        self._cut_for(place, there, not there)

    def _cut_for(self, place: Place, there: bool, back: bool) -> None:
        world, name = self.world, place.name
        places = [name] if not place.is_directory else [each.name for each in world.nodes]
        ways = [(each, "directory") for each in places if there] + [("directory", each) for each in places if back]
        for one, other in ways:
            world.network.cut(one, other)
        world.trace(f"cut: {ways}")

        def mend() -> None:
            for one, other in ways:
                world.network.line(one, other).cut = False

        world.loop.call_later(world.chance.uniform(2, 60), mend)

    async def _clog(self, place: Place) -> None:
        other = self.world.chance.choice(self.world.nodes).name
        self._clog_for((other, "directory") if self.world.chance.random() < 0.5 else ("directory", other))

    def _clog_for(self, way: tuple[str, str], after: float = 0.0, seconds: float | None = None) -> None:
        world = self.world
        line = world.network.line(*way)
        world.trace(f"clog: {way}")
        world.loop.call_later(after, line.clog, True)
        world.loop.call_later(after + (seconds or world.chance.uniform(1, 40)), line.clog, False)

    async def _swizzle(self, place: Place) -> None:
        """Lines are clogged one after another, and cleared in another order."""
        chance = self.world.chance
        ways = [(each.name, "directory") for each in self.world.nodes]
        ways += [("directory", each.name) for each in self.world.nodes]
        chosen = chance.sample(ways, chance.randint(2, len(ways)))
        for number, way in enumerate(chosen):
            self._clog_for(way, number * 0.5, 3 + chance.random() * 20)

    # ---- disks and clocks ----

    async def _full(self, place: Place) -> None:
        life = place.life
        if life is not None:
            life.disk.full = True
            self.world.trace(f"{place.name}'s disk is full")
            self.world.loop.call_later(self.world.chance.uniform(1, 20), setattr, life.disk, "full", False)

    async def _failing(self, place: Place) -> None:
        life = place.life
        if life is not None:
            life.disk.fails = 100
            self.world.trace(f"{place.name}'s disk fails at times")
            self.world.loop.call_later(self.world.chance.uniform(1, 10), setattr, life.disk, "fails", 0)

    async def _clock(self, place: Place) -> None:
        seconds = self.world.chance.choice((-3600, -400, -200, -30, 30, 200, 400, 3600))
        place.skew = timedelta(seconds=seconds)
        self.world.trace(f"{place.name}'s clock is {seconds} s off")
        self.world.loop.call_later(self.world.chance.uniform(5, 40), setattr, place, "skew", timedelta(0))


