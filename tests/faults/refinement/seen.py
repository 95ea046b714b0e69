"""What is compared: one transfer as directory and nodes have it, beside the same told by a state of the model.

Both become a flat table of names and plain values. A statement is told by its kind and a number: two signatures of one
kind have two numbers, in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from cordee.errors import CannotOpen, NotFound
from cordee.ids import Digest, TransferId
from cordee.signing import Signed
from cordee.transfer import Kind, Party, may
from directory import transfers as brokered
from directory.store import table_of
from directory.store.transfers import EventRow
from directory.store.transfers import StatementRow as BrokeredStatement
from node import journal, records, transfer_store
from node.came import SEED_PLACE
from node.sending import KEY_PLACE
from node.tombstones import TRANSFER
from tests.faults.model.facts import EXPIRED, Event, Row, St
from tests.faults.refinement.abstract import Abstract, State

__all__ = ["Numbers", "Seen", "differences", "of_code", "of_model"]

Seen = dict[str, Any]

_EVENT, _STATEMENT = table_of(EventRow), table_of(BrokeredStatement)
_STEPS = {
    Kind.ACCEPTANCE: "answer",
    Kind.REFUSAL: "answer",
    Kind.RECEIPT_TAKEN: "receipt",
    Kind.RECEIPT_REFUSED: "receipt",
}
_PEOPLES_STEPS = {
    "sender withdraws it": Kind.WITHDRAWAL,
    "recipient accepts": Kind.ACCEPTANCE,
    "recipient declines": Kind.REFUSAL,
    "recipient answers the request to erase: done": Kind.ERASURE,
    "recipient answers the request to erase: refused": Kind.ERASURE,
    "recipient returns it unasked": Kind.ERASURE,
}
_ANSWERS = frozenset({Kind.ACCEPTANCE, Kind.REFUSAL})
_PEOPLES = frozenset(_PEOPLES_STEPS.values())
_NEVER_MORE = ("sender.spool", "recipient.spool")
"""Files that need not be there where the model has them: over a fast line nothing is spooled."""


class Numbers:
    """Which signature is the first of its kind, which the second: as their author's database shows them."""

    def __init__(self) -> None:
        self._known: dict[Digest, int] = {}
        self._count: dict[str, int] = {}

    def of(self, kind: Kind, signed: Signed) -> int:
        number = self._known.get(signed.digest)
        if number is None:
            step = _STEPS.get(kind, kind.value)
            number = self._count[step] = self._count.get(step, 0) + 1
            self._known[signed.digest] = number
        return number


# ---- the code ----


def of_code(directory: Any, nodes: dict[str, Any], transfer: TransferId | None, case_id: str, numbers: Numbers) -> Seen:
    """What lies on the disks of the three. `nodes` are the sender's and the recipient's."""
    seen: Seen = {}
    for name, node in nodes.items():  # authors first: that gives the numbers
        seen |= {f"{name}.{key}": value for key, value in _node(node, name, transfer, case_id, numbers).items()}
    seen |= {f"desk.{key}": value for key, value in _desk(directory, nodes, transfer, numbers).items()}
    return seen


def _node(node: Any, name: str, transfer: TransferId | None, case_id: str, numbers: Numbers) -> Seen:
    def read(tx: Any) -> Seen:
        found: Seen = {"holds" if name == "sender" else "case": _has(tx, node, case_id, here=name == "sender")}
        if name == "recipient":
            lines = journal.entries(tx)
            came = [each for each in lines if each.action == "transfer.received" and each.facts]
            found |= {"imported": len(came), "buried": _buried(node, transfer)}
        try:
            if transfer is None:
                raise NotFound(what="transfer")
            row = transfer_store.read_transfer(tx, transfer)
        except NotFound:
            return found | {"state": None, "kept": (), "job": "", "keys": (), "erasure": "", "spool": False}
        waits = dict(transfer_store.kinds(tx, transfer))
        kept = transfer_store.statements(tx, transfer)
        return found | {
            "state": row.state,
            "kept": tuple((kind.value, numbers.of(kind, signed), waits[kind]) for kind, signed, _ in kept),
            "job": row.job or "",
            "keys": _keys(node, row),
            "erasure": row.erasure or "",
            "spool": node.house.spool(transfer, outgoing=row.outgoing).exists(),
            "packed": row.job == "ship" and row.ciphertext_header is not None,
            "offered": _offered(row, list(waits), now=node.clock.now()),
        }

    return dict(node.db.read_sync(read))


def _offered(row: Any, said: list[Kind], *, now: datetime) -> frozenset[Kind]:
    """What people may do, by the table that the node asks, and by its own clock."""
    party = Party.SENDER if row.outgoing else Party.RECIPIENT
    late = row.expires_at <= now
    return frozenset(
        kind for kind in may(row.state, party, taken=said) if kind in _PEOPLES and not (late and kind in _ANSWERS)
    )


def _has(tx: Any, node: Any, case_id: str, *, here: bool) -> bool:
    try:
        found = records.read_case(tx, node.vault, case_id)
    except NotFound:
        return False
    return not here or found.holder == "here"


def _buried(node: Any, transfer: TransferId | None) -> bool:
    return transfer is not None and bool(node.house.tombstones.contains(TRANSFER, transfer.hex()))


def _keys(node: Any, row: Any) -> tuple[bool, ...]:
    """For each key that is kept: whether it can be opened."""
    found = []
    for sealed, place in ((row.sealed_content_key, KEY_PLACE), (row.sealed_one_time_seed, SEED_PLACE)):
        if sealed is not None:
            try:
                node.house.in_flight.unseal(sealed, place=place, row=row.id)
            except CannotOpen:
                found.append(False)
            else:
                found.append(True)
    return tuple(found)


def _desk(directory: Any, nodes: dict[str, Any], transfer: TransferId | None, numbers: Numbers) -> Seen:
    def read(tx: Any) -> Seen:
        if transfer is None:
            return {"state": None, "taken": (), "to_sender": (), "to_recipient": (), "mail": False}
        found, taken = brokered.find(tx, transfer), brokered.statements_of(tx, transfer)
        seen: Seen = {
            "state": found.state if found is not None else None,
            "taken": tuple((each.kind.value, numbers.of(each.kind, each.signed)) for each in taken),
            "mail": transfer in directory.mailbox.names(),
        }
        for name, node in nodes.items():
            seen[f"to_{name}"] = _events(tx, node, transfer, taken, numbers)
        return seen

    return dict(directory.db.read_sync(read))


def _events(tx: Any, node: Any, transfer: TransferId, taken: Sequence[Any], numbers: Numbers) -> tuple[Any, ...]:
    """What a node has not kept yet of what concerns it."""
    cursor = node.db.read_sync(transfer_store.cursor)
    query = (
        select(_EVENT.c.position)
        .where(_EVENT.c.member == node.member, _EVENT.c.transfer_id == transfer, _EVENT.c.sequence > cursor)
        .order_by(_EVENT.c.sequence)
    )
    return tuple(
        EXPIRED
        if position is None
        else (taken[position].kind.value, numbers.of(taken[position].kind, taken[position].signed))
        for position in tx.execute(query).scalars()
    )


# ---- the model ----


def of_model(abstract: Abstract, state: State) -> Seen:
    """The same, of one of the model's states. One transfer of one case."""
    sender, recipient = abstract.part(state, "sender"), abstract.part(state, "recipient")
    desk = abstract.part(state, "desk0")
    sent, came = sender.rows[0], recipient.rows[0]
    seen = {f"sender.{key}": value for key, value in _row(sent).items()}
    seen |= {f"recipient.{key}": value for key, value in _row(came).items()}
    for name, row in (("sender", sent), ("recipient", came)):
        if row.state is not None:
            steps = (_PEOPLES_STEPS.get(words) for words, _ in abstract.moves(state) if words.startswith(name))
            seen[f"{name}.offered"] = frozenset(kind for kind in steps if kind is not None)
    return seen | {
        "sender.holds": sender.holder < 0,
        "recipient.case": came.case,
        "recipient.imported": came.imported,
        "recipient.buried": recipient.buried,
        "desk.state": desk.state,
        "desk.taken": tuple((st.kind.value, st.number) for st in desk.taken),
        "desk.to_sender": tuple(map(_event, desk.to_sender)),
        "desk.to_recipient": tuple(map(_event, desk.to_recipient)),
        "desk.mail": bool(desk.mail),
    }


def _row(row: Row) -> Seen:
    if row.state is None:
        return {"state": None, "kept": (), "job": "", "keys": (), "erasure": "", "spool": False}
    return {
        "state": row.state,
        "kept": tuple((each.st.kind.value, each.st.number, each.waits) for each in row.kept),
        "job": row.job,
        "keys": (row.key > 0,) if row.key else (),
        "erasure": row.erasure,
        "spool": bool(row.spool),
        "packed": row.job == "ship" and bool(row.packed),
    }


def _event(event: Event) -> Any:
    return (event.kind.value, event.number) if isinstance(event, St) else event


def differences(seen: Seen, expected: Seen) -> list[str]:
    """In words; none where the model's state is what was seen."""
    return [
        f"{key}: {seen.get(key)} here, {value} in the model"
        for key, value in expected.items()
        if seen.get(key) != value and not (key in _NEVER_MORE and value and not seen.get(key))
    ]
