from __future__ import annotations

import asyncio

import pytest

from cordee.errors import TooManyRequests
from cordee.web.turns import Turns, machine_of


async def soon() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Room:
    """Where one at a time is let in; who came in, in what order."""

    def __init__(self, **options: int) -> None:
        self.turns = Turns(**options)
        self.came: list[str] = []
        self.leave = asyncio.Event()

    async def come(self, machine: str) -> None:
        async with self.turns.turn(machine):
            self.came.append(machine)
            await self.leave.wait()


async def test_a_machine_that_stands_in_the_line_a_hundred_times_keeps_another_waiting_for_one_turn() -> None:
    room = Room(waiting=100)
    tasks = [asyncio.create_task(room.come("flood")) for _ in range(100)]
    await soon()
    tasks.append(asyncio.create_task(room.come("handler")))
    await soon()
    assert room.came == ["flood"]
    room.leave.set()
    await asyncio.gather(*tasks)
    assert room.came.index("handler") <= 2
    assert len(room.came) == 101


async def test_only_one_is_in_at_a_time() -> None:
    room = Room()
    tasks = [asyncio.create_task(room.come(name)) for name in "abc"]
    await soon()
    assert room.came == ["a"]
    room.leave.set()
    await asyncio.gather(*tasks)
    assert room.came == ["a", "b", "c"]


async def test_whoever_waits_often_enough_is_refused_and_the_others_are_not() -> None:
    room = Room(waiting=2)
    tasks = [asyncio.create_task(room.come("flood")) for _ in range(3)]
    await soon()
    with pytest.raises(TooManyRequests):
        await room.come("flood")
    tasks.append(asyncio.create_task(room.come("handler")))
    await soon()
    room.leave.set()
    await asyncio.gather(*tasks)
    assert sorted(room.came) == ["flood", "flood", "flood", "handler"]


async def test_who_goes_away_while_waiting_loses_nobody_elses_turn() -> None:
    room = Room()
    first, second, third = (asyncio.create_task(room.come(name)) for name in "abc")
    await soon()
    second.cancel()
    room.leave.set()
    await asyncio.gather(first, third)
    assert room.came == ["a", "c"]


async def test_who_goes_away_just_when_the_turn_comes_passes_it_on() -> None:
    room = Room()
    first, second, third = (asyncio.create_task(room.come(name)) for name in "abc")
    await soon()
    room.turns._pass_on()  # the second's turn has come, and it has not noticed yet
    second.cancel()
    await soon()
    assert room.came == ["a", "c"]
    room.leave.set()
    await asyncio.gather(first, third)


def test_one_machine_is_one_address_and_of_ipv6_its_whole_network() -> None:
    assert machine_of("192.0.2.1") == machine_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert machine_of("2001:db8::1") == machine_of("2001:db8::2:3") == "2001:db8::/64"
    assert machine_of("2001:db8:0:1::1") != machine_of("2001:db8::1")
    assert machine_of(None) == machine_of("testclient") == ""
