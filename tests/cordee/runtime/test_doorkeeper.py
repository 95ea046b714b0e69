from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from cordee.runtime.doorkeeper import Bounds, Connection, Doorkeeper, to_be_shut

NOW = 1000.0
FEW = Bounds(strangers=4, of_one=2, at_once=12, fresh=2.0, prattle=1000)


def many(address: str, count: int, *, start: int = 0, **known: Any) -> list[Connection]:
    return [
        Connection(start + number, address, **{"since": NOW - 60 + number, "received": 500, **known})
        for number in range(count)
    ]


def shut(*connections: Connection, bounds: Bounds = FEW) -> set[int]:
    return {each.inode for each in to_be_shut(connections, now=NOW, bounds=bounds)}


def test_nobody_goes_while_there_is_room() -> None:
    assert not shut(*many("a", 4), *many("b", 2, start=10, caller="Paris"), *many("c", 2, start=20, caller="Marseille"))


def test_a_member_that_works_keeps_its_connection_whoever_comes() -> None:
    works = many("a", 2, caller="Paris", received=0, since=NOW - 3600)
    assert not shut(*works, *many("a", 500, start=10)) & {0, 1}


def test_of_a_member_with_too_many_the_oldest_go_and_nobody_elses() -> None:
    assert shut(*many("a", 5, caller="Paris"), *many("a", 2, start=10, caller="Marseille")) == {0, 1, 2}


def test_a_stranger_from_elsewhere_stays_while_one_address_floods() -> None:
    elsewhere = many("b", 1, start=1000, received=0, since=NOW - 100)
    gone = shut(*many("a", 50), *elsewhere)
    assert len(gone) == 47
    assert 1000 not in gone


def test_from_one_address_whoever_said_least_goes_first() -> None:
    shakes_hands = many("a", 1, start=1000, received=900, since=NOW - 100)
    assert 1000 not in shut(*many("a", 50, received=0), *shakes_hands)


def test_whoever_came_just_now_has_time_for_a_first_call() -> None:
    assert not shut(*many("a", 10, since=NOW - 1))
    assert len(shut(*many("a", 30, since=NOW - 1))) == 18, "not beyond what the port has in all"


def test_a_stranger_who_talks_without_end_and_calls_nobody_goes_at_once() -> None:
    assert shut(*many("a", 1, received=1001, since=NOW), *many("a", 1, start=1, received=1000, since=NOW)) == {0}


def test_a_member_may_send_as_much_as_it_likes() -> None:
    assert not shut(*many("a", 1, received=10**9, caller="Paris"))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server that takes every connection and answers none."""
    lines: list[asyncio.StreamWriter] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for line in lines:
            line.close()


async def opened(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    lines = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
    await asyncio.sleep(0.1)
    return lines


def is_open(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return bool(line.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


async def test_real_connections_are_shut_and_their_owners_hear_of_it(port: int) -> None:
    now = [0.0]
    door = Doorkeeper(FEW, clock=lambda: now[0])
    door.watch(port)
    with ExitStack() as stack:
        lines = await opened(port, 10, stack)
        lines[3].sendall(b"said something")
        ours = lines[7].getsockname()
        door.met(f"ipv4:{ours[0]}:{ours[1]}", "Paris")
        assert door.look() == 0
        now[0] = 10.0
        assert door.look() == 5
        await asyncio.sleep(0.1)
        assert [is_open(lines[each]) for each in (3, 7)] == [True, True]
        assert sum(map(is_open, lines)) == 5
        assert door.look() == 0


async def test_other_ports_of_the_process_are_left_alone(port: int) -> None:
    now = [0.0]
    door = Doorkeeper(FEW, clock=lambda: now[0])
    door.watch(port + 1)
    with ExitStack() as stack:
        lines = await opened(port, 10, stack)
        door.look()
        now[0] = 10.0
        assert door.look() == 0
        assert all(map(is_open, lines))


async def test_what_is_known_of_connections_ends_with_them(port: int) -> None:
    door = Doorkeeper(FEW)
    door.watch(port)
    with ExitStack() as stack:
        for line in await opened(port, 3, stack):
            host, ours = line.getsockname()
            door.met(f"ipv4:{host}:{ours}", "Paris")
        door.look()
        assert len(door._callers) == 3
    await asyncio.sleep(0.1)
    door.met("ipv4:127.0.0.1:1", "gone before it was seen")
    door.look()
    assert not door._callers


async def test_without_a_descriptor_left_it_still_sees_who_used_them_up(port: int) -> None:
    now = [0.0]
    door = Doorkeeper(FEW, clock=lambda: now[0])
    door.watch(port)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        lines = await opened(port, 10, stack)
        assert door.look() == 0
        taken = [os.open("/dev/null", os.O_RDONLY)]
        stack.callback(lambda: [os.close(each) for each in taken])
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, before[1]))
        with suppress(OSError):
            while True:
                taken.append(os.dup(taken[0]))
        with pytest.raises(OSError, match="Too many open files"):
            os.listdir("/proc/self/fd")
        now[0] = 10.0
        assert door.look() == 6
        await asyncio.sleep(0.1)
        assert sum(map(is_open, lines)) == 4


async def test_whoever_came_and_went_without_a_call_is_counted_as_lost(port: int) -> None:
    door = Doorkeeper()
    door.watch(port)
    with ExitStack() as stack:
        for line in await opened(port, 5, stack):
            door.came()
            if door.begun <= 2:
                host, ours = line.getsockname()
                for _ in range(3):
                    door.asked(f"ipv4:{host}:{ours}")
        assert [door.look(), door.look(), door.begun, door.lost] == [0, 0, 5, 0], "they are all here"
    await asyncio.sleep(0.1)
    door.came()  # so short that no look ever saw it
    door.look()
    assert door.lost == 0, "a call of theirs may still be on its way to us"
    door.look()
    assert door.lost == 4
    door.look()
    assert (door.begun, door.lost, len(door._asked)) == (6, 4, 0)


async def test_at_a_unix_socket_the_process_that_has_the_most_makes_room(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    now = [0.0]
    door = Doorkeeper(FEW, clock=lambda: now[0])
    door.watch_socket(path)
    held: list[asyncio.StreamWriter] = []
    came = asyncio.Semaphore(0)

    def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        came.release()

    server = await asyncio.start_unix_server(take, path)
    connect = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1) or b'end')"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", connect, path, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    with ExitStack() as stack:
        await came.acquire()
        lines = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(10)]
        for line in lines:
            line.connect(path)
        for _ in lines:
            await came.acquire()
        assert door.look() == 0
        now[0] = 10.0
        assert door.look() == 7
        assert sum(map(is_open, lines)) == 3
        held[0].write(b"!")
        assert (await other.communicate())[0] == b"b'!'\n", "the other process has kept its connection"
    server.close()
    for writer in held:
        writer.close()
    assert (door.begun, door.lost) == (0, 0)
