"""Changes of transfers, told to a page that is open: over a real connection, as a browser has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cordee.transfer import State
from node.people import Role
from node.web.pages import live
from node.web.server import Listening, serving
from tests.neighbours import Neighbour, Street, eventually, neighbourhood
from tests.node.web.following import Browser, browser, offered

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path_factory.mktemp("live"), "Paris", "Marseille") as (town, _):
        yield town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(street: Street) -> AsyncIterator[str]:
    """Where Marseille serves its pages."""
    async with serving(street.neighbours["Marseille"].here, Listening()) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def reader(
    street: Street, address: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Browser]:
    monkeypatch.setattr(live, "HEARTBEAT", 0.1)
    name = request.node.name[:80]
    async with browser(street.neighbours["Marseille"], name, Role.HANDLER, base=address) as opened:
        yield opened


@asynccontextmanager
async def stream(reader: Browser, path: str = "/live") -> AsyncIterator[AsyncIterator[str]]:
    async with reader.client.stream("GET", path) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield answer.aiter_lines()


async def until(lines: AsyncIterator[str], found: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        async for line in lines:
            if line.startswith("data: ") and found in line:
                return dict(json.loads(line.removeprefix("data: ")))
    raise AssertionError("the stream ended")


def pair(street: Street) -> tuple[Neighbour, Neighbour]:
    paris, marseille = street.neighbours.values()
    return paris, marseille


async def test_an_offer_is_told_when_it_comes_and_again_when_it_is_withdrawn(street: Street, reader: Browser) -> None:
    paris, marseille = pair(street)
    async with stream(reader) as lines:
        record, transfer = await offered(paris, marseille)
        line = await until(lines, transfer.hex())
        assert line["state"] == "offered"
        assert line["direction"] == "in"
        assert line["sentence"].startswith("Offered to you")
        assert record["meta"]["pseudonym"] not in json.dumps(line)
        await paris.here.sending.withdraw(paris.person, transfer)
        line = await until(lines, '"withdrawn"')
        assert line["id"] == transfer.hex()


async def test_one_transfer_is_followed_to_its_arrival(street: Street, reader: Browser) -> None:
    paris, marseille = pair(street)
    _, transfer = await offered(paris, marseille)
    async with stream(reader, f"/live?transfer={transfer.hex()}") as lines:
        await marseille.here.receiving.accept(marseille.person, transfer)
        line = await until(lines, '"received"')
        assert line["done"] == line["total"] > 0


async def test_the_sentence_is_in_the_readers_language(street: Street, reader: Browser) -> None:
    _, transfer = await offered(*pair(street))
    reader.client.headers["Accept-Language"] = "fr"
    async with stream(reader) as lines:
        assert (await until(lines, transfer.hex()))["sentence"].startswith("On vous le propose")


async def test_a_silent_stream_says_that_it_is_there(reader: Browser) -> None:
    async with stream(reader) as lines, asyncio.timeout(10):
        async for line in lines:
            if line == ": here":
                break


async def test_it_ends_with_the_session(reader: Browser) -> None:
    async with stream(reader) as lines:
        await reader.send("/sign-out")
        async with asyncio.timeout(10):
            assert "event: over" in [line async for line in lines]


async def test_it_is_for_nobody_who_is_not_signed_in(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as stranger:
        answer = await stranger.get("/live")
        assert answer.status_code == 303


async def test_a_session_has_four_at_once_and_another_when_one_is_closed(street: Street, reader: Browser) -> None:
    async with AsyncExitStack() as open_ones:
        streams = [await open_ones.enter_async_context(stream(reader)) for _ in range(live.STREAMS)]
        for lines in streams:
            await anext(lines)
        answer = await reader.client.get("/live")
        assert answer.status_code == 429

    async def again() -> bool:
        async with reader.client.stream("GET", "/live") as answer:
            return answer.status_code == 200

    await eventually(again, what="a stream again")


async def test_a_closed_stream_leaves_no_watcher(street: Street, reader: Browser) -> None:
    changes = street.neighbours["Marseille"].here.house.changes
    await eventually(lambda: not changes._watchers, what="no watcher of the tests before")
    async with stream(reader) as lines:
        await anext(lines)
        await eventually(lambda: len(changes._watchers) == 1, what="a watcher")
    await eventually(lambda: not changes._watchers, what="no watcher")


async def test_what_was_over_long_ago_is_not_told(street: Street, reader: Browser) -> None:
    paris, marseille = pair(street)
    _, over = await offered(paris, marseille)
    await marseille.here.receiving.decline(marseille.person, over, code="no_capacity")
    await paris.reaches(over, State.DECLINED)
    street.clock.advance(600)
    _, fresh = await offered(paris, marseille)
    told = []
    async with stream(reader) as lines, asyncio.timeout(20):
        async for line in lines:
            told.append(line)
            if fresh.hex() in line:
                break
    assert not any(over.hex() in line for line in told)


async def test_it_ends_when_the_pages_are_served_no_more(street: Street) -> None:
    paris, _ = pair(street)
    async with AsyncExitStack() as served:
        address = await served.enter_async_context(serving(paris.here, Listening(), grace=3600))
        async with browser(paris, "Camille", Role.HANDLER, base=address) as opened, stream(opened) as lines:
            await anext(lines)
            await served.aclose()  # it does not wait for its grace
            told = [line async for line in lines]
            assert "event: over" not in told, "the page asks again, once the node is back"
    await eventually(lambda: not paris.here.house.changes._watchers, what="no watcher")
