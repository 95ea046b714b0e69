"""Nobody signs that a transfer has run out: a node believes it once its own clock, or its own log, can say the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio

from cordee.ids import TransferId
from cordee.transfer import State
from cordee.v1 import directory_pb2 as pb
from node import transfer_store
from tests.journeys.test_found_by_the_model import remove
from tests.journeys.test_outcomes import accept, offered
from tests.neighbours import Neighbour, Street, eventually, neighbourhood

ENDS = timedelta(hours=5)


@pytest_asyncio.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (town, _):
        yield town


async def open_offer(street: Street) -> tuple[Neighbour, Neighbour, TransferId]:
    paris, marseille = street.neighbours.values()
    _, _, (transfer,) = await offered(paris, marseille, expires_in=ENDS)
    return paris, marseille, transfer


async def told_that_it_is_over(*nodes: Neighbour, transfer: TransferId) -> None:
    for each in nodes:
        event = pb.Event(expired=pb.TransferExpired(transfer_id=transfer))
        await each.here.listener._hear(event, sequence=0)


async def test_an_offer_stands_until_its_own_end_whatever_the_directory_says(street: Street) -> None:
    paris, marseille, transfer = await open_offer(street)
    await told_that_it_is_over(paris, marseille, transfer=transfer)
    assert [await each.state(transfer) for each in (paris, marseille)] == [State.OFFERED] * 2
    await accept(marseille, transfer)
    await paris.reaches(transfer, State.RECEIVED)
    await marseille.reaches(transfer, State.RECEIVED)


async def test_what_really_ended_early_ends_for_both_at_its_own_end(street: Street) -> None:
    paris, marseille, transfer = await open_offer(street)
    await street.town.directory.broker._expire([transfer])  # as with a clock that is hours ahead
    heard = [each.here.listener._too_early for each in (paris, marseille)]
    await eventually(lambda: all(transfer in each for each in heard), what="the news")
    assert [await each.state(transfer) for each in (paris, marseille)] == [State.OFFERED] * 2
    street.clock.advance(ENDS - timedelta(minutes=3))
    await paris.reaches(transfer, State.EXPIRED)
    await marseille.reaches(transfer, State.EXPIRED)


async def test_an_answer_that_the_directory_refuses_because_it_is_over_ends_it(street: Street) -> None:
    _, marseille, transfer = await open_offer(street)
    await street.town.directory.broker._expire([transfer])
    await eventually(lambda: transfer in marseille.here.listener._too_early, what="the news")
    await accept(marseille, transfer)
    await marseille.reaches(transfer, State.EXPIRED)
    row = await marseille.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    assert row.sealed_one_time_seed is None


async def test_a_removal_ends_an_offer_at_once(street: Street) -> None:
    paris, marseille, transfer = await open_offer(street)
    await marseille.stop()
    await remove(street, marseille)
    await paris.reaches(transfer, State.EXPIRED)
