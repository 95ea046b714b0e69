"""What both nodes do alike: hear, submit, ask the broker what became of a transfer, give back (node/listening.py,
outbox.py, giving_back.py).

Each function gives the node after one durable step of its own, or after one call with what it keeps of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from cordee.transfer import Kind, State
from tests.faults.model.desk import CONFLICT, NOT_FOUND, REFUSED, TAKEN, Broker
from tests.faults.model.facts import (
    ACTIVE,
    EXPIRED,
    REMOVED,
    SUSPENDED,
    Desk,
    Event,
    Kept,
    Node,
    Row,
    St,
    World,
    next_waiting,
    statement_of,
    without,
)

__all__ = ["GIVEN_UP", "TRIES", "Half", "PassedOver", "Sent"]

TRIES = 2
"""How often people do one thing in one transfer, should the first time come to nothing."""

_RECEIPTS = frozenset({Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED})
GIVEN_UP = frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.REFUSAL, Kind.SHIPMENT})
"""`node.outbox._GIVEN_UP`."""


class PassedOver(Exception):
    """A statement that cannot be believed or does not fit: it is journalled, and the cursor passes it."""


class Sent(NamedTuple):
    """After a call that submits: both sides, and how the broker answered."""

    node: Node
    desk: Desk
    outcome: str


class Half:
    """One association's half of transfer number `place` of its node. `planted`: the name of a defect that it has."""

    steps: ClassVar[dict[Kind, int]]
    """Which of the numbers in `Node.made` counts a kind."""
    by_other: frozenset[Kind]

    def __init__(self, member: str, peer: str, broker: Broker, *, place: int = 0, planted: str = "") -> None:
        self.member, self.peer, self.broker = member, peer, broker
        self.place, self.planted = place, planted

    # ---- rows and numbers ----

    def row(self, node: Node) -> Row:
        return node.rows[self.place]

    def put(self, node: Node, row: Row) -> Node:
        rows = (*node.rows[: self.place], row, *node.rows[self.place + 1 :])
        return node._replace(rows=rows)

    def sign(self, node: Node, kind: Kind, about: int = 0, how: str = "") -> tuple[Node, St]:
        """A statement with a number that none of ours had before."""
        at = self.place * 3 + self.steps[kind]
        number = node.made[at] + 1
        made = (*node.made[:at], number, *node.made[at + 1 :])
        return node._replace(made=made), St(kind, number, about, how)

    @staticmethod
    def keep(row: Row, st: St, *, waits: bool) -> Row:
        """`transfer_store.add_statement`: its kind is not there yet."""
        return row._replace(kept=(*row.kept, Kept(st, waits)))

    @staticmethod
    def kept(row: Row, kind: Kind) -> St | None:
        return statement_of([each.st for each in row.kept], kind)

    @staticmethod
    def marked(row: Row, kind: Kind) -> Row:
        """`transfer_store.mark_taken`."""
        return row._replace(kept=tuple(k._replace(waits=False) if k.st.kind is kind else k for k in row.kept))

    @staticmethod
    def waits_again(row: Row) -> Row:
        """A withdrawal is sent, or sent once more: the same again is answered as the first time."""
        return row._replace(kept=tuple(k._replace(waits=True) if k.st.kind is Kind.WITHDRAWAL else k for k in row.kept))

    def ended(self, row: Row, state: State, **fields: object) -> Row:
        """`transfer_store.end`: what is no longer needed goes with the same transaction; the file right after."""
        keeps = self.planted == "an end keeps the key" and state is State.RECEIVED
        row = row._replace(state=state, job="", key=row.key if keeps else 0, packed=0, spool=0)
        return row._replace(**fields) if fields else row  # type: ignore[arg-type]

    # ---- hearing ----

    def take(self, node: Node, world: World, st: St) -> Node:
        """The step of one statement of the other's. Raises: PassedOver."""
        raise NotImplementedError

    def expire(self, node: Node) -> Node:
        """The broker says that the time is over."""
        raise NotImplementedError

    def dropped(self, node: Node, world: World, kind: Kind, refused: str, at_broker: State | None) -> Iterator[Node]:
        """The broker would not take a step of ours: `answers.dropped`, `arrivals.dropped`."""
        raise NotImplementedError

    def hear(self, node: Node, world: World, event: Event) -> Node:
        """`Listener._hear`, with what it does where somebody is suspended or not a member (`_judge`)."""
        if event == EXPIRED:
            return self.expire(node)
        assert isinstance(event, St)
        if event.exposing:
            parties = (self.member, self.peer)
            if any(world.standing(each, node.seen) != ACTIVE for each in parties):
                node = node._replace(seen=len(world.log))  # it synchronises, then looks again
            if any(world.standing(each, node.seen) == SUSPENDED for each in parties):
                lies = (self.place, event)
                return node if lies in node.aside else node._replace(aside=(*node.aside, lies))
            if any(world.standing(each, node.seen) != ACTIVE for each in parties):
                return node
        try:
            return self.take(node, world, event)
        except PassedOver:
            return node

    def reconciled(self, node: Node, world: World, desk: Desk) -> Node:
        """`Listener.reconcile`, without its end: what the broker has of the other's is taken over."""
        for st in desk.taken:
            if st.kind in self.by_other:
                node = self.hear(node, world, st)
        return self.expire(node) if desk.state is State.EXPIRED else node

    # ---- submitting ----

    def submit(self, node: Node, desk: Desk, world: World) -> Iterator[Sent]:
        """`Outbox._send` of what waits first, to its end."""
        st = next_waiting(self.row(node))
        if st is None or node.pending:
            return
        for answer in self.broker.submit(desk, world, st):
            yield from self._heard(node, answer.desk, world, st, answer.outcome)

    def _heard(self, node: Node, desk: Desk, world: World, st: St, outcome: str) -> Iterator[Sent]:
        if outcome == TAKEN:
            yield Sent(self.put(node, self.marked(self.row(node), st.kind)), desk, outcome)
        elif outcome in (CONFLICT, NOT_FOUND):
            desk, added = self.broker.give_back(desk, world, self.member, self.given(node))
            if added:  # it knows again what this statement follows
                for again in self.broker.submit(desk, world, st):
                    yield from self._heard(node, again.desk, world, st, again.outcome)
            elif outcome == CONFLICT or st.kind is Kind.WITHDRAWAL:
                yield from self.drop(node, desk, world, st.kind, "")
        elif outcome == REFUSED and st.kind in GIVEN_UP:
            yield from self.drop(node, desk, world, st.kind, outcome)
        elif outcome == REFUSED:
            why = f"its {st.words} waits, and the broker will never take it"
            yield Sent(node._replace(wrong=node.wrong or why), desk, outcome)
        elif (
            st.kind is Kind.OFFER
            and world.standing(self.peer, node.seen) == REMOVED
            and self.planted != "an offer to a removed member waits for ever"
        ):
            yield from self.drop(node, desk, world, st.kind, REFUSED)

    def drop(self, node: Node, desk: Desk, world: World, kind: Kind, refused: str) -> Iterator[Sent]:
        """`Outbox._drop`: nothing is forgotten before the broker has said how the transfer stands."""
        for over in self.broker.due(desk, world):  # reading it writes down what time has ended
            now = self.broker.expired(desk) if over else desk
            known = self.reconciled(node, world, now) if now.state is not None else node
            if kind is Kind.RECEIPT_REFUSED and not any(st.kind in _RECEIPTS for st in now.taken):
                known = known._replace(wrong=known.wrong or "it refused what came, and the broker was never told")
            for dropped in self.dropped(known, world, kind, refused, now.state):
                yield Sent(dropped, now, CONFLICT)

    def forgotten(self, row: Row, *kinds: Kind) -> Row:
        """`transfer_store.forget_waiting`."""
        return without(row, lambda each: each.waits and each.st.kind in kinds)

    def renewed(self, node: Node, st: St) -> tuple[Node, St]:
        """`Outbox._sign_again`: with another number in the place of one that waits; what names it as well."""
        node, fresh = self.sign(node, st.kind, st.about, st.how)
        row = self.row(node)
        # The one-time key is in the acceptance that it is signed with again.
        same_key = st.kind is Kind.ACCEPTANCE and row.key == st.number
        row = row._replace(key=fresh.number if same_key else row.key)
        node = self.put(node, row._replace(kept=tuple(k._replace(st=fresh) if k.st == st else k for k in row.kept)))
        following = self.kept(self.row(node), Kind.WITHDRAWAL)
        planted = self.planted == "a withdrawal is not signed anew with its offer"
        if st.kind is Kind.OFFER and following is not None and not planted:
            node, again = self.sign(node, Kind.WITHDRAWAL, fresh.number)
            row = self.row(node)
            kept = tuple(k._replace(st=again) if k.st == following else k for k in row.kept)
            node = self.put(node, row._replace(kept=kept))
        return node, fresh

    # ---- after a restore of the directory ----

    def given(self, node: Node) -> list[St]:
        """`giving_back._taken`: what the broker has had, by our own word."""
        return [each.st for each in self.row(node).kept if not each.waits]
