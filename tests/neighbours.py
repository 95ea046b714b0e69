"""Whole nodes beside a real directory, in one process: everything real but the processes.

async with neighbourhood(tmp_path, "Paris", "Marseille") as street: paris, marseille = street.nodes
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cordee.case import case_of
from cordee.ids import MemberId, TransferId
from cordee.invitation import Invitation
from cordee.runtime.crashpoint import Crashpoints
from cordee.signing import SigningPublicKey
from cordee.transfer import State
from cordee.v1 import statements_pb2 as v1
from node import joining, records, transfer_store
from node.app import Mail, Node, Parts, opened
from node.attachments import StoredAttachment
from node.demo import cases as synthetic
from node.direct_mailbox import Door
from node.people import Handler, Role
from node.vault import FILE, Vault
from tests.directory.town import Town, encoded, profile_of
from tests.recording_acts import recorded_act

PASSPHRASE = b"une phrase de passe de test"


class LiveClock:
    """The real time, moved by whole steps at will."""

    def __init__(self, now: datetime) -> None:
        self._ahead = now - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.2))

    def advance(self, step: timedelta | float) -> None:
        self._ahead += step if isinstance(step, timedelta) else timedelta(seconds=step)


@dataclass
class Neighbour:
    """One association: its folder, and its node while it runs."""

    name: str
    folder: Path
    profile: dict[str, Any]
    street: Street
    handler: Handler | None = None
    node: Node | None = None
    member: MemberId | None = None  # known from its first start on, also while it is away
    _ends: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def here(self) -> Node:
        assert self.node is not None
        return self.node

    @property
    def person(self) -> Handler:
        assert self.handler is not None
        return self.handler

    async def start(self, *, parts: Parts | None = None, mail: Mail | None = None, door: Door | None = None) -> Node:
        self.node = await self._ends.enter_async_context(
            opened(
                self.folder,
                vault=Vault.open(self.folder / FILE, PASSPHRASE),
                clock=self.street.clock,
                random=os.urandom,
                parts=parts,
                mail=mail,
                door=door,
                crashpoints=self.street.crashpoints(self.name),
            )
        )
        self.member = self.node.member
        self.handler = Handler("camille", "Camille", frozenset({Role.HANDLER, Role.LEAD}), bound_by_secrecy=True)
        await asyncio.wait_for(self.node.listener.caught_up.wait(), 20)
        return self.node

    async def stop(self) -> None:
        await self._ends.aclose()
        self._ends = contextlib.AsyncExitStack()
        self.node = None

    # -- casework --

    async def case(self, number: int = 0) -> dict[str, Any]:
        """A synthetic case of this association's."""
        now = self.street.clock.now()
        record = synthetic.cases(now=now, owner=self.profile["org_id"], random=os.urandom)[number]
        node = self.here
        await node.db.write(
            lambda tx: records.create_case(tx, node.vault, case_of(record), by="camille", now=now, random=os.urandom)
        )
        return record

    async def attach(self, case_id: str, data: bytes, *, name: str = "note.pdf", may_be_sent: bool = True) -> str:
        node = self.here
        stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
        attachment_id = str(uuid.uuid4())
        written = await asyncio.to_thread(node.attachments.write, stored.data_key, attachment_id, [data])
        attachment = StoredAttachment(
            attachment_id=attachment_id,
            file_id=written.file_id,
            file_name=name,
            media_type="application/pdf",
            kind="report",
            section="actions",
            size=written.size,
            sha256=written.sha256,
            may_be_sent=may_be_sent,
            third_party_data=False,
        )
        now = self.street.clock.now()
        await node.db.write(
            lambda tx: records.add_attachment(tx, node.vault, case_id, attachment, by="camille", now=now)
        )
        return attachment_id

    async def act(self, record: dict[str, Any], *recipients: Neighbour, **options: Any) -> str:
        """As `recorded_act`, at this node."""
        organisations = [each.profile["org_id"] for each in recipients]
        return await recorded_act(self.here, record, organisations, now=self.street.clock.now(), **options)

    async def offer(
        self, record: dict[str, Any], to: Neighbour, act_id: str, *, purpose: str = "relocation", **options: Any
    ) -> TransferId:
        assert to.member is not None
        return await self.here.sending.offer(
            self.person,
            case_id=record["meta"]["case_id"],
            recipient=to.member,
            purpose=purpose,
            act_id=act_id,
            **options,
        )

    async def state(self, transfer: TransferId) -> State | None:
        found = await self.here.db.read(transfer_store.all_transfers)
        return next((each.state for each in found if each.id == transfer), None)

    async def reaches(self, transfer: TransferId, state: State, *, seconds: float = 30) -> None:
        """Wait until this node has a transfer in that state, and nothing of ours waits."""

        async def there() -> bool:
            waits, now = await self.here.db.read(
                lambda tx: (
                    transfer_store.waiting(tx),
                    {each.id: each.state for each in transfer_store.all_transfers(tx)},
                )
            )
            found = now.get(transfer)
            for_good = found in (State.RECEIVED, State.DECLINED, State.REFUSED) and found is not state
            assert not for_good, f"{self.name}: {found} for good, never {state}"
            return found is state and transfer not in waits

        await eventually(there, seconds=seconds, what=f"{self.name}: {state} (is {await self.state(transfer)})")


@dataclass
class Street:
    """A town with whole nodes."""

    town: Town
    clock: LiveClock
    folder: Path
    neighbours: dict[str, Neighbour] = field(default_factory=dict)
    crashpoints: Callable[[str], Crashpoints | None] = lambda name: None
    """Of the node with that name; without them, those of the environment."""

    async def invite(self, name: str, number: int, *, secrecy: bool = True) -> tuple[SigningPublicKey, dict[str, Any]]:
        """A node's folder, and its invitation and profile beside it."""
        profile = profile_of(name, number)
        folder = self.folder / name
        secret = os.urandom(32)
        invitation = await self.town.invite(profile["legal_name"], profile["siret"], secret=secret, secrecy=secrecy)
        key = joining.initialise(folder, passphrase=PASSPHRASE, random=os.urandom, clock=self.clock)
        (self.folder / f"{name}.json").write_bytes(encoded(profile))
        (self.folder / f"{name}.invitation").write_bytes(
            Invitation(
                network=self.town.network.roster.network,
                members=self.town.listening.members,
                front=self.town.listening.front,
                ca_certificate=self.town.ca,
                invitation=invitation,
                secret=secret,
                legal_name=profile["legal_name"],
                registration_number=profile["siret"],
                bound_by_secrecy=secrecy,
                expires=self.clock.now() + timedelta(days=14),
            ).to_bytes()
        )
        return key, profile

    async def ask(self, name: str, *, again: bool = False) -> list[str]:
        """Ask to join with the invitation and the profile that lie there."""
        return await joining.request(
            self.folder / name,
            passphrase=PASSPHRASE,
            invitation=(self.folder / f"{name}.invitation").read_bytes(),
            profile=(self.folder / f"{name}.json").read_bytes(),
            clock=self.clock,
            random=os.urandom,
            again=again,
        )

    async def settle(self, name: str, number: int, *, secrecy: bool = True) -> Neighbour:
        """Invite, ask, admit, certify: by the node's own code."""
        key, profile = await self.invite(name, number, secrecy=secrecy)
        folder = self.folder / name
        await self.ask(name)
        await self.admit(key, profile, secrecy=secrecy)
        await joining.wait(folder, passphrase=PASSPHRASE, clock=self.clock, random=os.urandom)
        self.neighbours[name] = Neighbour(name=name, folder=folder, profile=profile, street=self)
        return self.neighbours[name]

    async def admit(self, key: SigningPublicKey, profile: dict[str, Any], *, secrecy: bool) -> None:
        from cordee.members import registration_digest
        from cordee.signing import member_id_of

        network = self.town.network
        member = member_id_of(key)
        statement = v1.MemberAdmitted(
            **network.roster.head(member, self.clock.now()),
            member=member,
            identity_key=key.to_message(),
            registration=registration_digest(profile["legal_name"], profile["siret"]),
            bound_by_secrecy=secrecy,
        )
        await self.town.append(network.append(network.signed_entry(statement)))


@contextlib.asynccontextmanager
async def neighbourhood(
    folder: Path, *names: str, start: bool = True, **policy: Any
) -> AsyncIterator[tuple[Street, list[Neighbour]]]:
    """A founded directory and whole nodes, all started and caught up."""
    town = Town.make(folder / "directory", **policy)
    clock = LiveClock(town.clock.now() + timedelta(seconds=1))
    town.clock = clock  # type: ignore[assignment]  # a clock that moves by itself
    town.network.now = clock.now()
    street = Street(town, clock, folder)
    async with town.open():
        await town.found()
        for number, name in enumerate(names):
            await street.settle(name, number)
        try:
            if start:
                for each in street.neighbours.values():
                    await each.start()
                for each in street.neighbours.values():
                    await eventually(lambda each=each: knows(each, len(names)), what="cards")
            yield street, list(street.neighbours.values())
        finally:
            for each in street.neighbours.values():
                if each.node is not None:
                    await each.stop()


async def knows(neighbour: Neighbour, count: int) -> bool:
    return len([each for each in neighbour.here.roster.members() if each.card_expires]) >= count


async def eventually(found: Callable[[], Any], *, seconds: float = 20, what: str = "it") -> Any:
    """Ask until something true comes back."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        await asyncio.sleep(0.02)
