"""The parts of a network that lives for years in one process: its directory, its office, its associations.

Real directory rooms and real node-side roster code over real SQLite files; what stands between them is a function
call instead of a socket. Who calls is asked of the directory's cards at each call, as its listener does.
"""

from __future__ import annotations

import copy
import json
import random as dice
import shutil
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cordee.card import make_card
from cordee.entries import add_signature, propose
from cordee.errors import CordeeError, Unreachable
from cordee.ids import MemberId
from cordee.invitation import secret_digest
from cordee.members import authority_digest, registration_digest
from cordee.policy import Policy
from cordee.runtime.clock import ManualClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.tls import TransportKey
from cordee.sealing import SealingKey
from cordee.signing import Signed, SigningKey, member_id_of
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.app import Directory, opened
from directory.house import House, initialise
from directory.maintenance import save
from node.giving_back import GivingBack
from node.house import Keys
from node.roster_sync import RosterSync
from node.store.migrations import node_database
from tests.builders import seeded_random
from tests.directory.town import SAMPLES
from tests.journeys.years_model import Model

CARD_AGE = timedelta(days=60)  # two thirds of a card's life, as nodes renew it


@dataclass
class Line:
    """One node's line to the directory."""

    country: Country
    transport: Callable[[], TransportKey]
    restored: int = 0

    async def _caller(self) -> MemberId:
        if self.country.dark:
            raise Unreachable(peer="directory")
        return await self.country.directory.cards.resolve(self.transport().digest)

    async def entries(self, *, start: int) -> AsyncIterator[v1.Entry]:
        await self._caller()
        async for entry in self.country.directory.rosters.entries(start):
            yield entry

    async def checkpoint(self) -> str:
        await self._caller()
        last = self.country.directory.restorations.last
        self.restored = 0 if last is None else timestamp_of(last.at).ToMicroseconds()
        return self.country.directory.rosters.checkpoint

    async def cards(self, *, after_revision: int) -> AsyncIterator[pb.ListCardsResponse]:
        await self._caller()
        async for each in self.country.directory.cards.after(after_revision):
            yield pb.ListCardsResponse(revision=each.revision, card=each.card.to_message(), profile=each.profile)

    async def publish_card(self, card: Signed, profile: bytes) -> None:
        caller = await self._caller()
        await self.country.directory.cards.publish(caller, card, profile)

    async def append(self, entry: v1.Entry) -> int:
        """Only about the caller itself, as the servicer has it."""
        caller = await self._caller()
        statement: Any = getattr(v1, entry.type.rpartition(".")[2]).FromString(entry.body)
        assert MemberId(statement.member) == caller
        return await self.country.directory.rosters.append(entry)

    async def renew_certificate(self, request: bytes) -> bytes:
        return await self.country.directory.membership.renew(await self._caller(), request)

    async def give_back(self, parts: AsyncGenerator[pb.GiveBackRequest, None]) -> pb.GiveBackResponse:
        """The front: nobody is asked who he is."""
        if self.country.dark:
            raise Unreachable(peer="directory")
        taken = await self.country.directory.recovery.take(parts)
        return pb.GiveBackResponse(entries=taken.entries, cards=taken.cards)


@dataclass(eq=False)
class Association:
    """One member: its keys, its card, its node's own copy of the roster."""

    country: Country
    name: str
    folder: Path
    profile: dict[str, Any]
    keys: Keys
    transport: TransportKey
    number: int = 1
    card_since: Any = None
    card_by: Any = None  # the identity key that signed it
    outside: bool = False  # its identity key is lost or stolen: its node does not call
    rotations: int = 0
    transports: int = 0
    announced: SigningKey | None = None  # the key that administrators have announced for it
    roster: RosterSync = field(init=False)
    _ends: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.id = member_id_of(self.keys.identity.public)
        self.keys.named = self.id
        self.card_by = self.keys.identity
        self.line = Line(self.country, lambda: self.transport)

    @property
    def identity(self) -> SigningKey:
        return self.keys.identity

    @property
    def card_is_old(self) -> bool:
        return self.card_by is not self.identity or self.country.clock.now() - self.card_since >= CARD_AGE

    @property
    def profile_bytes(self) -> bytes:
        return json.dumps(self.profile, ensure_ascii=False).encode()

    def card(self, number: int) -> Signed:
        return make_card(
            self.identity,
            network=self.country.network,
            member=self.id,
            number=number,
            sealing_key=self.keys.sealing[number].public,
            transport_key_digest=self.transport.digest,
            profile=self.profile_bytes,
            now=self.country.clock.now(),
        )

    # ---- its node ----

    async def start(self) -> None:
        """Open its database and replay what it holds; at a restart as at the first start."""
        await self.stop()
        db = self._ends.enter_context(node_database(self.folder / "node.db"))
        clock = self.country.clock
        network, line = self.country.network, self.line
        self.roster = RosterSync(db, network=network, member=self.id, client=line, clock=clock, keys=self.keys)  # type: ignore[arg-type]
        house: Any = SimpleNamespace(roster=self.roster, clock=clock, member=self.id, db=db, keys=self.keys)
        self.giving_back = GivingBack(house, self.line, self.line)  # type: ignore[arg-type]
        self.giving_back.come_in = self.come_in
        self.roster.followed.append(self.giving_back.cards)
        await self.roster.load()

    async def stop(self) -> None:
        await self._ends.aclose()
        self._ends = AsyncExitStack()

    async def follow(self) -> str:
        """Look at the roster as its listener does. The reason why it could not, or nothing."""
        try:
            await self.roster.sync()
        except CordeeError as ended:
            await self.giving_back.after(ended)
            return ended.reason
        return ""

    # ---- what it does by itself ----

    async def publish(self) -> None:
        """A card more: another sealing key, each third time another transport key, and what its profile says now."""
        before, new_transport = self.transport, self.transports < self.number // 3
        self.keys.sealing = {self.number + 1: SealingKey.generate(self.country.bytes)}
        if new_transport:
            self.transport = TransportKey.generate()
        card = self.card(self.number + 1)
        self.transport, after = before, self.transport
        await self.line.publish_card(card, self.profile_bytes)
        self.transport = after
        self.number += 1
        self.card_by = self.identity
        self.transports += new_transport
        self.card_since = self.country.clock.now()
        self.country.model.published(self.id)
        await self.line.renew_certificate(self.transport.request())
        assert await self.follow() == ""  # its node looks at once, and so holds its own newest card

    async def come_in(self) -> None:
        """By its identity key alone, at the front: with a new card and another transport key."""
        self.transport = TransportKey.generate()
        self.number += 1
        self.keys.sealing = {self.number: SealingKey.generate(self.country.bytes)}
        request = v1.RejoinRequest(
            network=self.country.network,
            member=self.id,
            card=self.card(self.number).to_message(),
            profile=self.profile_bytes,
            certificate_request=self.transport.request(),
            time=timestamp_of(self.country.clock.now()),
            nonce=self.country.bytes(16),
        )
        certificate, _ = await self.country.directory.membership.rejoin(self.identity.sign(request))
        assert certificate
        self.card_by, self.card_since = self.identity, self.country.clock.now()
        self.transports += 1
        self.country.model.published(self.id)

    async def rotate_identity(self) -> None:
        """Signed with the old key and the new one, by its own line. The next card is signed with the new one."""
        new = self.keys.waiting = SigningKey.generate(self.country.bytes)
        statement = v1.IdentityRotated(**self.head(), member=self.id, identity_key=new.public.to_message())
        entry = add_signature(add_signature(propose(statement), self.identity), new)
        await self.line.append(entry)
        self.keys.identity, self.keys.waiting = new, None
        self.rotations += 1
        self.country.model.has_new_key(self.id, new.public.key_id)

    async def object(self) -> None:
        """It still has its key: what administrators have announced is void."""
        statement = v1.RecoveryObjected(**self.head(), member=self.id)
        await self.line.append(add_signature(propose(statement), self.identity))
        self.country.model.objected(self.id)
        self.announced = None

    async def restore(self) -> None:
        """Its node came back from a backup."""
        incarnation = self.country.bytes(16)
        statement = v1.NodeRestored(**self.head(), member=self.id, incarnation=incarnation)
        await self.line.append(add_signature(propose(statement), self.identity))
        self.country.model.restored(self.id, incarnation)

    def head(self) -> Any:
        return self.country.head(self.id)


@dataclass
class Country:
    """The network, its directory and its office, and the time."""

    folder: Path
    seed: str
    clock: ManualClock
    model: Model = field(init=False)
    directory: Directory = field(init=False)
    administrators: dict[str, SigningKey] = field(default_factory=dict)
    associations: list[Association] = field(default_factory=list)
    dark: bool = False  # the directory is down
    told: list[str] = field(default_factory=list)
    """What happened, one line each: printed when something is not as it should be."""
    _ends: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.dice = dice.Random(self.seed)  # chooses what happens; keys come from `bytes`
        self.bytes = seeded_random(self.seed)
        self.house = House(self.folder / "directory")

    def tell(self, what: str) -> None:
        self.told.append(f"{self.clock.now():%Y-%m-%d} {what}")

    @property
    def present(self) -> list[Association]:
        """Those that are active, and whose node can call."""
        active = set(self.model.present())
        return [each for each in self.associations if each.id in active and not each.outside]

    # ---- the directory ----

    async def found(self, *names: str, threshold: int) -> None:
        addresses = {"members": "localhost:7443", "front": "localhost:7444"}
        now = self.clock.now()
        initialise(self.house.folder, origin="cordee.example/years", random=self.bytes, now=now, **addresses)
        for name in names:
            self.administrators[name] = SigningKey.generate(self.bytes)
        log_key = self.house.log_key().public
        statement = v1.Genesis(
            nonce=self.bytes(32),
            administrators=[key.public.to_message() for key in self.administrators.values()],
            policy=Policy(threshold=threshold).to_message(),
            directory_key=log_key.to_message(),
            origin="cordee.example/years",
            ca_certificate=self.house.founding().ca_certificate,
            time=timestamp_of(now),
        )
        genesis = propose(statement)
        for key in self.administrators.values():
            genesis = add_signature(genesis, key)
        await self.open()
        await self.directory.rosters.found(genesis)
        self.network = self.directory.rosters.roster.network
        keys = {key.public.key_id for key in self.administrators.values()}
        ca = authority_digest(self.house.founding().ca_certificate)
        self.model = Model(set(keys), threshold, 24, log_key.key_id, ca)

    async def open(self) -> None:
        self.directory = await self._ends.enter_async_context(
            opened(self.house.folder, clock=self.clock, crashpoints=Crashpoints())
        )

    async def close(self) -> None:
        await self._ends.aclose()
        self._ends = AsyncExitStack()

    async def restart(self) -> None:
        await self.close()
        await self.open()

    def back_up(self, name: str) -> Path:
        target = self.folder / name
        save(self.house.folder, target, with_keys=False)
        return target

    async def restore(self, backup: Path) -> None:
        """The disk is lost; what was signed last, and the keys, are not."""
        await self.close()
        for each in self.house.folder.glob("directory.db*"):
            each.unlink()
        shutil.copy(backup / "directory.db", self.house.database)
        await self.open()

    def head(self, member: MemberId | None) -> Any:
        return self.directory.rosters.roster.head(member, self.clock.now())

    # ---- the office ----

    async def sign(self, statement: Any, *, by: list[str] | None = None) -> bool:
        """One administrator after the other signs it, until it is in the log. Whether it got there."""
        names = by or self.dice.sample(sorted(self.administrators), self.model.threshold)
        appended = False
        entry = propose(statement)
        for name in names:
            appended = (await self.directory.governance.sign(add_signature(entry, self.administrators[name]))).appended
        return appended

    def command(self, message: Any) -> Signed:
        message.network = self.network
        message.time.CopyFrom(timestamp_of(self.clock.now()))
        message.nonce = self.bytes(16)
        name = self.dice.choice(sorted(self.administrators))
        return self.administrators[name].sign(message)

    async def join(self, name: str) -> Association:
        """Invited, asked, compared, admitted, certified, started."""
        profile = profile_of(name, len(self.associations), self.dice)
        secrecy = bool(profile["professional_secrecy"]["bound"])
        secret = self.bytes(32)
        invitation = v1.CreateInvitation(
            invitation=self.bytes(16),
            secret_digest=secret_digest(secret),
            legal_name=profile["legal_name"],
            registration_number=profile["siret"],
            bound_by_secrecy=secrecy,
            expire_time=timestamp_of(self.clock.now() + timedelta(days=14)),
        )
        checked = self.directory.commands.check(self.command(invitation).to_message(), v1.CreateInvitation)
        await self.directory.membership.invite(*checked)
        folder = self.folder / name
        folder.mkdir()
        made = Association(
            country=self,
            name=name,
            folder=folder,
            profile=profile,
            keys=Keys(SigningKey.generate(self.bytes), {1: SealingKey.generate(self.bytes)}),
            transport=TransportKey.generate(),
        )
        request = v1.JoinRequest(
            network=self.network,
            invitation=invitation.invitation,
            secret=secret,
            identity_key=made.identity.public.to_message(),
            card=made.card(1).to_message(),
            profile=made.profile_bytes,
            certificate_request=made.transport.request(),
            time=timestamp_of(self.clock.now()),
        )
        await self.directory.membership.request(made.identity.sign(request))
        statement = v1.MemberAdmitted(
            **self.head(made.id),
            member=made.id,
            identity_key=made.identity.public.to_message(),
            registration=registration_digest(profile["legal_name"], profile["siret"]),
            bound_by_secrecy=secrecy,
        )
        assert await self.sign(statement)
        self.model.admitted(made.id, key=made.identity.public.key_id, name=profile["legal_name"], secrecy=secrecy)
        query = v1.JoinStatusQuery(
            network=self.network, member=made.id, time=timestamp_of(self.clock.now()), nonce=self.bytes(16)
        )
        assert (await self.directory.membership.status(made.identity.sign(query))).certificate
        made.card_since = self.clock.now()
        self.associations.append(made)
        await made.start()
        assert await made.follow() == ""
        return made

    async def about(self, kind: Any, association: Association, **fields: Any) -> bool:
        return await self.sign(kind(**self.head(association.id), member=association.id, **fields))

    async def govern(self, kind: Any, **fields: Any) -> bool:
        return await self.sign(kind(**self.head(None), **fields))


def profile_of(name: str, number: int, chance: dice.Random) -> dict[str, Any]:
    """A whole profile under a name and an id of its own."""
    profile: dict[str, Any] = copy.deepcopy(SAMPLES[number % len(SAMPLES)])
    for told_elsewhere in ("node", "membership"):
        del profile[told_elsewhere]
    profile |= {"legal_name": f"Association {name}", "display_name": name}
    profile["org_id"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return profile


__all__ = ["CARD_AGE", "Association", "Country", "Line"]
