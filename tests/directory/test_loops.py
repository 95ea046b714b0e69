"""Every part of a directory that runs as long as it does meets what nobody foresaw, once, and goes on; one that cannot
ends the directory with its error, so that whatever watches it starts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cordee.runtime.doorkeeper import Doorkeeper
from directory.app import serve
from directory.broker import Broker
from directory.upkeep import Upkeep
from tests.directory.town import Town
from tests.neighbours import eventually

UNFORESEEN = RuntimeError("what nobody foresaw")


async def _nothing(upkeep: Upkeep, broker: Broker) -> None:
    """It comes round by itself."""


async def _something_ends(upkeep: Upkeep, broker: Broker) -> None:
    for _ in range(2):
        broker.something_ended()
        await asyncio.sleep(0.05)


PARTS: dict[str, tuple[type, str, Callable[[Upkeep, Broker], Awaitable[None]]]] = {
    "upkeep": (Upkeep, "round", _nothing),
    "erasing": (Broker, "sweep", _something_ends),
    "the doorkeeper": (Doorkeeper, "look", _nothing),
}


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_meets_what_nobody_foresaw_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    town = Town.make(tmp_path / "directory")
    monkeypatch.setattr("directory.upkeep._TICK_SECONDS", 0.0)
    async with town.open():
        owner, name, kick = PARTS[part]
        original, calls = getattr(owner, name), 0

        def trip(itself: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise UNFORESEEN
            return original(itself)

        monkeypatch.setattr(owner, name, trip)
        await kick(town.listening.upkeep, town.listening.directory.broker)
        await eventually(lambda: calls > 1, seconds=60, what=f"{part} goes on")
        assert {each.get_name() for each in town.listening.loops if not each.done()} == {"run", "erase_for_ever"}


async def test_upkeep_goes_on_and_tells_health_checks_later_where_they_could_not_be_told(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        told: list[bool] = []

        async def tell(well: bool) -> None:
            told.append(well)
            if len(told) == 1:
                raise UNFORESEEN

        class Failing(Upkeep):
            async def round(self) -> None:
                if len(told) < 3:
                    raise UNFORESEEN

        here = town.listening.directory
        upkeep = Failing(here.rosters, here.broker, here.events, _Quick(), tell=tell)
        running = asyncio.create_task(upkeep.run())
        await eventually(lambda: len(told) >= 2, what="the second attempt to tell")
        told.append(False)
        await eventually(lambda: len(told) >= 4, what="the end of what was wrong")
        running.cancel()
        assert told == [False, False, False, True]
        assert not upkeep.failing


class _Quick:
    def now(self) -> Any:
        raise NotImplementedError

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0.01)


async def test_a_part_that_cannot_go_on_ends_the_directory_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town.make(tmp_path / "directory")

    async def ends(_: Upkeep) -> None:
        raise UNFORESEEN

    monkeypatch.setattr(Upkeep, "run", ends)
    with pytest.raises(RuntimeError, match="nobody foresaw"):
        async with asyncio.timeout(60):
            await serve(
                town.folder,
                clock=town.clock,
                listen_members="127.0.0.1:0",
                listen_front="127.0.0.1:0",
                ready=lambda facts: None,
            )
