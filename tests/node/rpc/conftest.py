from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cordee.v1 import node_pb2
from node.app import Node
from node.cli.client import Client, connect
from node.rpc.listener import served
from tests.builders import Network, seeded_random

from ..association import ACCOUNTS, PASSWORD, opened, profiles, registered, with_people


@pytest.fixture
def network() -> Network:
    """Three associations with profiles that were registered: the case's own, the one that its act names, another."""
    return registered(profiles())


@pytest.fixture
async def association(tmp_path: Path, network: Network) -> AsyncIterator[Node]:
    """The first association's node."""
    member = next(iter(network.members.values()))
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    with opened(folder, network=network, member=member, random=seeded_random("node")) as node:
        await node.roster.sync()
        await with_people(node)
        yield node


@pytest.fixture
async def socket(association: Node) -> AsyncIterator[Path]:
    async with served(association, association.data_dir / "run" / "s") as path:
        yield path


@pytest.fixture
async def sign_in(socket: Path) -> AsyncIterator[Callable[..., object]]:
    """`await sign_in("Hélène")` gives that person's client; `await sign_in(None)` one without a session."""
    async with AsyncExitStack() as stack:

        async def client(name: str | None) -> Client:
            token = None
            if name is not None:
                assert name in ACCOUNTS
                async with connect(socket) as anyone:
                    answer = await anyone.sessions.SignIn(node_pb2.SignInRequest(name=name, password=PASSWORD))
                    token = answer.token
            return await stack.enter_async_context(connect(socket, token))

        yield client
