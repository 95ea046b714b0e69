"""Over a fast line nothing is spooled on either side; where it breaks, all of it comes anew, once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import Unreachable
from cordee.ids import TransferId
from cordee.runtime.bulk import BLOCK
from node import spool
from node.directory_client import DirectoryClient
from node.feed import Feed
from tests.journeys.one_file import accepted, arrives
from tests.neighbours import Neighbour, Street, neighbourhood

FILE = os.urandom((spool.FIRST + 6) * BLOCK)
LATE = (spool.FIRST + 3) * BLOCK  # bytes
EARLY = BLOCK


class FastLine:
    """Breaks once after so many bytes, on the way up or down. Whether each side spooled is written down at the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up_to: int | None = None
        self.down_to: int | None = None
        self.sent: list[tuple[int, bool]] = []  # offset and `anew` of each upload
        self.read_from: list[int] = []  # offset of each download
        self.spooled: dict[str, list[bool]] = {"out": [], "in": []}
        put, get = DirectoryClient.put, DirectoryClient.get

        def lies(transfer: TransferId, way: str) -> bool:
            return any(path.stat().st_size for path in folder.rglob(f"{transfer.hex()}.{way}"))

        async def fragile_put(
            client: DirectoryClient,
            transfer: TransferId,
            *,
            offset: int,
            pieces: AsyncIterator[bytes],
            anew: bool,
            **more: Any,
        ) -> int:
            self.sent.append((offset, anew))

            broke = False

            async def through() -> AsyncIterator[bytes]:
                nonlocal broke
                gone = 0
                async for piece in pieces:
                    if self.up_to is not None and gone >= self.up_to:
                        self.up_to, broke = None, True
                        return
                    yield piece
                    gone += len(piece)

            held = await put(client, transfer, offset=offset, pieces=through(), anew=anew, **more)
            if broke:
                raise Unreachable(peer="mailbox")
            self.spooled["out"].append(lies(transfer, "out"))
            return held

        async def fragile_get(
            client: DirectoryClient, transfer: TransferId, *, offset: int
        ) -> AsyncGenerator[bytes | memoryview, None]:
            self.read_from.append(offset)
            come = 0
            async for piece in get(client, transfer, offset=offset):
                if self.down_to is not None and come >= self.down_to:
                    self.down_to = None
                    raise Unreachable(peer="mailbox")
                yield piece
                come += len(piece)
            self.spooled["in"].append(lies(transfer, "in"))

        monkeypatch.setattr(DirectoryClient, "put", fragile_put)
        monkeypatch.setattr(DirectoryClient, "get", fragile_get)
        monkeypatch.setattr(spool, "FAST", 20.0)  # a slow machine is no slow line


@pytest.fixture
def tmp_path(on_disk: Path) -> Path:
    return on_disk


@pytest.fixture
async def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastLine:
    return FastLine(tmp_path, monkeypatch)


async def sends(paris: Neighbour, marseille: Neighbour, street: Street) -> None:
    case_id, transfer = await accepted(paris, marseille, FILE)
    await arrives(paris, marseille, case_id, transfer, street, FILE)


async def test_over_a_fast_line_neither_side_spools(tmp_path: Path, line: FastLine) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await sends(paris, marseille, street)
    assert line.sent == [(0, True)]
    assert line.read_from == [0]
    assert line.spooled == {"out": [False], "in": [False]}


async def test_where_it_breaks_on_the_way_up_all_is_packed_anew_and_spooled(tmp_path: Path, line: FastLine) -> None:
    line.up_to = LATE
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await sends(paris, marseille, street)
    assert line.up_to is None, "it broke"
    assert line.sent == [(0, True), (0, True)]
    assert line.spooled["out"] == [True]


async def test_where_it_breaks_early_on_the_way_up_the_rest_follows(tmp_path: Path, line: FastLine) -> None:
    line.up_to = EARLY
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await sends(paris, marseille, street)
    (first, second) = line.sent
    assert first == (0, True)
    assert second == (EARLY, False), "from the spool, and no byte again"
    assert line.spooled["out"] == [True]


async def test_where_it_breaks_on_the_way_down_all_is_fetched_anew_and_spooled(
    tmp_path: Path, line: FastLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    init = Feed.__init__

    def noted(self: Feed, *arguments: Any, **options: Any) -> None:
        kept.append(options["keep"])
        init(self, *arguments, **options)

    monkeypatch.setattr(Feed, "__init__", noted)
    line.down_to = LATE
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await sends(paris, marseille, street)
    assert line.down_to is None, "it broke"
    assert line.read_from == [0, 0]
    assert kept == [False, True]
    assert line.spooled["in"] == [True]


async def test_where_it_breaks_early_on_the_way_down_the_rest_follows(tmp_path: Path, line: FastLine) -> None:
    line.down_to = EARLY
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await sends(paris, marseille, street)
    assert line.read_from == [0, EARLY]
    assert line.spooled["in"] == [True]
