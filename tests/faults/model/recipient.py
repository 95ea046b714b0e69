"""The receiving node, as node/arrivals.py, receiving.py, fetching.py and returning.py have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from cordee.errors import Conflict
from cordee.transfer import END_STATES, Kind, Party, State, next_state
from tests.faults.model.facts import ACTIVE, Desk, Node, Row, St, World, kinds_of
from tests.faults.model.half import TRIES, Half, PassedOver

__all__ = ["RecipientHalf"]


class RecipientHalf(Half):
    """It accepts or declines, fetches, imports and confirms; later it erases or keeps."""

    steps: ClassVar = {
        Kind.ACCEPTANCE: 0,
        Kind.REFUSAL: 0,
        Kind.RECEIPT_TAKEN: 1,
        Kind.RECEIPT_REFUSED: 1,
        Kind.ERASURE: 2,
    }
    by_other = frozenset({Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL})

    # ---- people ----

    def people(self, node: Node, world: World) -> Iterator[tuple[str, Node]]:
        """`Receiving` and `Returning`."""
        row = self.row(node)
        if node.pending or row.state is None:
            return
        if self._may(row, Kind.ACCEPTANCE) and False in world.past(1) and node.made[0] < TRIES:
            if world.standing(self.peer, node.seen) == ACTIVE:
                yield "accepts", self._accepted(node)
            yield "declines", self._declined(node)
        if row.state is State.RECEIVED and self._may(row, Kind.ERASURE) and node.made[2] < TRIES:
            withdrawal = self.kept(row, Kind.WITHDRAWAL)
            shipment = self.kept(row, Kind.SHIPMENT)
            if withdrawal is not None:
                for how in ("done", "refused"):
                    yield f"answers the request to erase: {how}", self._erased(node, withdrawal, how)
            if shipment is not None:
                yield "returns it unasked", self._erased(node, shipment, "returned")

    def _may(self, row: Row, kind: Kind) -> bool:
        try:
            next_state(row.state, kind, Party.RECIPIENT, taken=kinds_of(row))
        except Conflict:
            return False
        return True

    def _accepted(self, node: Node) -> Node:
        offer = self.kept(self.row(node), Kind.OFFER)
        assert offer is not None
        node, st = self.sign(node, Kind.ACCEPTANCE, offer.number)
        if self.planted == "the answer is sent before the key is kept":
            return self.put(node, self.keep(self.row(node), st, waits=True)._replace(state=State.ACCEPTED, key=-1))
        row = self.keep(self.row(node), st, waits=True)
        return self.put(node, row._replace(state=State.ACCEPTED, key=st.number))

    def _declined(self, node: Node) -> Node:
        offer = self.kept(self.row(node), Kind.OFFER)
        assert offer is not None
        node, st = self.sign(node, Kind.REFUSAL, offer.number)
        return self.put(node, self.ended(self.keep(self.row(node), st, waits=True), State.DECLINED))

    def _erased(self, node: Node, about: St, how: str) -> Node:
        """One transaction destroys the key and keeps the statement; the tombstone follows (`bury`)."""
        node, st = self.sign(node, Kind.ERASURE, about.number, how)
        row = self.keep(self.row(node), st, waits=True)._replace(erasure=how)
        keeps = self.planted == "an erasure is signed and nothing erased"
        return self.put(node, row._replace(case=row.case and (how == "refused" or keeps)))

    # ---- what the node does by itself ----

    def work(self, node: Node, world: World) -> Iterator[tuple[str, Node]]:
        """Import what was fetched, or refuse it; set the tombstone of what was erased."""
        row = self.row(node)
        if node.pending:
            return
        if row.erasure in ("done", "returned") and not node.buried:
            yield "sets the tombstone", node._replace(buried=self.planted != "no tombstone is set")
        if row.job != "fetch" or not row.spool or row.key <= 0:
            return
        for over in world.past(3):  # `_require_under_way`, by our own clock
            if over:
                continue
            yield "imports the case and signs the receipt", self._imported(node, world)

    def _imported(self, node: Node, world: World) -> Node:
        """One transaction: the case, the receipt, the end of the one-time key."""
        row = self.row(node)
        shipment, answer = self.kept(row, Kind.SHIPMENT), self.kept(row, Kind.ACCEPTANCE)
        assert shipment is not None
        wrong = ""
        if answer is None or shipment.about != row.key or row.spool != int(shipment.how):
            wrong = "it opened what was not sealed to its one-time key"
        elif self.kept(row, Kind.WITHDRAWAL) is not None:
            wrong = "it imported what it knew to be withdrawn"
        elif world.clock > 3:
            wrong = "it imported after the end of the one-time key"
        node, st = self.sign(node, Kind.RECEIPT_TAKEN, shipment.number)
        row = self.row(node)
        if self.planted != "the case is imported and no receipt kept":
            row = self.keep(row, st, waits=True)
        stays = self.planted == "the import leaves its job"
        lost = self.planted == "the receipt is kept before the case"
        fields = {"imported": min(row.imported + 1, 2), "case": not lost}
        row = row._replace(**fields) if stays else self.ended(row, State.RECEIVED, **fields)
        return self.put(node._replace(wrong=node.wrong or wrong), row)

    def refuse(self, node: Node) -> Node:
        """`Fetching._refuse`: whole, nothing is imported."""
        shipment = self.kept(self.row(node), Kind.SHIPMENT)
        assert shipment is not None
        node, st = self.sign(node, Kind.RECEIPT_REFUSED, shipment.number)
        return self.put(node, self.ended(self.keep(self.row(node), st, waits=True), State.REFUSED))

    def fetch(self, node: Node, desk: Desk, world: World) -> Iterator[tuple[str, Node, Desk]]:
        """`Fetching.run` with the broker: download, or ask what became of what is over by our own clock."""
        row = self.row(node)
        if row.job != "fetch" or node.pending:
            return
        active = all(world.standing(each) == ACTIVE for each in (self.member, self.peer))
        shipment = self.kept(row, Kind.SHIPMENT)
        assert shipment is not None
        readable = desk.state in (State.ACCEPTED, State.SHIPPED) and False in world.past(3) and active
        if readable and desk.mail and row.spool != desk.mail:
            yield "downloads it", self.put(node, row._replace(spool=desk.mail)), desk
        if True in world.past(3) and world.standing(self.member) == ACTIVE:
            for due in self.broker.due(desk, world):
                now = self.broker.expired(desk) if due else desk
                if now.state in (State.EXPIRED, State.WITHDRAWN):
                    yield "hears that it is over", self.put(node, self.ended(row, now.state)), now
                elif now.state is not None:
                    yield "refuses it: it is over here", self.refuse(node), now

    # ---- hearing ----

    def take(self, node: Node, world: World, st: St) -> Node:
        row = self.row(node)
        if st.kind is Kind.OFFER:
            return self._offer(node, row, st)
        if st.kind is Kind.SHIPMENT:
            return self._shipment(node, row, st)
        return self._withdrawal(node, row, st)

    def _offer(self, node: Node, row: Row, st: St) -> Node:
        known = self.kept(row, Kind.OFFER)
        if known is not None:
            return node
        state = State.WITHDRAWN if row.overtaken else State.OFFERED
        return self.put(node, self.keep(row, st, waits=False)._replace(state=state))

    def _shipment(self, node: Node, row: Row, st: St) -> Node:
        answer = self.kept(row, Kind.ACCEPTANCE)
        if answer is None or answer.number != st.about:
            raise PassedOver
        if self.kept(row, Kind.SHIPMENT) is not None or row.state in END_STATES:
            return node
        then = next_state(row.state, Kind.SHIPMENT, Party.SENDER, taken=kinds_of(row))
        row = self.marked(self.keep(row, st, waits=False), Kind.ACCEPTANCE)
        return self.put(node, row._replace(state=then, job="fetch", spool=0))

    def _withdrawal(self, node: Node, row: Row, st: St) -> Node:
        offer = self.kept(row, Kind.OFFER)
        if offer is None:
            return self.put(node, row._replace(overtaken=True))
        if offer.number != st.about:
            raise PassedOver
        known = self.kept(row, Kind.WITHDRAWAL)
        if known is not None:
            if known != st:
                raise PassedOver
            return node
        row = self.keep(row, st, waits=False)
        if row.state is State.RECEIVED and not row.erasure:
            row = row._replace(erasure="asked")
        elif self._may_still_end(row) and self.planted != "a withdrawal is kept and the transfer goes on":
            row = self.forgotten(row, Kind.ACCEPTANCE, Kind.REFUSAL)
            row = self.ended(row, State.WITHDRAWN)
        return self.put(node, row)

    def _may_still_end(self, row: Row) -> bool:
        """`arrivals._may_still_end`: what we have refused had ended otherwise for the broker."""
        stands = self.planted == "a refused receipt stands though it came too late"
        return row.state not in END_STATES or (row.state is State.REFUSED and not stands)

    def expire(self, node: Node) -> Node:
        """`Arrivals.expired`: what this node has imported stays, its receipt is on the way."""
        row = self.row(node)
        if row.state is None:
            return node
        if not self._may_still_end(row):
            if self.planted == "an expiry erases what was imported" and row.state is State.RECEIVED and row.case:
                return self.put(node, row._replace(case=False))
            return node
        row = self.forgotten(row, Kind.ACCEPTANCE, Kind.REFUSAL)
        return self.put(node, self.ended(row, State.EXPIRED))

    def dropped(self, node: Node, world: World, kind: Kind, refused: str, at_broker: State | None) -> Iterator[Node]:
        """`Arrivals.dropped`: while the offer still stands there, it stands here again."""
        row = self.forgotten(self.row(node), kind)
        answer = kind in (Kind.ACCEPTANCE, Kind.REFUSAL)
        if answer and row.state is State.DECLINED and at_broker in (State.WITHDRAWN, State.EXPIRED):
            kept = self.planted == "a refusal stands though it came too late"
            yield self.put(node, row if kept else self.ended(row, at_broker))
            return
        if not answer or at_broker is not State.OFFERED or row.state not in (State.ACCEPTED, State.DECLINED):
            yield self.put(node, row)
            return
        for past in world.past(1):
            if past:
                yield self.put(node, self.ended(row, State.EXPIRED))
            else:
                yield self.put(node, row._replace(state=State.OFFERED, key=0))
