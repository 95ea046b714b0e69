"""Coming in at once: a whole session, for tests of what lies behind the door. The door has tests of its own."""

from __future__ import annotations

import httpx

from node import people
from node.app import Node
from node.people import Stage


async def come_in(client: httpx.AsyncClient, node: Node, name: str, password: str) -> None:
    """The browser `client` holds a session of that person, as after both steps."""
    now = node.clock.now()
    signed_in = await node.db.write(
        lambda tx: people.sign_in(tx, node.vault, name, password, now=now, random=node.random, stage=Stage.FULL)
    )
    client.cookies.set("session", signed_in.token)
