"""Becoming a member: make the keys, ask, compare six words, be admitted (protocol §4, joining).

Each step is kept before the next begins, so that a node that was cut off goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError
from sqlalchemy import Connection

from cordee.card import make_card
from cordee.errors import (
    N_,
    AlreadyExists,
    CordeeError,
    InvalidInput,
    InvalidRecord,
    JoinRefused,
    NotFound,
    Unreachable,
)
from cordee.ids import MemberId, NetworkId
from cordee.invitation import Invitation
from cordee.joining import Progress
from cordee.practice import require_kind
from cordee.profile import Profile
from cordee.roster import registration_digest
from cordee.runtime.clock import Clock
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.runtime.tls import TransportKey, channel, spki_digest
from cordee.sealing import SealingKey
from cordee.signing import MAX_SIGNED, Signed, SigningKey, SigningPublicKey, member_id_of, parse_body
from cordee.v1 import directory_pb2, directory_pb2_grpc, statements_pb2
from cordee.words import six_words
from node import journal
from node.files import private_folder, replace
from node.house import Keys
from node.secrets import get_secret, put_secret, secret_names
from node.store.migrations import node_database
from node.vault import FILE, Vault

__all__ = ["Membership", "initialise", "last_known", "open_keys", "request", "status", "wait"]

DATABASE = "node.db"
VAULT = FILE
_UNUSED = f".{VAULT}.unused"
MEMBERSHIP = "membership.json"
CERTIFICATE = "certificate.der"
PROGRESS = "joining.json"
"""What the directory told last of the request to join; nothing in it is secret."""

IDENTITY, NEXT_IDENTITY, MEMBER = "identity", "identity.next", "member"  # names of secrets

_POLL_SECONDS = 2.0
_CALL_SECONDS = 30.0


@dataclass(frozen=True)
class Membership:
    """Where the node belongs: nothing in it is secret. Kept beside the database."""

    network: NetworkId
    members: str  # host:port
    front: str  # host:port
    ca_certificate: bytes  # DER; several while a CA is exchanged, a bundle

    @classmethod
    def load(cls, data_dir: Path) -> Membership:
        """Raises NotFound before the node has asked to join."""
        try:
            plain = json.loads((data_dir / MEMBERSHIP).read_bytes())
        except FileNotFoundError as absent:
            raise NotFound(what=N_("membership")) from absent
        return cls(
            network=NetworkId(bytes.fromhex(plain["network"])),
            members=plain["members"],
            front=plain["front"],
            ca_certificate=bytes.fromhex(plain["ca_certificate"]),
        )

    def save(self, data_dir: Path) -> None:
        """Durably, in the place of an earlier one."""
        plain = {
            "network": self.network.hex(),
            "members": self.members,
            "front": self.front,
            "ca_certificate": self.ca_certificate.hex(),
        }
        replace(data_dir / MEMBERSHIP, json.dumps(plain, indent=1).encode())


def initialise(data_dir: Path, *, passphrase: bytes, random: Callable[[int], bytes], clock: Clock) -> SigningPublicKey:
    """Make a node's house: vault, database, keys. The public identity key is returned.

    What an attempt that was cut off has left is made anew. Raises: AlreadyExists where there is a node; nothing of it
    is touched.
    """
    private_folder(data_dir)
    if (data_dir / VAULT).exists():
        if not _half_made(data_dir):
            raise AlreadyExists(what=N_("node"))
        (data_dir / VAULT).replace(data_dir / _UNUSED)
    vault = Vault.create(data_dir / VAULT, passphrase, random=random)
    identity = SigningKey.generate(random)
    sealing = SealingKey.generate(random)
    transport = TransportKey.generate()

    def keep(tx: Connection) -> None:
        put_secret(tx, vault, "identity", identity.seed)
        put_secret(tx, vault, "sealing.1", sealing.seed)
        put_secret(tx, vault, "transport", transport.pem)
        journal.append(tx, now=clock.now(), actor="node", action="node.initialised", subject="")

    with node_database(data_dir / DATABASE) as db:
        db.write_sync(keep)
    return identity.public


def _half_made(data_dir: Path) -> bool:
    """Whether the power went between the vault and the keys: the vault then opens nothing, and nobody has used it."""
    database = {DATABASE + suffix for suffix in ("", "-wal", "-shm", "-journal")}
    kept = {path.name for path in data_dir.iterdir()}
    if not kept <= {VAULT, _UNUSED, f".{VAULT}.draft"} | database:
        return False
    if DATABASE not in kept:
        return True
    with contextlib.closing(sqlite3.connect(data_dir / DATABASE, timeout=5)) as connection:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'secret'").fetchone()
        return not made or not connection.execute("SELECT 1 FROM secret LIMIT 1").fetchone()


def open_keys(tx: Connection, vault: Vault) -> tuple[Keys, TransportKey]:
    """The node's keys, from the vault. Raises NotFound where the node was never initialised."""
    seed = get_secret(tx, vault, "identity")
    transport = get_secret(tx, vault, "transport")
    if seed is None or transport is None:
        raise NotFound(what=N_("node"))
    sealing = {
        int(name.rpartition(".")[2]): SealingKey.from_seed(get_secret(tx, vault, name) or b"")
        for name in secret_names(tx, prefix="sealing.")  # older ones are deleted, so the numbers have gaps
    }
    waiting, named = get_secret(tx, vault, NEXT_IDENTITY), get_secret(tx, vault, MEMBER)
    keys = Keys(
        identity=SigningKey.from_seed(seed),
        sealing=sealing,
        waiting=SigningKey.from_seed(waiting) if waiting else None,
        named=MemberId(named) if named else None,
    )
    return keys, TransportKey.from_pem(transport)


async def request(
    data_dir: Path,
    *,
    passphrase: bytes,
    invitation: bytes,
    profile: bytes,
    clock: Clock,
    random: Callable[[int], bytes],
    practice: bool = False,
    again: bool = False,
) -> list[str]:
    """Ask to join with the bytes of the invitation and of the profile. Safe to repeat.

    After a refusal another profile is asked with anew, and with `again` the same one. The six words of this node's key
    are returned, to be compared by telephone. `practice` is for practice alone: no command and no setting of a real
    node gives it.

    Raises: InvalidRecord for the invitation or the profile; InvalidInput for another profile than that of a request
    that waits; PracticeNetwork, RealNetwork before anything is kept or sent; JoinRefused, Unreachable.
    """
    invited = Invitation.parse(invitation)
    require_kind(invited.practice, practice=practice)
    Profile.parse(profile, registration_digest(invited.legal_name, invited.registration_number))
    if invited.expires <= clock.now():
        raise InvalidRecord(path="invitation.expires", problem=N_("it ended on {day}"), day=invited.expires.date())
    vault = Vault.open(data_dir / VAULT, passphrase)
    with node_database(data_dir / DATABASE) as db:
        keys, transport = db.read_sync(lambda tx: open_keys(tx, vault))
        kept = db.read_sync(lambda tx: get_secret(tx, vault, f"join.{invited.invitation.hex()}"))
    if kept is not None and (again or _profile_in(kept) != profile):
        # What was sent stands, unless it was refused: then what was put right is asked for anew.
        if await _waits(invited, keys.identity, clock, random):
            raise InvalidInput(field="--profile", problem=N_("a request with this invitation waits, or was granted"))
        kept = None
    if kept is None:
        kept = _join_request(invited, keys, transport, profile, clock.now()).to_bytes()
        with node_database(data_dir / DATABASE) as db:
            db.write_sync(partial(_keep_request, vault=vault, invited=invited, request=kept, profile=profile))
    Membership(invited.network, invited.members, invited.front, invited.ca_certificate).save(data_dir)
    async with channel(invited.front, root=invited.ca_certificate) as line:
        stub = directory_pb2_grpc.EnrolmentStub(line)
        message = directory_pb2.EnrolmentRequest(join_request=Signed.from_bytes(kept).to_message())
        try:
            await stub.Request(message, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        with contextlib.suppress(CordeeError):  # it was sent: how it stands can be asked again
            answer = await _ask(stub, keys.identity, invited.network, clock, random)
            _noted(data_dir, answer, member_id_of(keys.identity.public), clock.now())
    return six_words(keys.identity.public)


def _profile_in(request: bytes) -> bytes:
    signed = Signed.from_bytes(request)
    return parse_body(signed, statements_pb2.JoinRequest, max_size=MAX_SIGNED).profile


def _keep_request(tx: Connection, *, vault: Vault, invited: Invitation, request: bytes, profile: bytes) -> None:
    """Kept before it is sent: the invitation works once, and the same bytes may be sent again."""
    put_secret(tx, vault, f"join.{invited.invitation.hex()}", request)
    put_secret(tx, vault, "profile", profile)


def _join_request(
    invited: Invitation,
    keys: Keys,
    transport: TransportKey,
    profile: bytes,
    now: datetime,
) -> Signed:
    member = member_id_of(keys.identity.public)
    card = make_card(
        keys.identity,
        network=invited.network,
        member=member,
        number=1,
        sealing_key=keys.sealing[1].public,
        transport_key_digest=transport.digest,
        profile=profile,
        now=now,
    )
    body = statements_pb2.JoinRequest(
        network=invited.network,
        invitation=invited.invitation,
        secret=invited.secret,
        identity_key=keys.identity.public.to_message(),
        card=card.to_message(),
        profile=profile,
        certificate_request=transport.request(),
    )
    body.time.FromDatetime(now)
    return keys.identity.sign(body)


async def status(data_dir: Path, *, passphrase: bytes, clock: Clock, random: Callable[[int], bytes]) -> Progress:
    """Ask once how far the request to join has come; the answer is kept for who looks without the passphrase.

    Raises: NotFound before the node has asked to join; Unreachable, and what the directory refuses with.
    """
    membership = Membership.load(data_dir)
    vault = Vault.open(data_dir / VAULT, passphrase)
    with node_database(data_dir / DATABASE) as db:
        keys, _ = db.read_sync(lambda tx: open_keys(tx, vault))
    async with channel(membership.front, root=membership.ca_certificate) as line:
        stub = directory_pb2_grpc.EnrolmentStub(line)
        answer = await _ask(stub, keys.identity, membership.network, clock, random)
    return _noted(data_dir, answer, member_id_of(keys.identity.public), clock.now())


def last_known(data_dir: Path) -> tuple[Progress, MemberId, datetime] | None:
    """What `status` was told last, by which member id, and when; None where the node never asked."""
    try:
        plain = json.loads((data_dir / PROGRESS).read_bytes())
        message = directory_pb2.JoinProgress.FromString(bytes.fromhex(plain["progress"]))
        told = Progress.from_message(message, plain["reason"])
        return told, MemberId(bytes.fromhex(plain["member"])), datetime.fromisoformat(plain["at"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, DecodeError) as error:
        raise InvalidRecord(path=str(data_dir / PROGRESS), problem=N_("it is damaged")) from error


async def _waits(invited: Invitation, identity: SigningKey, clock: Clock, random: Callable[[int], bytes]) -> bool:
    """Whether a request of this key is with the directory and was not refused."""
    async with channel(invited.front, root=invited.ca_certificate) as line:
        stub = directory_pb2_grpc.EnrolmentStub(line)
        try:
            answer = await _ask(stub, identity, invited.network, clock, random)
        except NotFound:
            return False
    return bool(answer.state != directory_pb2.JOIN_STATE_REFUSED)


async def _ask(
    stub: directory_pb2_grpc.EnrolmentStub,
    identity: SigningKey,
    network: NetworkId,
    clock: Clock,
    random: Callable[[int], bytes],
) -> directory_pb2.GetEnrolmentStatusResponse:
    member = member_id_of(identity.public)
    query = statements_pb2.JoinStatusQuery(network=network, member=member, nonce=random(16))
    query.time.FromDatetime(clock.now())
    message = directory_pb2.GetEnrolmentStatusRequest(query=identity.sign(query).to_message())
    try:
        answer: directory_pb2.GetEnrolmentStatusResponse = await stub.GetStatus(message, timeout=_CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    return answer


def _noted(
    data_dir: Path, answer: directory_pb2.GetEnrolmentStatusResponse, member: MemberId, now: datetime
) -> Progress:
    plain = {
        "member": member.hex(),
        "at": now.isoformat(),
        "reason": answer.refusal_reason,
        "progress": answer.progress.SerializeToString().hex(),
    }
    replace(data_dir / PROGRESS, json.dumps(plain, indent=1).encode())
    return Progress.from_message(answer.progress, answer.refusal_reason)


async def wait(
    data_dir: Path,
    *,
    passphrase: bytes,
    clock: Clock,
    random: Callable[[int], bytes],
    give_up_after: timedelta | None = None,
) -> MemberId:
    """Ask again and again until the administrators have decided; then keep the certificate.

    Raises: JoinRefused with the administrators' words; Unreachable where `give_up_after` passes first.
    """
    membership = Membership.load(data_dir)
    vault = Vault.open(data_dir / VAULT, passphrase)
    with node_database(data_dir / DATABASE) as db:
        keys, transport = db.read_sync(lambda tx: open_keys(tx, vault))
    ends = clock.now() + give_up_after if give_up_after else None
    async with channel(membership.front, root=membership.ca_certificate) as line:
        stub = directory_pb2_grpc.EnrolmentStub(line)
        while True:
            answer = await _ask(stub, keys.identity, membership.network, clock, random)
            _noted(data_dir, answer, keys.member, clock.now())
            certificate = _certificate_in(answer, transport)
            if certificate is not None:
                replace(data_dir / CERTIFICATE, certificate)
                return keys.member
            if ends is not None and clock.now() >= ends:
                raise Unreachable(peer=N_("administrators"))
            await clock.sleep(_POLL_SECONDS)


def _certificate_in(answer: directory_pb2.GetEnrolmentStatusResponse, transport: TransportKey) -> bytes | None:
    if answer.state == directory_pb2.JOIN_STATE_REFUSED:
        raise JoinRefused(words=answer.refusal_reason)
    if answer.state != directory_pb2.JOIN_STATE_ADMITTED:
        return None
    if spki_digest(answer.certificate) != transport.digest:
        raise InvalidRecord(path=N_("certificate"), problem=N_("it is for another key"))
    return bytes(answer.certificate)
