"""What a handler decides about offers that came: accept, decline, and later erase or keep (protocol §6)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cordee import statements
from cordee.case import mandatory_sections
from cordee.errors import N_, InvalidInput, OutOfScope, TransferOver
from cordee.ids import TransferId
from cordee.runtime.crashpoint import register
from cordee.sealing import SealingKey
from cordee.summary import DECLINE_REASONS, Reason, seal_reason, seal_sections
from cordee.transfer import Kind, Party, State, next_state
from cordee.v1 import statements_pb2
from node import journal, transfer_store
from node.came import REASON_PLACE, SEED_PLACE, SUMMARY_PLACE, TAKEN_PLACE, incoming, read_summary, read_taken
from node.chain import Chain
from node.house import House
from node.people import Handler, Role
from node.returning import Returning
from node.transfer_access import require_transfer
from node.transfer_store import Transfer

__all__ = ["REASON_PLACE", "SEED_PLACE", "SUMMARY_PLACE", "Receiving", "read_summary", "read_taken"]

ACCEPT_BEFORE = register("node.accept.before_write")
ACCEPT_AFTER = register("node.accept.after_write")
DECLINE_AFTER = register("node.decline.after_write")


class Receiving:
    """What this node answers to others."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._returning = Returning(house)

    async def accept(self, handler: Handler, transfer: TransferId, *, sections: Collection[str] | None = None) -> None:
        """Accept an offer, all of it or fewer sections. A fresh one-time key is made for this transfer alone.

        Raises: NotFound, NotInThisState, TransferOver, OutOfScope, RosterStale, NotAMember, CardExpired.
        """
        handler.require(Role.HANDLER)
        await self._accept(handler, transfer, sections)

    async def accept_update(self, transfer: TransferId, *, sections: Collection[str]) -> None:
        """Accept an update of a referral by itself, while its act is in force (protocol §6)."""
        await self._accept(None, transfer, sections)

    async def _accept(self, handler: Handler | None, transfer: TransferId, sections: Collection[str] | None) -> None:
        house = self._house
        key = SealingKey.generate(house.random)
        sealed_seed = house.in_flight.seal(key.seed, place=SEED_PLACE, row=transfer)

        def step(tx: Connection) -> None:
            now = house.clock.now()
            present, offer = self._open_offer(tx, handler, transfer, Kind.ACCEPTANCE, now)
            roster = house.roster.require_fresh(now)
            roster.active(offer.sender)
            taken = _chosen(read_summary(house, present), sections)
            card = house.roster.card(offer.sender, now=now).card
            signed = statements.accept(
                offer,
                one_time_key=key.public,
                key_expires=min(now + roster.policy.shipping_limit, offer.token.expires),
                sealed_sections=seal_sections(taken, parties=offer.parties, offer=offer.digest, to=card.sealing_key),
                sender_card=card.number,
                checkpoint=house.tree_head(),
                now=now,
                key=house.keys.identity,
                mailbox=house.endpoint,
            )
            transfer_store.add_statement(tx, transfer, Kind.ACCEPTANCE, signed, ours=True, now=now)
            kept = statements_pb2.SectionsTaken(sections=taken).SerializeToString()
            transfer_store.set_fields(
                tx,
                transfer,
                now=now,
                state=State.ACCEPTED,
                sealed_one_time_seed=sealed_seed,
                sealed_taken=house.vault.seal(kept, place=TAKEN_PLACE, row=transfer),
                job=None,
            )
            journal.append(tx, now=now, actor=_actor(handler), action="transfer.accepted", subject=transfer.hex())

        house.crashpoints.reach(ACCEPT_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(ACCEPT_AFTER)
        house.changes.tell(transfer)

    async def decline(self, handler: Handler, transfer: TransferId, *, code: str, text: str = "") -> None:
        """Decline an offer with a reason that only the sender can read.

        Raises: InvalidInput for a reason that is not on the list; NotFound, NotInThisState, TransferOver.
        """
        handler.require(Role.HANDLER)
        await self._decline(handler, transfer, code, text)

    async def decline_by_itself(self, transfer: TransferId, *, code: str) -> None:
        """Decline what this node cannot read or must not trust, so that the sender is not left waiting."""
        await self._decline(None, transfer, code, "")

    async def _decline(self, handler: Handler | None, transfer: TransferId, code: str, text: str) -> None:
        house = self._house
        if code not in DECLINE_REASONS:
            raise InvalidInput(
                field="reason", problem=N_("it must be one of {options}"), options=", ".join(DECLINE_REASONS)
            )

        def step(tx: Connection) -> None:
            now = house.clock.now()
            _, offer = self._open_offer(tx, handler, transfer, Kind.REFUSAL, now)
            house.roster.require_fresh(now)
            card = house.roster.card(offer.sender, now=now).card
            signed = statements.refuse(
                offer,
                sealed_reason=seal_reason(
                    Reason(code, text),
                    codes=DECLINE_REASONS,
                    parties=offer.parties,
                    about=offer.digest,
                    to=card.sealing_key,
                ),
                sender_card=card.number,
                checkpoint=house.tree_head(),
                now=now,
                key=house.keys.identity,
            )
            reason = statements_pb2.Reason(code=code, text=text)
            sealed = house.vault.seal(reason.SerializeToString(), place=REASON_PLACE, row=transfer)
            transfer_store.add_statement(tx, transfer, Kind.REFUSAL, signed, ours=True, now=now)
            transfer_store.end(tx, transfer, State.DECLINED, now=now, sealed_reason=sealed)
            journal.append(
                tx, now=now, actor=_actor(handler), action="transfer.declined", subject=transfer.hex(), outcome=code
            )

        await house.db.write(step)
        house.crashpoints.reach(DECLINE_AFTER)
        house.changes.tell(transfer)

    async def answer_erasure(
        self, handler: Handler, transfer: TransferId, *, erase: bool, code: str = "", text: str = ""
    ) -> None:
        """Answer a request to erase. Raises: as `Returning.answer`."""
        await self._returning.answer(handler, transfer, erase=erase, code=code, text=text)

    async def give_back(self, handler: Handler, transfer: TransferId, *, code: str, text: str = "") -> None:
        """What was received is not for us: erase it and say so. Raises: as `Returning.give_back`."""
        await self._returning.give_back(handler, transfer, code=code, text=text)

    def _open_offer(
        self, tx: Connection, handler: Handler | None, transfer: TransferId, kind: Kind, now: datetime
    ) -> tuple[Transfer, statements.Offer]:
        present = incoming(tx, transfer)
        if handler is not None:  # the node answers some by itself
            require_transfer(tx, self._house.vault, handler, present, now=now)
        chain = Chain.read(self._house, tx, transfer)
        next_state(present.state, kind, Party.RECIPIENT, taken=chain.kinds)
        if present.expires_at <= now:
            raise TransferOver(state=State.EXPIRED)
        return present, chain.offer


def _actor(handler: Handler | None) -> str:
    return "node" if handler is None else handler.account_id


def _chosen(summary: statements_pb2.Summary, sections: Collection[str] | None) -> tuple[str, ...]:
    if sections is None:
        return tuple(summary.sections)
    beyond = sorted(set(sections) - set(summary.sections))
    if beyond:
        raise OutOfScope(item=beyond[0])
    needed = mandatory_sections(summary.purpose) & set(summary.sections)
    left_out = sorted(needed - set(sections))
    if left_out:
        raise InvalidInput(field="sections", problem=N_("“{section}” is needed for this purpose"), section=left_out[0])
    return tuple(name for name in summary.sections if name in set(sections))
