"""A node for tests of its API: real database, vault, roster and parts, on a network that stands still.

There is no directory behind it: what is offered waits, as it would while the connection is down.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from cordee.members import registration_digest
from cordee.runtime.clock import ManualClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.v1 import directory_pb2
from node import people
from node.app import Node
from node.attachments import AttachmentStore
from node.house import House, Keys
from node.inflight import InFlight
from node.people import Role
from node.receiving import Receiving
from node.roster_sync import RosterSync
from node.sending import Sending
from node.store.migrations import node_database
from node.tombstones import Tombstones
from node.transfers import TransferBook
from node.vault import Vault
from tests.builders import MemberKeys, Network

DATA = Path(__file__).parent.parent / "data"
PASSWORD = "mot de passe très long"
ACCOUNTS: dict[str, set[Role]] = {
    "Hélène": {Role.HANDLER},
    "Léa": {Role.LEAD},
    "Adrien": {Role.ADMINISTRATOR},
    "Aude": {Role.AUDITOR},
}


_REGISTERED: dict[str, Network] = {}
"""Networks as they were made, by what was asked for: their signatures take longer than most tests of a node."""


class StillDirectory:
    """What a node asks the directory about the roster, answered from a network of tests."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def checkpoint(self) -> str:
        return self._network.checkpoint()

    async def entries(self, *, start: int) -> AsyncIterator[Any]:
        for entry in self._network.entries[start:]:
            yield entry

    async def cards(self, *, after_revision: int) -> AsyncIterator[directory_pb2.ListCardsResponse]:
        for revision, member in enumerate(self._network.members.values(), start=1):
            if revision > after_revision:
                yield directory_pb2.ListCardsResponse(
                    revision=revision, card=member.card.to_message(), profile=member.profile
                )


def profiles() -> list[dict[str, Any]]:
    """Three invented associations, without what the sample file tells of an older network."""
    every = {each["org_id"]: each for each in json.loads((DATA / "associations_sample.json").read_text())}
    case, act = case_body(), act_body()
    own, named = case["meta"]["owner_org_id"], act["recipients"][0]["org_id"]
    another = next(each for each in every if each not in (own, named))
    return [
        {key: value for key, value in every[each].items() if key not in ("node", "membership")}
        for each in (own, named, another)
    ]


def case_body(number: int = 0) -> dict[str, Any]:
    """One of the invented cases, without attachments: their files do not exist."""
    line = (DATA / "cases_sample.jsonl").read_text().splitlines()[number]
    case = json.loads(line)
    case.pop("attachments", None)
    case.pop("consents", None)
    return case


def act_body(number: int = 0) -> dict[str, Any]:
    line = (DATA / "cases_sample.jsonl").read_text().splitlines()[number]
    return json.loads(line)["consents"][0]


@cache
def _empty() -> bytes:
    """A database with nothing in it, made once: to make one takes longer than most tests of a node."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "node.db"
        with node_database(path):
            pass
        return path.read_bytes()


@contextmanager
def empty_database(path: Path) -> Iterator[Database]:
    """As `node_database` makes one; where there is one already, it is opened as it is."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(_empty())
    with node_database(path) as database:
        yield database


@contextmanager
def opened(
    folder: Path,
    *,
    network: Network,
    member: MemberKeys,
    random: Callable[[int], bytes],
    clock: ManualClock | None = None,
) -> Iterator[Node]:
    """The node of one member, with an account for each role."""
    clock = clock or ManualClock(network.now)
    vault = Vault.create(folder / "vault.json", b"correct horse", opslimit=1, memlimit=8192)
    with empty_database(folder / "node.db") as db:
        directory: Any = StillDirectory(network)
        roster = RosterSync(db, network=network.roster.network, member=member.id, client=directory, clock=clock)
        house = House(
            data_dir=folder,
            network=network.roster.network,
            member=member.id,
            db=db,
            vault=vault,
            keys=Keys(identity=member.identity, sealing={1: member.sealing}),
            clock=clock,
            random=random,
            in_flight=InFlight(folder / "inflight", clock=clock, random=random),
            attachments=AttachmentStore(folder / "attachments", random=random),
            tombstones=Tombstones(folder / "tombstones"),
            roster=roster,
            crashpoints=Crashpoints(),
        )
        nobody: Any = SimpleNamespace()
        refused_nothing: Any = SimpleNamespace(refusal=None)
        yield Node(
            house=house,
            sending=Sending(house),
            receiving=Receiving(house),
            transfers=TransferBook(house),
            roster=roster,
            listener=nobody,
            outbox=refused_nothing,
            publishing=nobody,
            identity=nobody,
            loops=(),
        )


async def with_people(node: Node) -> None:
    """One account for each role, all bound by secrecy."""
    for name, roles in ACCOUNTS.items():
        await node.db.write(
            lambda tx, name=name, roles=roles: people.add_account(
                tx, node.vault, name, PASSWORD, roles, True, node.clock.now(), node.random
            )
        )


def registered(profiles: list[dict[str, Any]], **founded: Any) -> Network:
    """A network of associations whose admissions name what their profiles say of them."""
    asked = json.dumps([profiles, founded], default=repr)
    if asked not in _REGISTERED:
        _REGISTERED[asked] = _registered(profiles, **founded)
    return _REGISTERED[asked].copied()


def _registered(profiles: list[dict[str, Any]], **founded: Any) -> Network:
    found = Network.found(now=datetime(2026, 5, 1, 9, 0, tzinfo=UTC), **founded)
    for profile in profiles:
        member = found.new_member(profile["display_name"], json.dumps(profile, ensure_ascii=False).encode())
        statement = found.admission(member)
        statement.registration = registration_digest(profile["legal_name"], profile["siret"])
        found.append(found.signed_entry(statement))
        found.members[member.name] = member
    return found
