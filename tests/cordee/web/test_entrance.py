from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cordee.web.entrance import Entrance
from tests.faults.floods.scene import self_signed


class Greeting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
async def entrance(listener: socket.socket, tmp_path: Path) -> AsyncIterator[Entrance]:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    made = Entrance(listener, Greeting, of_one=4, at_once=6, seconds=30)
    made.open(context)
    yield made
    await made.close()


def silent(listener: socket.socket, stack: ExitStack, source: str, count: int) -> list[socket.socket]:
    address = listener.getsockname()
    return [stack.enter_context(socket.create_connection(address, source_address=(source, 0))) for _ in range(count)]


async def greeted(listener: socket.socket, tmp_path: Path, *, source: str = "127.0.0.1") -> bytes:
    trusted = ssl.create_default_context(cafile=str(tmp_path / "pages.pem"))
    host, port = listener.getsockname()
    reader, writer = await asyncio.open_connection(
        host, port, ssl=trusted, server_hostname="localhost", local_addr=(source, 0)
    )
    try:
        return await asyncio.wait_for(reader.readexactly(5), 20)
    finally:
        writer.close()


async def test_whoever_shakes_hands_is_let_in(entrance: Entrance, listener: socket.socket, tmp_path: Path) -> None:
    assert await greeted(listener, tmp_path) == b"hello"
    await asyncio.sleep(0.05)
    assert not entrance.shaking
    assert (entrance.begun, entrance.lost, entrance.shut) == (1, 0, 0)


@pytest.mark.parametrize("secure", [True, False])
async def test_what_is_written_leaves_at_once(listener: socket.socket, tmp_path: Path, secure: bool) -> None:
    """Not when what was written before is acknowledged: each page would come 40 ms later."""
    waits = list[int]()

    class Line(Greeting):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            line = transport.get_extra_info("socket")
            waits.append(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super().connection_made(transport)

    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    made = Entrance(listener, Line)
    made.open(context if secure else None)
    if secure:
        assert await greeted(listener, tmp_path) == b"hello"
    else:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await asyncio.wait_for(reader.readexactly(5), 20) == b"hello"
        writer.close()
    assert waits == [1]
    await made.close()


async def test_handshakes_that_are_refused_are_counted(entrance: Entrance, listener: socket.socket) -> None:
    with ExitStack() as stack:
        (line,) = silent(listener, stack, "127.0.0.1", 1)
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        line.settimeout(20)
        assert await asyncio.to_thread(_ended, line)
    assert (entrance.begun, entrance.lost, entrance.shut) == (1, 1, 0)


async def test_of_one_machine_few_shake_hands_at_a_time_and_another_is_let_in(
    entrance: Entrance, listener: socket.socket, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        lines = silent(listener, stack, "127.0.0.2", 40)
        await asyncio.sleep(0.2)
        assert entrance.shaking == {"127.0.0.2": 4}
        lines[-1].settimeout(5)
        with pytest.raises(ConnectionResetError):
            lines[-1].recv(1)
        assert await greeted(listener, tmp_path) == b"hello"
        assert (entrance.begun, entrance.lost, entrance.shut) == (41, 36, 36)


async def test_where_all_together_are_too_many_whoever_has_the_most_makes_room(
    entrance: Entrance, listener: socket.socket, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        for source, count in (("127.0.0.2", 4), ("127.0.0.3", 1), ("127.0.0.4", 1), ("127.0.0.5", 1)):
            silent(listener, stack, source, count)
            await asyncio.sleep(0.1)
        assert entrance.shaking == {"127.0.0.2": 3, "127.0.0.3": 1, "127.0.0.4": 1, "127.0.0.5": 1}
        assert await greeted(listener, tmp_path) == b"hello"


async def test_a_handshake_that_does_not_come_is_given_up(listener: socket.socket, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    made = Entrance(listener, Greeting, seconds=0.2)
    made.open(context)
    with ExitStack() as stack:
        (line,) = silent(listener, stack, "127.0.0.1", 1)
        line.settimeout(10)
        assert await asyncio.to_thread(_ended, line)
        await asyncio.sleep(0.1)
        assert not made.shaking
    await made.close()


def _ended(line: socket.socket) -> bool:
    try:
        while line.recv(1):  # an alert may come first
            pass
        return True
    except ConnectionResetError:
        return True


async def test_a_line_with_which_something_is_wrong_shuts_nobody_else_out(
    entrance: Entrance, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, tries = Entrance._receive, []

    def trip(self: Entrance, *line: object) -> None:
        tries.append(line)
        if len(tries) == 1:
            raise RuntimeError("what nobody foresaw")
        original(self, *line)  # type: ignore[arg-type]

    monkeypatch.setattr(Entrance, "_receive", trip)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await greeted(listener, tmp_path)
    assert await greeted(listener, tmp_path) == b"hello"
