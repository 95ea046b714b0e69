"""A node that comes from a backup, as node/restoring.py, restored.py and aftermath.py have it."""

from __future__ import annotations

from cordee.transfer import Kind, State
from tests.faults.model.facts import END_STATES, Kept, Node, Row, Saved, kinds_of, statement_of
from tests.faults.model.half import Half
from tests.faults.model.sender import SenderHalf

__all__ = ["NEW", "back_up", "burn", "settle", "told"]

NEW = "new"
"""It has come from a backup, and the network does not know yet."""


def told(place: int) -> str:
    """The network knows; transfer number `place` is to be looked at."""
    return f"told{place}"


def back_up(node: Node) -> Node:
    """`node.backup`: one snapshot of the database and the tombstones."""
    return node._replace(saved=Saved(node.rows, node.holder, node.buried, node.gave))


def burn(node: Node, *, newer_tombstones: bool, planted: str = "") -> Node:
    """`restoring.restore` on another machine. In-flight keys and spools are in no backup."""
    saved = node.saved
    assert saved is not None
    buried = node.buried if newer_tombstones else saved.buried
    with_keys = planted == "a backup has the in-flight keys"
    rows = []
    for row in saved.rows:
        key = row.key if with_keys or not row.key else -1
        erased_again = buried and planted != "tombstones are not applied after a restore"
        rows.append(row._replace(key=key, spool=0, case=row.case and not erased_again))
    pending = "" if planted == "a restored node does not tell" else NEW
    return node._replace(
        rows=tuple(rows),
        holder=saved.holder,
        buried=buried,
        gave=saved.gave,
        aside=(),
        seen=0,
        pending=pending,
        look=None,
        saved=None,
        noted=False,
        wrong=node.wrong or ("a backup brought back a key" if any(row.key > 0 for row in rows) else ""),
    )


def settle(half: Half, node: Node) -> Node:
    """`Aftermath._take_over` and `_settle`, from what was read of one transfer: one transaction."""
    assert node.look is not None
    state, taken = node.look
    last = half.place == len(node.rows) - 1
    node = node._replace(look=None, pending="" if last else told(half.place + 1))
    row = half.row(node)
    outgoing = isinstance(half, SenderHalf)
    if state is None:
        return node if row.state is None or row.over else half.put(node, _never_came(half, row))
    gone = node.buried and statement_of([k.st for k in row.kept], Kind.ERASURE) is None  # `Aftermath._is_gone`
    gone = gone and half.planted != "what its tombstone erased again is not given back"
    if row.over and row.state is state and len(row.kept) == len(taken) and not gone:
        return node
    there = {st.kind for st in taken}
    if row.state is None:
        late = Kind.SHIPMENT in there and half.planted != "what may have arrived is not noted after a restore"
        if outgoing and (state is State.RECEIVED or (state is not State.REFUSED and late)):
            return node._replace(noted=True)
        forgets = half.planted == "what was over is not kept after a restore" and state is not State.RECEIVED
        if outgoing or forgets or state not in END_STATES:
            return node  # it has come to nothing, or was offered since
        row = row._replace(state=State.OFFERED)
    asks = state is State.RECEIVED and Kind.ERASURE not in there
    asks = asks and half.planted != "a request to erase is forgotten with a restore"
    told_here = [k.st for k in row.kept if k.waits and k.st.kind not in there and k.st.fact]
    kept = tuple(k for k in row.kept if not k.waits or k.st in told_here or k.st.kind is Kind.WITHDRAWAL)
    row = half.marked(row._replace(kept=kept), Kind.WITHDRAWAL)
    if asks and Kind.WITHDRAWAL not in there:
        row = half.waits_again(row)
    missed = [st for st in taken if statement_of([k.st for k in row.kept], st.kind) is None]
    row = row._replace(kept=(*row.kept, *(Kept(st, waits=False) for st in missed)))
    if any(st.kind is Kind.RECEIPT_TAKEN for st in told_here):
        state = State.RECEIVED  # it was imported here, and the backup says so
    if state not in END_STATES:
        node = node._replace(wrong=node.wrong or "a restored node goes on with what it has no key for")
    if isinstance(half, SenderHalf):
        return _end_sent(half, node, row, state)
    return _end_come(half, node, row, state)


def _never_came(half: Half, row: Row) -> Row:
    return half.ended(row._replace(kept=tuple(k for k in row.kept if not k.waits)), State.WITHDRAWN)


def _end_sent(half: SenderHalf, node: Node, row: Row, state: State) -> Node:
    received = state is State.RECEIVED and row.state is not State.RECEIVED
    erasure = row.erasure
    if state is State.RECEIVED and Kind.WITHDRAWAL in kinds_of(row) and not erasure:
        erasure = "asked"
    said = half.kept(row, Kind.ERASURE)
    answered = said is not None and row.erasure in ("", "asked")
    if said is not None and answered:
        erasure = said.how
    node = half.put(node, half.ended(row, state)._replace(erasure=erasure))
    if received:
        node = half.pass_on(node)
    return half.take_back(node, said) if said is not None and answered else node


def _end_come(half: Half, node: Node, row: Row, state: State) -> Node:
    said, here = half.kept(row, Kind.ERASURE), row.imported > 0
    if node.buried and half.planted != "what its tombstone erased again is not given back":
        here = False  # erased under signature, as its tombstone says; the statement went with the machine
    case, erasure = row.case, row.erasure
    if state is State.RECEIVED and said is not None:
        if said.how != "refused" and row.erasure not in ("done", "returned"):
            case = False
        erasure = said.how
        if erasure == "refused" and not here and half.planted != "what was kept by law and lost is not noted":
            node = node._replace(noted=True)  # it can be given back no more: people have to say so
    elif state is State.RECEIVED and not here:
        if half.planted != "a restored recipient gives nothing back":
            node, row, erasure = _give_back(half, half.put(node, row))
    elif state is State.RECEIVED and Kind.WITHDRAWAL in kinds_of(row) and not row.erasure:
        erasure = "asked"
    return half.put(node, half.ended(row, state)._replace(case=case, erasure=erasure))


def _give_back(half: Half, node: Node) -> tuple[Node, Row, str]:
    shipment = half.kept(half.row(node), Kind.SHIPMENT)
    assert shipment is not None
    node, st = half.sign(node, Kind.ERASURE, shipment.number, "returned")
    return node, half.keep(half.row(node), st, waits=True), "returned"
