"""The sending node, as node/sending.py, shipping.py and answers.py have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from cordee.errors import Conflict
from cordee.transfer import Kind, Party, State, next_state
from tests.faults.model.facts import ACTIVE, Desk, Node, Row, St, World, kinds_of
from tests.faults.model.half import TRIES, Half, PassedOver

__all__ = ["SenderHalf"]


class SenderHalf(Half):
    """It offers a case, packs and uploads it, and keeps the receipt."""

    steps: ClassVar = {Kind.OFFER: 0, Kind.SHIPMENT: 1, Kind.WITHDRAWAL: 2}
    by_other = frozenset({Kind.ACCEPTANCE, Kind.REFUSAL, Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED, Kind.ERASURE})

    # ---- people ----

    def people(self, node: Node, world: World) -> Iterator[tuple[str, Node]]:
        """`Sending.offer`, `Sending.withdraw`."""
        row = self.row(node)
        if node.pending:
            return
        parties = (self.member, self.peer)
        if row.state is None and not node.made[self.place * 3] and node.holder < 0 and world.clock == 0:
            if all(world.standing(each, node.seen) == ACTIVE for each in parties):
                node, st = self.sign(node, Kind.OFFER)
                yield "offers the case", self.put(node, self.keep(row._replace(state=State.OFFERED), st, waits=True))
        elif row.state is not None and node.made[self.place * 3 + 2] < TRIES:
            try:
                yield "withdraws it", self.withdrawn(node)
            except (Conflict, PassedOver):
                return

    def withdrawn(self, node: Node) -> Node:
        """`sending.write_withdrawal`. Raises: Conflict; PassedOver without an offer."""
        row = self.row(node)
        then = next_state(row.state, Kind.WITHDRAWAL, Party.SENDER, taken=kinds_of(row))
        offer = self.kept(row, Kind.OFFER)
        if offer is None:
            raise PassedOver
        node, st = self.sign(node, Kind.WITHDRAWAL, offer.number)
        row = self.marked(row, Kind.SHIPMENT)  # give_up_sending
        row = self.keep(row, st, waits=self.planted != "a withdrawal is not sent")
        row = row._replace(erasure="asked") if then is State.RECEIVED else self.ended(row, then)
        return self.put(node, row)

    # ---- what the node does by itself: the job "ship" ----

    def work(self, node: Node, world: World) -> Iterator[tuple[str, Node]]:
        """The steps of shipping that touch this node alone: a key is kept, then packed with."""
        row = self.row(node)
        if row.job != "ship" or node.pending:
            return
        if row.key == 0:  # _choose_key, after its packed file was lost
            yield "keeps another content key", self.put(node, row._replace(key=2))
        elif row.packed == 0 and row.spool == 0:
            number = row.packings + 1
            yield "packs the case into its spool", self.put(node, row._replace(spool=number, packings=number))
        elif row.packed == 0:
            yield "keeps the packing's header", self.put(node, row._replace(packed=row.spool))

    def upload(self, node: Node, desk: Desk, world: World) -> Iterator[tuple[str, Node, Desk]]:
        """`Shipping._upload` and, once all of it waits there, `_close`."""
        row = self.row(node)
        if row.job != "ship" or node.pending or world.standing(self.peer, node.seen) != ACTIVE:
            return
        early = self.planted == "a shipment is signed and taken before its ciphertext is there"
        if row.packed and (desk.mail == row.packed or early):
            yield "signs the shipment", self._closed(node), desk
        elif row.spool and row.packed in (0, row.spool) and self._may_put(desk, world):
            yield "uploads it", node, desk._replace(mail=row.spool)
        if row.packed and row.spool != row.packed and desk.mail != row.packed:
            yield "misses its spool", self._lost(node), desk

    def _may_put(self, desk: Desk, world: World) -> bool:
        """`TransferMailboxPolicy.may_write`."""
        active = all(world.standing(each) == ACTIVE for each in (self.member, self.peer))
        return active and desk.state is State.ACCEPTED and False in world.past(3)

    def _lost(self, node: Node) -> Node:
        """`Shipping._lost`: it is packed anew with another key, for nothing of it has left: what another packing has
        brought is not counted. (Where a part has left it is withdrawn; here all of it waits there, or nothing.)
        """
        return self.put(node, self.row(node)._replace(key=0, packed=0, spool=0))

    def _closed(self, node: Node) -> Node:
        row = self.row(node)
        answer = self.kept(row, Kind.ACCEPTANCE)
        assert answer is not None
        node, st = self.sign(node, Kind.SHIPMENT, answer.number, str(row.packed))
        return self.put(node, self.keep(row, st, waits=True)._replace(state=State.SHIPPED, job=""))

    # ---- hearing ----

    def take(self, node: Node, world: World, st: St) -> Node:
        row = self.row(node)
        if self.kept(row, Kind.OFFER) is None:
            return self._unknown(node, st)
        if st.kind in (Kind.ACCEPTANCE, Kind.REFUSAL):
            return self._answer(node, st)
        if st.kind is Kind.ERASURE:
            return self._erasure(node, st)
        return self._receipt(node, st)

    def _unknown(self, node: Node, st: St) -> Node:
        raise PassedOver

    def _chained(self, row: Row, st: St, kind: Kind) -> None:
        named = self.kept(row, kind)
        if named is None or named.number != st.about:
            raise PassedOver

    def _answer(self, node: Node, st: St) -> Node:
        row = self.row(node)
        self._chained(row, st, Kind.OFFER)
        known = kinds_of(row)
        # Where the directory took a refusal, our withdrawal came too late for it: all three end as it says.
        first = st.kind is Kind.REFUSAL and row.state is State.WITHDRAWN and Kind.ACCEPTANCE not in known
        first = first and self.planted != "a withdrawal stands though they had declined"
        if st.kind in known or (row.over and not first):
            return node  # heard before, or overtaken by our own withdrawal
        try:
            then = State.DECLINED if first else next_state(row.state, st.kind, Party.RECIPIENT, taken=known)
        except Conflict:
            raise PassedOver from None
        row = self.keep(self.marked(row, Kind.OFFER), st, waits=False)
        if then is State.DECLINED:
            return self.put(node, self.ended(row, then))
        return self._go_ahead(self.put(node, row._replace(state=State.ACCEPTED)))

    def _go_ahead(self, node: Node) -> Node:
        """The first acceptance wins (ADR 8)."""
        row = self.row(node)
        others = [each for place, each in enumerate(node.rows) if place != self.place]
        elsewhere = any(each.state in (State.ACCEPTED, State.SHIPPED) for each in others) or node.holder >= 0
        if elsewhere and self.planted != "a second acceptance is let go ahead":
            return self.withdrawn(node)
        node = self.put(node, row._replace(job="ship", key=1))
        return self._withdraw_rivals(node, only=State.OFFERED)

    def _withdraw_rivals(self, node: Node, only: State | None = None) -> Node:
        for place, each in enumerate(node.rows):
            if place == self.place or each.over or each.state is None or (only and each.state is not only):
                continue
            node = SenderHalf(self.member, "", self.broker, place=place, planted=self.planted).withdrawn(node)
        return node

    def _receipt(self, node: Node, st: St) -> Node:
        row = self.row(node)
        self._chained(row, st, Kind.SHIPMENT)
        known = kinds_of(row)
        if st.kind in known:
            return node
        try:
            then = next_state(row.state, st.kind, Party.RECIPIENT, taken=known)
        except Conflict:
            raise PassedOver from None
        row = self.keep(self.marked(row, Kind.SHIPMENT), st, waits=False)  # it answers it, so it was taken
        asked = Kind.WITHDRAWAL in known and then is State.RECEIVED
        if asked and self.planted != "a withdrawal that expiry overtook asks for nothing":
            row = self.waits_again(row)  # the broker may have found it too late; now it is a request to erase
        row = self.ended(row, then)._replace(erasure="asked" if asked else row.erasure)
        node = self.put(node, row)
        return self.pass_on(node) if then is State.RECEIVED else node

    def pass_on(self, node: Node) -> Node:
        """`Answers.pass_on`: what they have, they hold."""
        if node.holder >= 0 and node.holder != self.place:
            return self.withdrawn(node) if not self.row(node).erasure else node
        if self.planted == "the case stays open after its receipt":
            return node
        return self._withdraw_rivals(node._replace(holder=self.place))

    def _erasure(self, node: Node, st: St) -> Node:
        row = self.row(node)
        self._chained(row, st, Kind.SHIPMENT if st.how == "returned" else Kind.WITHDRAWAL)
        known = self.kept(row, Kind.ERASURE)
        if known is not None:
            return node
        row = row if st.how == "returned" else self.marked(row, Kind.WITHDRAWAL)
        node = self.put(node, self.keep(row, st, waits=False)._replace(erasure=st.how))
        return self.take_back(node, st)

    def take_back(self, node: Node, st: St) -> Node:
        """`records.take_back`: they have erased it, so it is ours again."""
        kept = self.planted == "a case that was erased there is not taken back"
        if st.how != "refused" and node.holder == self.place and not kept:
            return node._replace(holder=-1)
        if st.how == "refused" and self.planted == "a refused erasure takes the case back":
            return node._replace(holder=-1)
        return node

    def expire(self, node: Node) -> Node:
        """`Answers.expired`."""
        row = self.row(node)
        if row.state is None or row.over:
            return node
        row = self.marked(self.marked(row, Kind.SHIPMENT), Kind.WITHDRAWAL)
        return self.put(node, self.ended(row, State.EXPIRED))

    def dropped(self, node: Node, world: World, kind: Kind, refused: str, at_broker: State | None) -> Iterator[Node]:
        """`Answers.dropped`."""
        row = self.row(node)
        erased = self.kept(row, Kind.ERASURE) is not None  # then there is nothing left to withdraw
        stays = kind is Kind.SHIPMENT or (kind is Kind.WITHDRAWAL and not erased)
        if self.planted == "what was given up is forgotten":
            stays = False
        row = self.marked(row, kind) if stays else self.forgotten(row, kind)
        node = self.put(node, row)
        late = kind is Kind.WITHDRAWAL and row.state is State.WITHDRAWN and at_broker in (State.EXPIRED, State.REFUSED)
        if late and self.planted != "a withdrawal stands though it came too late":
            yield self.put(node, self.ended(row, at_broker))
        elif row.over:
            yield node
        elif kind is Kind.OFFER and at_broker is None and self.planted != "an offer that ran out at home is forgotten":
            for past in world.past(1):
                yield self.put(node, self.ended(row, State.EXPIRED if past else State.WITHDRAWN))
        elif kind is Kind.SHIPMENT and at_broker is State.ACCEPTED and refused:
            yield self.withdrawn(self.put(node, row._replace(state=State.ACCEPTED)))
        else:
            yield node
