"""The node's API, mounted and listening."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cordee.runtime.doorkeeper import Bounds
from cordee.runtime.interceptors import Gate, Observer
from cordee.runtime.server import GRACE, Server
from node.rpc.address import prepare
from node.rpc.bounds import CASE_SIZE
from node.rpc.services import servicers

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["served"]

_NEVER = 2**31 - 1  # milliseconds, as gRPC says "never"
_CONNECTIONS = 8_192  # so many that the door keeper has looked before they are reached
_OPTIONS = (
    ("grpc.max_receive_message_length", CASE_SIZE + 65_536),
    ("grpc.max_connection_age_ms", _NEVER),  # no certificate runs out here, and `transfer watch` lasts
    ("grpc.max_allowed_incoming_connections", _CONNECTIONS),
)
_AT_ONCE = Bounds(strangers=128, at_once=512, fresh=0.5, every=0.1)
"""Connections of commands. A script that never closes what it opened must not keep a handler out."""


@asynccontextmanager
async def served(
    node: Node, socket: Path, *, observers: Sequence[Observer] = (), grace: float = GRACE
) -> AsyncIterator[Path]:
    """Serve the API on `socket` until the block ends; the absolute path is given. At the end, calls under way have
    `grace` seconds; whoever follows transfers is let go at once.

    The file's permissions decide who may connect, the session token who may do what (node/rpc/access.py).

    Raises: InvalidInput where the path will not do; OSError.
    """
    path = prepare(socket)
    server = Server(Gate(guard=None, limits=None, observers=observers), options=_OPTIONS, connections=_AT_ONCE)
    for service, add, servicer in servicers(node):
        server.add(service, add, servicer)
    server.listen_on_socket(path)
    await server.start()
    await server.set_serving(True)
    try:
        yield path
    finally:
        await server.stop(grace)
        path.unlink(missing_ok=True)
