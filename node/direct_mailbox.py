"""A node's own mailbox, for members that can reach it: the directory then carries no ciphertext at all (protocol §8).

The service and its implementation are the directory's; only the rules are the node's own. Nobody reads here from
outside: what is complete is handed over to the spool when its shipment comes.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from cordee.card import is_endpoint
from cordee.errors import N_, InvalidInput, NotInThisState, TooLarge, WrongParty
from cordee.ids import Digest, MemberId, TransferId
from cordee.members import MemberState, Roster
from cordee.runtime.doorkeeper import DoorCounts
from cordee.runtime.guard import ConnectionGuard
from cordee.runtime.interceptors import Gate
from cordee.runtime.limits import CallerLimits
from cordee.runtime.logs import logger
from cordee.runtime.mailbox import MailboxServicer
from cordee.runtime.mailbox_wire import add_mailbox
from cordee.runtime.server import Server
from cordee.runtime.tls import TransportKey, rotating_server_credentials
from cordee.statements import Shipment
from cordee.transfer import State
from cordee.v1 import mailbox_pb2
from node import transfer_store
from node.chain import Chain
from node.house import House

__all__ = ["DirectMailboxPolicy", "Door", "Standing", "collected", "hosted"]

log = logger("node.direct_mailbox")

_CONCURRENT, _RATE, _BURST = 16, 20, 60  # calls of one member


@dataclass(frozen=True)
class Door:
    """Where the mailbox listens here, and where others reach it: both host:port."""

    listen: str
    endpoint: str

    def require_sound(self) -> None:
        """Raises: InvalidInput."""
        if not is_endpoint(self.endpoint):
            raise InvalidInput(field="mailbox-endpoint", problem=N_("an address has the form host:port"))
        host, colon, port = self.listen.rpartition(":")
        if not host or not colon or not port.isdecimal() or int(port) > 65_535:
            raise InvalidInput(field="mailbox-listen", problem=N_("an address has the form host:port"))


class DirectMailboxPolicy:
    """Only the sender of a transfer writes, only while it is accepted and not shipped, only as much as it announced.

    By this node's own records: what it has accepted, from whom, and who is in good standing on its own roster.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    async def may_write(self, caller: MemberId, transfer_id: TransferId, new_size: int) -> int:
        """The size announced. Raises: NotFound, WrongParty, NotInThisState, TooLarge, NotAMember, MemberIsSuspended."""
        self._require(caller, transfer_id, N_("Put"))
        bound = self._house.db.look(lambda tx: Chain.read(self._house, tx, transfer_id)).offer.size_bound
        if new_size > bound:
            raise TooLarge(what=N_("The content"), size=new_size, limit=bound)
        self._house.changes.moved(transfer_id, new_size)  # people see it come
        return bound

    async def may_read(self, caller: MemberId, transfer_id: TransferId) -> bool:
        """Nobody, from outside. Raises: WrongParty."""
        raise WrongParty(what=N_("Get"))

    async def may_stat(self, caller: MemberId, transfer_id: TransferId) -> None:
        """Its sender. Raises: as `may_write`."""
        self._require(caller, transfer_id, N_("Stat"))

    def under_way(self, transfer_id: TransferId, *, anew: bool) -> None:
        """There is nobody to tell: it comes to where it is wanted."""

    def _require(self, caller: MemberId, transfer_id: TransferId, call: str) -> None:
        house = self._house
        if house.roster.alarm is not None:
            raise house.roster.alarm
        house.roster.roster.active(caller)  # asked once a second while an upload lasts
        transfer = house.db.look(lambda tx: transfer_store.read_transfer(tx, transfer_id))
        if transfer.outgoing or transfer.peer != caller:
            raise WrongParty(what=call)
        if transfer.state is not State.ACCEPTED:
            raise NotInThisState(state=transfer.state, statement=call)


@contextlib.asynccontextmanager
async def hosted(
    house: House,
    door: Door,
    *,
    identity: Callable[[], tuple[TransportKey, bytes]],
    root: bytes | Callable[[], bytes],
    doors: dict[str, DoorCounts] | None = None,
) -> AsyncIterator[int]:
    """Serve the mailbox until the block ends; the port. `identity` is asked for key and certificate at each handshake.
    Who keeps its door is told to `doors`.

    Raises: ValueError where the house has no store for it; OSError where it cannot listen.
    """
    if house.mailbox is None:
        raise ValueError("the house has no mailbox")

    async def resolve(digest: Digest) -> MemberId:
        return house.roster.caller(digest)

    guard = ConnectionGuard(resolve, house.clock)
    standing = Standing(guard)
    limits = CallerLimits(house.clock, concurrent=_CONCURRENT, rate=_RATE, burst=_BURST)
    server = Server(Gate(guard=guard, limits=limits))
    service = mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"]
    server.add(service, add_mailbox, MailboxServicer(house.mailbox, DirectMailboxPolicy(house)))
    credentials = rotating_server_credentials(
        identity, root=root, sessions=lambda: standing.sessions, came=server.door.came
    )
    if doors is not None:
        doors["mailbox"] = server.door
    port = server.listen(door.listen, credentials)
    await server.start()
    house.roster.followed.append(standing.follow)
    log.info("mailbox.open")
    try:
        yield port
    finally:
        house.roster.followed.remove(standing.follow)
        await server.stop()


class Standing:
    """Ends the calls, and the TLS sessions from before, of whoever was suspended or removed since the last look."""

    def __init__(self, guard: ConnectionGuard) -> None:
        self._guard = guard
        self._away: frozenset[MemberId] | None = None
        self.sessions = 0

    async def follow(self, roster: Roster) -> None:
        """Look at a roster that has verified."""
        away = frozenset(each.id for each in roster.members.values() if each.state is not MemberState.ACTIVE)
        gone = away - self._away if self._away is not None else away
        self._away = away
        if gone:
            self.sessions += 1
        for member in gone:
            await self._guard.revoke(member)


async def collected(house: House, shipment: Shipment) -> bool:
    """Whether all that a shipment names came into our own mailbox; it lies in the spool then. What else came is erased,
    for the directory has all of it.
    """
    if house.mailbox is None:
        return False
    spool = house.spool(shipment.parties.transfer_id, outgoing=False)
    return await house.mailbox.hand_over(
        shipment.parties.transfer_id, spool, size=shipment.ciphertext_size, begins=shipment.ciphertext_header
    )
