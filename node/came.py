"""What this node keeps, sealed with its vault, of a transfer that came: its summary, what was taken, a reason."""

from __future__ import annotations

from sqlalchemy import Connection

from cordee.errors import N_, NotFound
from cordee.ids import TransferId
from cordee.v1 import statements_pb2
from node import transfer_store
from node.house import House
from node.transfer_access import SUMMARY_PLACE
from node.transfer_store import Transfer

__all__ = ["REASON_PLACE", "SEED_PLACE", "SUMMARY_PLACE", "TAKEN_PLACE", "incoming", "read_summary", "read_taken"]

SEED_PLACE = "transfer.sealed_one_time_seed"
REASON_PLACE = "transfer.sealed_reason"
TAKEN_PLACE = "transfer.sealed_taken"


def read_summary(house: House, transfer: Transfer) -> statements_pb2.Summary:
    """The summary of an offer that came."""
    return statements_pb2.Summary.FromString(
        house.vault.unseal(transfer.sealed_terms, place=SUMMARY_PLACE, row=transfer.id)
    )


def read_taken(house: House, transfer: Transfer) -> tuple[str, ...]:
    """The sections that this node accepted. Raises NotFound before it has."""
    if transfer.sealed_taken is None:
        raise NotFound(what=N_("transfer"))
    opened = house.vault.unseal(transfer.sealed_taken, place=TAKEN_PLACE, row=transfer.id)
    return tuple(statements_pb2.SectionsTaken.FromString(opened).sections)


def incoming(tx: Connection, transfer: TransferId) -> Transfer:
    """A transfer that came to us. Raises NotFound, also for one of our own."""
    present = transfer_store.read_transfer(tx, transfer)
    if present.outgoing:
        raise NotFound(what=N_("offer"))
    return present
