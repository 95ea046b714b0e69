"""Pages, served in the event loop of whoever they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from cordee.errors import N_, InvalidInput
from cordee.runtime.doorkeeper import DoorCounts
from cordee.web.entrance import Entrance

__all__ = ["GRACE", "Listening", "Site", "serving", "stopping"]

Site = Callable[[Collection[str], bool], ASGIApp]
"""Makes the pages for whoever asks for one of these hosts; the flag says whether it is over TLS."""

GRACE = 2
"""Seconds that requests under way have to come to their end once the pages stop."""
_IDLE = 30
_AT_ONCE = 400
_FRESH = 2.0  # seconds in which a request may still be on its way
_SPARE = 20  # connections below that limit, so that a new one still finds room
_STOPPING = "stopping"
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Listening:
    """Where the pages are served: on this machine alone, or, with a certificate, under `host` on a network."""

    address: str = "127.0.0.1"
    port: int = 0
    host: str = "localhost"
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, text: str, *, host: str, certificate: Path | None, key: Path | None) -> Listening:
        """From `address:port`. Raises InvalidInput."""
        address, _, port = text.rpartition(":")
        if not address or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
            raise InvalidInput(field="pages", problem=N_("an address and a port, such as 127.0.0.1:8480"))
        return cls(address.strip("[]"), int(port), host, certificate, key)

    @property
    def secure(self) -> bool:
        """With TLS."""
        return self.certificate is not None

    def require_sound(self) -> None:
        """Raises InvalidInput where a network could read along."""
        local = self.address in ("::1", "localhost") or self.address.startswith("127.")
        if not local and not self.secure:
            raise InvalidInput(
                field="listen", problem=N_("beyond this machine the pages need a certificate and its key")
            )
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput(field="certificate", problem=N_("certificate and key go together"))


class _Server(uvicorn.Server):
    """The program owns the signals: uvicorn would end the process before the program has ended its work.

    It also lets people in itself (`Entrance`): uvicorn bounds neither handshakes nor the time that one takes.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.entrance = Entrance(listener, self._connection)
        self._stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Let in whoever comes."""
        await super().startup(sockets=[])
        self.entrance.open(self.config.ssl)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody any more; those who are in have a moment. What would never end by itself is told."""
        self._stopping.set()
        await self.entrance.close()
        await super().shutdown(sockets=[])

    def _connection(self) -> _Connection:
        state = {**self.lifespan.state, _STOPPING: self._stopping}
        return _Connection(config=self.config, server_state=self.server_state, app_state=state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Connection(H11Protocol):
    """Where there are too many connections, a new one takes the place of a request that does not come to its end.

    Whoever opens hundreds and sends nothing, or a byte at a time, displaces only themselves.
    """

    _made = 0.0
    _told = 0  # bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Make room first."""
        self._made = self.loop.time()
        if len(self.connections) >= _AT_ONCE - _SPARE:
            waiting = [each for each in self.connections if isinstance(each, _Connection) and each._is_incomplete]
            if waiting:
                least = min(waiting, key=lambda each: each._worth(self._made))
                self.connections.discard(least)
                least.transport.abort()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Count it."""
        self._told += len(data)
        super().data_received(data)

    @property
    def _is_incomplete(self) -> bool:
        """Whether the other side has still to say something before it can be answered."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _worth(self, now: float) -> tuple[bool, bool, float, float]:
        """Whoever was answered before stays longer, then whoever came just now, then whoever tells more in a second."""
        age = now - self._made
        return self.cycle is not None and self.cycle.response_complete, age < _FRESH, self._pace(age), self._made

    def _pace(self, age: float) -> float:
        return 0.0 if age < _FRESH else self._told / age


def stopping(scope: Mapping[str, Any]) -> asyncio.Event:
    """Set once whoever serves this request stops: an answer that would last for ever ends then. Where nothing serves
    it, as in a test, it is never set.
    """
    state: Mapping[str, Any] = scope.get("state", {})
    found = state.get(_STOPPING)
    return found if isinstance(found, asyncio.Event) else asyncio.Event()


@contextlib.asynccontextmanager
async def serving(
    where: Listening,
    site: Site,
    *,
    opened: Callable[[DoorCounts], None] = lambda _: None,
    grace: int = GRACE,
) -> AsyncIterator[str]:
    """Serve until the block ends; the address to open is given. `opened` gets what is counted at their door, where
    that is TLS. At the end, requests under way have `grace` seconds. Raises InvalidInput.
    """
    where.require_sound()
    try:
        listener = socket.create_server((where.address, where.port))
    except OSError as taken:
        problem = N_("another program uses this address, or this machine has none like it; choose another port")
        raise InvalidInput(field="pages", problem=problem) from taken
    hosts = _LOCAL if not where.secure else (where.host, "localhost")
    config = uvicorn.Config(
        site(hosts, where.secure),
        http=_Connection,
        lifespan="off",
        log_config=None,
        access_log=False,  # paths name cases
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=grace,
        ssl_certfile=where.certificate,
        ssl_keyfile=where.key,
    )
    port = listener.getsockname()[1]
    server = _Server(config, listener)
    if where.secure:
        opened(server.entrance)
    running = asyncio.create_task(server.serve(sockets=[]))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110  # uvicorn tells nobody of it
            await asyncio.sleep(0.01)
        if running.done():
            running.result()
        yield f"{'https' if where.secure else 'http'}://{where.host}:{port}/"
    finally:
        server.should_exit = True
        await asyncio.gather(running, return_exceptions=True)
        listener.close()
