"""Who comes to the pages: connections accepted one by one, and TLS handshakes bounded in number and in time.

asyncio sets aside a quarter of a megabyte for each handshake before the other side has said a word, waits a minute for
that, and accepts as many as come: two thousand machines that say nothing would take all the memory there is (ADR 29).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable

from cordee.runtime.logs import logger
from cordee.web.turns import machine_of

__all__ = ["Entrance"]

log = logger("web.entrance")

_SECONDS = 5.0
_OF_ONE = 32
_AT_ONCE = 256
_NO_ROOM = 0.2  # seconds until accepting is tried again, where no file can be opened
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: nothing of it stays in the kernel either


class Entrance:
    """Accepts at a listener. Of one machine 32 may shake hands (TLS) at a time; of all of them 256, and where more
    come, the oldest handshake of the machine that has the most ends.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        *,
        of_one: int = _OF_ONE,
        at_once: int = _AT_ONCE,
        seconds: float = _SECONDS,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._of_one = of_one
        self._at_once = at_once
        self._seconds = seconds
        self._shaking: dict[asyncio.Task[None], str] = {}  # oldest first
        self._accepting: asyncio.Task[None] | None = None
        self.begun = 0
        """How many TLS handshakes were begun so far."""
        self.lost = 0
        """How many of them came to no end: refused, broken off, or given up after their time."""
        self.shut = 0
        """How many of those that were lost had to go because there were too many."""

    @property
    def shaking(self) -> Counter[str]:
        """How many handshakes are under way, by machine."""
        return Counter(self._shaking.values())

    def open(self, context: ssl.SSLContext | None) -> None:
        """Begin; without a context there is nothing to shake hands on."""
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(context))

    async def close(self) -> None:
        """Let nobody in any more."""
        tasks = [*self._shaking, *([self._accepting] if self._accepting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                line, address = await loop.sock_accept(self._listener)
            except OSError:  # it went away again, or no file can be opened just now
                await asyncio.sleep(_NO_ROOM)
                continue
            await asyncio.sleep(0)  # those before it get on: a queue of many is taken without a pause
            try:
                self._receive(line, str(address[0]), context)
            except Exception as unforeseen:  # whatever is wrong with one line, the next one finds the door open
                line.close()
                log.error("entrance.failed", reason=type(unforeseen).__name__)

    def _receive(self, line: socket.socket, address: str, context: ssl.SSLContext | None) -> None:
        machine = machine_of(address)
        self.begun += context is not None
        shaking = self.shaking
        if context is not None and shaking[machine] >= self._of_one:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            line.close()
            self.lost += 1
            self.shut += 1
            return
        if context is not None and shaking.total() >= self._at_once:
            most, _ = shaking.most_common(1)[0]
            next(task for task, each in self._shaking.items() if each == most).cancel()
            self.shut += 1
        task = asyncio.create_task(self._shake(line, context))
        self._shaking[task] = machine
        task.add_done_callback(lambda done: self._shaking.pop(done, None))

    async def _shake(self, line: socket.socket, context: ssl.SSLContext | None) -> None:
        limit = self._seconds if context is not None else None
        with contextlib.suppress(OSError, ssl.SSLError):  # whoever does not know how is told nothing
            try:
                # An answer's head and body are written apart: the body would wait 40 ms until the head is acknowledged
                # (Nagle, RFC 896). asyncio sees to it only where a socket names its protocol; this one does not.
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._protocol, line, ssl=context, ssl_handshake_timeout=limit
                )
            except BaseException:
                self.lost += context is not None
                line.close()
                raise
