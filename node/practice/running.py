"""Practice, put together: a folder in, pages out, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from cordee.errors import N_, InvalidInput
from cordee.runtime.clock import SystemClock
from node.demo.stage import Stage
from node.practice.network import staged
from node.practice.site import shown
from node.practice.town import NAME, PASSWORD, practising
from node.web.server import Listening

__all__ = ["run", "where_to_listen"]

_A_NODES_OWN = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
"""Names under which a node on this machine is opened: a browser gives its cookies to whatever has the same name."""


def where_to_listen(pages: str, *, host: str | None, certificate: Path | None, key: Path | None) -> Listening:
    """Where to serve: not under a name of the node that may be on this machine. Raises InvalidInput."""
    address = pages.rpartition(":")[0].strip("[]")
    where = Listening.parse(pages, host=host or address, certificate=certificate, key=key)
    if where.host.lower() in _A_NODES_OWN:
        raise InvalidInput(
            field="--pages", problem=N_("practice needs an address of its own, such as 127.0.0.2:8490, or another name")
        )
    where.require_sound()
    return where


def run(place: Path, where: Listening, *, ready: Callable[[str, str, str], None]) -> None:
    """Until SIGTERM, SIGINT or SIGHUP. `ready` is told once the pages answer: address, name and password."""
    stage = staged(place, random=os.urandom)
    try:
        asyncio.run(_serve(stage, where, ready))
    finally:
        stage.close()


async def _serve(stage: Stage, where: Listening, ready: Callable[[str, str, str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with practising(stage, clock=SystemClock(), random=os.urandom) as practice:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        for part in practice.node.loops:
            part.add_done_callback(lambda _: stop.set())
        async with shown(practice, where) as address:
            ready(address, NAME, PASSWORD)
            await stop.wait()
