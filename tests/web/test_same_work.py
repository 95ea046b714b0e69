"""Coming in, as the node does it: whoever is refused is refused at the same cost, and cookies fit their transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import nacl.pwhash
import pytest

from cordee.members import registration_digest
from node import people
from node.app import Node
from node.web.app import application
from tests.builders import Network, seeded_random
from tests.node.association import PASSWORD, opened, profiles, with_people

HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    network = Network.found(now=datetime(2026, 5, 1, 9, 0, tzinfo=UTC))
    profile = profiles()[0]
    member = network.new_member(profile["display_name"], json.dumps(profile, ensure_ascii=False).encode())
    statement = network.admission(member)
    statement.registration = registration_digest(profile["legal_name"], profile["siret"])
    network.append(network.signed_entry(statement))
    network.members[member.name] = member
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    with opened(folder, network=network, member=member, random=seeded_random("node")) as running:
        await running.roster.sync()
        await with_people(running)
        yield running


def asking(node: Node, *, secure: bool = False) -> httpx.AsyncClient:
    app: Any = application(node, hosts=["localhost"], secure=secure)
    scheme = "https" if secure else "http"
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"{scheme}://localhost", headers=HERE)


async def hashings(node: Node, name: str, password: str, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """With which parameters Argon2id ran while somebody tried to come in."""
    seen: list[bytes] = []
    verify = nacl.pwhash.argon2id.verify

    def seeing(kept: bytes, given: bytes) -> bool:
        seen.append(kept.rsplit(b"$", 2)[0])
        return verify(kept, given)

    with monkeypatch.context() as watched:
        watched.setattr(nacl.pwhash.argon2id, "verify", seeing)
        async with asking(node) as client:
            answer = await client.post("/sign-in", data={"name": name, "password": password})
    assert answer.status_code == 401
    return seen


async def test_a_refusal_costs_the_same_whoever_is_named(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await node.db.write(lambda tx: people.disable_account(tx, node.vault, "Aude", now=node.clock.now()))
    wrong, nobody, gone, long = [
        await hashings(node, name, password, monkeypatch)
        for name, password in (
            ("Hélène", "not the one that it is"),
            ("Nobody", "not the one that it is"),
            ("Aude", PASSWORD),
            ("Nobody", "x" * 100_000),
        )
    ]
    assert wrong == nobody == gone == long
    assert len(wrong) == 1


async def test_with_tls_the_sessions_cookie_is_secure_and_this_hosts_own(node: Node) -> None:
    async with asking(node, secure=True) as client:
        answer = await client.post("/sign-in", data={"name": "Hélène", "password": PASSWORD})
    name, *flags = (each.strip() for each in answer.headers["set-cookie"].split(";"))
    assert name.startswith("__Host-session=")
    assert {each.lower() for each in flags} == {"httponly", "secure", "samesite=strict", "path=/"}
    assert "max-age" in answer.headers["strict-transport-security"]


async def test_a_form_with_more_fields_than_it_has_is_refused(node: Node) -> None:
    async with asking(node) as client:
        many = {"name": "Hélène", "password": PASSWORD, **dict.fromkeys("abcdefgh", "x")}
        answer = await client.post("/sign-in", data=many)
    assert answer.status_code == 400
    assert "Too many fields" not in answer.text
