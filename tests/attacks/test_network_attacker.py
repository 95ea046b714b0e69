"""Somebody on the wire who alters, cuts, reorders and replays what two nodes and the directory say to each other.

A connection may end, and that is all: nothing that was altered is believed, nothing comes twice, and once the wire is
left alone everything goes on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from node.joining import Membership
from tests.attacks.liar import stopped
from tests.attacks.soaking import examples
from tests.attacks.test_byzantine_directory import Scene
from tests.attacks.wire import WAYS, Meddling, Wire, tapped
from tests.faults.tally import Row, count
from tests.neighbours import eventually, knows, neighbourhood

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault]

meddlings = st.builds(
    Meddling,
    way=st.sampled_from(WAYS),
    up=st.booleans(),
    record=st.sampled_from([0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 50]),
    number=st.integers(0, 100_000),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("wire")
    async with contextlib.AsyncExitStack() as stack:
        street, nodes = await stack.enter_async_context(neighbourhood(folder, "Paris", "Marseille", start=False))
        wire = await stack.enter_async_context(tapped(street.town.listening.members))
        for each in nodes:
            stack.push_async_callback(stopped, each)
            replace(Membership.load(each.folder), members=wire.address).save(each.folder)
            await each.start()
        for each in nodes:
            await eventually(lambda each=each: knows(each, len(nodes)), what="cards")
        yield Scene(street, wire, *nodes)


async def test_whatever_happens_on_the_wire_everything_goes_on_afterwards(scene: Scene) -> None:
    loop, wire = asyncio.get_running_loop(), scene.liars
    assert isinstance(wire, Wire)

    async def play(plan: list[Meddling], steps: str, back: bool) -> None:
        sender, to = scene.nodes[::-1] if back else scene.nodes
        wire.meddle(plan)
        await scene.transfer(sender, to, steps=steps)
        await scene.heals()

    @examples(10)
    @given(st.lists(meddlings, min_size=2, max_size=6), st.sampled_from(["a", "a", "aw", "d"]), st.booleans())
    def example(plan: list[Meddling], steps: str, back: bool) -> None:
        asyncio.run_coroutine_threadsafe(play(plan, steps, back), loop).result(300)

    await asyncio.to_thread(example)
    stuck = await scene.comes_to_an_end()
    lost = await scene.lost()
    count(Row("network attacker", tries=wire.told, stuck=len(stuck), lost=len(lost)))
    assert wire.told
    assert not stuck
    assert not lost


async def test_a_recorded_session_played_again_says_nothing(scene: Scene) -> None:
    """All that went to the directory, bit by bit, on a new connection: it ends at the handshake's own check."""
    wire = scene.liars
    assert isinstance(wire, Wire)
    before = await scene.street.town.directory.db.read(steps_taken)
    for begin in range(8):
        reader, writer = await asyncio.open_connection(*wire.target)
        with contextlib.suppress(OSError):
            for record in wire.recorded()[begin:]:
                writer.write(record)
                await writer.drain()
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(), 10)
        writer.transport.abort()
    assert await scene.street.town.directory.db.read(steps_taken) == before
    count(Row("network attacker", tries=8))
    await scene.heals()


def steps_taken(tx: object) -> int:
    return int(tx.execute(text("SELECT count(*) FROM statement")).scalar_one())  # type: ignore[attr-defined]
