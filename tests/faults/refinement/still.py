"""The code's side: the real directory and two real nodes in the simulated world, none of which does anything by itself.

Their loops are stopped before they begin. What they would do is done when the walk says so: one statement is sent, one
event is heard, one job is worked at, one round of upkeep goes by; each by the product's own function for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cordee.errors import CordeeError
from cordee.ids import TransferId
from cordee.signing import Signed
from directory.restoration import mark_copy
from directory.store.migrations import directory_database
from node import transfer_store
from node.answering import Answering
from node.backup import make_backup
from node.fetching import Fetching
from node.restoring import Opener, restore
from node.shipping import Shipping
from node.worker import Worker
from tests.faults.simulation.template import PURPOSES, Template
from tests.faults.simulation.world import PERSON, Life, Place, World

__all__ = ["Died", "Refused", "Stage"]

OFFER_LIFE = timedelta(hours=12)
NODES = {"sender": "Paris", "recipient": "Marseille"}
_PATIENCE = 900.0  # seconds of simulated time


class Died(Exception):
    """The process was gone before it had done that."""


class Refused(Exception):
    """The code would not do that."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Still(Place):
    """A process that does nothing by itself, but for what a restored node does before all else."""

    async def _stay(self, life: Life, here: Any) -> None:
        for each in life.listening.loops if self.is_directory else here.loops:
            if each.get_name() != "announcement":
                each.cancel()
        life.here = here
        life.opened.set()
        await life.leaving.wait()


class Stage:
    """One transfer of one case, from the sender to the recipient."""

    def __init__(self, seed: str, template: Template, folder: Path, told: Callable[[str], None]) -> None:
        self.world, self.template = World(seed, folder, told=told), template
        self.case = template.cases[NODES["sender"]][0]
        self.transfer: TransferId | None = None
        self._saved: dict[str, Any] = {}
        world = self.world
        world.settle("directory", template.folder / "directory", kind=Still)
        for name in NODES.values():
            world.settle(name, template.folder / name, template.vault(name), kind=Still)

    @property
    def directory(self) -> Any:
        return self.world.directory.here

    @property
    def nodes(self) -> dict[str, Any]:
        return {name: self._place(name).here for name in NODES}

    def _place(self, name: str) -> Place:
        return self.world.places[NODES.get(name, name)]

    @property
    def _one(self) -> TransferId:
        assert self.transfer is not None
        return self.transfer

    # ---- processes ----

    async def begin(self) -> None:
        for place in self.world.places.values():
            await self._start(place)
        await self._synchronise()

    async def _start(self, place: Place) -> None:
        life = place.start()
        opened, ended = (asyncio.ensure_future(each.wait()) for each in (life.opened, life.ended))
        await asyncio.wait({opened, ended}, return_when=asyncio.FIRST_COMPLETED)
        for each in (opened, ended):
            each.cancel()
        assert place.up, f"{place.name} does not start: {life.failed!r}"

    async def restart(self, name: str, *, kill: bool) -> None:
        place = self._place(name)
        if place.life is not None:
            if kill:
                place.life.end("where it was")
            else:
                await place.stop()
        await self._start(place)
        if name == "directory":
            await asyncio.sleep(1)  # whoever was connected has noticed

    async def _by(self, name: str, act: Callable[[Any], Awaitable[Any]], *, dies_at: str = "") -> Any:
        """One thing, by a node's own code in its own process. Raises: Refused; Died, and then it is up again."""
        place = self._place(name)
        life = place.life
        assert life is not None
        done: asyncio.Future[Any] = self.world.loop.create_future()

        def reach(point: str) -> None:
            if dies_at and point == dies_at and life.alive:
                life.die(point)

        life.reach = reach  # type: ignore[method-assign]

        async def run() -> None:
            try:
                done.set_result(await act(life.here))
            except Exception as failed:
                done.set_exception(Refused(failed.reason) if isinstance(failed, CordeeError) else failed)

        self.world.loop.spawn(life, run())
        ended = asyncio.ensure_future(life.ended.wait())
        await asyncio.wait({done, ended}, return_when=asyncio.FIRST_COMPLETED, timeout=_PATIENCE)
        ended.cancel()
        if not life.alive:
            await self._start(place)
            raise Died
        assert done.done(), f"{place.name} never ends"
        life.reach = Life.reach.__get__(life)  # type: ignore[method-assign]
        return done.result()

    # ---- people ----

    async def offer(self) -> None:
        recipient = self.template.members[NODES["recipient"]]
        self.transfer = await self._by(
            "sender",
            lambda node: node.sending.offer(
                PERSON,
                case_id=self.case.case_id,
                recipient=recipient,
                purpose=PURPOSES[self.case.kind],
                act_id=self.case.acts[NODES["recipient"]],
                attachments=[self.case.attachment],
                expires_in=OFFER_LIFE,
            ),
        )

    async def people(self, step: str, *, dies_at: str = "") -> None:
        """A handler's step, as a page has it done. Raises: Refused, Died."""
        one = self._one
        acts: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "withdraws it": lambda node: node.sending.withdraw(PERSON, one),
            "accepts": lambda node: node.receiving.accept(PERSON, one),
            "declines": lambda node: node.receiving.decline(PERSON, one, code="no_capacity"),
            "answers the request to erase: done": lambda node: node.receiving.answer_erasure(PERSON, one, erase=True),
            "answers the request to erase: refused": lambda node: node.receiving.answer_erasure(
                PERSON, one, erase=False, code="legal_obligation"
            ),
            "returns it unasked": lambda node: node.receiving.give_back(
                PERSON, one, code="wrong_recipient", text="Un homonyme."
            ),
        }
        await self._by("sender" if step == "withdraws it" else "recipient", acts[step], dies_at=dies_at)

    # ---- what a node does by itself ----

    def waiting(self, name: str) -> Any:
        """The statement that it would send next."""
        if self.transfer is None:
            return None
        one = self.transfer
        return self._place(name).here.db.read_sync(lambda tx: transfer_store.next_waiting(tx, one))

    async def submit(self, name: str, *, dies_at: str = "") -> None:
        """`Outbox._send` of what waits first. Raises: Died."""
        waiting = self.waiting(name)
        await self._by(name, lambda node: node.outbox._send(waiting), dies_at=dies_at)

    async def submit_unheard(self, name: str, *, directory_dies: bool) -> bool:
        """Once the directory has written it down the line breaks, or it dies. False where it wrote nothing down."""
        place, line = self.world.directory, self.world.network.line("directory", NODES[name])
        life, wrote = place.life, False
        assert life is not None

        def reach(point: str) -> None:
            nonlocal wrote
            if point.startswith("directory.submit.") and point.endswith(".after_write"):
                wrote = True
                if directory_dies:
                    life.die(point)
                line.cut = True

        life.reach = reach  # type: ignore[method-assign]
        try:
            await self.submit(name)
        finally:
            line.cut = False
            if life.alive:
                life.reach = Life.reach.__get__(life)  # type: ignore[method-assign]
            else:
                await self._start(place)
        return wrote

    async def arrives(self, name: str, signed: Signed) -> None:
        """A copy that was held up in the network; nobody waits for its answer."""
        with contextlib.suppress(Refused):
            await self._by(name, lambda node: node.listener._client.submit(signed))

    async def hear(self, name: str, *, again: bool = False, dies_at: str = "") -> None:
        """The first event that was not kept; `again` if its cursor is not kept, as when many come at once."""

        async def first(node: Any) -> None:
            stream = node.listener._client.events(cursor=node.db.look(transfer_store.cursor))
            async with contextlib.aclosing(stream):
                async for event in stream:
                    if event.sequence:
                        await node.listener._hear(event, sequence=0 if again else event.sequence)
                        return
                    if event.WhichOneof("kind") == "directory_restored":
                        await node.listener._hear(event, sequence=0)
                    if event.WhichOneof("kind") == "stream_ready":
                        return

        await self._by(name, first, dies_at=dies_at)

    async def work(self, name: str, *, dies_at: str = "") -> None:
        """`Worker._step`: the job of the transfer, to its end. Raises: Refused, Died."""
        one = self._one

        async def step(node: Any) -> None:
            client, prefetching = node.listener._client, node.listener._prefetching
            fetching = Fetching(node.house, client, prefetching)
            worker = Worker(node.house, Shipping(node.house, client), fetching, Answering(node.house, node.receiving))
            await worker._step(one)

        await self._by(name, step, dies_at=dies_at)

    # ---- the directory by itself, and time ----

    async def expire(self) -> None:
        await self._by("directory", lambda directory: directory.broker.expire_due())

    async def sweep(self) -> None:
        await self._by("directory", lambda directory: directory.broker.sweep())

    async def later(self, by: timedelta) -> None:
        """Time passes; the directory goes on signing its log, and nodes look at it."""
        self.world.offset += by
        await self._synchronise()

    async def _synchronise(self) -> None:
        await self._by("directory", lambda directory: directory.rosters.sign_if_due())
        for name in NODES:
            await self._by(name, lambda node: node.roster.sync())

    # ---- disks ----

    def lose_spool(self, name: str) -> bool:
        path = self._place(name).here.house.spool(self._one, outgoing=name == "sender")
        if not path.exists():
            return False
        path.unlink()
        return True

    def damage_mail(self) -> bool:
        """One byte of what waits at the directory turns over."""
        for path in (self.world.directory.folder / "mailbox").rglob("*"):
            if path.is_file() and path.stat().st_size:
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
                return True
        return False

    # ---- backups ----

    async def save(self, name: str) -> None:
        place = self._place(name)
        life = place.life
        assert life is not None
        if place.is_directory:
            copy = self.world.folder / "directory.copy"

            def copied() -> None:
                life.here.db.backup(copy)
                with directory_database(copy) as database:
                    database.write_sync(lambda tx: mark_copy(tx, place.clock.now()))
                    database.truncate_log()

            await self._by(name, lambda _: asyncio.to_thread(copied))
            self._saved[name] = copy
            return
        target, vault, random = io.BytesIO(), self.world.vaults[place.name], self.world.draws[place.name]

        def work() -> None:
            make_backup(place.folder, vault, target, now=place.clock.now(), random=random)

        await self._by(name, lambda _: asyncio.to_thread(work))
        self._saved[name] = target.getvalue()

    async def burn(self, name: str) -> None:
        """A node's machine is gone; another one gets its backup, and tells the network so."""
        place, data = self._place(name), self._saved.pop(name)
        await self._prune(name)
        assert place.life is not None
        place.life.end("its machine's end")
        place.folder = place.next_folder()
        restore(
            io.BytesIO(data),
            place.folder,
            opener=Opener(unlock=lambda _file: self.template.vault_keys[place.name]),
            passphrase=None,
            now=place.clock.now(),
            random=self.world.draws[place.name],
        )
        await self._start(place)
        async with asyncio.timeout(_PATIENCE):
            while place.here.roster.incarnations is None:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        for each in NODES:
            await self._by(each, lambda node: node.roster.sync())

    async def _prune(self, name: str) -> None:
        """What it has kept is forgotten at the directory, as by any newer stream of it."""

        async def begin(node: Any) -> None:
            stream = node.listener._client.events(cursor=node.db.look(transfer_store.cursor))
            async with contextlib.aclosing(stream):
                async for _ in stream:
                    return

        await self._by(name, begin)

    async def strike(self, *, without_mail: bool) -> None:
        """The directory's machine is gone; another one gets the copy of its database, and what else it keeps apart."""
        place, copy = self.world.directory, self._saved.pop("directory")
        assert place.life is not None
        place.life.end("its machine's end")
        for each in place.folder.glob("directory.db*"):
            each.unlink()
        shutil.move(copy, place.folder / "directory.db")
        if without_mail:
            shutil.rmtree(place.folder / "mailbox")
        await self._start(place)
        await asyncio.sleep(1)

    async def give_back(self, name: str) -> None:
        """What every stream of a restored directory begins with."""

        async def begin(node: Any) -> None:
            stream = node.listener._client.events(cursor=node.db.look(transfer_store.cursor))
            async with contextlib.aclosing(stream):
                async for event in stream:
                    await node.listener._hear(event, sequence=0)
                    return

        await self._by(name, begin)
