"""Somebody on the wire between a node and the directory: reads, alters, cuts, reorders and replays what passes.

Without keys, so what passes is TLS records (RFC 8446 §5.1: type, version, length, then that many bytes).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

__all__ = ["WAYS", "Meddling", "Wire", "tapped"]

_HEADER = 5
_LARGEST = 2**14 + 256
_RECORDED = 64
_TIRED = 0.3  # seconds for which a record is held back

WAYS = ("flip", "cut", "drop", "twice", "swap", "hold", "garbage", "shorter", "length", "replay", "cut inside")
"""What is done to a record: a bit of it flipped; the connection cut before it; left out; sent twice; after the next
one; late; rubbish before it; its end missing; its length another; one of an earlier connection sent in its place; the
connection cut in the middle of it."""


@dataclass(frozen=True)
class Meddling:
    """In a connection, `up` to the directory or down, this is done to the record of that number."""

    way: str
    up: bool
    record: int
    number: int


@dataclass
class Wire:
    """The attacker. Each meddling waits for the next connection."""

    target: tuple[str, int]
    address: str = ""
    told: int = 0
    """How many records did not arrive as they were sent."""
    connections: int = 0
    _plan: deque[Meddling] = field(default_factory=deque)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _recorded: dict[bool, deque[bytes]] = field(
        default_factory=lambda: {up: deque(maxlen=_RECORDED) for up in (True, False)}
    )

    def meddle(self, plan: list[Meddling]) -> None:
        """From now on; connections that are open end."""
        self._plan.extend(plan)
        self.cut()

    def honest(self) -> None:
        """Nobody is on the wire any more."""
        self._plan.clear()
        self.cut()

    def cut(self) -> None:
        """End every connection, as a router does that is switched off."""
        for each in self._open:
            each.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        meddling = self._plan.popleft() if self._plan else None
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
            ends.append(far_writer)
            self._open.update(ends)
            both = [
                asyncio.create_task(self._pass(reader, far_writer, True, meddling)),
                asyncio.create_task(self._pass(far_reader, writer, False, meddling)),
            ]
            self._tasks.update(both)
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._tasks.difference_update(both)
        except OSError:
            pass
        finally:
            for each in ends:
                self._open.discard(each)
                each.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, up: bool, meddling: Meddling | None
    ) -> None:
        count, later = 0, b""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                header = await source.readexactly(_HEADER)
                size = int.from_bytes(header[3:])
                record = header + await source.readexactly(size)
                if meddling is not None and meddling.up == up and meddling.record == count and size <= _LARGEST:
                    self.told += 1
                    parts = await self._done(meddling, record)
                    if parts is None:
                        return
                    if meddling.way == "swap":
                        later, parts = record, b""
                    sink.write(parts)
                    if meddling.way == "cut inside":
                        await sink.drain()
                        return
                else:
                    sink.write(record + later)
                    later = b""
                self._recorded[up].append(record)
                count += 1
                await sink.drain()

    async def _done(self, meddling: Meddling, record: bytes) -> bytes | None:
        number, way, inside = meddling.number, meddling.way, max(1, len(record) - _HEADER)
        if way == "cut":
            return None
        if way == "drop":
            return b""
        if way == "twice":
            return record * 2
        if way == "hold":
            await asyncio.sleep(_TIRED)
        elif way == "garbage":
            return b"\x17\x03\x03\x00\x20" + bytes((number + index) % 256 for index in range(32)) + record
        elif way == "flip":
            bent = bytearray(record)
            bent[number % len(bent)] ^= 1 << number % 8
            return bytes(bent)
        elif way in ("shorter", "cut inside"):
            return record[: _HEADER + number % inside]
        elif way == "length":
            return record[:3] + (number % 65_536).to_bytes(2) + record[_HEADER:]
        elif way == "replay" and self._recorded[meddling.up]:
            return self._recorded[meddling.up][number % len(self._recorded[meddling.up])]
        return record

    def recorded(self) -> list[bytes]:
        """What went to the directory of late, in this order."""
        return list(self._recorded[True])


@contextlib.asynccontextmanager
async def tapped(target: str) -> AsyncIterator[Wire]:
    """A wire to host:port with somebody on it."""
    host, _, port = target.rpartition(":")
    wire = Wire((host, int(port)))
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    wire.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close()
        wire.honest()
        for each in list(wire._tasks):
            each.cancel()
        await asyncio.sleep(0)
