"""A node with a case, and people in front of its pages: they send forms as a browser does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cordee.case import case_of
from node import records
from node.app import Node
from node.web.app import application
from tests.builders import Network, seeded_random

from ..association import PASSWORD, case_body, opened, profiles, registered, with_people
from .coming_in import come_in

HEADERS = {"sec-fetch-site": "same-origin", "accept-language": "en"}


@dataclass
class Person:
    """Somebody who is signed in."""

    client: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def post(self, path: str, fields: dict[str, Any], *, page: str | None = None) -> httpx.Response:
        """Send the form of a page, with the token that it holds."""
        shown = await self.client.get(page or path)
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', shown.text)
        assert token is not None, shown.text
        return await self.client.post(path, data={"form_token": token[1], **fields})


@dataclass
class House:
    """The association: its node, the case that it keeps, and its people by name."""

    node: Node
    record: dict[str, Any]
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def acts(self) -> str:
        return f"/cases/{self.record['meta']['case_id']}/acts"

    async def person(self, name: str) -> Person:
        if name not in self.people:
            app = application(self.node, hosts=["localhost"], secure=False)
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://localhost", headers=HEADERS
            )
            await come_in(client, self.node, name, PASSWORD)
            self.people[name] = Person(client)
        return self.people[name]


def _network() -> Network:
    """Three associations with profiles that were registered."""
    return registered(profiles())


@asynccontextmanager
async def house_with_a_case(folder: Path) -> AsyncIterator[House]:
    """The first association's node, with an account for each role and one case."""
    network = _network()
    member = next(iter(network.members.values()))
    with opened(folder, network=network, member=member, random=seeded_random("node")) as node:
        await node.roster.sync()
        await with_people(node)
        body, now = case_body(), node.clock.now()
        await node.db.write(
            lambda tx: records.create_case(tx, node.vault, case_of(body), by="u-1", now=now, random=node.random)
        )
        house = House(node, case_body())
        yield house
        for each in house.people.values():
            await each.client.aclose()
