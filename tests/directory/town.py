"""A real directory with real members for tests: gRPC and TLS on 127.0.0.1, SQLite in a folder.

async with town.open() as directory: ...        # may be opened again: that is a restart
marseille = await town.join("Marseille")        # invited, asked, admitted, certified
await marseille.submit(signed)
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from cordee.card import make_card
from cordee.entries import add_signature, entry_leaf, propose
from cordee.errors import CordeeError
from cordee.invitation import secret_digest
from cordee.members import registration_digest
from cordee.policy import Policy
from cordee.roster import apply
from cordee.runtime.clock import ManualClock
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import TransportKey, channel
from cordee.signing import Signed, SigningKey
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc, mailbox_pb2, mailbox_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from directory.app import Directory, Listening, running
from directory.house import House, initialise
from tests.builders import MemberKeys, Network, seeded_random

ORIGIN = "cordee.example/town"
SAMPLES = json.loads((Path(__file__).parents[1] / "data" / "associations_sample.json").read_text())


def profile_of(name: str, number: int = 0) -> dict[str, Any]:
    """A whole profile under that name; its numbers are a sample's, so give another `number` for another member."""
    profile: dict[str, Any] = copy.deepcopy(SAMPLES[number % len(SAMPLES)])
    for told_elsewhere in ("node", "membership"):
        del profile[told_elsewhere]
    profile["legal_name"] = f"Association {name}"
    profile["display_name"] = name
    return profile


def encoded(profile: dict[str, Any]) -> bytes:
    return json.dumps(profile, ensure_ascii=False).encode()


@dataclass
class Node:
    """One member's end of the line."""

    town: Town
    keys: MemberKeys
    transport: TransportKey
    certificate: bytes = b""
    line: grpc.aio.Channel | None = None

    def connect(self, key: TransportKey | None = None, certificate: bytes | None = None) -> grpc.aio.Channel:
        line = channel(
            self.town.listening.members,
            root=self.town.ca,
            key=key or self.transport,
            certificate=certificate or self.certificate,
        )
        self.town.lines.append(line)
        return line

    def _line(self) -> grpc.aio.Channel:
        if self.line is None:
            self.line = self.connect()
        return self.line

    @property
    def broker(self) -> Any:
        return directory_pb2_grpc.BrokerStub(self._line())

    @property
    def roster(self) -> Any:
        return directory_pb2_grpc.RosterStub(self._line())

    @property
    def events(self) -> Any:
        return directory_pb2_grpc.EventsStub(self._line())

    @property
    def membership(self) -> Any:
        return directory_pb2_grpc.MembershipStub(self._line())

    @property
    def mailbox(self) -> Any:
        return mailbox_pb2_grpc.MailboxStub(self._line())

    async def submit(self, statement: Signed) -> str:
        with reaching("directory"):
            answer = await self.broker.Submit(pb.SubmitRequest(statement=statement.to_message()), timeout=10)
        return str(answer.state)

    async def transfer(self, transfer: bytes) -> pb.GetTransferResponse:
        with reaching("directory"):
            answer: pb.GetTransferResponse = await self.broker.GetTransfer(
                pb.GetTransferRequest(transfer_id=transfer), timeout=10
            )
        return answer

    async def put(self, transfer: bytes, data: bytes, offset: int = 0) -> int:
        async def pieces() -> AsyncIterator[mailbox_pb2.PutRequest]:
            yield mailbox_pb2.PutRequest(transfer_id=transfer, offset=offset, data=data)

        with reaching("directory"):
            return int((await self.mailbox.Put(pieces(), timeout=10)).size)

    async def get(self, transfer: bytes) -> bytes:
        with reaching("directory"):
            call = self.mailbox.Get(mailbox_pb2.GetRequest(transfer_id=transfer), timeout=10)
            return b"".join([answer.data async for answer in call])

    async def publish(self, card: Signed, profile: bytes) -> int:
        with reaching("directory"):
            request = pb.PublishCardRequest(card=card.to_message(), profile=profile)
            return int((await self.roster.PublishCard(request, timeout=10)).revision)

    async def heard(self, cursor: int = 0, *, hints: bool = False) -> list[pb.Event]:
        """What is kept for this member after a cursor."""
        found = []
        call = self.events.Watch(pb.WatchRequest(cursor=cursor), timeout=10)
        with reaching("directory"):
            async for event in call:
                if event.WhichOneof("kind") == "stream_ready":
                    break
                if hints or event.sequence:
                    found.append(event)
        call.cancel()
        return found


@dataclass
class Town:
    folder: Path
    clock: ManualClock
    network: Network
    nodes: dict[str, Node] = field(default_factory=dict)
    lines: list[grpc.aio.Channel] = field(default_factory=list)
    listening: Listening = field(init=False)

    @classmethod
    def make(
        cls, folder: Path, *, administrators: int = 2, threshold: int = 2, origin: str = ORIGIN, **policy: Any
    ) -> Town:
        """A directory's folder and a network founded on paper."""
        random = seeded_random("town")
        # A month ago, so that the clock has room to move while certificates stay valid for TLS, which asks the system.
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
        initialise(folder, origin=origin, members="localhost:7443", front="localhost:7444", random=random, now=now)
        house = House(folder)
        keys = [SigningKey.generate(random) for _ in range(administrators)]
        genesis = propose(
            v1.Genesis(
                nonce=random(32),
                administrators=[key.public.to_message() for key in keys],
                policy=Policy(threshold=threshold, **policy).to_message(),
                directory_key=house.log_key().public.to_message(),
                origin=origin,
                ca_certificate=house.founding().ca_certificate,
                time=timestamp_of(now),
            )
        )
        for key in keys:
            genesis = add_signature(genesis, key)
        network = Network(
            administrators=keys,
            directory=house.log_key(),
            random=random,
            now=now,
            roster=apply(None, genesis),
            entries=[genesis],
        )
        network.tree.append(entry_leaf(genesis))
        return cls(folder=folder, clock=ManualClock(now), network=network)

    @property
    def ca(self) -> bytes:
        return self.network.roster.ca_certificate

    @property
    def directory(self) -> Directory:
        return self.listening.directory

    @contextlib.asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[Directory]:
        async with running(
            self.folder,
            clock=self.clock,
            listen_members="127.0.0.1:0",
            listen_front="127.0.0.1:0",
            **options,
        ) as listening:
            self.listening = listening
            try:
                yield listening.directory
            finally:
                for line in self.lines:
                    await line.close()
                self.lines.clear()
                for node in self.nodes.values():
                    node.line = None

    # -- the front --

    @contextlib.asynccontextmanager
    async def front(self) -> AsyncIterator[grpc.aio.Channel]:
        async with channel(self.listening.front, root=self.ca) as line:
            yield line

    async def found(self) -> bytes:
        async with self.front() as line:
            stub: Any = directory_pb2_grpc.AdministrationStub(line)
            with reaching("directory"):
                return bytes((await stub.Found(pb.FoundRequest(genesis=self.network.entries[0]), timeout=10)).network)

    def command(self, message: Any, *, by: int = 0, **changes: Any) -> v1.Signed:
        message.network = changes.get("network", self.network.roster.network)
        message.time.CopyFrom(timestamp_of(changes.get("time", self.clock.now())))
        message.nonce = self.network.random(16)
        return self.network.administrators[by].sign(message).to_message()

    async def administer(self, method: str, request: Any) -> Any:
        async with self.front() as line:
            with reaching("directory"):
                return await getattr(directory_pb2_grpc.AdministrationStub(line), method)(request, timeout=10)

    async def sign(self, entry: v1.Entry) -> pb.SignEntryResponse:
        answer: pb.SignEntryResponse = await self.administer("SignEntry", pb.SignEntryRequest(entry=entry))
        return answer

    async def append(self, entry: v1.Entry) -> None:
        """Bring an entry that is on paper already to the directory."""
        self.move(self.network.now - self.clock.now())
        assert (await self.sign(entry)).appended

    async def invite(
        self, name: str, number: str, *, secret: bytes = b"s" * 32, days: int = 14, secrecy: bool = True, by: int = 0
    ) -> bytes:
        invitation = self.network.random(16)
        message = v1.CreateInvitation(
            invitation=invitation,
            secret_digest=secret_digest(secret),
            legal_name=name,
            registration_number=number,
            bound_by_secrecy=secrecy,
            expire_time=timestamp_of(self.clock.now() + timedelta(days=days)),
        )
        request = pb.CreateInvitationRequest(command=self.command(message, by=by))
        await self.administer("CreateInvitation", request)
        return invitation

    def applicant(self, name: str, profile: bytes) -> Node:
        transport = TransportKey.generate()
        keys = self.network.new_member(name, profile)
        keys.transport_key_digest = transport.digest
        keys.card = self.card(keys, number=1)
        return Node(self, keys, transport)

    def card(self, keys: MemberKeys, *, number: int, **changes: Any) -> Signed:
        arguments: dict[str, Any] = {
            "network": self.network.roster.network,
            "member": keys.id,
            "number": number,
            "sealing_key": keys.sealing.public,
            "transport_key_digest": keys.transport_key_digest,
            "profile": keys.profile,
            "now": self.clock.now(),
        }
        return make_card(keys.identity, **{**arguments, **changes})

    def join_request(self, node: Node, invitation: bytes, *, secret: bytes = b"s" * 32, **changes: Any) -> Signed:
        body = v1.JoinRequest(
            network=self.network.roster.network,
            invitation=invitation,
            secret=secret,
            identity_key=node.keys.identity.public.to_message(),
            card=changes.get("card", node.keys.card).to_message(),
            profile=node.keys.profile,
            certificate_request=changes.get("csr") or node.transport.request(),
            time=timestamp_of(self.clock.now()),
        )
        signed: Signed = node.keys.identity.sign(body)
        return signed

    async def enrol(self, request: Signed) -> int:
        async with self.front() as line:
            stub: Any = directory_pb2_grpc.EnrolmentStub(line)
            with reaching("directory"):
                message = pb.EnrolmentRequest(join_request=request.to_message())
                return int((await stub.Request(message, timeout=10)).state)

    async def status(self, node: Node, *, key: SigningKey | None = None) -> pb.GetEnrolmentStatusResponse:
        query = v1.JoinStatusQuery(
            network=self.network.roster.network,
            member=node.keys.id,
            time=timestamp_of(self.clock.now()),
            nonce=self.network.random(16),
        )
        async with self.front() as line:
            stub: Any = directory_pb2_grpc.EnrolmentStub(line)
            with reaching("directory"):
                message = pb.GetEnrolmentStatusRequest(query=(key or node.keys.identity).sign(query).to_message())
                answer: pb.GetEnrolmentStatusResponse = await stub.GetStatus(message, timeout=10)
        return answer

    def admission(self, node: Node, profile: dict[str, Any], *, secrecy: bool = True) -> v1.MemberAdmitted:
        return v1.MemberAdmitted(
            **self.network.roster.head(node.keys.id, self.clock.now()),
            member=node.keys.id,
            identity_key=node.keys.identity.public.to_message(),
            registration=registration_digest(profile["legal_name"], profile["siret"]),
            bound_by_secrecy=secrecy,
        )

    async def join(self, name: str) -> Node:
        """All of it: invited, asked, admitted by as many as it takes, certified."""
        profile = profile_of(name, len(self.nodes))
        invitation = await self.invite(profile["legal_name"], profile["siret"])
        node = self.applicant(name, encoded(profile))
        await self.enrol(self.join_request(node, invitation))
        await self.append(self.network.append(self.network.signed_entry(self.admission(node, profile))))
        answer = await self.status(node)
        assert answer.state == pb.JOIN_STATE_ADMITTED
        node.certificate = answer.certificate
        self.network.members[name] = node.keys
        self.nodes[name] = node
        return node

    def move(self, by: timedelta) -> None:
        """Move the directory's clock, and the network's with it."""
        if by > timedelta(0):
            self.clock.advance(by)
        self.network.now = max(self.network.now, self.clock.now())


@contextlib.contextmanager
def refused(*reasons: str) -> Iterator[None]:
    """Whatever is inside ends with one of these reasons."""
    with pytest.raises(CordeeError) as caught:
        yield
    assert caught.value.reason in reasons, f"{caught.value!s} instead of {' or '.join(reasons)}"
