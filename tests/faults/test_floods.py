"""Floods: whoever wants Cordée to stop sends what costs the most, and whoever works beside it notices nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.mailbox_line import CALL_SECONDS
from tests.faults.floods.flood import endured
from tests.faults.floods.honest import Served, working
from tests.faults.floods.scene import Scene, opened

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
    "idle connections",
)
_BY_ANYBODY = ("silent connections", "handshakes begun", "handshakes dropped", "connections dropped")
_BOUND = 64  # MiB


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened(tmp_path_factory.mktemp("floods")) as made:
        yield made


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
async def test_a_strangers_flood_keeps_no_member_from_the_directory(scene: Scene, name: str, tmp_path: Path) -> None:
    served = Served(within=CALL_SECONDS)
    await endured(
        name,
        scene.members(certificate="", key=""),
        folder=scene.folder,
        server=scene.directory,
        honest=working(scene.honest, scene.hostile, served),
        served=served,
        bound=_BOUND,
    )
