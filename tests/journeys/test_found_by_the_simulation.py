"""What the simulation found, each with whole nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cordee.errors import TransferOver, Unreachable
from cordee.ids import TransferId
from cordee.transfer import State
from node import transfer_store
from node.directory_client import DirectoryClient
from tests.neighbours import eventually, neighbourhood


async def test_what_came_of_a_transfer_that_ended_meanwhile_is_dropped_also_where_fetching_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        asked, real = 0, DirectoryClient.get
        lay_there = False

        async def get(self: DirectoryClient, transfer: TransferId, *, offset: int) -> AsyncIterator[bytes]:
            nonlocal asked, lay_there
            asked += 1
            if asked == 1:
                raise Unreachable(peer="the directory")  # so that it is spooled, however fast the line
            async for piece in real(self, transfer, offset=offset):
                yield bytes(piece)
                break
            path = marseille.here.house.spool(transfer, outgoing=False)
            await eventually(path.exists, what="a spool")
            lay_there = True
            now = street.clock.now()
            await marseille.here.db.write(lambda tx: transfer_store.end(tx, transfer, State.WITHDRAWN, now=now))
            raise TransferOver(state=State.WITHDRAWN)  # what the directory answers then

        monkeypatch.setattr(DirectoryClient, "get", get)
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await eventually(lambda: lay_there, what="something in the spool")
        path = marseille.here.house.spool(transfer, outgoing=False)
        await eventually(lambda: not path.exists(), what="an empty spool")


async def test_a_checkpoint_from_the_future_that_was_taken_gives_way_once_the_clocks_are_right(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris") as (street, (paris,)):
        roster, rosters = paris.here.roster, street.town.directory.rosters
        street.clock.advance(timedelta(hours=3))
        await rosters.sign_if_due()
        await roster.sync()
        ahead = roster.checkpoint.time
        street.clock.advance(timedelta(hours=-3))
        assert await rosters.sign_if_due()
        await roster.sync()
        assert roster.checkpoint.time <= street.clock.now() < ahead
