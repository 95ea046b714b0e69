"""A gRPC server with every limit set (security: denial of service; measured, not assumed)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

import cordee.runtime.contract  # noqa: F401 - registers the bounds of the network's requests
from cordee.runtime import LATE, bounds
from cordee.runtime.doorkeeper import Bounds, Doorkeeper
from cordee.runtime.interceptors import Gate, endless
from cordee.runtime.logs import logger
from cordee.runtime.memory import WINDOW
from cordee.runtime.tls import MAX_MESSAGE

__all__ = ["GRACE", "SERVER_OPTIONS", "Server"]

log = logger("server")

GRACE = 5.0
"""Seconds that calls under way have to come to their end once a server stops."""

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: no bombs, and no lengths that tell about content
    *WINDOW,
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.http2.settings_timeout", 5_000),
    (
        "grpc.max_allowed_incoming_connections",
        2_048,
    ),  # refuses whoever is next: doorkeeper.py keeps far below it
    ("grpc.max_concurrent_streams", 32),
    # Beyond a thousand that wait, gRPC drops calls by chance, whosever they are; 256 strangers have as many as this.
    ("grpc.server.max_pending_requests", 8_192),
    ("grpc.server.max_pending_requests_hard_limit", 16_384),
    ("grpc.max_connection_idle_ms", 600_000),
    ("grpc.max_connection_age_ms", 3_600_000),  # a connection outlives its certificates otherwise
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),  # keepalive_timeout_ms alone has no effect
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC would end whoever pings too often once its last write is done, which the next ping puts off, and lengthens
    # what it is going to say by each: the poller of all connections does nothing else then.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),  # two servers on one port by mistake would each get half of the calls
)


class _Health(health.aio.HealthServicer):  # type: ignore[misc]  # it has no types
    """Answers health checks; who follows them is let go when the server stops."""

    @endless
    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """Each change, for ever."""
        await super().Watch(request, context)


class Server:
    """One listener's server: services behind a gate, a keeper of its door, health, orderly stop.

    `options` override those above: for tests, and for what a unix socket need not fear. `connections` says how many.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        options: Sequence[tuple[str, int]] = (),
        reflect: bool = False,
        connections: Bounds | None = None,
    ) -> None:
        merged = {**dict(SERVER_OPTIONS), **dict(options)}
        self._server = grpc.aio.server(
            interceptors=[gate], options=list(merged.items()), compression=grpc.Compression.NoCompression
        )
        self._health = _Health()
        self._names: list[str] = []
        self._reflect = reflect
        self._gate = gate
        self.door = Doorkeeper(connections)
        self._keeping: asyncio.Task[None] | None = None
        gate.asked, gate.met = self.door.asked, self.door.met
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, service: Any, register: Callable[[Any, Any], None], servicer: object) -> None:
        """Host a service: its descriptor (`directory_pb2.DESCRIPTOR.services_by_name["Broker"]`), the generated
        `add_BrokerServicer_to_server`, and the servicer.

        Raises: ValueError if a request of the service has no bounds.
        """
        for method in service.methods:
            if not bounds.is_registered(method.input_type):
                raise ValueError(f"{method.input_type.full_name} has no bounds")
        register(servicer, self._server)
        self._names.append(service.full_name)

    def listen(self, address: str, credentials: grpc.ServerCredentials) -> int:
        """Listen on "host:port"; port 0 takes a free one. Returns the port. Raises: OSError."""
        if LATE:
            log.error("tls.older_versions_possible")
        try:
            port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise OSError(errno.EADDRINUSE, f"cannot listen on {address}", address)
        self.door.watch(port)
        return port

    def listen_on_socket(self, path: Path) -> None:
        """Listen, without TLS, on a unix socket in a folder that only its owner can enter.

        Raises: PermissionError if others can enter the folder; OSError.
        """
        if stat.S_IMODE(path.parent.stat().st_mode) & 0o077:
            raise PermissionError(f"{path.parent} must be open to its owner only (chmod 700)")
        try:
            port = self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError:
            port = 0
        if port == 0:
            raise OSError(errno.EADDRINUSE, f"cannot listen on {path}", str(path))
        path.chmod(0o600)
        self.door.watch_socket(str(path))

    async def start(self) -> None:
        """Begin to serve, and say so to health checks."""
        if self._reflect:
            reflection.enable_server_reflection([*self._names, reflection.SERVICE_NAME], self._server)
        await self._server.start()
        self._keeping = asyncio.create_task(self.door.run())
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def set_serving(self, serving: bool) -> None:
        """Tell health checks whether the server can do its work: the database and the certificate are in order."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, grace: float = GRACE) -> None:
        """Tell health checks, end the streams that have no end of their own, take no new calls, give those under way
        `grace` seconds, then end them.
        """
        await self._health.enter_graceful_shutdown()
        self._gate.end_endless()  # each ends once this waits, when no new one comes in any more
        await self._server.stop(grace)
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    async def wait(self) -> None:
        """Until the server has stopped."""
        await self._server.wait_for_termination()
