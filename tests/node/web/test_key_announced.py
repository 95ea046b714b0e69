"""Another identity key is announced: who sees it where, and who may object."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordee.v1 import statements_pb2 as v1
from node import journal
from tests.builders import Network

from .acting import House, house_with_a_case


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


def network_of(house: House) -> Network:
    directory: Any = house.node.roster._client
    return directory._network  # type: ignore[no-any-return]


async def announced(house: House, number: int, *, stolen: bool = False) -> str:
    """For the association of that number; the first one is the house's own. Its name."""
    network = network_of(house)
    member = list(network.members.values())[number]
    network.announce_recovery(member, stolen=stolen)
    await house.node.roster.sync()
    return member.name


@pytest.mark.parametrize("stolen", [False, True])
async def test_an_announcement_about_this_node_stands_on_everybodys_first_page(house: House, stolen: bool) -> None:
    handler, administrator = await house.person("Hélène"), await house.person("Adrien")
    assert "Another identity key is announced" not in (await handler.get("/")).text
    await announced(house, 0, stolen=stolen)
    shown = (await handler.get("/")).text
    assert "Another identity key is announced for this node" in shown
    assert "Tell whoever looks after this node, today." in shown
    assert 'href="/node"' in (await administrator.get("/")).text
    told = (await administrator.get("/node")).text
    assert f"they say that its own is {'stolen' if stolen else 'lost'}" in told
    assert "Object: this node has its key" in told
    assert "Object: this node has its key" not in (await (await house.person("Léa")).get("/node")).text


async def test_an_administrator_objects_with_one_button(house: House) -> None:
    await announced(house, 0)
    network, identity = network_of(house), house.node.identity

    class Objecting:
        async def object(self, *, by: str) -> None:
            member = next(iter(network.members.values()))
            statement = v1.RecoveryObjected(**network.roster.head(member.id, network.now), member=member.id)
            network.append(network.signed_entry(statement, member.identity))
            now = house.node.clock.now()
            await house.node.db.write(
                lambda tx: journal.append(tx, now=now, actor=by, action="recovery.objected", subject="")
            )
            await house.node.roster.sync()

    object.__setattr__(house.node, "identity", Objecting())  # there is no directory behind this node
    administrator = await house.person("Adrien")
    answer = await administrator.post("/node/object", {}, page="/node")
    assert answer.status_code == 303
    assert "Nobody has announced another one." in (await administrator.get("/node")).text
    assert "Another identity key" not in (await administrator.get("/")).text
    assert "objected to another identity key" in (await (await house.person("Aude")).get("/journal")).text
    object.__setattr__(house.node, "identity", identity)


async def test_only_an_administrator_may_object(house: House) -> None:
    await announced(house, 0)
    answer = await (await house.person("Léa")).post("/node/object", {}, page="/node")
    assert answer.status_code == 403


async def test_the_others_are_told_about_whom_it_is(house: House) -> None:
    name = await announced(house, 1)
    handler = await house.person("Hélène")
    shown = (await handler.get("/")).text
    assert "is to get another identity key" in shown
    assert name in shown
    member = list(network_of(house).members.values())[1]
    assert "Its identity key is said to be lost or stolen" in (await handler.get(f"/members/{member.id.hex()}")).text
    other = list(network_of(house).members.values())[2]
    assert "lost or stolen" not in (await handler.get(f"/members/{other.id.hex()}")).text
