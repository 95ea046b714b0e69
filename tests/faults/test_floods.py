"""Floods: whoever wants Cordée to stop sends what costs the most, and whoever works beside it notices nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from node.mailbox_line import CALL_SECONDS
from tests.faults.floods.flood import SECONDS, endured, flooded
from tests.faults.floods.honest import Served, asking, commanding, handling, working
from tests.faults.floods.scene import Scene, opened
from tests.faults.tally import Row, wrong_with

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

_BY_A_MEMBER = (
    "oversized messages",
    "compression bombs",
    "metadata flood",
    "continuation flood",
    "rapid reset",
    "ping flood",
    "settings flood",
    "empty frames",
    "garbage",
    "held streams",
    "slow senders",
    "slow readers",
    "calls without end",
)
_BY_ANYBODY = (
    "silent connections",
    "handshakes begun",
    "handshakes dropped",
    "connections dropped",
    "idle connections",
)
_AT_THE_FRONT = ("rapid reset", "held streams")
_AT_A_MAILBOX = ("rapid reset", "idle connections")
_AT_PAGES = (
    "slow heads",
    "slow forms",
    "slow readers of pages",
    "huge heads",
    "many cookies",
    "huge forms",
    "many parts",
    "sign ins",
    "handshakes begun",
)
_AT_THE_SOCKET = ("idle connections", "oversized messages", "held streams", "rapid reset")
_BOUND, _BOUND_OF_CONNECTIONS = 64, 192  # MiB; 2,000 connections of TLS are 100 of them


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, founded: Path) -> Iterator[Scene]:
    with opened(tmp_path_factory.mktemp("floods"), founded) as made:
        yield made


@asynccontextmanager
async def _standing_still(server: int, honest: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """A defect, planted: the server does nothing while it is flooded, and everything afterwards."""
    async with honest:
        os.kill(server, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server, signal.SIGCONT)


async def test_a_server_that_answers_nobody_until_the_flood_is_over_is_found_out(scene: Scene) -> None:
    """Each call is answered within its deadline then. That alone must not pass for serving."""
    served = Served(within=CALL_SECONDS)
    honest = _standing_still(scene.directory, working(scene.honest, scene.hostile, served))
    _, during = await flooded(
        "held streams", scene.members(), folder=scene.folder, honest=honest, served=served, seconds=1.0, patience=0.5
    )
    assert (during, served.failed) == (0, [])
    assert served.done > 0
    assert wrong_with([Row("flood: of one that stood still", 1, during=during)], expected=frozenset()) == [
        "flood: of one that stood still: while it went on 0 were answered, and not 1"
    ]


@pytest.mark.parametrize("name", _BY_A_MEMBER)
async def test_a_hostile_members_flood_keeps_no_other_member_from_the_directory(scene: Scene, name: str) -> None:
    served = Served(within=CALL_SECONDS)
    await endured(
        name,
        scene.members(),
        folder=scene.folder,
        server=scene.directory,
        honest=working(scene.honest, scene.hostile, served),
        served=served,
        bound=_BOUND,
    )


@pytest.mark.parametrize("name", _BY_ANYBODY)
async def test_connections_without_end_keep_no_member_from_the_directory(scene: Scene, name: str) -> None:
    """From the very address that the honest member has: nothing but what it does tells it from the flood."""
    served = Served(within=CALL_SECONDS)
    idle = name == "idle connections"  # for which a certificate is needed; the others come from anybody
    await endured(
        name,
        scene.members() if idle else scene.members(certificate="", key=""),
        folder=scene.folder,
        server=scene.directory,
        honest=working(scene.honest, scene.hostile, served),
        served=served,
        bound=_BOUND_OF_CONNECTIONS,
        seconds=8.0 if idle else SECONDS,
    )


@pytest.mark.parametrize("name", _AT_THE_FRONT)
async def test_a_strangers_flood_at_the_front_keeps_no_member_from_the_directory(scene: Scene, name: str) -> None:
    served = Served(within=CALL_SECONDS)
    await endured(
        name,
        scene.front(),
        fault=f"{name}, at the front",
        folder=scene.folder,
        server=scene.directory,
        honest=working(scene.honest, scene.hostile, served),
        served=served,
        bound=_BOUND,
    )


@pytest.mark.parametrize("name", _AT_A_MAILBOX)
async def test_a_flood_at_a_nodes_own_mailbox_keeps_no_sender_from_it(scene: Scene, name: str) -> None:
    served = Served(within=CALL_SECONDS)
    await endured(
        name,
        scene.mailbox(),
        fault=f"{name}, at a node's mailbox",
        folder=scene.folder,
        server=scene.node,
        honest=asking(scene.honest, scene.honest, scene.own_mailbox, served),
        served=served,
        bound=_BOUND_OF_CONNECTIONS,
    )


@pytest.mark.parametrize("name", _AT_PAGES)
async def test_a_flood_at_the_pages_keeps_no_handler_from_them(scene: Scene, name: str) -> None:
    served = Served(within=CALL_SECONDS)
    await endured(
        name,
        scene.pages(),
        fault=f"{name}, at the pages",
        folder=scene.folder,
        server=scene.node,
        honest=handling(scene, served, signing_in=name == "sign ins"),
        served=served,
        bound=_BOUND_OF_CONNECTIONS,
    )


@pytest.mark.parametrize("name", _AT_THE_SOCKET)
async def test_a_program_that_floods_the_nodes_socket_keeps_no_handler_from_it(scene: Scene, name: str) -> None:
    """A script of the association's own that never closes what it opened, or has no end."""
    served = Served(within=CALL_SECONDS)
    await endured(
        name,
        scene.commands(),
        fault=f"{name}, at the node's socket",
        folder=scene.folder,
        server=scene.node,
        honest=commanding(scene, served),
        served=served,
        bound=_BOUND_OF_CONNECTIONS,
    )
