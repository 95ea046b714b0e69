"""The simulated world: a directory and nodes, each of them one life after another, on one loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cordee.ids import KeyId
from cordee.runtime.crashpoint import Crashpoints
from directory import app as directory_app
from node import app as node_app
from node.identity import KEPT
from node.people import Handler, Role
from node.vault import Vault

from .disk import Disk, copied
from .loop import Loop
from .network import Network, SimServer
from .owner import PROCESS, Died

__all__ = ["BEGINS", "FRONT", "MEMBERS", "PERSON", "Life", "Place", "SimClock", "World", "drawing"]

BEGINS = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
"""When each simulation begins; the network was founded shortly before."""
MEMBERS, FRONT = "localhost:7443", "localhost:7444"
PERSON = Handler("camille", "Camille", frozenset({Role.HANDLER, Role.LEAD}), bound_by_secrecy=True)


def drawing(seed: str) -> Callable[[int], bytes]:
    """Bytes that are the same for the same seed, and fast."""
    source = random.Random(hashlib.sha256(seed.encode()).digest())
    return source.randbytes


class SimClock:
    """A process's own clock: virtual time, and how far it is off."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self._place = place

    def now(self) -> datetime:
        return self._world.now() + self._place.skew

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Deadly(Crashpoints):
    """Each named point of the code is a place to die at."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self._life = life

    def reach(self, name: str) -> None:
        self._life.reach(name)


class Life:
    """One life of a process, from its start to its end."""

    def __init__(self, world: World, place: Place) -> None:
        self.world = world
        self.at = place
        self.place = place.name
        self.alive = True
        self.disk = Disk(place.folder, world.chance)
        self.dies_at: int | None = None
        """After so many named points."""
        self.dies_named = ""
        """At this very one."""
        self.power_cut = False
        self.here: Any = None  # node.app.Node or directory.app.Directory, once it is open
        self.listening: Any = None  # a directory's
        self.opened = asyncio.Event()
        self.leaving = asyncio.Event()
        self.ended = asyncio.Event()
        self.failed: BaseException | None = None
        self.task: asyncio.Task[Any] | None = None

    def thread_pause(self) -> float:
        return 0.0002 + self.world.chance.random() * 0.002

    def touches_disk(self, what: str, *, grows: bool) -> None:
        if not self.alive:
            return
        if self.disk.due():
            self.die(f"disk {what}")
        fault = self.disk.fault(grows)
        if fault:
            raise OSError(fault, os.strerror(fault))

    def reach(self, name: str) -> None:
        if not self.alive:
            return
        if name == KEPT:
            self.at.kept_keys.add(self.here.house.keys.waiting.public.key_id)
        if name == self.dies_named:
            self.die(name)
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at <= 0:
                self.die(name)

    def die(self, where: str) -> None:
        """Raises: Died."""
        self.end(where)
        raise Died

    def end(self, where: str) -> None:
        """SIGKILL, or the power: what lies on the disk is all that is left."""
        if not self.alive:
            return
        self.alive = False
        following = self.at.next_folder()
        self.disk.image(following, power_cut=self.power_cut)
        self.at.folder = following
        self.world.loop.bury(self)
        self.world.network.left(self)
        self.world.trace(f"{self.place} dies{' of the power' if self.power_cut else ''} at {where}")
        self.world.deaths += 1
        self.at.life = None
        self.ended.set()


class Place:
    """Where a process lives: its folder, which goes from one life to the next, and its clock's error."""

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self.world = world
        self.name = name
        self.folder = folder
        self.skew = timedelta(0)
        self.clock = SimClock(world, self)
        self.life: Life | None = None
        self.lives = 0
        self.held = False
        """Whoever watches over it does not start it again just now."""
        self.kept_keys: set[KeyId] = set()
        """Identity keys that were made here and may have been shown to somebody."""

    def next_folder(self) -> Path:
        self.lives += 1
        return self._folder_of(self.lives)

    def _folder_of(self, number: int) -> Path:
        return self.folder.with_name(f"{self.name}-{number}" if number else self.name)

    @property
    def is_directory(self) -> bool:
        return self.name == "directory"

    @property
    def up(self) -> bool:
        return self.life is not None and self.life.opened.is_set()

    @property
    def here(self) -> Any:
        """The running node, or directory."""
        assert self.life is not None
        return self.life.here

    def start(self) -> Life:
        """Begin a life. It is open once its event says so."""
        assert self.life is None
        for number in range(self.lives):  # what earlier lives left: nobody comes back to it
            shutil.rmtree(self._folder_of(number), ignore_errors=True)
        life = self.life = Life(self.world, self)
        self.world.trace(f"{self.name} starts")
        life.task = self.world.loop.spawn(life, self._live(life))
        return life

    async def _live(self, life: Life) -> None:
        try:
            if self.is_directory:
                async with directory_app.running(
                    self.folder,
                    clock=self.clock,
                    listen_members=MEMBERS,
                    listen_front=FRONT,
                    crashpoints=Deadly(life),
                ) as listening:
                    life.listening = listening
                    await self._stay(life, listening.directory)
            else:
                async with node_app.opened(
                    self.folder,
                    vault=self.world.vaults[self.name],
                    clock=self.clock,
                    random=self.world.draws[self.name],
                    crashpoints=Deadly(life),
                ) as node:
                    await self._stay(life, node)
        except Exception as failed:
            life.failed = failed
            self.world.trace(f"{self.name} ends: {type(failed).__name__}")
        finally:
            if life.alive:
                life.alive = False
                self.world.network.left(life)
                if self.life is life:
                    self.life = None
                life.ended.set()

    async def _stay(self, life: Life, here: Any) -> None:
        life.here = here
        life.opened.set()
        watched = [life.leaving.wait()]
        leaving = asyncio.ensure_future(watched[0])
        loops = () if self.is_directory else here.loops
        await asyncio.wait({leaving, *loops}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        for each in loops:
            if each.done() and not each.cancelled() and each.exception() is not None:
                raise each.exception()

    async def stop(self) -> None:
        """An orderly end."""
        if self.life is not None:
            life = self.life
            life.leaving.set()
            await life.ended.wait()


class World:
    """Everything of one seed."""

    def __init__(self, seed: str, folder: Path, *, told: Callable[[str], None]) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.loop: Loop = asyncio.get_running_loop()  # type: ignore[assignment]
        self.network = Network(self.loop, self.chance, self.trace)
        SimServer.network = self.network
        self._told = told
        self.offset = timedelta(0)  # what was leapt over
        self.deaths = 0
        self.places: dict[str, Place] = {}
        self.vaults: dict[str, Vault] = {}
        self.draws: dict[str, Callable[[int], bytes]] = {}
        self.seed = seed

    def now(self) -> datetime:
        """The true time."""
        return BEGINS + self.offset + timedelta(microseconds=int(self.loop.time() * 1_000_000))

    def trace(self, text: str) -> None:
        owner = PROCESS.get()
        if owner is None or owner.alive or " dies" in text:
            self._told(f"{self.loop.time():12.6f} {text}")

    def settle(self, name: str, template: Path, vault: Vault | None = None, *, kind: type[Place] = Place) -> Place:
        """A place with a copy of a template's folder."""
        folder = self.folder / name
        copied(template, folder)
        place = self.places[name] = kind(self, name, folder)
        self.draws[name] = drawing(f"{self.seed}/{name}")
        if vault is not None:
            self.vaults[name] = vault
        return place

    @property
    def nodes(self) -> list[Place]:
        return [each for each in self.places.values() if not each.is_directory]

    @property
    def directory(self) -> Place:
        return self.places["directory"]
