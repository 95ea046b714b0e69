"""Two whole nodes and a browser at each one's pages, without a network between browser and pages."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from cordee.ids import TransferId
from cordee.transfer import State
from node import people
from node.people import Role
from node.web.app import application
from tests.neighbours import Neighbour
from tests.node.web.coming_in import come_in

PASSWORD = "bergamote-2026-essai"
ADDRESS = "http://localhost"
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


@dataclass
class Browser:
    """A person who is signed in, in English; `ask` reads a page, `send` fills in one of its forms."""

    client: httpx.AsyncClient
    neighbour: Neighbour

    async def ask(self, path: str, *, status: int = 200) -> str:
        answer = await self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    async def send(self, path: str, *, status: int = 303, on: str = "/", **typed: Any) -> httpx.Response:
        found = _TOKEN.search(await self.ask(on))
        assert found
        answer = await self.client.post(path, data={"form_token": found[1], **typed})
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer


async def account(neighbour: Neighbour, name: str, *roles: Role) -> people.Account:
    node, now = neighbour.here, neighbour.here.clock.now()
    return await node.db.write(
        lambda tx: people.add_account(tx, node.vault, name, PASSWORD, roles, True, now, os.urandom)
    )


@asynccontextmanager
async def browser(neighbour: Neighbour, name: str, *roles: Role, base: str = ADDRESS) -> AsyncIterator[Browser]:
    """Somebody with a new account of these roles, at the neighbour's pages."""
    known = await account(neighbour, name, *roles)
    if Role.HANDLER in roles and neighbour.handler is not None:
        neighbour.handler = replace(neighbour.handler, account_id=known.account_id)
    transport = None
    if base == ADDRESS:
        site = application(neighbour.here, hosts=("localhost",), secure=False)
        transport = httpx.ASGITransport(site)  # type: ignore[arg-type]  # Starlette's and httpx's names for one thing
    headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers, timeout=30) as client:
        await come_in(client, neighbour.here, name, PASSWORD)
        yield Browser(client, neighbour)


async def offered(
    sender: Neighbour, recipient: Neighbour, *, purpose: str = "relocation", case: int = 0, **options: Any
) -> tuple[dict[str, Any], TransferId]:
    """A new case and an offer of it that has come."""
    record = await sender.case(case)
    act = await sender.act(record, recipient, purpose=purpose)
    transfer = await sender.offer(record, recipient, act, purpose=purpose, **options)
    await recipient.reaches(transfer, State.OFFERED)
    await sender.reaches(transfer, State.OFFERED)
    return record, transfer
