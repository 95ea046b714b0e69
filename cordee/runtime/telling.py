"""What a server tells of itself over HTTP, on this machine alone: /metrics, /healthz, /readyz, /findings.

Four answers to GET need no framework, and a directory shall not carry one for them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

from cordee.errors import N_, InvalidInput
from cordee.runtime.doctor import Finding, ready
from cordee.runtime.logs import logger

__all__ = ["Told", "telling"]

log = logger("telling")

_HEAD_LIMIT = 8 * 1024  # bytes
_HEAD_SECONDS = 5.0
_AT_ONCE = 16
_JSON, _METRICS = "application/json", "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True)
class Told:
    """What is asked for each answer. `alive` and `examine` look now; `metrics` gives OpenMetrics text."""

    alive: Callable[[], bool]
    examine: Callable[[], Awaitable[Sequence[Finding]]]
    metrics: Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def telling(address: str, told: Told) -> AsyncIterator[str]:
    """Answer on `host:port` of a loopback address until the block ends; the address is given. Port 0 takes any.

    /healthz: 200 while the program does its work. /readyz: 200, or 503 and the codes of what is broken, as JSON;
    "not_examined" where not even that can be found out. /findings: all that is wrong, with its facts, as JSON, for the
    doctor. /metrics and /findings: 500 where nothing can be found out.
    Raises: InvalidInput for an address that others reach; OSError.
    """
    host, port = _parsed(address)
    server = await asyncio.start_server(_Answers(told).serve, host, port, limit=_HEAD_LIMIT)
    try:
        bound = server.sockets[0].getsockname()
        yield f"{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}"
    finally:
        server.close()
        await server.wait_closed()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    try:
        local = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = False
    if not local or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise InvalidInput(field="status", problem=N_("an address of this machine and a port, such as 127.0.0.1:9464"))
    return host.strip("[]"), int(port)


class _Answers:
    """One answer for each connection."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request's head, answer, close. Whoever is slow is cut off."""
        try:
            if self._places.locked():
                return  # a connection too many: closed unanswered
            async with self._places:
                with suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
                    async with asyncio.timeout(_HEAD_SECONDS):
                        head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(head))
                    async with asyncio.timeout(_HEAD_SECONDS):
                        await writer.drain()
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0]
        if method not in (b"GET", b"HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"", _JSON)
        status, body, kind = await self._found(path)
        return _response(status, body, kind, head_only=method == b"HEAD")

    async def _found(self, path: bytes) -> tuple[HTTPStatus, bytes, str]:
        told = self._told
        if path == b"/healthz":
            well = told.alive()
            return _status(well), json.dumps({"alive": well}).encode(), _JSON
        try:
            if path == b"/metrics":
                return HTTPStatus.OK, await told.metrics(), _METRICS
            if path == b"/findings":
                return HTTPStatus.OK, _listed(await told.examine()), _JSON
            if path == b"/readyz":
                found = await told.examine()
                return _readiness(told.alive() and ready(found), [each.ailment.code for each in found if each.broken])
        except Exception as failed:  # a connection that only ends would not be told from one that was lost
            log.error("telling.failed", reason=type(failed).__name__)
            if path == b"/readyz":  # not to know is not to be ready
                return _readiness(False, ["not_examined"])
            return HTTPStatus.INTERNAL_SERVER_ERROR, b"", _JSON
        return HTTPStatus.NOT_FOUND, b"", _JSON


def _readiness(well: bool, broken: list[str]) -> tuple[HTTPStatus, bytes, str]:
    return _status(well), json.dumps({"ready": well, "broken": broken}).encode(), _JSON


def _listed(found: Sequence[Finding]) -> bytes:
    return json.dumps([{"finding": each.ailment.code, "facts": dict(each.facts)} for each in found]).encode()


def _status(well: bool) -> HTTPStatus:
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE


def _response(status: HTTPStatus, body: bytes, kind: str, *, head_only: bool = False) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head_only else body)
