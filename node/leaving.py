"""What is left to do before this association can leave the network: a merger, a dissolution, a move elsewhere.

Once it is removed its transfers expire at once, its card is erased, and nobody can send to it or hear from it. So what
has to be settled with others is settled before. Ids and counts only: it is shown to those who look after the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from cordee.errors import N_
from cordee.transfer import Kind, State
from node import transfer_store
from node.store import table_of
from node.store.records import CaseRow

__all__ = ["KINDS", "Left", "left_to_do"]

KINDS: Final[Mapping[str, str]] = {
    "open_cases": N_("cases are open here: hand each over, or close it"),
    "open_transfers": N_("transfers are under way: wait for their end, or withdraw them"),
    "requests_to_answer": N_("requests to erase wait for an answer from here"),
    "requests_of_ours": N_("requests to erase wait for the answer of others"),
    "to_be_sent": N_("steps were not sent yet: connect the node to the directory"),
}
"""What can be left, by code; each asks for something of its own. Cases that others follow end with the referral."""

_CASE = table_of(CaseRow)
_MANY: Final = 20


@dataclass(frozen=True)
class Left:
    """One kind of thing that is left to do."""

    what: str
    count: int
    ids: tuple[str, ...]
    """The first of them: ids of cases or transfers."""


def left_to_do(tx: Connection) -> list[Left]:
    """All that is left, in the order in which it is best done; empty where the association may leave."""
    open_here = select(_CASE.c.id).where(_CASE.c.state == "open", _CASE.c.holder != "handed_over").order_by(_CASE.c.id)
    transfers = transfer_store.all_transfers(tx)
    found: dict[str, list[str]] = {
        "open_cases": list(tx.execute(open_here).scalars()),
        "open_transfers": [each.id.hex() for each in transfers if not each.over],
        "requests_to_answer": [each.id.hex() for each in transfers if each.erasure == "asked"],
        "requests_of_ours": [each.id.hex() for each in transfers if _is_asked_of_them(tx, each)],
        "to_be_sent": [each.hex() for each in transfer_store.waiting(tx)],
    }
    return [Left(what, len(found[what]), tuple(found[what][:_MANY])) for what in KINDS if found[what]]


def _is_asked_of_them(tx: Connection, transfer: transfer_store.Transfer) -> bool:
    if not transfer.outgoing or transfer.state is not State.RECEIVED or transfer.erasure is not None:
        return False
    return transfer_store.statement(tx, transfer.id, Kind.WITHDRAWAL) is not None
