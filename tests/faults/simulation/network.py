"""The network between nodes and directory: real requests, serialised and parsed again, real interceptors and servicers.

What stands in the place of gRPC's sockets delays every message, cuts connections before a request or before its answer,
delivers a request twice, and clogs or cuts a line in one direction or in both. A call knows of it what gRPC would tell.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .loop import Loop
from .owner import PROCESS

__all__ = ["Channel", "Line", "Network", "SimServer"]

_AWAY = (grpc.StatusCode.UNAVAILABLE, "the connection broke")
_WINDOW = 4  # messages of a stream under way before the sender waits
_KEEPALIVE = 40.0  # seconds after which a mute connection is given up (30 s between pings, 10 s for the answer)


class Line:
    """One direction between two places."""

    def __init__(self) -> None:
        self.clogged = False  # what is sent waits
        self.cut = False  # what is sent never comes
        self.clear = asyncio.Event()
        self.clear.set()

    def clog(self, on: bool) -> None:
        self.clogged = on
        if on:
            self.clear.clear()
        else:
            self.clear.set()


class Network:
    """All lines. `lossy` is how often a call is cut, of 1000; `slow` the longest delay of a message, in seconds."""

    def __init__(self, loop: Loop, chance: Random, trace: Callable[[str], None]) -> None:
        self.loop = loop
        self.chance = chance
        self.trace = trace
        self.servers: dict[str, SimServer] = {}
        self.lossy = 0
        self.twice = 0
        self.slow = 0.02
        self.calls = 0
        self.given_up_by = 0.0  # until when connections stay on which a message was lost
        self.defects: list[BaseException] = []
        self._lines: dict[tuple[str, str], Line] = {}

    def line(self, one: str, other: str) -> Line:
        return self._lines.setdefault((one, other), Line())

    def cut(self, one: str, other: str) -> None:
        """Nothing comes through any more in this direction; connections notice by their pings."""
        self.line(one, other).cut = True
        self.later(_KEEPALIVE, self._notice)

    def _notice(self) -> None:
        for server in self.servers.values():
            for call in list(server.running):
                place = call.channel.place
                if self.line(place, "directory").cut or self.line("directory", place).cut:
                    call.end()

    def left(self, owner: Any) -> None:
        """A process has died: whoever was connected with it hears of that."""
        for address, server in list(self.servers.items()):
            if server.owner is owner:
                del self.servers[address]
                server.drop()
                continue
            for call in list(server.running):
                if call.channel.owner is owner:
                    server.running.pop(call, None)
                    call.end()

    def heal(self) -> None:
        self.lossy = self.twice = 0
        self.slow = 0.02
        for each in self._lines.values():
            each.cut = False
            each.clog(False)

    def later(self, seconds: float, what: Callable[..., Any], *arguments: Any) -> None:
        """The network's own doing: it does not end with whoever is the cause of it."""
        self.loop.call_later(seconds, what, *arguments, context=contextvars.Context())

    def delay(self) -> float:
        return 0.0005 + self.chance.random() ** 3 * self.slow

    def dice(self, of_thousand: int) -> bool:
        return of_thousand > 0 and self.chance.randrange(1000) < of_thousand

    async def pass_(self, line: Line) -> None:
        """One message's way. A cut line is noticed only by keepalive, or by whoever called running out of time."""
        await asyncio.sleep(self.delay())
        while line.clogged:
            await line.clear.wait()
        if line.cut:
            self.given_up_by = self.loop.time() + _KEEPALIVE
            await asyncio.sleep(_KEEPALIVE)
            raise _Broken


class _Broken(Exception):
    """The connection is gone."""


# ---- the server's side ----


class SimServer:
    """In the place of `cordee.runtime.server.Server`: a listener of the process that makes it, behind a real gate."""

    network: Network  # set once for each simulation

    def __init__(self, gate: Any, *, reflect: bool = False) -> None:
        self._gate = gate
        self._handlers: dict[str, Any] = {}
        self._address = ""
        self.owner: Any = PROCESS.get()
        self.running: dict[_Call, None] = {}  # in the order in which they came
        self.serving = True
        self.door = SimpleNamespace(came=None)

    def add(self, service: Any, register: Callable[[Any, Any], None], servicer: object) -> None:
        register(servicer, self)

    def add_generic_rpc_handlers(self, handlers: tuple[Any, ...]) -> None:
        for each in handlers:
            self._handlers.update(each._method_handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        pass  # they were added as generic ones too

    def listen(self, address: str, credentials: Any) -> int:
        self._address = address
        return int(address.rpartition(":")[2])

    async def start(self) -> None:
        self.network.servers[self._address] = self

    async def set_serving(self, serving: bool) -> None:
        self.serving = serving

    async def stop(self, grace: float = 5) -> None:
        if self.network.servers.get(self._address) is self:
            del self.network.servers[self._address]
        self.drop()

    def drop(self) -> None:
        """Every connection ends."""
        for each in list(self.running):
            each.broken()

    async def handler_of(self, method: str) -> Any:
        details = SimpleNamespace(method=method, invocation_metadata=())

        async def continuation(_details: Any) -> Any:
            return self._handlers.get(method)

        return await self._gate.intercept_service(continuation, details)


class _Context:
    """What a servicer and the gate know of a call."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._code: Any = None

    def auth_context(self) -> dict[str, list[bytes]]:
        found = {"ssl_tls_version": [b"TLSv1.3"], "ssl_negotiated_key_exchange_group": [b"X25519MLKEM768"]}
        if self._call.channel.certificate:
            found["x509_pem_cert"] = [self._call.channel.certificate]
        return found

    def peer(self) -> str:
        return f"ipv4:10.0.0.{self._call.channel.number}:50000"

    def code(self) -> Any:
        return self._code

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing: Any = ()) -> None:
        self._code = code
        self._call.status = (code, details, tuple(trailing))
        raise grpc.aio.AbortError

    async def abort_with_status(self, status: Any) -> None:
        await self.abort(status.code, status.details, status.trailing_metadata)

    async def write(self, message: Any) -> None:
        await self._call.send_down(message)


# ---- the caller's side ----


class Channel:
    """In the place of `grpc.aio.Channel`, of the process that makes it."""

    _number = 0

    def __init__(self, network: Network, target: str, certificate: bytes | None) -> None:
        owner = PROCESS.get()
        self.network = network
        self.target = target
        self.owner = owner
        self.place = owner.place if owner is not None else "office"
        pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM) if certificate else b""
        self.certificate = pem
        self.number = sum(self.place.encode()) % 250
        self._calls: dict[_Call, None] = {}

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        for each in list(self._calls):
            each.cancel()

    def _maker(self, method: str, request_serializer: Any, response_deserializer: Any, *, up: bool, down: bool) -> Any:
        def make(request: Any, timeout: float | None = None) -> _Call:
            call = _Call(self, method, request, request_serializer, response_deserializer, timeout, up, down)
            self._calls[call] = None
            call.task.add_done_callback(lambda _: self._calls.pop(call, None))
            return call

        return make

    def unary_unary(self, method: str, request_serializer: Any, response_deserializer: Any, **_options: Any) -> Any:
        return self._maker(method, request_serializer, response_deserializer, up=False, down=False)

    def unary_stream(self, method: str, request_serializer: Any, response_deserializer: Any, **_options: Any) -> Any:
        return self._maker(method, request_serializer, response_deserializer, up=False, down=True)

    def stream_unary(self, method: str, request_serializer: Any, response_deserializer: Any, **_options: Any) -> Any:
        return self._maker(method, request_serializer, response_deserializer, up=True, down=False)

    def stream_stream(self, method: str, request_serializer: Any, response_deserializer: Any, **_options: Any) -> Any:
        return self._maker(method, request_serializer, response_deserializer, up=True, down=True)


class _Call:
    """One call, both ends of it. The handler runs as a task of the server's process."""

    def __init__(
        self,
        channel: Channel,
        method: str,
        request: Any,
        serialize: Any,
        deserialize: Any,
        timeout: float | None,
        up: bool,
        down: bool,
    ) -> None:
        self.channel = channel
        self.network = channel.network
        self.method = method
        self.status: tuple[Any, str, tuple[Any, ...]] | None = None
        self._request = request
        self._serialize, self._deserialize = serialize, deserialize
        self._up, self._down = up, down
        self._answers: deque[bytes] = deque()
        self._over: asyncio.Future[tuple[Any, ...]] = self.network.loop.create_future()
        self._news = asyncio.Event()
        self._room = asyncio.Semaphore(_WINDOW)
        self._requests: deque[bytes | None] = deque()
        self._came = asyncio.Event()
        self._read = asyncio.Semaphore(_WINDOW)
        self._server: SimServer | None = None
        self._work: asyncio.Task[Any] | None = None
        self._pump: asyncio.Task[Any] | None = None
        # A call is its caller's: it ends with it.
        self.task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(self._run(timeout))
        self.network.calls += 1

    # -- as the caller sees it --

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        try:
            await asyncio.shield(self.task)
        except asyncio.CancelledError:
            self.task.cancel()
            raise
        if not self._answers:
            raise self._error(grpc.StatusCode.INTERNAL, "no answer")
        return self._deserialize(self._answers.popleft())

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        while True:
            while self._answers:
                answer = self._answers.popleft()
                self._room.release()
                yield self._deserialize(answer)
            if self.task.done():
                if self.task.cancelled():
                    raise asyncio.CancelledError
                error = self.task.exception()
                if error is not None:
                    raise error
                if not self._answers:
                    return
            else:
                self._news.clear()
                await self._news.wait()

    def cancel(self) -> bool:
        return self.task.cancel()

    def add_done_callback(self, _callback: Callable[[Any], None]) -> None:
        """For whoever must see the first answer: here nothing is ever written over it."""

    def _error(self, code: Any, details: str, trailing: tuple[Any, ...] = ()) -> grpc.aio.AioRpcError:
        return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)

    # -- the way there and back --

    async def _run(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._through()
        except TimeoutError:
            self._tell("DEADLINE_EXCEEDED")
            raise self._error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        except _Broken:
            self._tell("UNAVAILABLE")
            raise self._error(*_AWAY) from None
        finally:
            self._leave()
            self._news.set()

    def _leave(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        if self._work is not None and not self._work.done():
            self.network.later(self.network.delay(), self._work.cancel)  # the server hears of it
        if self._server is not None:
            self._server.running.pop(self, None)

    async def _through(self) -> None:
        network, place = self.network, self.channel.place
        there, back = network.line(place, "directory"), network.line("directory", place)
        lost = network.dice(network.lossy)
        self._tell("called" + (" (lost)" if lost else ""))
        first = None if self._up else self._serialize(self._request)
        await network.pass_(there)
        if back.cut:  # no connection without an answer to its first packet
            await asyncio.sleep(20)
            raise _Broken
        server = network.servers.get(self.channel.target)
        if lost or server is None or not server.owner.alive:
            raise _Broken
        if first is not None and not self._down and network.dice(network.twice):
            self._tell("twice")
            self._twin(server, first)
        self._server = server
        server.running[self] = None
        if self._up:
            self._pump = asyncio.get_running_loop().create_task(self._pump_up(there))
        elif first is not None:
            self._requests.extend((first, None))
        self._serve(server)
        code, details, trailing = await self._over
        if network.dice(network.lossy):
            self._tell("answer lost")
            raise _Broken
        await network.pass_(back)
        if code is not grpc.StatusCode.OK:
            self._tell(code.name)
            raise self._error(code, details, trailing)

    def _serve(self, server: SimServer) -> None:
        self._work = self.network.loop.spawn(server.owner, self._handle(server))

    def _twin(self, server: SimServer, first: bytes) -> None:
        """The same request once more, whose answer nobody hears."""
        twin = object.__new__(_Call)
        twin.__dict__.update(self.__dict__)
        twin._over, twin._answers, twin._requests = self.network.loop.create_future(), deque(), deque([first, None])
        twin._came = asyncio.Event()
        self.network.later(self.network.delay() * 3, twin._serve, server)

    def broken(self) -> None:
        """The server is gone."""
        if not self._over.done():
            self.network.later(self.network.delay(), self._break)

    def end(self) -> None:
        """The connection is gone, and both ends know."""
        self._break()
        if self._work is not None:
            self.network.later(self.network.delay(), self._work.cancel)

    def _break(self) -> None:
        if not self._over.done():
            self._over.set_exception(_Broken())

    async def _pump_up(self, line: Line) -> None:
        try:
            async for request in self._request:
                data = self._serialize(request)
                await self._read.acquire()
                await self.network.pass_(line)
                if self.network.dice(self.network.lossy):
                    raise _Broken
                self._requests.append(data)
                self._came.set()
        except _Broken:
            self.end()
            return
        except Exception:  # the caller's own source failed: gRPC cancels the call
            self.task.cancel()
            return
        self._requests.append(None)
        self._came.set()

    async def _upstream(self, deserialize: Any) -> AsyncIterator[Any]:
        while True:
            while not self._requests:
                self._came.clear()
                await self._came.wait()
            data = self._requests.popleft()
            if data is None:
                return
            self._read.release()
            yield deserialize(data)

    async def _handle(self, server: SimServer) -> None:
        """In the server's process."""
        context: Any = _Context(self)
        status: tuple[Any, str, tuple[Any, ...]] = (grpc.StatusCode.OK, "", ())
        try:
            handler = await server.handler_of(self.method)
            if handler is None:
                status = (grpc.StatusCode.UNIMPLEMENTED, "", ())
                return
            self._writer = handler.response_serializer
            data = self._requests.popleft() if not self._up else None
            given = self._upstream(handler.request_deserializer) if self._up else handler.request_deserializer(data)
            if self._down:
                await (handler.stream_stream if self._up else handler.unary_stream)(given, context)
            else:
                answer = await (handler.stream_unary if self._up else handler.unary_unary)(given, context)
                self._answers.append(handler.response_serializer(answer))
        except grpc.aio.AbortError:
            status = self.status or (grpc.StatusCode.UNKNOWN, "", ())
        except asyncio.CancelledError:
            status = (grpc.StatusCode.CANCELLED, "", ())
            raise
        except Exception as defect:  # the simulation's own: the gate lets none of the product's through
            self.network.defects.append(defect)
            raise
        finally:
            if not self._over.done():
                self._over.set_result(status)

    async def send_down(self, message: Any) -> None:
        """A message of a stream: in order, a few of them under way."""
        data = self._writer(message)
        network, place = self.network, self.channel.place
        await self._room.acquire()
        try:
            await network.pass_(network.line("directory", place))
        except _Broken:
            self._break()
            raise asyncio.CancelledError from None
        if network.dice(network.lossy // 4):
            self._break()
            raise asyncio.CancelledError
        self._answers.append(data)
        self._news.set()

    def _tell(self, what: str) -> None:
        owner = PROCESS.get()
        if owner is None or owner.alive:
            self.network.trace(f"{self.channel.place} {self.method.rpartition('/')[2]} {what}")
