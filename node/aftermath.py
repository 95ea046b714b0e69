"""After a restore: each transfer stands where the broker says, and nobody waits for what was lost (protocol §10).

The broker keeps every statement of a transfer, so what this node said and heard after its backup can be read again. A
statement is believed by its signatures, as ever. What came and is not in the backup is given back unasked, so that the
one who sent it holds it again: there is never none that could act.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from cordee import statements
from cordee.errors import CannotOpen, CordeeError, NotFound
from cordee.ids import TransferId
from cordee.runtime.logs import logger
from cordee.signing import Signed
from cordee.statements import Erasure, Offer
from cordee.summary import RETURN_REASONS, Reason, Report, open_summary, seal_reason, seal_report
from cordee.transfer import END_STATES, Kind, State
from cordee.v1 import statements_pb2
from node import acts, journal, records, transfer_store
from node.answers import Answers
from node.came import SUMMARY_PLACE
from node.chain import Chain, chain_of, erasure_in
from node.directory_client import DirectoryClient
from node.hearsay import state_of
from node.house import House
from node.returning import Returning, bury
from node.sending import end_sent
from node.tombstones import TRANSFER
from node.transfer_store import Transfer

__all__ = ["HANDED_ON", "Aftermath"]

log = logger("node.aftermath")

HANDED_ON: Final = "restored.handed_on"
"""In the journal: a case went away after the backup, and this node does not know which."""
LOST: Final = "restored.lost"
"""In the journal: a case that was to be kept despite a request to erase came after the backup, and is gone."""

_FACTS = frozenset({Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED, Kind.ERASURE})  # they tell what has happened
_BY_SENDER = frozenset({Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL})
# Between two nodes that know no common language but these two.
_LOST: Final = (
    "Notre machine a dû être restaurée d’une sauvegarde plus ancienne : ce dossier n’est plus chez nous. — "
    "Our machine had to be restored from an older backup: this case is no longer with us."
)


class Aftermath:
    """Once, after the network knows that this node was restored: no transfer of ours is under way any more."""

    def __init__(self, house: House, client: DirectoryClient) -> None:
        self._house = house
        self._client = client
        self._answers = Answers(house)
        self._returning = Returning(house)

    async def take_over(self) -> None:
        """Safe to repeat. Raises: Unreachable, and whatever else the directory answers."""
        house = self._house
        at_broker: set[TransferId] = set()
        async for each in self._client.own_transfers():
            transfer = TransferId(each.transfer_id)
            at_broker.add(transfer)
            await self._take_over(transfer, state_of(each.state), each.statements)
        for known in await house.db.read(transfer_store.all_transfers):
            if not known.over and known.id not in at_broker:
                await house.db.write(partial(self._never_came, known=known))
        await bury(house)
        house.changes.ended.set()

    async def _take_over(self, transfer: TransferId, state: State, count: int) -> None:
        house = self._house
        known, kinds = house.db.look(lambda tx: (_find(tx, transfer), transfer_store.kinds(tx, transfer)))
        gone = house.db.look(lambda tx: self._is_gone(tx, transfer))
        if known is not None and known.over and known.state is state and len(kinds) == count and not gone:
            return
        if known is None and state not in END_STATES:
            return  # it was offered since the network knows of the restore
        kept = [Signed.from_message(each) for each in (await self._client.transfer(transfer)).statements]
        try:
            chain = chain_of(house, kept)
        except CordeeError as refused:
            log.warning("aftermath.refused", transfer=transfer.short, reason=refused.reason)
            why = refused.reason
            await house.db.write(lambda tx: self._note(tx, transfer, "restored.refused", why))
            return
        offer = chain.offer
        if known is None and offer.sender == house.member:
            if not _may_be_there(chain, state):
                return  # it has come to nothing
            # Which case it was, only the other association can tell: the log says whom to ask.
            facts = {"peer": offer.recipient.hex()}
            await house.db.write(lambda tx: self._note(tx, transfer, HANDED_ON, str(state), facts))
            return

        def step(tx: Connection) -> list[str]:
            if known is None:
                transfer_store.insert_transfer(tx, self._come(offer, house.clock.now()))
            return self._settle(tx, transfer_store.read_transfer(tx, transfer), chain, state)

        for file_id in await house.db.write(step):
            house.attachments.erase(file_id)
        house.drop_spool(transfer)
        house.changes.tell(transfer)

    # ---- one transfer ----

    def _settle(self, tx: Connection, present: Transfer, chain: Chain, state: State) -> list[str]:
        """Keep what was missed, and end the transfer as it ended. The files to unlink afterwards."""
        now = self._house.clock.now()
        waiting = [kind for kind, waits in transfer_store.kinds(tx, present.id) if waits]
        told = [kind for kind in waiting if kind in _FACTS and kind not in chain.kinds]
        withdrawn = transfer_store.statement(tx, present.id, Kind.WITHDRAWAL) is not None and present.outgoing
        transfer_store.forget_waiting(tx, present.id, [k for k in waiting if k not in (*told, Kind.WITHDRAWAL)])
        if withdrawn:
            transfer_store.give_up_sending(tx, present.id, Kind.WITHDRAWAL)
        for kind, signed in chain.kept.items():
            if transfer_store.statement(tx, present.id, kind) is None:
                ours = (kind in _BY_SENDER) == present.outgoing
                transfer_store.add_statement(tx, present.id, kind, signed, ours=ours, now=now)
                transfer_store.mark_taken(tx, present.id, kind)
        if Kind.RECEIPT_TAKEN in told:
            state = State.RECEIVED  # it was imported here, and the backup says so
        if withdrawn and state is State.RECEIVED and not {Kind.WITHDRAWAL, Kind.ERASURE} & set(chain.kinds):
            transfer_store.send_again(tx, present.id, Kind.WITHDRAWAL)  # somebody's decision: now a request to erase
        if present.state is not state:
            self._note(tx, present.id, f"transfer.{state}", "restored")
        if present.outgoing:
            self._end_sent(tx, present, chain, state, now)
            return []
        return self._end_come(tx, present, chain, state, now)

    def _end_sent(self, tx: Connection, present: Transfer, chain: Chain, state: State, now: datetime) -> None:
        house = self._house
        received = state is State.RECEIVED and present.state is not State.RECEIVED
        fields: dict[str, object] = {}
        withdrawn = transfer_store.statement(tx, present.id, Kind.WITHDRAWAL) is not None
        if state is State.RECEIVED and withdrawn and present.erasure is None:
            fields["erasure"] = "asked"
        erasure = erasure_in(house, chain) if Kind.ERASURE in chain.kinds else None
        answered = erasure is not None and present.erasure in (None, "asked")
        if erasure is not None and answered:
            fields["erasure"] = _outcome(erasure)
        end_sent(house, tx, present, state, now=now, **fields)
        if received:
            acts.mark_used(tx, house.vault, present.act_id or "", present.id)
            self._answers.pass_on(tx, transfer_store.read_transfer(tx, present.id))
        if erasure is not None and answered and erasure.erased and present.hands_over:
            records.take_back(tx, present.case_id or "", transfer=present.id, now=now)

    def _end_come(self, tx: Connection, present: Transfer, chain: Chain, state: State, now: datetime) -> list[str]:
        fields: dict[str, object] = {}
        files: list[str] = []
        gone = Kind.ERASURE not in chain.kinds and self._is_gone(tx, present.id)
        here = records.imported_as(tx, present.id) is not None and not gone
        if state is State.RECEIVED and Kind.ERASURE in chain.kinds:
            erasure = erasure_in(self._house, chain)
            fields["erasure"] = _outcome(erasure)
            imported = records.imported_as(tx, present.id) is not None
            if erasure.erased and imported and present.erasure not in ("done", "returned"):
                _, files = self._returning.erased(tx, present, now=now)
            elif not erasure.erased and not here:
                facts = {"peer": present.peer.hex()}
                self._note(tx, present.id, LOST, "kept", facts)  # it can be given back no more: people must say so
        elif state is State.RECEIVED and not here:
            if self._give_back(tx, present, chain, now):
                fields["erasure"] = "returned"
        elif state is State.RECEIVED and Kind.WITHDRAWAL in chain.kinds and present.erasure is None:
            fields["erasure"] = "asked"
        transfer_store.end(tx, present.id, state, now=now, **fields)
        return files

    def _is_gone(self, tx: Connection, transfer: TransferId) -> bool:
        """Its tombstone says that it was erased here under signature, and the signature was lost with the machine."""
        signed = transfer_store.statement(tx, transfer, Kind.ERASURE) is not None
        return not signed and self._house.tombstones.contains(TRANSFER, transfer.hex())

    def _give_back(self, tx: Connection, present: Transfer, chain: Chain, now: datetime) -> bool:
        """It came after the backup and is lost here. False where its sender is gone, so that nobody can be told."""
        house, shipment = self._house, chain.shipment
        try:
            card = house.roster.last_card(present.peer).card
        except CordeeError:
            return False
        parties, about, key = shipment.parties, shipment.digest, card.sealing_key
        signed = statements.give_back(
            shipment,
            sealed_report=seal_report(Report(erased=(), time=now), parties=parties, about=about, to=key),
            sealed_reason=seal_reason(
                Reason("other", _LOST), codes=RETURN_REASONS, parties=parties, about=about, to=key
            ),
            sender_card=card.number,
            now=now,
            key=house.keys.identity,
        )
        transfer_store.add_statement(tx, present.id, Kind.ERASURE, signed, ours=True, now=now)
        self._note(tx, present.id, "transfer.returned", "lost")
        return True

    def _never_came(self, tx: Connection, known: Transfer) -> None:
        """The broker has never heard of it: the offer waited here when the backup was made."""
        now = self._house.clock.now()
        waiting = [kind for kind, waits in transfer_store.kinds(tx, known.id) if waits]
        transfer_store.forget_waiting(tx, known.id, waiting)
        if known.outgoing:
            end_sent(self._house, tx, known, State.WITHDRAWN, now=now)
        else:
            transfer_store.end(tx, known.id, State.WITHDRAWN, now=now)
        self._note(tx, known.id, f"transfer.{State.WITHDRAWN}", "restored")

    def _come(self, offer: Offer, now: datetime) -> Transfer:
        """A row for what came after the backup, as it was when it was offered."""
        house = self._house
        try:
            key = house.keys.sealing_key(offer.recipient_card)
            summary = open_summary(offer.sealed_summary, parties=offer.parties, key=key)
        except CannotOpen:  # sealed to a card that was made after the backup too
            summary = statements_pb2.Summary(kind="unreadable")
        return Transfer(
            id=offer.transfer_id,
            outgoing=False,
            peer=offer.sender,
            state=State.OFFERED,
            case_id=None,
            token_id=offer.token.id,
            act_id=None,
            opened_at=offer.time,
            updated_at=now,
            expires_at=offer.expires,
            hands_over=summary.kind == "transfer",
            sealed_terms=house.vault.seal(summary.SerializeToString(), place=SUMMARY_PLACE, row=offer.transfer_id),
            sealed_reason=None,
            sealed_content_key=None,
            sealed_one_time_seed=None,
            ciphertext_header=None,
            manifest_digest=None,
            job=None,
            total_bytes=0,
            erasure=None,
        )

    def _note(
        self, tx: Connection, transfer: TransferId, action: str, outcome: str, facts: dict[str, str] | None = None
    ) -> None:
        now = self._house.clock.now()
        journal.append(
            tx, now=now, actor="node", action=action, subject=transfer.hex(), outcome=outcome, facts=facts or {}
        )


def _may_be_there(chain: Chain, state: State) -> bool:
    """They have it, or were sent it and may still say so: a receipt is never too late."""
    return state is State.RECEIVED or (state is not State.REFUSED and Kind.SHIPMENT in chain.kinds)


def _outcome(erasure: Erasure) -> str:
    return "returned" if erasure.returned else "done" if erasure.erased else "refused"


def _find(tx: Connection, transfer: TransferId) -> Transfer | None:
    try:
        return transfer_store.read_transfer(tx, transfer)
    except NotFound:
        return None
