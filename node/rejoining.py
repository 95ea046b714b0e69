"""Coming back into the network with the identity key alone: after a recovery, on a new machine or on the old one.

A node that cannot call in, for its card and transport key went with the old identity key, or its certificate ended
while it was away, asks at the directory's front, where a signed statement counts and no certificate. It makes its next
card itself. Nothing of what it knew is needed for that but its vault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, delete, select

from cordee.card import make_card
from cordee.errors import N_, BadSignature, InvalidRecord, NotFound, Unreachable
from cordee.ids import MemberId, NetworkId
from cordee.jsonform import parsed_json
from cordee.runtime.clock import Clock
from cordee.runtime.rpc_errors import reaching
from cordee.runtime.tls import TransportKey, channel, spki_digest
from cordee.sealing import SealingKey
from cordee.signing import SigningKey, SigningPublicKey
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2, directory_pb2_grpc, statements_pb2
from node import journal
from node.files import replace
from node.joining import CERTIFICATE, DATABASE, IDENTITY, MEMBER, NEXT_IDENTITY, VAULT, Membership, open_keys
from node.secrets import delete_secret, get_secret, put_secret
from node.store import table_of
from node.store.migrations import node_database
from node.store.roster import CardRow
from node.vault import Vault

__all__ = ["WayBack", "ask", "come_back", "next_key"]

_CARD = table_of(CardRow)
_FORMAT = "cordee way back 1"
_CALL_SECONDS = 30.0
_POLL_SECONDS = 30.0


@dataclass(frozen=True)
class WayBack:
    """What a new machine must know of the network that its association belongs to; nothing in it is secret."""

    membership: Membership
    member: MemberId

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what an administrator made (cordee admin recover --out). Raises: InvalidRecord."""
        try:
            plain = parsed_json(data)
            if plain["format"] != _FORMAT:
                raise ValueError("another format")
            return cls(
                Membership(
                    network=NetworkId(bytes.fromhex(plain["network"])),
                    members=str(plain["members"]),
                    front=str(plain["front"]),
                    ca_certificate=bytes.fromhex(plain["ca_certificate"]),
                ),
                MemberId(bytes.fromhex(plain["member"])),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidRecord(path=N_("way back"), problem=N_("it is no such file of Cordée")) from error


def next_key(data_dir: Path, *, passphrase: bytes, random: Callable[[int], bytes]) -> SigningPublicKey:
    """The identity key to be announced: of a node that never joined its own, else one that waits, made and kept.

    Raises: NotFound, VaultLocked.
    """
    vault = Vault.open(data_dir / VAULT, passphrase)
    with node_database(data_dir / DATABASE) as db:
        keys, _ = db.read_sync(lambda tx: open_keys(tx, vault))
        if not (data_dir / CERTIFICATE).exists():
            return keys.identity.public
        if keys.waiting is not None:
            return keys.waiting.public
        made = SigningKey.generate(random)
        db.write_sync(lambda tx: put_secret(tx, vault, NEXT_IDENTITY, made.seed))
        return made.public


async def come_back(
    data_dir: Path,
    *,
    passphrase: bytes,
    clock: Clock,
    random: Callable[[int], bytes],
    way: WayBack | None = None,
    profile: bytes | None = None,
    give_up_after: timedelta | None = None,
) -> MemberId:
    """Ask until the key is in force, then keep certificate and key. The node must not run meanwhile. Safe to repeat.

    `way` and `profile` are for a machine that knows nothing yet.

    Raises: BadSignature where the key is not in force (after `give_up_after`, or at once); NotFound for a missing
    `way` or `profile`; NotAMember, MemberIsSuspended, CardRefused, Unreachable.
    """
    membership = way.membership if way is not None else Membership.load(data_dir)
    vault = Vault.open(data_dir / VAULT, passphrase)
    ends = clock.now() + give_up_after if give_up_after else None
    with node_database(data_dir / DATABASE) as db:
        keys, transport = db.read_sync(lambda tx: open_keys(tx, vault))
        member = way.member if way is not None else keys.member
        told = profile if profile is not None else db.read_sync(lambda tx: _profile(tx, vault, member))

        async def attempt(key: SigningKey) -> bool:
            now, sealing = clock.now(), SealingKey.generate(random)
            number = int(now.timestamp())  # above any that this member counted up to, and above every earlier attempt
            db.write_sync(lambda tx: put_secret(tx, vault, f"sealing.{number}", sealing.seed))
            card: dict[str, Any] = {"number": number, "profile": told, "now": now, "nonce": random(16)}
            try:
                certificate = await ask(membership, member, key, transport, sealing, **card)
            except BadSignature:
                db.write_sync(lambda tx: delete_secret(tx, f"sealing.{number}"))
                return False
            db.write_sync(lambda tx: _take_up(tx, vault, member, key, told, now))
            membership.save(data_dir)
            replace(data_dir / CERTIFICATE, certificate)
            return True

        while True:
            for key in (keys.waiting, keys.identity):
                if key is not None and await attempt(key):
                    return member
            if ends is None or clock.now() >= ends:
                raise BadSignature(what=N_("RejoinRequest"))
            await clock.sleep(_POLL_SECONDS)


async def ask(
    membership: Membership,
    member: MemberId,
    identity: SigningKey,
    transport: TransportKey,
    sealing: SealingKey,
    *,
    number: int,
    profile: bytes,
    now: datetime,
    nonce: bytes,
    endpoint: str = "",
) -> bytes:
    """Publish a card and get a certificate (DER), at the front. Raises: what the directory answers; Unreachable."""
    card = make_card(
        identity,
        network=membership.network,
        member=member,
        number=number,
        sealing_key=sealing.public,
        transport_key_digest=transport.digest,
        endpoint=endpoint,
        profile=profile,
        now=now,
    )
    request = statements_pb2.RejoinRequest(
        network=membership.network,
        member=member,
        card=card.to_message(),
        profile=profile,
        certificate_request=transport.request(),
        time=timestamp_of(now),
        nonce=nonce,
    )
    message = directory_pb2.RejoinEnrolmentRequest(request=identity.sign(request).to_message())
    async with channel(membership.front, root=membership.ca_certificate) as line:
        with reaching(N_("The directory")):
            answer = await directory_pb2_grpc.EnrolmentStub(line).Rejoin(message, timeout=_CALL_SECONDS)
    if spki_digest(answer.certificate) != transport.digest:
        raise Unreachable(peer=N_("The directory"))
    return bytes(answer.certificate)


def _profile(tx: Connection, vault: Vault, member: MemberId) -> bytes:
    shown = tx.execute(select(_CARD.c.profile).where(_CARD.c.member == bytes(member))).scalar()
    found = shown or get_secret(tx, vault, "profile")
    if found is None:
        raise NotFound(what=N_("profile"))
    return bytes(found)


def _take_up(tx: Connection, vault: Vault, member: MemberId, key: SigningKey, profile: bytes, now: datetime) -> None:
    put_secret(tx, vault, MEMBER, bytes(member))
    put_secret(tx, vault, IDENTITY, key.seed)
    put_secret(tx, vault, "profile", profile)
    delete_secret(tx, NEXT_IDENTITY)
    tx.execute(delete(_CARD).where(_CARD.c.member == bytes(member)))  # the next look at the roster brings the new one
    facts = {"key": key.public.key_id.hex()}
    journal.append(tx, now=now, actor="node", action="identity.in_force", subject="", facts=facts)
