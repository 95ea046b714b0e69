"""What every call goes through, in this order: who is calling, how often, how large, how long; then the servicer.

One interceptor for all of it, since each layer of gRPC's own costs more than these checks. Whatever goes wrong is
answered with a reason code; what nobody expected is answered with nothing but INTERNAL.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from cordee.errors import N_, CordeeError
from cordee.ids import MemberId
from cordee.runtime import bounds
from cordee.runtime.exhausted import told
from cordee.runtime.guard import Caller, ConnectionGuard, Guard, StrongConnection, caller
from cordee.runtime.limits import CallerLimits
from cordee.runtime.rpc_errors import to_status

__all__ = [
    "Caller",
    "CallerLimits",
    "ConnectionGuard",
    "Finished",
    "Gate",
    "Observer",
    "StrongConnection",
    "address_of",
    "caller",
    "endless",
]

_ABORT_SECONDS = 1
_WRONG = frozenset({"INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "DATA_LOSS", "FAILED_PRECONDITION"})
"""Refusals that an honest caller seldom meets. That something is not there, or there already, is none of them."""


@dataclass(frozen=True)
class Finished:
    """A call that is over, for logs and metrics. It holds nothing of what was asked or answered."""

    method: str  # "/cordee.v1.Broker/Submit"
    code: str  # name of the gRPC status code
    reason: str  # our reason code, or empty
    seconds: float
    member: MemberId | None
    fault: str = ""  # where an unexpected exception came from: its class, file and line


class Observer(Protocol):
    """Hears of every call."""

    def started(self, method: str) -> None:
        """A call has come in."""
        ...

    def finished(self, call: Finished) -> None:
        """It has been answered."""
        ...


_Behaviour = TypeVar("_Behaviour", bound=Callable[..., Any])


def endless(behaviour: _Behaviour) -> _Behaviour:
    """Mark a servicer's stream that has no end of its own: a server that stops ends it, and does not wait for it."""
    behaviour.endless = True  # type: ignore[attr-defined]
    return behaviour


class _Stopping(Exception):
    """The server stops, and the call has no end of its own."""


class Gate(grpc.aio.ServerInterceptor):
    """The interceptor. `guard` None is for a unix socket, where the file's permissions decide who may call.

    A unary answer takes `deadline` seconds at most, whatever the client asked for. A stream may last, but neither
    the next message from the client nor its reading of ours may take longer than `idle` seconds.
    """

    def __init__(
        self,
        *,
        guard: Guard | None,
        limits: CallerLimits | None,
        observers: Sequence[Observer] = (),
        deadline: float = 30,
        idle: float = 60,
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._observers = tuple(observers)
        self._deadline = deadline
        self._idle = idle
        self.asked: Callable[[str], None] | None = None
        """Hears of each call, before the guard looks at it, from which peer it comes."""
        self.met: Callable[[str, Hashable], None] | None = None
        """Hears, at each call that the guard lets in, from which peer it comes and whose it is."""
        self._endless: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def end_endless(self) -> None:
        """End the streams that have no end of their own, those to come at once: the server stops. Each is answered with
        UNAVAILABLE, as if the line were lost: its caller comes back by itself and loses nothing.
        """
        self._stopping = True
        for task in self._endless - self._ended:
            self._ended.add(task)
            task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if handler.response_streaming:
            behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
            factory = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            wrapped = self._streaming(behaviour, method, handler.request_streaming)
        else:
            behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
            factory = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            wrapped = self._answering(behaviour, method, handler.request_streaming)
        return factory(wrapped, handler.request_deserializer, handler.response_serializer)

    def _answering(self, behaviour: Any, method: str, request_streaming: bool) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            async def proceed() -> Any:
                if request_streaming:
                    return await behaviour(self._checked(request), context)
                bounds.check(request)
                async with asyncio.timeout(self._deadline):
                    return await behaviour(request, context)

            return await self._pass(method, context, proceed)

        return answer

    def _streaming(self, behaviour: Any, method: str, request_streaming: bool) -> Any:
        async def answer(request: Any, context: Any) -> None:
            async def proceed() -> None:
                if request_streaming:
                    answers = behaviour(self._checked(request), context)
                else:
                    bounds.check(request)
                    answers = behaviour(request, context)
                if not hasattr(answers, "__aiter__"):  # a servicer that writes to the context itself
                    await answers
                    return
                try:
                    async for message in answers:
                        async with asyncio.timeout(self._idle):  # a reader that does not read
                            await context.write(message)
                finally:
                    if hasattr(answers, "aclose"):  # a generator's own clean-up must not wait for the collector
                        await answers.aclose()

            lasting = getattr(behaviour, "endless", False)
            await self._pass(method, context, partial(self._until_stopped, proceed) if lasting else proceed)

        return answer

    async def _until_stopped(self, proceed: Callable[[], Awaitable[None]]) -> None:
        """Raises _Stopping once the server stops."""
        task = asyncio.current_task()
        if self._stopping or task is None:
            raise _Stopping
        self._endless.add(task)
        try:
            await proceed()
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise _Stopping from None
        finally:
            self._endless.discard(task)
            self._ended.discard(task)

    async def _checked(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        iterator = aiter(requests)
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    request = await anext(iterator)
            except StopAsyncIteration:
                return
            bounds.check(request)
            yield request

    async def _pass(self, method: str, context: Any, proceed: Callable[[], Awaitable[Any]]) -> Any:
        for observer in self._observers:
            observer.started(method)
        began = time.perf_counter()
        who: Caller | None = None
        code, reason, fault = "OK", "", ""
        try:
            try:
                if self._guard is not None:
                    if self.asked is not None:
                        self.asked(context.peer())
                    who = await self._guard.identify(context)
                    if self.met is not None:
                        peer = context.peer()
                        self.met(peer, who.member if who is not None else address_of(peer))
                with self._counted(who, context), self._running(who):
                    return await proceed()
            except CordeeError as error:
                code, reason = error.status, error.reason
                if self._limits is not None and error.status in _WRONG:
                    self._limits.refused(self._key(who, context))
                await context.abort_with_status(to_status(error))
            except TimeoutError:
                code = "DEADLINE_EXCEEDED"
                # The answer waits behind what a mute reader does not take; such a connection ends by its age or pings.
                async with asyncio.timeout(_ABORT_SECONDS):
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "took too long")
            except _Stopping:
                code = "UNAVAILABLE"
                async with asyncio.timeout(_ABORT_SECONDS):  # as above
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except grpc.aio.BaseError:  # a servicer's own abort, or the connection is gone
                code = _code_of(context)
                raise
            except Exception as error:
                known = told(error, what=N_("the server"))
                if known is not None:  # a full disk, say: whoever asked is to know that asking again is safe
                    code, reason = known.status, known.reason
                    await context.abort_with_status(to_status(known))
                # Its text may hold what was in the request: nobody outside, and no log, sees it.
                code, fault = "INTERNAL", _where(error)
                await context.abort(grpc.StatusCode.INTERNAL, "")
        finally:
            call = Finished(method, code, reason, time.perf_counter() - began, who.member if who else None, fault)
            for observer in self._observers:
                observer.finished(call)

    def _running(self, who: Caller | None) -> AbstractContextManager[None]:
        if self._guard is None:
            return nullcontext()
        running: AbstractContextManager[None] = self._guard.running(who)
        return running

    def _counted(self, who: Caller | None, context: Any) -> AbstractContextManager[None]:
        if self._limits is None:
            return nullcontext()
        return self._limits.taken(self._key(who, context))

    def _key(self, who: Caller | None, context: Any) -> Hashable:
        return who.member if who is not None else address_of(context.peer())


def address_of(peer: str) -> str:
    """ "ipv4:192.0.2.1:50000" without its port; of an IPv6 address the first half, since one host has all the rest."""
    address = peer.rpartition(":")[0]
    if address.startswith("ipv6:"):
        return ":".join(address.replace("%5B", "[").removeprefix("ipv6:").lstrip("[").split(":")[:4])
    return address


def _code_of(context: Any) -> str:
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((known.name for known in grpc.StatusCode if known.value[0] == code), "UNKNOWN")


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__} {last}"
