"""What must hold of a transfer in every state (docs/faults.md says which promise each of them is), and at rest.

I1 a case is stored at most once for a transfer. I2 stored: accepted and shipped between these two, opened with the key
of that very acceptance, neither known to be withdrawn nor over by one's own clock. I3 over: the one-time key and the
content key are gone, and no backup brings them back. I4 the sender says "theirs": they have it, or have signed that
they erased it. I8 what the directory keeps opens nothing: its ciphertext goes with the end, and at rest no key to it
is anywhere. I9 from each state fair steps lead to rest (`engine.explore`). At rest, beyond these: nobody has forgotten
what it was told was taken (nothing lost), both nodes and the broker say the same, and the case has one holder.

I5 to I7 are about the log: tests/faults/model/log.py.
"""

from __future__ import annotations

from functools import partial

from cordee.transfer import Kind, State
from tests.faults.model.engine import Invariant, Reached
from tests.faults.model.facts import END_STATES, REMOVED, Desk, Node, Row, World, kinds_of, next_waiting, statement_of

__all__ = ["invariants_of", "reached_by", "rest_of"]

_NAMES = ("recipient", "other recipient")
OPEN = frozenset({State.OFFERED, State.ACCEPTED, State.SHIPPED})


def invariants_of(transfers: int) -> list[Invariant]:
    """All of them, for so many transfers of one case."""
    found = [Invariant("I2", ("sender",), _one_at_a_time), Invariant("I3", ("sender",), _sender_keeps_no_key)]
    for place in range(transfers):
        member, desk = _NAMES[place], f"desk{place}"
        found += [
            Invariant("I1", (member,), _once),
            Invariant("I2", (member, desk), _rightly),
            Invariant("I3", (member,), _recipient_keeps_no_key),
            Invariant("I4", ("sender", member), partial(_theirs, place)),
            Invariant("I8", (desk, "world"), partial(_stands, member)),
        ]
    reads = ("sender", *_NAMES[:transfers], *(f"desk{place}" for place in range(transfers)), "world")
    return [*found, Invariant("at rest", reads, partial(_at_rest, transfers))]


def rest_of(transfers: int) -> Invariant:
    """Nothing is left to be done: for every transfer, by every node that is still a member, and by the directory."""
    reads = ("sender", *_NAMES[:transfers], *(f"desk{place}" for place in range(transfers)), "world")
    return Invariant("rest", reads, partial(_unrest, transfers))


def reached_by(transfers: int) -> list[Reached]:
    """What must be possible at all: a model in which nothing happens breaks no promise."""
    found = []
    for place in range(transfers):
        for state in (State.RECEIVED, State.DECLINED, State.WITHDRAWN):
            found.append(Reached(f"no transfer is ever {state.value}", f"desk{place}", partial(_in_state, state)))
        for how in ("done", "refused", "returned"):
            found.append(Reached(f"no erasure is ever {how}", f"desk{place}", partial(_erased, how)))
    return found


def _in_state(state: State, desk: Desk) -> bool:
    return desk.state is state


def _erased(how: str, desk: Desk) -> bool:
    return any(st.kind is Kind.ERASURE and st.how == how for st in desk.taken)


# ---- in every state ----


def _once(node: Node) -> str:
    return "a case was stored twice for one transfer" if node.rows[0].imported > 1 else ""


def _rightly(node: Node, desk: Desk) -> str:
    if node.rows[0].imported and not {Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT} <= desk.ever:
        return "a case was stored that the broker never saw accepted and shipped"
    return node.wrong


def _one_at_a_time(node: Node) -> str:
    """ADR 8: nothing of a case leaves to a second one."""
    under_way = sum(row.state in (State.ACCEPTED, State.SHIPPED) for row in node.rows)
    return "the case is on its way to two" if under_way > 1 else node.wrong


def _stands(member: str, desk: Desk, world: World) -> str:
    if desk.state is State.SHIPPED and not desk.mail and not world.restored:
        return "it counts as shipped, and no ciphertext waits"
    gone = any(world.standing(each) == REMOVED for each in ("sender", member))
    return "a removed member's transfer is still open" if gone and desk.state in OPEN else ""


def _sender_keeps_no_key(node: Node) -> str:
    for row in node.rows:
        if row.over and (row.key or row.packed):
            return "the sender's transfer is over and its content key is still there"
    return ""


def _recipient_keeps_no_key(node: Node) -> str:
    if node.rows[0].over and node.rows[0].key:
        return "the recipient's transfer is over and its one-time key is still there"
    return ""


def _theirs(place: int, sender: Node, recipient: Node) -> str:
    if sender.rows[place].state is not State.RECEIVED and sender.holder != place:
        return ""
    row = recipient.rows[0]
    if row.case or Kind.ERASURE in kinds_of(row) or recipient.pending or recipient.noted:
        return ""
    return "the sender holds it for theirs, and they neither have it nor have said that they erased it"


# ---- at rest ----


def _unrest(transfers: int, *of: object) -> str:
    sender, recipients, desks, world = _sorted(transfers, of)
    for place in range(transfers):
        desk, sides = desks[place], ((sender, place, "sender"), (recipients[place], 0, _NAMES[place]))
        if desk.state is not None and desk.state not in END_STATES:
            return f"at the directory it is {desk.state.value}"
        if desk.afloat:
            return "a statement is still under way"
        if desk.mail:
            return "ciphertext waits at the directory"
        for node, at, member in sides:
            if world.standing(member) == REMOVED:
                continue
            queue = desk.to_sender if member == "sender" else desk.to_recipient
            why = _unsettled(node, node.rows[at], member)
            if why or queue or (world.restored and not node.gave):
                return why or f"{member} has not heard everything"
    return ""


def _unsettled(node: Node, row: Row, member: str) -> str:
    waits = next_waiting(row)
    if node.pending or node.look is not None:
        return f"{member} has not told of its restore"
    if row.state is not None and not row.over:
        return f"{member}: {row.state.value}"
    if waits is not None:
        return f"{member}: its {waits.words} waits"
    if row.job:
        return f"{member}: its job waits ({row.job})"
    if row.erasure in ("done", "returned") and member != "sender" and not node.buried:
        return f"{member}: no tombstone stands for what it erased"
    return f"{member}: something lies aside" if node.aside else ""


def _at_rest(transfers: int, *of: object) -> str:
    if _unrest(transfers, *of):
        return ""
    sender, recipients, desks, world = _sorted(transfers, of)
    for place in range(transfers):
        sides = ((sender, sender.rows[place], "sender"), (recipients[place], recipients[place].rows[0], _NAMES[place]))
        for _, row, member in sides:
            if row.key and world.standing(member) != REMOVED:
                return f"{member} still has a key"
            known = world.standing(member) != REMOVED and row.state is State.REFUSED
            if known and statement_of(desks[place].taken, Kind.RECEIPT_REFUSED) is None:
                return f"{member} refused what came, and the broker was never told"
            wrong = _forgotten(row, desks[place], member, removed=world.standing(member) == REMOVED)
            if wrong:
                return wrong
            if world.standing(member) != REMOVED:
                wrong = _differs(row, desks[place], member, world)
                if wrong:
                    return wrong
    return _holders(sender, recipients, world)


def _forgotten(row: Row, desk: Desk, member: str, *, removed: bool) -> str:
    """An acknowledged step is at the broker for good. Of two that end a transfer before anything was received, one may
    be forgotten with a restore, and then the other stands; a shipment that was given up may never have come there.
    """
    for each in row.kept:
        if each.waits or each.st in desk.taken or each.st.kind is Kind.SHIPMENT:
            continue
        after = statement_of(desk.taken, Kind.ERASURE) is not None  # then a withdrawal that was given up had no object
        matters = State.RECEIVED in (row.state, desk.state) and not after and not removed
        if each.st.fact or matters:
            return f"{member} was told that its {each.st.words} was taken, or heard it, and the broker has it not"
    return ""


def _differs(row: Row, desk: Desk, member: str, world: World) -> str:
    if row.state is None or desk.state is None:
        return ""
    # What ended before anything was received may end once more, and otherwise, where the directory has forgotten it.
    if row.state is not desk.state and (not world.restored or State.RECEIVED in (row.state, desk.state)):
        return f"{member} says {row.state.value}, the directory {desk.state.value}"
    said = next((st.how for st in desk.taken if st.kind is Kind.ERASURE), "")
    asked = "asked" if desk.state is State.RECEIVED and any(s.kind is Kind.WITHDRAWAL for s in desk.taken) else ""
    unheard = member == "sender" and not row.erasure and not said  # a withdrawal that was given up, and arrived late
    if row.erasure != (said or asked) and not unheard:
        return f"{member} says of the erasure “{row.erasure}”, the directory “{said or asked}”"
    return ""


def _holders(sender: Node, recipients: list[Node], world: World) -> str:
    """One that may act on the case; what was lost with a disk, and is in a journal to be asked for, apart."""
    if any(each.noted for each in (sender, *recipients)):
        return ""
    if any(world.standing(each) == REMOVED for each in ("sender", *_NAMES)):
        return ""
    here = sender.holder < 0
    there = sum(each.rows[0].case for each in recipients)
    waiting = [
        place
        for place, each in enumerate(recipients)
        if each.rows[0].case and sender.holder != place and _only_kept(sender, place)
    ]  # a copy that they were asked to erase: a person's answer is due, or the law made them keep it
    if here + there - len(waiting) == 1:
        return ""
    return "nobody holds the case" if here + there == 0 else "two associations hold the case for theirs"


def _only_kept(sender: Node, place: int) -> bool:
    """Of a case that another transfer took: asked back, or kept because the law asks for it; nobody acts on it."""
    erasure = sender.rows[place].erasure
    return erasure == "asked" or (erasure == "refused" and len(sender.rows) > 1)


def _sorted(transfers: int, of: tuple[object, ...]) -> tuple[Node, list[Node], list[Desk], World]:
    sender, *others = of
    nodes, desks, world = others[:transfers], others[transfers : 2 * transfers], others[-1]
    return sender, nodes, desks, world  # type: ignore[return-value]
