"""A directory in an attacker's hands that lies in ways nobody has thought of, against two real nodes.

While it lies, whatever the nodes may do is allowed but this: a part of a node that ends, a case stored twice, a case
stored that was not sent, a roster that goes back. Once it is honest again, everything must go on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, note
from hypothesis import strategies as st
from sqlalchemy import text

from cordee.errors import CordeeError
from cordee.ids import TransferId
from cordee.transfer import END_STATES, Kind, State
from node import transfer_store
from node.joining import Membership
from tests.attacks.liar import stopped
from tests.attacks.lies import METHODS, WAYS, Liars, Lie, lying_by_chance
from tests.attacks.soaking import examples
from tests.faults.tally import Row, count
from tests.neighbours import Neighbour, Street, eventually, knows, neighbourhood

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault]

_A_MOMENT = 0.6  # seconds for which a step may wait while it is lied about
_HEALING = 60.0  # seconds: generous, for a slow machine

lies = st.builds(
    Lie,
    method=st.sampled_from(METHODS + ("Watch", "GetCheckpoint", "Submit", "GetTransfer") * 4),
    way=st.sampled_from(WAYS + ("field",) * 10 + ("error",) * 4),
    number=st.integers(0, 10_000),
    times=st.sampled_from([1, 1, 1, 3, 30]),
)


@dataclass
class Scene:
    """Paris and Marseille, who reach the directory through whatever lies there are."""

    street: Street
    liars: Liars
    paris: Neighbour
    marseille: Neighbour
    sizes: dict[str, int] = field(default_factory=dict)
    withdrawn: list[tuple[Neighbour, Neighbour, TransferId]] = field(default_factory=list)

    @property
    def nodes(self) -> tuple[Neighbour, Neighbour]:
        return self.paris, self.marseille

    async def transfer(self, sender: Neighbour, to: Neighbour, *, steps: str) -> None:
        """People try to do these steps, and give up where the network does not let them: `a`ccept, `w`ithdraw."""
        record = await sender.case()
        with contextlib.suppress(CordeeError):
            transfer = await sender.offer(record, to, await sender.act(record, to))
            await in_a_moment(lambda: to.state(transfer))
            for step in steps:
                if step == "a":
                    await to.here.receiving.accept(to.person, transfer)
                    await in_a_moment(lambda: has(to, transfer, State.RECEIVED))
                elif step == "w":
                    await sender.here.sending.withdraw(sender.person, transfer)
                    self.withdrawn.append((sender, to, transfer))
                elif step == "d":
                    await to.here.receiving.decline(to.person, transfer, code="other")

    async def heals(self) -> None:
        """The directory is honest: within a while, a new case goes each way."""
        self.liars.honest()
        for each in self.nodes:
            for part in each.here.loops:
                if part.done():
                    raise AssertionError(f"a part of {each.name}'s node has ended") from part.exception()
            await eventually(lambda each=each: sound(each), seconds=_HEALING, what="a sound roster")
            size = each.here.roster.tree.size
            assert size >= self.sizes.get(each.name, 0), "I6: a node's roster never shrinks"
            self.sizes[each.name] = size
        for sender, to in (self.nodes, self.nodes[::-1]):
            record = await sender.case()
            transfer = await sender.offer(record, to, await sender.act(record, to))
            await to.reaches(transfer, State.OFFERED, seconds=_HEALING)
            await to.here.receiving.accept(to.person, transfer)
            await sender.reaches(transfer, State.RECEIVED, seconds=_HEALING)
            await to.reaches(transfer, State.RECEIVED, seconds=_HEALING)
        await self.nothing_twice()

    async def nothing_twice(self) -> None:
        """I1: what was received was stored once; I4: what its sender calls received, the other has."""
        received: dict[str, set[bytes]] = {}
        for each in self.nodes:
            rows = await each.here.db.read(
                lambda tx: tx.execute(
                    text("SELECT subject, count(*) FROM journal WHERE action = 'transfer.received' GROUP BY subject")
                ).all()
            )
            assert not [row for row in rows if row[1] > 1], "I1: a case was imported twice"
            received[each.name] = {bytes.fromhex(row[0]) for row in rows}
        for sender, to in (self.nodes, self.nodes[::-1]):
            for each in await sender.here.db.read(transfer_store.all_transfers):
                if each.outgoing and each.state is State.RECEIVED:
                    assert bytes(each.id) in received[to.name], "I4: received, but not by the other"

    async def lost(self) -> list[str]:
        """What a node had acknowledged to somebody and the other does not know of, now that everything is over."""
        found = []
        for sender, to in (self.nodes, self.nodes[::-1]):
            known = {each.id: each for each in await sender.here.db.read(transfer_store.all_transfers)}
            for each in await to.here.db.read(transfer_store.all_transfers):
                if each.outgoing or each.state is not State.RECEIVED:
                    continue
                if known[each.id].state is not State.RECEIVED:
                    found.append(f"{each.id.hex()}: received, and its sender says {known[each.id].state}")
        for sender, to, transfer in self.withdrawn:
            if await to.state(transfer) is State.RECEIVED and not await to.here.db.read(
                lambda tx, transfer=transfer: transfer_store.statement(tx, transfer, Kind.WITHDRAWAL)
            ):
                found.append(f"{transfer.hex()}: withdrawn by {sender.name}, and the other was never asked to erase it")
        return found

    async def comes_to_an_end(self) -> list[str]:
        """After the longest time that anything may take: what is not over yet."""
        for _ in range(5):
            self.street.clock.advance(timedelta(days=3, minutes=1))
            for each in self.nodes:
                await eventually(lambda each=each: sound(each), seconds=_HEALING, what="a sound roster")

        async def open_ones() -> list[str]:
            found = []
            for each in self.nodes:
                known = await each.here.db.read(transfer_store.all_transfers)
                waits = await each.here.db.read(transfer_store.waiting)
                for one in known:
                    if one.state not in END_STATES or one.id in waits:
                        kinds = await each.here.db.read(lambda tx, one=one: transfer_store.kinds(tx, one.id))
                        said = [f"{kind}{' waits' if waiting else ''}" for kind, waiting in kinds]
                        _, taken = await self.street.town.directory.broker.transfer(each.here.member, one.id)
                        at_broker = [str(step.kind) for step in taken]
                        found.append(f"{each.name} {one.id.hex()} {one.state} {said}, at the broker {at_broker}")
            return found

        with contextlib.suppress(AssertionError):
            await eventually(lambda: nothing(open_ones()), seconds=_HEALING / 3, what="an end")
        return await open_ones()


async def nothing(found: Coroutine[Any, Any, list[Any]]) -> bool:
    return not await found


async def in_a_moment(found: Any) -> None:
    """Wait a little for it, and go on without it."""
    with contextlib.suppress(AssertionError):
        await eventually(found, seconds=_A_MOMENT)


async def has(neighbour: Neighbour, transfer: TransferId, state: State) -> bool:
    return await neighbour.state(transfer) is state


async def sound(neighbour: Neighbour) -> bool:
    with contextlib.suppress(CordeeError):
        await neighbour.here.roster.sync()
        return neighbour.here.roster.alarm is None and neighbour.here.listener.caught_up.is_set()
    return False


@contextlib.asynccontextmanager
async def lied_to(folder: Path) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        street, nodes = await stack.enter_async_context(neighbourhood(folder, "Paris", "Marseille", start=False))
        liars = await stack.enter_async_context(lying_by_chance(street.town.directory))
        for each in nodes:
            stack.push_async_callback(stopped, each)
            replace(Membership.load(each.folder), members=liars.address).save(each.folder)
            await each.start()
        for each in nodes:
            await eventually(lambda each=each: knows(each, len(nodes)), what="cards")
        yield Scene(street, liars, *nodes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with lied_to(tmp_path_factory.mktemp("lies")) as scene:
        yield scene


async def test_whatever_a_directory_answers_everything_goes_on_once_it_is_honest(scene: Scene) -> None:
    loop = asyncio.get_running_loop()

    async def play(told: list[Lie], steps: str, back: bool) -> None:
        sender, to = scene.nodes[::-1] if back else scene.nodes
        scene.liars.tell(told)
        await scene.transfer(sender, to, steps=steps)
        await scene.heals()

    @examples(14)
    @given(st.lists(lies, min_size=8, max_size=30), st.sampled_from(["a", "a", "aw", "aw", "w", "d"]), st.booleans())
    def example(told: list[Lie], steps: str, back: bool) -> None:
        note(f"{told} {steps} {back}")
        asyncio.run_coroutine_threadsafe(play(told, steps, back), loop).result(300)

    await asyncio.to_thread(example)
    stuck = await scene.comes_to_an_end()
    lost = await scene.lost()
    count(Row("Byzantine directory", tries=scene.liars.told, stuck=len(stuck), lost=len(lost)))
    assert not stuck
    assert not lost
