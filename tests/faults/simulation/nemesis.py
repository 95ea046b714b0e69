"""What goes wrong: processes die, lines break and clog, disks fill up and fail, clocks step. Then all of it ends."""

from __future__ import annotations

import asyncio
import io
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from cordee.entries import add_signature, propose
from cordee.errors import CordeeError
from cordee.ids import KeyId
from cordee.members import MemberState
from cordee.runtime.crashpoint import registered
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from directory.restoration import mark_copy
from directory.store.migrations import directory_database
from node.backup import make_backup
from node.restoring import Opener, restore

from .invariants import Ledger
from .template import Template
from .world import Life, Place, World

__all__ = ["KINDS", "Nemesis"]

KINDS = (
    *("kill", "kill_at_point", "kill_at_step", "kill_at_disk", "restart", "restore", "restore_directory"),
    *("cut", "one_way", "clog", "swizzle", "full", "failing", "clock", "suspend", "new_identity"),
)


class Nemesis:
    """Some kinds of faults for each seed, at random times of it."""

    def __init__(self, world: World, template: Template, ledger: Ledger) -> None:
        self.world, self.template, self.ledger = world, template, ledger
        chance = world.chance
        self.kinds = chance.sample(KINDS, chance.randint(1, 5))
        network = world.network
        network.lossy = chance.choice((0, 0, 10, 50, 200))
        network.twice = chance.choice((0, 50, 200))
        network.slow = chance.choice((0.02, 0.2, 2.0))
        self._backups: dict[str, tuple[float, Any]] = {}
        self._keys_in_backup: set[KeyId] = set()
        if "restore_directory" in self.kinds:  # what nobody but the office has of the log, it would have to bring back
            self.kinds = [each for each in self.kinds if each != "suspend"]
        self._office = SigningKey.from_seed(template.administrator)
        self._reinstating: list[asyncio.Task[None]] = []
        self._changing: list[asyncio.Task[None]] = []
        points = sorted(registered())
        self._points = {
            there: [[name for name in points if name.startswith(group)] for group in _groups(points, there)]
            for there in ("node", "directory")
        }

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
                place.life.dies_named = ""
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

    async def _kill_at_step(self, place: Place) -> None:
        """At one point of a part of the code that is seldom passed as likely as of one that always is."""
        if place.life is not None:
            chance = self.world.chance
            place.life.power_cut = chance.random() < 0.5
            place.life.dies_named = chance.choice(
                chance.choice(self._points["directory" if place.is_directory else "node"])
            )

    async def _kill_at_disk(self, place: Place) -> None:
        if place.life is not None:
            place.life.power_cut = self.world.chance.random() < 0.7
            place.life.disk.dies_in = self.world.chance.randint(1, 40)

    async def _restart(self, place: Place) -> None:
        if place.up:
            await place.stop()

    # ---- backups ----

    async def _restore(self, place: Place) -> None:
        """A node's backup is made; the next time its machine is gone, and another one gets what was saved."""
        world = self.world
        place = world.nodes[0]  # the same each time, so that there is a backup
        if self._keys_in_backup != place.kept_keys:
            self._backups.pop(place.name, None)  # it speaks for the node no longer: another one is made at once
        if place.name not in self._backups:
            await self._back_up(place)
            return
        made, data = self._backups.pop(place.name)
        if not await self._strike_dead(place):
            return
        await world.loop.run_in_executor(None, self._restored, place, data)
        self.ledger.restored(place.name, made)
        place.held = False

    async def _back_up(self, place: Place) -> None:
        world, life = self.world, place.life
        if life is None or not place.up:
            return
        target, made, keys = io.BytesIO(), world.loop.time(), set(place.kept_keys)
        vault, random = world.vaults[place.name], world.draws[place.name]

        def work() -> None:
            make_backup(place.folder, vault, target, now=place.clock.now(), random=random)

        if await self._by(life, work):
            self._backups[place.name] = made, target.getvalue()
            self._keys_in_backup = keys
            world.trace(f"{place.name} is backed up")

    def _restored(self, place: Place, data: bytes) -> None:
        world = self.world
        place.folder = place.next_folder()
        restore(
            io.BytesIO(data),
            place.folder,
            opener=Opener(unlock=lambda _file: self.template.vault_keys[place.name]),
            passphrase=None,
            now=place.clock.now(),
            random=world.draws[place.name],
        )
        world.trace(f"{place.name} is restored")

    async def _restore_directory(self, place: Place) -> None:
        """The same for the directory, which loses its waiting ciphertext too; its record of what it signed stays."""
        world, place = self.world, self.world.directory
        if place.name not in self._backups:
            life, copy = place.life, world.folder / "directory.copy"
            if life is None or not place.up:
                return
            made, here = world.loop.time(), life.here

            def work() -> None:
                here.db.backup(copy)
                with directory_database(copy) as database:
                    database.write_sync(lambda tx: mark_copy(tx, place.clock.now()))
                    database.truncate_log()

            if await self._by(life, work):
                self._backups[place.name] = made, copy
                world.trace("the directory is backed up")
            return
        if not self._somebody_has_the_log():
            return
        made, copy = self._backups.pop(place.name)
        if not await self._strike_dead(place):
            return
        for each in place.folder.glob("directory.db*"):
            each.unlink()
        shutil.move(copy, place.folder / "directory.db")
        if world.chance.random() < 0.5:
            shutil.rmtree(place.folder / "mailbox")
            self.ledger.mailbox_lost = True
        world.trace("the directory is restored")
        self.ledger.restored(place.name, made)
        place.held = False

    def _somebody_has_the_log(self) -> bool:
        """All of it, and keeps it: what reached nobody, nobody can give back (decision 20), and that is not played."""
        keeping = self.world.nodes[1:] if "restore" in self.kinds else self.world.nodes
        if not self.world.directory.up:
            return False
        size = self.world.directory.here.rosters.size
        return any(each.up and each.here.roster.status().size == size for each in keeping)

    async def _strike_dead(self, place: Place) -> bool:
        """It is down, and stays so for now."""
        if place.held:
            return False
        place.held = True
        if place.life is not None:
            place.life.end("its machine's end")
        await asyncio.sleep(self.world.chance.uniform(0.5, 5))
        return True

    async def _by(self, life: Life, work: Callable[[], None]) -> bool:
        """In a thread of that process. False where it failed, or the process has died of it."""
        done = self.world.loop.create_future()

        async def run() -> None:
            try:
                await asyncio.to_thread(work)
                done.set_result(True)
            except (OSError, sqlite3.Error, DBAPIError, CordeeError):
                done.set_result(False)

        self.world.loop.spawn(life, run())
        ended = asyncio.ensure_future(life.ended.wait())
        await asyncio.wait({done, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        return done.done() and bool(done.result())

    # ---- keys ----

    async def _new_identity(self, place: Place) -> None:
        """A node gets another identity key, and a little later something happens to it, the directory or the line."""
        world, chance = self.world, self.world.chance
        node = chance.choice(world.nodes)
        change = world.loop.create_task(self.ledger.people.replace_identity(node))
        self._changing.append(change)
        await asyncio.sleep(chance.random() ** 2 * 2)
        strike = chance.choice((self._kill, self._kill_at_disk, self._restart, self._cut, self._one_way))
        await strike(chance.choice((node, world.directory)))

    # ---- the office ----

    async def _suspend(self, place: Place) -> None:
        """Administrators suspend an association, and reinstate it a little later."""
        world = self.world
        place = world.chance.choice(world.nodes)
        await self._sign(place, v1.MemberSuspended)
        self._reinstating.append(world.loop.create_task(self._reinstate(place, world.chance.uniform(2, 20))))

    async def reinstate(self) -> None:
        """Whoever still is suspended is so no more. The directory runs."""
        if "suspend" not in self.kinds:
            return
        for each in self._reinstating:
            each.cancel()
        for place in self.world.nodes:
            while self.world.directory.up and self._is_suspended(place):
                await self._sign(place, v1.MemberReinstated)
                await asyncio.sleep(1)

    async def _reinstate(self, place: Place, after: float) -> None:
        await asyncio.sleep(after)
        await self._sign(place, v1.MemberReinstated)

    def _is_suspended(self, place: Place) -> bool:
        members = self.world.directory.here.rosters.roster.members
        return bool(members[self.template.members[place.name]].state is MemberState.SUSPENDED)

    async def _sign(self, place: Place, kind: type[v1.MemberSuspended] | type[v1.MemberReinstated]) -> None:
        """An entry of the office, whose clock is right; refused where it changes nothing."""
        world, member = self.world, self.template.members[place.name]

        async def sign(directory: Any) -> None:
            head = directory.rosters.roster.head(member, world.now())
            await directory.governance.sign(add_signature(propose(kind(**head, member=member)), self._office))

        await self.ledger.people.does(world.directory, f"hears: {kind.__name__} of {place.name}", sign)

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


def _groups(points: list[str], there: str) -> list[str]:
    """The parts of the code, by the beginning of their points' names: `node.fetch.`, `directory.submit.`, …"""
    return sorted({".".join(name.split(".")[:2]) + "." for name in points if name.startswith(f"{there}.")})
