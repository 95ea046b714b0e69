"""Whose a transfer is: its case's team's. Whoever may not open the case neither sees nor moves its transfers.

An offer that has not been taken in yet is no case of ours: its summary names nobody, its time runs out, and everyone
who may receive may answer it. An update is one of the case that it will be put beside. Of a case that was erased
nothing is left to be kept from anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from cordee.errors import NeedToKnow, NotFound
from cordee.ids import TransferId
from cordee.v1 import statements_pb2
from node import transfer_store
from node.case_access import Sight, access_of
from node.transfer_store import Transfer

if TYPE_CHECKING:
    from node.people import Handler
    from node.vault import Vault

__all__ = ["SUMMARY_PLACE", "case_behind", "require_transfer", "sight_of_transfers"]

SUMMARY_PLACE = "transfer.sealed_terms"
_UPDATE = "update"


def case_behind(tx: Connection, vault: Vault, transfer: Transfer) -> str | None:
    """The id of the case that a transfer is about; None for an offer that was not taken in."""
    if transfer.case_id is not None or transfer.outgoing:
        return transfer.case_id
    summary = statements_pb2.Summary.FromString(
        vault.unseal(transfer.sealed_terms, place=SUMMARY_PLACE, row=transfer.id)
    )
    if summary.kind != _UPDATE or len(summary.first_transfer_id) != TransferId.length:
        return None
    try:
        return transfer_store.read_transfer(tx, TransferId(summary.first_transfer_id)).case_id
    except NotFound:
        return None


def sight_of_transfers(tx: Connection, vault: Vault, handler: Handler, *, now: datetime) -> Callable[[Transfer], bool]:
    """Whether a transfer is theirs to see, within one step; each case is asked once."""
    sight, known = Sight(tx, handler, now=now), dict[str, bool]()

    def sees(transfer: Transfer) -> bool:
        case_id = case_behind(tx, vault, transfer)
        if case_id is None:
            return True
        if case_id not in known:
            try:
                known[case_id] = sight.sees(case_id, access_of(tx, vault, case_id))
            except NotFound:
                known[case_id] = True
        return known[case_id]

    return sees


def require_transfer(tx: Connection, vault: Vault, handler: Handler, transfer: Transfer, *, now: datetime) -> None:
    """Let somebody see or move a transfer. Raises NeedToKnow, which names the case for the door that asks why."""
    if not sight_of_transfers(tx, vault, handler, now=now)(transfer):
        raise NeedToKnow(case=case_behind(tx, vault, transfer))
