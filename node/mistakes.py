"""A case that went to the wrong association: said by its recipient, who gives it back, or seen first by its sender.

From then on a clock of 72 hours runs on the first page: the data protection officer decides whether the CNIL has to
know (domain W8). That it was so is a line of the journal, where nobody takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from cordee.ids import TransferId
from cordee.transfer import State
from node import journal
from node.transfers import TransferLine

__all__ = ["note", "noted"]

_ACTION = "transfer.wrong_recipient"
_REASON = "wrong_recipient"


def note(tx: Connection, transfer: TransferId, *, by: str, now: datetime) -> None:
    """Its sender says that it went to the wrong association; once is enough, however often somebody says so."""
    if _said(tx, transfer) is None:
        journal.append(tx, now=now, actor=by, action="transfer.wrong_recipient", subject=transfer.hex())


def noted(tx: Connection, lines: Iterable[TransferLine]) -> dict[str, datetime]:
    """When it was known of each of these transfers, by its id; of none that went where it was meant to go."""
    found: dict[str, datetime] = {}
    for each in lines:
        if each.erasure == "returned" and each.reason_code == _REASON:
            found[each.transfer_id.hex()] = each.updated_at
        elif each.direction == "out" and (each.state in (State.WITHDRAWN, State.RECEIVED)):
            said = _said(tx, each.transfer_id)
            if said is not None:
                found[each.transfer_id.hex()] = said
    return found


def _said(tx: Connection, transfer: TransferId) -> datetime | None:
    return next((each.at for each in journal.of_subject(tx, transfer.hex()) if each.action == _ACTION), None)
