from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from cordee.case import case_of
from node import records
from node.app import Node
from node.web.app import application
from tests.builders import Network, seeded_random

from ..association import case_body, opened, with_people
from ..rpc.conftest import network  # noqa: F401  # the same network
from .browser import Browser


@pytest.fixture
async def association(tmp_path: Path, network: Network) -> AsyncIterator[Node]:  # noqa: F811
    """The first association's node, with one account for each role."""
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    with opened(
        folder, network=network, member=next(iter(network.members.values())), random=seeded_random("n")
    ) as node:
        await node.roster.sync()
        await with_people(node)
        yield node


@pytest.fixture
async def anyone(association: Node) -> AsyncIterator[Browser]:
    """A browser that nobody has signed in with."""
    app = application(association, hosts=("localhost",), secure=False)
    async with Browser(transport=httpx.ASGITransport(app)) as browser:
        yield browser


@pytest.fixture
async def browse(association: Node) -> AsyncIterator[Callable[..., Awaitable[Browser]]]:
    """`await browse("Hélène")` gives a browser in which that person has signed in."""
    browsers: list[Browser] = []

    async def signed_in(name: str = "Hélène") -> Browser:
        app = application(association, hosts=("localhost",), secure=False)
        browser = Browser(transport=httpx.ASGITransport(app))
        browsers.append(browser)
        await browser.sign_in(association, name)
        return browser

    yield signed_in
    for each in browsers:
        await each.aclose()


@pytest.fixture
async def case_id(association: Node) -> str:
    """One of the sample's cases, kept by this node."""
    case, now = case_of(case_body()), association.clock.now()
    await association.db.write(
        lambda tx: records.create_case(tx, association.vault, case, by="test", now=now, random=association.random)
    )
    return case.case_id
