"""What a member with valid keys may offer and ship to a real node: taken whole if it is right, refused whole if not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from cordee.ids import TransferId
from cordee.transfer import State
from node import transfer_store
from tests.attacks.crooks import HARMLESS, SUMMARIES, TRICKS, Crook
from tests.directory.town import Node, Town
from tests.faults.tally import Row, count
from tests.neighbours import LiveClock, Neighbour, Street, eventually, knows

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault]


@dataclass
class Yard:
    """One real node, and members of whom there is nothing but a line and keys."""

    street: Street
    paris: Neighbour
    mallory: Node


@contextlib.asynccontextmanager
async def yard_in(folder: Path) -> AsyncIterator[Yard]:
    town = Town.make(folder / "directory")
    clock = LiveClock(town.clock.now() + timedelta(seconds=1))
    town.clock = clock  # type: ignore[assignment]  # a clock that moves by itself
    town.network.now = clock.now()
    street = Street(town, clock, folder)
    async with town.open():
        await town.found()
        mallory = await town.join("Mallory")
        paris = await street.settle("Paris", 1)
        await paris.start()
        try:
            await eventually(lambda: knows(paris, 2), what="cards")
            yield Yard(street, paris, mallory)
        finally:
            await paris.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def yard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    async with yard_in(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


async def cases_in(node: Neighbour) -> int:
    """Records, keys and files: whatever is left of what came."""
    query = "SELECT (SELECT count(*) FROM case_key) + (SELECT count(*) FROM attachment)"
    return int(await node.here.db.read(lambda tx: tx.execute(text(query)).scalar_one()))


async def over(node: Neighbour, transfer: TransferId) -> State | None:
    known = await node.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    return known.state if known.over and transfer not in await node.here.db.read(transfer_store.waiting) else None


@pytest.mark.parametrize("trick", TRICKS)
async def test_what_is_not_right_is_refused_whole_and_at_once(yard: Yard, trick: str) -> None:
    before = await cases_in(yard.paris)
    transfer = await Crook(yard.street, yard.mallory, yard.paris).ships(trick)
    state = await eventually(lambda: over(yard.paris, transfer), seconds=60, what="an end")
    came = await cases_in(yard.paris) - before
    assert (state, came) == ((State.RECEIVED, 1) if trick in HARMLESS else (State.REFUSED, 0))
    assert (await yard.mallory.transfer(transfer)).state == state
    assert not [part for part in yard.paris.here.loops if part.done()]
    count(Row("Byzantine member", tries=1))


@pytest.mark.parametrize("trick", SUMMARIES)
async def test_a_summary_that_no_node_writes_is_shown_declined_or_passed_over(yard: Yard, trick: str) -> None:
    crook, paris = Crook(yard.street, yard.mallory, yard.paris), yard.paris
    transfer, following = await crook.offers(trick), await crook.offers("nothing")
    await eventually(lambda: paris.state(following), what="what came after it")
    if await paris.state(transfer) is not None:  # else it was refused, and journalled as such
        await eventually(lambda: settled(paris, transfer), what="an answer by itself")
        line = await paris.here.transfers.get(paris.person, transfer)
        assert line.state in (State.OFFERED, State.DECLINED)
        if line.state is State.OFFERED:
            await paris.here.receiving.decline(paris.person, transfer, code="other")
        await paris.reaches(transfer, State.DECLINED)
    await paris.here.transfers.list(paris.person)
    await paris.here.receiving.decline(paris.person, following, code="other")
    await paris.reaches(following, State.DECLINED)
    assert not [part for part in yard.paris.here.loops if part.done()]
    count(Row("Byzantine member", tries=1))


async def settled(node: Neighbour, transfer: TransferId) -> bool:
    """Nothing that the node does by itself is still to be done."""
    return (await node.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))).job is None
