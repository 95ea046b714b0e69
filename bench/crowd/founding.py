"""A founded directory's folder with many members, each with its keys and certificate; made without a network."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from google.protobuf.message import Message

from cordee.card import make_card
from cordee.entries import add_signature, propose
from cordee.ids import MemberId, NetworkId
from cordee.invitation import secret_digest
from cordee.members import Roster, registration_digest
from cordee.policy import Policy
from cordee.roster import apply
from cordee.runtime.clock import SystemClock
from cordee.runtime.tls import TransportKey
from cordee.sealing import SealingKey
from cordee.signing import Signed, SigningKey, member_id_of
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from directory.app import Directory, opened
from directory.house import House, initialise
from node.demo import cases as demo

__all__ = ["Founded", "Secrets", "found"]

_ADMINISTRATORS = 2
_AT_ONCE = 32


@dataclass(frozen=True)
class Secrets:
    """All that one member's node needs to call and to decide."""

    identity: SigningKey
    sealing: SealingKey
    transport: TransportKey
    certificate: bytes  # DER
    card: bytes  # Signed
    profile: bytes

    @property
    def member(self) -> MemberId:
        """Its id."""
        return member_id_of(self.identity.public)

    def to_plain(self) -> dict[str, str]:
        """For the file that the processes of the nodes read."""
        return {
            "identity": self.identity.seed.hex(),
            "sealing": self.sealing.seed.hex(),
            "transport": self.transport.pem.decode("ascii"),
            "certificate": self.certificate.hex(),
            "card": self.card.hex(),
            "profile": self.profile.hex(),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, str]) -> Self:
        """What `to_plain` gave."""
        return cls(
            identity=SigningKey.from_seed(bytes.fromhex(plain["identity"])),
            sealing=SealingKey.from_seed(bytes.fromhex(plain["sealing"])),
            transport=TransportKey.from_pem(plain["transport"].encode("ascii")),
            certificate=bytes.fromhex(plain["certificate"]),
            card=bytes.fromhex(plain["card"]),
            profile=bytes.fromhex(plain["profile"]),
        )


@dataclass(frozen=True)
class Founded:
    """The network as it was founded. Its members' secrets lie in the file `members.json`."""

    folder: Path
    administrators: Sequence[SigningKey]
    roster: Roster
    members: Sequence[Secrets]

    @property
    def directory(self) -> Path:
        """The directory's data folder."""
        return self.folder / "directory"

    @property
    def network(self) -> NetworkId:
        """Its id."""
        return self.roster.network

    def signed(self, statement: Message) -> v1.Entry:
        """An entry with every administrator's signature."""
        entry = propose(statement)
        for key in self.administrators:
            entry = add_signature(entry, key)
        return entry


def found(folder: Path, count: int) -> Founded:
    """Make it, in a folder that is there."""
    return asyncio.run(_found(folder, count))


async def _found(folder: Path, count: int) -> Founded:
    now = SystemClock().now()
    place = folder / "directory"
    initialise(
        place,
        origin="crowd.invalid/roster",
        members="localhost:7443",
        front="localhost:7444",
        random=os.urandom,
        now=now,
    )
    house = House(place)
    keys = [SigningKey.generate(os.urandom) for _ in range(_ADMINISTRATORS)]
    genesis = propose(
        v1.Genesis(
            nonce=os.urandom(32),
            administrators=[key.public.to_message() for key in keys],
            policy=Policy(threshold=_ADMINISTRATORS).to_message(),
            directory_key=house.log_key().public.to_message(),
            origin=house.founding().origin,
            ca_certificate=house.founding().ca_certificate,
            time=timestamp_of(now),
        )
    )
    for key in keys:
        genesis = add_signature(genesis, key)
    roster = apply(None, genesis)
    made = Founded(folder, keys, roster, ())
    applicants = [_applicant(made, number, now) for number in range(count)]
    async with opened(place, clock=SystemClock()) as directory:
        await directory.rosters.found(genesis)
        places = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(each.ask(directory, keys[0], places) for each in applicants))
        for each in applicants:
            await directory.rosters.append(made.signed(each.admission(roster)))
        members = [await each.admitted(directory) for each in applicants]
        made = Founded(folder, keys, directory.rosters.roster, members)
    (folder / "members.json").write_text(json.dumps([each.to_plain() for each in members]), encoding="ascii")
    return made


@dataclass(frozen=True)
class _Applicant:
    """One association on its way in."""

    network: NetworkId
    now: datetime
    profile: dict[str, Any]
    identity: SigningKey
    sealing: SealingKey
    transport: TransportKey
    card: Signed

    @property
    def member(self) -> MemberId:
        return member_id_of(self.identity.public)

    @property
    def written(self) -> bytes:
        return json.dumps(self.profile, ensure_ascii=False).encode()

    async def ask(self, directory: Directory, administrator: SigningKey, places: asyncio.Semaphore) -> None:
        """Be invited, and ask to join."""
        invitation, secret = os.urandom(16), os.urandom(32)
        now = timestamp_of(self.now)
        command = v1.CreateInvitation(
            network=self.network,
            time=now,
            nonce=os.urandom(16),
            invitation=invitation,
            secret_digest=secret_digest(secret),
            legal_name=self.profile["legal_name"],
            registration_number=self.profile["siret"],
            bound_by_secrecy=True,
            expire_time=timestamp_of(self.now + timedelta(days=14)),
        )
        request = v1.JoinRequest(
            network=self.network,
            time=now,
            invitation=invitation,
            secret=secret,
            identity_key=self.identity.public.to_message(),
            card=self.card.to_message(),
            profile=self.written,
            certificate_request=self.transport.request(),
        )
        async with places:
            await directory.membership.invite(command, administrator.sign(command))
            await directory.membership.request(self.identity.sign(request))

    def admission(self, roster: Roster) -> v1.MemberAdmitted:
        """What administrators sign once they have compared the words."""
        return v1.MemberAdmitted(
            **roster.head(self.member, self.now),
            member=self.member,
            identity_key=self.identity.public.to_message(),
            registration=registration_digest(self.profile["legal_name"], self.profile["siret"]),
            bound_by_secrecy=True,
        )

    async def admitted(self, directory: Directory) -> Secrets:
        """With its certificate."""
        return Secrets(
            identity=self.identity,
            sealing=self.sealing,
            transport=self.transport,
            certificate=await directory.membership.renew(self.member, self.transport.request()),
            card=self.card.to_bytes(),
            profile=self.written,
        )


def _applicant(made: Founded, number: int, now: datetime) -> _Applicant:
    profile = copy.deepcopy(next(iter(demo.profiles(now=now).values())))
    name = f"Association {number}"
    profile |= {"legal_name": name, "display_name": name, "org_id": str(uuid.uuid4())}
    identity, sealing, transport = (
        SigningKey.generate(os.urandom),
        SealingKey.generate(os.urandom),
        TransportKey.generate(),
    )
    card = make_card(
        identity,
        network=made.network,
        member=member_id_of(identity.public),
        number=1,
        sealing_key=sealing.public,
        transport_key_digest=transport.digest,
        profile=json.dumps(profile, ensure_ascii=False).encode(),
        now=now,
    )
    return _Applicant(made.network, now, profile, identity, sealing, transport, card)
