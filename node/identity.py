"""This node's identity key: replaced by itself, by the administrators where it is lost, defended where it is not.

The key that is to follow is kept in the vault before anybody hears of it, and comes into force here when the verified
log says that it is in force (protocol §4): in one step, so that after a crash there is the old key or the new one. A
rotation that was cut off is finished by itself, with the same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from datetime import datetime

from sqlalchemy import Connection

from cordee.entries import add_signature, propose
from cordee.errors import N_, InvalidInput, MemberIsSuspended, NotFound, RosterStale
from cordee.ids import KeyId
from cordee.members import Recovery, Roster
from cordee.runtime.crashpoint import register
from cordee.runtime.logs import logger
from cordee.signing import SigningKey, SigningPublicKey
from cordee.transfer import END_STATES
from cordee.v1 import statements_pb2 as v1
from node import journal, transfer_store
from node.directory_client import DirectoryClient
from node.front_desk import FrontDesk
from node.house import House
from node.joining import IDENTITY, MEMBER, NEXT_IDENTITY
from node.publishing import Publishing
from node.secrets import delete_secret, get_secret, put_secret
from node.vault import Vault

__all__ = ["Identity", "own_recovery", "waiting_key"]

log = logger("node.identity")

_ROTATING = "identity.rotating"

KEPT = register("node.identity.kept")
APPENDED = register("node.identity.appended")
IN_FORCE = register("node.identity.in_force")


class Identity:
    """One change of the key at a time."""

    def __init__(self, house: House, client: DirectoryClient, publishing: Publishing, front: FrontDesk) -> None:
        self._front = front
        self._house = house
        self._client = client
        self._publishing = publishing
        self._lock = asyncio.Lock()

    async def rotate(self, *, by: str, despite_transfers: bool = False) -> SigningPublicKey:
        """Replace the identity key by a new one, with both keys' signatures. Returns the new one.

        Raises: InvalidInput while transfers are under way, unless told otherwise: what the other node has not read yet
        is refused once the key that signed it is no longer in force. The alarm, RosterStale; EntryRefused,
        Unreachable: a rotation that was begun is then finished later by itself.
        """
        async with self._lock:
            house = self._house
            house.roster.require_fresh(house.clock.now())
            await self._require_quiet(despite_transfers)
            roster = await house.roster.sync()
            member = roster.members[house.member]
            if member.recovery is not None and house.keys.holds(member.recovery.identity):
                raise InvalidInput(field="identity", problem=N_("administrators have announced a new key already"))
            house.keys.waiting = await house.db.write(lambda tx: self._begin(tx, roster))
            return await self._finish(by)

    async def resume(self) -> None:
        """Finish a rotation that was cut off, if there is one. Raises: as `rotate`."""
        async with self._lock:
            if await self._house.db.read(lambda tx: get_secret(tx, self._house.vault, _ROTATING)):
                await self._house.roster.sync()  # it may be in the log already
                if self._house.keys.waiting is not None:
                    await self._finish("node")

    async def follow(self, roster: Roster) -> None:
        """Take up the waiting key, if the log has put it in force."""
        keys, member = self._house.keys, roster.members.get(self._house.member)
        following = keys.waiting
        if following is None or member is None or member.identity != following.public:
            return
        await self._house.db.write(lambda tx: self._take_up(tx, following, self._house.clock.now()))
        keys.named, keys.identity, keys.waiting = self._house.member, following, None
        log.info("identity.in_force")
        self._house.crashpoints.reach(IN_FORCE)

    async def object(self, *, by: str) -> None:
        """Tell the network that this node has its key: the recovery that was announced is void.

        Raises: NotFound where none is announced; EntryRefused, Unreachable.
        """
        house, now = self._house, self._house.clock.now()
        if own_recovery(house) is None:
            raise NotFound(what=N_("announced recovery"))
        statement = v1.RecoveryObjected(**house.roster.roster.head(house.member, now), member=house.member)
        entry = add_signature(propose(statement), house.keys.identity)
        try:
            await self._client.append_entry(entry)
        except MemberIsSuspended:
            await self._front.object(entry)
        await house.db.write(lambda tx: journal.append(tx, now=now, actor=by, action="recovery.objected", subject=""))
        await self.look()

    async def look_if_cut_off(self) -> None:
        """Every hour for who hears of nothing. Raises: as `RosterSync.sync`."""
        if not self._house.roster.connected:
            await self.look()

    async def look(self) -> None:
        """Follow the roster; cut off from the directory, at its front, so that one knows what is announced.

        Raises: as `RosterSync.sync`.
        """
        try:
            await self._house.roster.sync()
        except MemberIsSuspended:
            await self._house.roster.sync(via=self._front)

    async def _require_quiet(self, despite_transfers: bool) -> None:
        under_way = await self._house.db.read(transfer_store.all_transfers)
        count = sum(each.state not in END_STATES for each in under_way)
        if count and not despite_transfers:
            raise InvalidInput(
                field="identity",
                problem=N_("{count} transfer(s) are under way; what the other has not read yet would be refused"),
                count=count,
            )

    def _begin(self, tx: Connection, roster: Roster) -> SigningKey:
        put_secret(tx, self._house.vault, _ROTATING, b"1")
        return waiting_key(tx, self._house.vault, random=self._house.random, used=roster.used_keys)

    async def _finish(self, by: str) -> SigningPublicKey:
        house = self._house
        house.crashpoints.reach(KEPT)
        old, new = house.keys.identity, house.keys.waiting
        if new is None:
            raise NotFound(what=N_("waiting key"))
        head = house.roster.roster.head(house.member, house.clock.now())
        statement = v1.IdentityRotated(**head, member=house.member, identity_key=new.public.to_message())
        await self._client.append_entry(add_signature(add_signature(propose(statement), old), new))
        house.crashpoints.reach(APPENDED)
        await house.roster.sync()
        await self._publishing.publish(by=by)
        return new.public

    def _take_up(self, tx: Connection, following: SigningKey, now: datetime) -> None:
        vault = self._house.vault
        put_secret(tx, vault, MEMBER, bytes(self._house.member))
        put_secret(tx, vault, IDENTITY, following.seed)  # the old seed is overwritten
        delete_secret(tx, NEXT_IDENTITY)
        delete_secret(tx, _ROTATING)
        facts = {"key": following.public.key_id.hex()}
        journal.append(tx, now=now, actor="node", action="identity.in_force", subject="", facts=facts)


def waiting_key(
    tx: Connection, vault: Vault, *, random: Callable[[int], bytes], used: Container[KeyId] = ()
) -> SigningKey:
    """The identity key that is to follow: the one that waits already, or a new one, kept.

    One that was announced and objected to is among the `used`: nobody takes it any more.
    """
    seed = get_secret(tx, vault, NEXT_IDENTITY)
    kept = SigningKey.from_seed(seed) if seed else None
    if kept is not None and kept.public.key_id not in used:
        return kept
    made = SigningKey.generate(random)
    put_secret(tx, vault, NEXT_IDENTITY, made.seed)
    return made


def own_recovery(house: House) -> Recovery | None:
    """What administrators have announced about this node's own key, unless the new key is this node's too."""
    try:
        member = house.roster.roster.members.get(house.member)
    except RosterStale:  # not known yet
        return None
    found = member.recovery if member else None
    return None if found is None or house.keys.holds(found.identity) else found
