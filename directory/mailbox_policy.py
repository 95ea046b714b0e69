"""Who may write and read waiting ciphertext (protocol §8)."""

from __future__ import annotations

from cordee.errors import N_, NotInThisState, TooLarge, WrongParty
from cordee.ids import MemberId, TransferId
from cordee.transfer import State
from directory.broker import Broker

__all__ = ["TransferMailboxPolicy"]


class TransferMailboxPolicy:
    """Only the sender writes, only while the transfer is accepted, only as much as it announced; only the recipient
    reads, from the acceptance on: before the shipment it has no key to what it reads. What all senders together may
    leave here was decided when they offered.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def may_write(self, caller: MemberId, transfer_id: TransferId, new_size: int) -> int:
        """The size announced.

        Raises: NotFound, WrongParty, NotInThisState, TransferOver, TooLarge, MemberIsSuspended.
        """
        transfer = await self._broker.standing(caller, transfer_id)
        if caller != transfer.sender:
            raise WrongParty(what=N_("Put"))
        if transfer.state is not State.ACCEPTED:
            raise NotInThisState(state=transfer.state, statement=N_("put"))
        if new_size > transfer.size_bound:
            raise TooLarge(what=N_("The content"), size=new_size, limit=transfer.size_bound)
        return transfer.size_bound

    async def may_read(self, caller: MemberId, transfer_id: TransferId) -> bool:
        """Whether more may come: once it is shipped, all of it is here.

        Raises: NotFound, WrongParty, NotInThisState, TransferOver, MemberIsSuspended.
        """
        transfer = await self._broker.standing(caller, transfer_id)
        if caller != transfer.recipient:
            raise WrongParty(what=N_("Get"))
        if transfer.state not in (State.ACCEPTED, State.SHIPPED):
            raise NotInThisState(state=transfer.state, statement=N_("get"))
        return transfer.state is State.ACCEPTED

    async def may_stat(self, caller: MemberId, transfer_id: TransferId) -> None:
        """Either party, while it is under way. Raises: NotFound, NotInThisState, TransferOver, MemberIsSuspended."""
        transfer = await self._broker.standing(caller, transfer_id)
        if transfer.state not in (State.ACCEPTED, State.SHIPPED):
            raise NotInThisState(state=transfer.state, statement=N_("stat"))

    def under_way(self, transfer_id: TransferId, *, anew: bool) -> None:
        """The recipient may read along; where it does not listen now, it reads after the shipment."""
        self._broker.upload_under_way(transfer_id, anew=anew)
