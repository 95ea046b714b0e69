"""A network for tests: real keys and signatures from a seed, entries that `apply` took, cards and checkpoints.

network = Network.found()                     # two administrators, both must sign
marseille = network.admit("Marseille")        # keys, card and profile of a member
network.suspend(marseille)
network.roster, network.tree, network.entries, network.checkpoint()
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message

from cordee.card import make_card
from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.entries import add_signature, entry_leaf, propose
from cordee.ids import Digest, MemberId
from cordee.log import MerkleTree
from cordee.members import Member, Roster, authority_digest, registration_digest
from cordee.policy import Policy
from cordee.roster import apply
from cordee.sealing import SealingKey
from cordee.signing import Signed, SigningKey, member_id_of
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1

ORIGIN = "cordee.example/test"
FOUNDED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def seeded_random(seed: str) -> Callable[[int], bytes]:
    """A source of bytes that gives the same ones for the same seed. For tests only."""
    return _Seeded(seed)


@dataclass
class _Seeded:
    """A copy of it goes on from the same place."""

    seed: str
    calls: int = 0

    def __call__(self, size: int) -> bytes:
        drawn = hashlib.shake_256(f"{self.seed}/{self.calls}".encode()).digest(size)
        self.calls += 1
        return drawn


def default_profile(name: str) -> bytes:
    """A stand-in for a member's profile: JSON with nothing but a name."""
    return json.dumps({"legal_name": name}, ensure_ascii=False).encode()


@dataclass
class MemberKeys:
    """What a member's node holds. `card` is its newest."""

    name: str
    id: MemberId
    identity: SigningKey
    sealing: SealingKey
    transport_key_digest: Digest
    profile: bytes
    card: Signed = field(init=False)
    announced: SigningKey | None = None
    """The key that is to replace `identity`."""


@dataclass
class Network:
    """A network whose log grows by the methods below. `now` moves by a minute for each entry."""

    administrators: list[SigningKey]
    directory: SigningKey
    random: Callable[[int], bytes]
    now: datetime
    roster: Roster
    entries: list[v1.Entry]
    members: dict[str, MemberKeys] = field(default_factory=dict)
    tree: MerkleTree = field(default_factory=MerkleTree)

    @classmethod
    def found(
        cls,
        administrators: int = 2,
        threshold: int = 2,
        seed: str = "réseau",
        now: datetime = FOUNDED,
        ca_certificate: bytes = b"a certificate",
        origin: str = ORIGIN,
        **policy: Any,
    ) -> Network:
        """A network of administrators alone. `policy` overrides the default limits (freshness_limit=…, …)."""
        random = seeded_random(seed)
        keys = [SigningKey.generate(random) for _ in range(administrators)]
        directory = SigningKey.generate(random)
        genesis = propose(
            v1.Genesis(
                nonce=random(32),
                administrators=[key.public.to_message() for key in keys],
                policy=Policy(threshold=threshold, **policy).to_message(),
                directory_key=directory.public.to_message(),
                origin=origin,
                ca_certificate=ca_certificate,
                time=timestamp_of(now),
            )
        )
        for key in keys:
            genesis = add_signature(genesis, key)
        network = cls(
            administrators=keys,
            directory=directory,
            random=random,
            now=now,
            roster=apply(None, genesis),
            entries=[genesis],
        )
        network.tree.append(entry_leaf(genesis))
        return network

    def copied(self) -> Network:
        """The same network, to go on with by itself: no key is made again, nothing is signed again."""
        return replace(
            self,
            administrators=list(self.administrators),
            random=copy.copy(self.random),
            entries=list(self.entries),
            members={name: copy.copy(member) for name, member in self.members.items()},
            tree=MerkleTree(entry_leaf(entry) for entry in self.entries),
        )

    # -- the log --

    def signed_entry(self, statement: Message, *signers: SigningKey) -> v1.Entry:
        """An entry signed by these keys, or by just as many administrators in force as the policy asks for."""
        entry = propose(statement)
        in_force = [key for key in self.administrators if key.public.key_id in self.roster.administrators]
        for key in signers or in_force[: self.roster.policy.threshold]:
            entry = add_signature(entry, key)
        return entry

    def append(self, entry: v1.Entry) -> v1.Entry:
        """Put an entry into the log; raises what `apply` raises, and then nothing has changed."""
        self.roster = apply(self.roster, entry)
        self.entries.append(entry)
        self.tree.append(entry_leaf(entry))
        self.now += timedelta(minutes=1)
        return entry

    def checkpoint(self, now: datetime | None = None, size: int | None = None) -> str:
        """The directory's signed note for the whole log, or for its first `size` entries."""
        size = self.tree.size if size is None else size
        moment = (now or self.now).replace(microsecond=0)
        checkpoint = Checkpoint(self.roster.origin, size, Digest(self.tree.root(size)), moment)
        return sign_checkpoint(checkpoint, self.directory)

    def tree_head(self, size: int | None = None) -> v1.TreeHead:
        """What offers and answers carry as their author's checkpoint."""
        size = self.tree.size if size is None else size
        return v1.TreeHead(size=size, root=self.tree.root(size))

    def root_at(self, size: int) -> bytes | None:
        """The root at a size, or None if the log is not that long."""
        return self.tree.root(size) if size <= self.tree.size else None

    # -- members --

    def new_member(self, name: str, profile: bytes | None = None, endpoint: str = "") -> MemberKeys:
        """Keys and card of an association that is not admitted yet."""
        identity, sealing = SigningKey.generate(self.random), SealingKey.generate(self.random)
        member = MemberKeys(
            name=name,
            id=member_id_of(identity.public),
            identity=identity,
            sealing=sealing,
            transport_key_digest=Digest(self.random(32)),
            profile=default_profile(name) if profile is None else profile,
        )
        member.card = self.new_card(member, number=1, endpoint=endpoint)
        return member

    def new_card(self, member: MemberKeys, *, number: int, endpoint: str = "", **changes: Any) -> Signed:
        """A card of the member's, from now on; it does not replace `member.card`."""
        arguments: dict[str, Any] = {
            "network": self.roster.network,
            "member": member.id,
            "number": number,
            "sealing_key": member.sealing.public,
            "transport_key_digest": member.transport_key_digest,
            "endpoint": endpoint,
            "profile": member.profile,
            "now": self.now,
        }
        return make_card(member.identity, **{**arguments, **changes})

    def admission(self, member: MemberKeys, *, bound_by_secrecy: bool = True) -> v1.MemberAdmitted:
        """The statement that admits a member."""
        return v1.MemberAdmitted(
            **self.roster.head(member.id, self.now),
            member=member.id,
            identity_key=member.identity.public.to_message(),
            registration=registration_digest(member.name, f"SIRET {member.name}"),
            bound_by_secrecy=bound_by_secrecy,
        )

    def admit(
        self, name: str, *, profile: bytes | None = None, bound_by_secrecy: bool = True, endpoint: str = ""
    ) -> MemberKeys:
        """A member of that name, admitted by as many administrators as it takes."""
        member = self.new_member(name, profile, endpoint)
        self.append(self.signed_entry(self.admission(member, bound_by_secrecy=bound_by_secrecy)))
        self.members[name] = member
        return member

    def member(self, member: MemberKeys) -> Member:
        """The member as the roster has it."""
        return self.roster.members[member.id]

    def suspend(self, member: MemberKeys) -> v1.Entry:
        """Suspend it."""
        return self._about(v1.MemberSuspended, member)

    def reinstate(self, member: MemberKeys) -> v1.Entry:
        """Bring it back from suspension."""
        return self._about(v1.MemberReinstated, member)

    def remove(self, member: MemberKeys) -> v1.Entry:
        """Remove it for good."""
        return self._about(v1.MemberRemoved, member)

    def correct(self, member: MemberKeys, name: str, *, bound_by_secrecy: bool = True) -> v1.Entry:
        """Another name for it, with a number of that name."""
        registration = registration_digest(name, f"SIRET {name}")
        return self._about(v1.MemberCorrected, member, registration=registration, bound_by_secrecy=bound_by_secrecy)

    def announce_recovery(self, member: MemberKeys, *, stolen: bool = False) -> v1.Entry:
        """Say that its identity key, lost or stolen, is to be replaced by a new one: `member.announced`."""
        member.announced = SigningKey.generate(self.random)
        reason = v1.RECOVERY_REASON_STOLEN if stolen else v1.RECOVERY_REASON_LOST
        key = member.announced.public.to_message()
        return self._about(v1.RecoveryAnnounced, member, identity_key=key, reason=reason)

    def object(self, member: MemberKeys) -> v1.Entry:
        """It still has its key, and says so: what was announced is void."""
        statement = v1.RecoveryObjected(**self.roster.head(member.id, self.now), member=member.id)
        member.announced = None
        return self.append(self.signed_entry(statement, member.identity))

    def revoke(self, member: MemberKeys) -> v1.Entry:
        """Its identity key counts no more, at once."""
        return self._about(v1.IdentityRevoked, member)

    def recover(self, member: MemberKeys) -> v1.Entry:
        """Give it the key that was announced (else it is announced now), once the delay is over; its card is new."""
        if member.announced is None and self.roster.policy.recovery_delay is not None:
            self.announce_recovery(member)
        waiting = self.member(member).recovery
        if waiting is not None:
            self.now = max(self.now, waiting.due)
        new = member.announced or SigningKey.generate(self.random)
        entry = self._about(v1.MemberRecovered, member, identity_key=new.public.to_message())
        member.announced = None
        return self._has_new_key(member, new, entry)

    def rotate(self, member: MemberKeys) -> v1.Entry:
        """It changes its identity key itself; its card is signed anew."""
        new = SigningKey.generate(self.random)
        statement = v1.IdentityRotated(
            **self.roster.head(member.id, self.now), member=member.id, identity_key=new.public.to_message()
        )
        entry = self.append(self.signed_entry(statement, member.identity, new))
        return self._has_new_key(member, new, entry)

    def restore(self, member: MemberKeys) -> v1.Entry:
        """Its node came back from a backup."""
        statement = v1.NodeRestored(
            **self.roster.head(member.id, self.now), member=member.id, incarnation=self.random(16)
        )
        return self.append(self.signed_entry(statement, member.identity))

    def _about(self, kind: type[Message], member: MemberKeys, **fields: Any) -> v1.Entry:
        return self.append(self.signed_entry(kind(**self.roster.head(member.id, self.now), member=member.id, **fields)))

    def _has_new_key(self, member: MemberKeys, new: SigningKey, entry: v1.Entry) -> v1.Entry:
        member.identity = new
        member.card = self.new_card(member, number=self._card_number(member) + 1)
        return entry

    def _card_number(self, member: MemberKeys) -> int:
        return v1.Card.FromString(member.card.body).number

    # -- government --

    def change_policy(self, **policy: Any) -> v1.Entry:
        """Another policy; what is not named is the default."""
        policy.setdefault("threshold", self.roster.policy.threshold)
        return self._govern(v1.PolicyChanged, policy=Policy(**policy).to_message())

    def add_administrator(self) -> SigningKey:
        """One administrator more."""
        key = SigningKey.generate(self.random)
        self._govern(v1.AdministratorAdded, key=key.public.to_message())
        self.administrators.append(key)
        return key

    def remove_administrator(self, key: SigningKey) -> v1.Entry:
        """One administrator less."""
        return self._govern(v1.AdministratorRemoved, administrator=key.public.key_id)

    def rotate_directory_key(self) -> v1.Entry:
        """The directory signs with another key from now on."""
        new = SigningKey.generate(self.random)
        entry = self._govern(v1.DirectoryKeyRotated, key=new.public.to_message())
        self.directory = new
        return entry

    def rotate_authority(self, certificate: bytes, *, overlap: timedelta = timedelta(days=120)) -> v1.Entry:
        """Another CA; the old one is trusted for the overlap."""
        digest, end = authority_digest(certificate), timestamp_of(self.now + overlap)
        return self._govern(v1.AuthorityRotated, certificate_digest=digest, old_end_time=end)

    def _govern(self, kind: type[Message], **fields: Any) -> v1.Entry:
        return self.append(self.signed_entry(kind(**self.roster.head(None, self.now), **fields)))
