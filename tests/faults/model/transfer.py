"""The model of a transfer: who may do what, put together from the halves, the desk and what may go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cordee.transfer import END_STATES, State
from tests.faults.model import restored
from tests.faults.model.desk import Broker
from tests.faults.model.engine import Model, Move, Rule
from tests.faults.model.facts import (
    ACTIVE,
    REMOVED,
    SUSPENDED,
    Desk,
    Entry,
    Luck,
    Node,
    Row,
    World,
    by_sender,
    next_waiting,
)
from tests.faults.model.half import Half
from tests.faults.model.invariants import invariants_of, reached_by, rest_of
from tests.faults.model.recipient import RecipientHalf
from tests.faults.model.sender import SenderHalf

__all__ = ["EVERY_HOUR", "SOON_OVER", "build"]

EVERY_HOUR = (0, 1, 2, 3, 4)
SOON_OVER = (0, 4)
"""The clocks through which time goes: all of `World.clock`, or from the beginning to the end at once."""
_NAMES = ("recipient", "other recipient")


def build(
    name: str,
    luck: Luck,
    *,
    offered_to: int = 1,
    clock: tuple[int, ...] = EVERY_HOUR,
    burns: str = "",
    planted: str = "",
) -> Model:
    """A model in which so much goes wrong as `luck` says. `offered_to`: to how many the one case is offered, each in a
    transfer of its own; `clock`: through which hours time goes; `burns`: the one node that may burn, or any.
    """
    begin: dict[str, Any] = {"sender": Node(rows=(Row(),) * offered_to, made=(0, 0, 0) * offered_to)}
    rules: list[Rule] = []
    for place in range(offered_to):
        member = _NAMES[place]
        broker = Broker(member, planted)
        sender = SenderHalf("sender", member, broker, place=place, planted=planted)
        recipient = RecipientHalf(member, "sender", broker, planted=planted)
        begin[member] = Node(rows=(Row(),), made=(0, 0, 0))
        begin[f"desk{place}"] = Desk()
        rules += _of_half(sender, "sender", f"desk{place}", luck)
        rules += _of_half(recipient, member, f"desk{place}", luck)
        rules += _of_desk(broker, f"desk{place}", luck)
    begin |= {"world": World(), "luck": luck}
    desks = tuple(f"desk{place}" for place in range(offered_to))
    rules += _of_world(desks, _NAMES[:offered_to], luck, clock, planted)
    if luck.burn and burns in ("", "sender"):
        halves = [_sender_of(place, planted) for place in range(offered_to)]
        rules += _burning("sender", desks, halves)
    if luck.burn and burns in ("", "recipient"):
        for place in range(offered_to):
            half = RecipientHalf(_NAMES[place], "sender", Broker(_NAMES[place], planted), planted=planted)
            rules += _burning(_NAMES[place], desks[place : place + 1], [half])
    return Model(name, begin, rules, invariants_of(offered_to), rest_of(offered_to), reached_by(offered_to))


def _sender_of(place: int, planted: str) -> SenderHalf:
    return SenderHalf("sender", _NAMES[place], Broker(_NAMES[place], planted), place=place, planted=planted)


# ---- a node and the broker ----


def _of_half(half: Half, me: str, desk: str, luck: Luck) -> list[Rule]:
    """Every step of one half, with all that may go wrong on its way."""
    rules = [
        Rule((me, "world"), lambda node, world: _alone(half, me, node, world)),
        Rule((me, desk, "world"), lambda node, at, world: _together(half, me, desk, node, at, world)),
    ]
    if luck.lose or luck.late or luck.old or luck.twice:
        rules.append(Rule((me, desk, "world", "luck"), lambda *of: _unlucky(half, me, desk, *of)))
    if luck.spoil or luck.crash:
        rules.append(Rule((me, "luck"), lambda node, left: _dying(half, me, node, left)))
    return rules


def _alone(half: Half, me: str, node: Node, world: World) -> Iterator[Move]:
    if isinstance(half, SenderHalf | RecipientHalf):
        for words, then in half.people(node, world):
            yield Move(f"{me} {words}{_which(half, node)}", {me: then}, fair=False)
        for words, then in half.work(node, world):
            yield Move(f"{me} {words}{_which(half, node)}", {me: then})
    if node.seen < len(world.log) and world.standing(me) != REMOVED:
        yield Move(f"{me} synchronises its roster", {me: node._replace(seen=len(world.log))})


def _which(half: Half, node: Node) -> str:
    return "" if len(node.rows) == 1 else f" (transfer {half.place + 1})"


def _together(half: Half, me: str, desk: str, node: Node, at: Desk, world: World) -> Iterator[Move]:
    which = _which(half, node)
    if world.standing(me) != ACTIVE or node.pending:
        return
    st = next_waiting(half.row(node))
    for sent in half.submit(node, at, world):
        assert st is not None
        yield Move(f"{me} submits its {st.words}{which}: {sent.outcome}", {me: sent.node, desk: sent.desk})
    queue = at.to_sender if me == "sender" else at.to_recipient
    if queue:
        event = queue[0]
        name = event if isinstance(event, str) else event.words
        then = half.hear(node, world, event)
        yield Move(f"{me} hears: {name}{which}", {me: then, desk: _heard(at, me)})
    if isinstance(half, SenderHalf):
        for words, then, there in half.upload(node, at, world):
            yield Move(f"{me} {words}{which}", {me: then, desk: there})
    if isinstance(half, RecipientHalf):
        for words, then, there in half.fetch(node, at, world):
            yield Move(f"{me} {words}{which}", {me: then, desk: there})
    yield from _take_up(half, me, desk, node, at, world)
    if world.restored and not node.gave:
        there, added = half.broker.give_back(at, world, me, half.given(node))
        gave = half.place == len(node.rows) - 1  # once for each restore, all of them; the last one says so
        words = f"{me} gives back what it has{which}: {added} added"
        yield Move(words, {me: node._replace(gave=gave), desk: there})


def _heard(desk: Desk, me: str) -> Desk:
    """The event and the cursor are kept in one transaction; a copy of the directory's database has it still."""
    at = 2 if me == "sender" else 3
    saved = desk.saved
    if saved is not None and saved[at]:
        saved = (*saved[:at], saved[at][1:], *saved[at + 1 :])  # type: ignore[assignment]
    if me == "sender":
        return desk._replace(to_sender=desk.to_sender[1:], saved=saved)
    return desk._replace(to_recipient=desk.to_recipient[1:], saved=saved)


def _take_up(half: Half, me: str, desk: str, node: Node, at: Desk, world: World) -> Iterator[Move]:
    """`Listener._follow_roster`: what was put aside, once everybody concerned is back in good standing."""
    mine = [st for place, st in node.aside if place == half.place]
    if not mine or any(world.standing(each, node.seen) == SUSPENDED for each in (half.member, half.peer)):
        return
    st = mine[0]
    for due in half.broker.due(at, world):
        there = half.broker.expired(at) if due else at
        then = half.hear(node, world, st)
        then = half.reconciled(then, world, there)
        then = then._replace(aside=tuple(each for each in then.aside if each != (half.place, st)))
        yield Move(f"{me} takes up the {st.words} that lay aside", {me: then, desk: there})


# ---- what goes wrong on the way ----


def _unlucky(half: Half, me: str, desk: str, node: Node, at: Desk, world: World, luck: Luck) -> Iterator[Move]:
    if world.standing(me) != ACTIVE or node.pending:
        return
    st = next_waiting(half.row(node))
    which = _which(half, node)
    if st is not None:
        if luck.lose:
            left = luck._replace(lose=luck.lose - 1)
            for answer in half.broker.submit(at, world, st):
                words = f"{me} submits its {st.words}{which}: {answer.outcome}, and never hears of it"
                yield Move(words, {desk: answer.desk, "luck": left}, fair=False)
        if luck.late and st not in at.afloat:
            afloat = at._replace(afloat=(*at.afloat, st))
            words = f"{me} submits its {st.words}{which}: it is held up in the network"
            yield Move(words, {desk: afloat, "luck": luck._replace(late=luck.late - 1)}, fair=False)
        if luck.old and st not in at.taken:
            for answer in half.broker.submit(at, world, st):
                if answer.parsed:
                    then, fresh = half.renewed(node, st)
                    there = at._replace(afloat=tuple(each for each in at.afloat if each != st))
                    words = f"{me} signs its {st.words}{which} anew: it had waited too long; now {fresh.words}"
                    parts = {me: then, desk: there, "luck": luck._replace(old=luck.old - 1)}
                    yield Move(words, parts, fair=False)
    queue = at.to_sender if me == "sender" else at.to_recipient
    if luck.twice and queue:
        event = queue[0]
        name = event if isinstance(event, str) else event.words
        left = luck._replace(twice=luck.twice - 1)
        then = half.hear(node, world, event)
        yield Move(f"{me} hears, and will hear again: {name}{which}", {me: then, "luck": left}, fair=False)


def _dying(half: Half, me: str, node: Node, luck: Luck) -> Iterator[Move]:
    row = half.row(node)
    if luck.crash and node.look is not None:
        left = luck._replace(crash=luck.crash - 1)
        yield Move(f"{me} dies and starts again", {me: node._replace(look=None), "luck": left}, fair=False)
    if luck.crash and row.spool and not row.packed and isinstance(half, SenderHalf):
        left = luck._replace(crash=luck.crash - 1)
        then = half.put(node, row._replace(spool=0))
        yield Move(f"{me} dies while it packs, and starts again", {me: then, "luck": left}, fair=False)
    if luck.spoil and row.spool:
        left = luck._replace(spoil=luck.spoil - 1)
        then = half.put(node, row._replace(spool=0))
        yield Move(f"{me} loses its spool", {me: then, "luck": left}, fair=False)
        if isinstance(half, RecipientHalf) and row.job == "fetch" and not node.pending:
            yield Move(f"{me} refuses what came: it is damaged", {me: half.refuse(node), "luck": left}, fair=False)


# ---- the broker by itself ----


def _of_desk(broker: Broker, desk: str, luck: Luck) -> list[Rule]:
    def sweep(at: Desk) -> Iterator[Move]:
        if at.state in END_STATES and at.mail and broker.planted != "ciphertext stays after the end":
            yield Move("the directory erases what waited", {desk: at._replace(mail=0)})

    def time(at: Desk, world: World) -> Iterator[Move]:
        if True in broker.due(at, world):
            yield Move("the directory writes down that it expired", {desk: broker.expired(at)})
        for st in at.afloat:
            rest = at._replace(afloat=tuple(each for each in at.afloat if each != st))
            for answer in broker.submit(rest, world, st):
                words = f"the {st.words} that was held up reaches the directory: {answer.outcome}"
                yield Move(words, {desk: answer.desk})

    return [Rule((desk,), sweep), Rule((desk, "world"), time)]


# ---- time, administrators, disasters ----


def _of_world(
    desks: tuple[str, ...], members: tuple[str, ...], luck: Luck, clock: tuple[int, ...], planted: str
) -> list[Rule]:
    def passes(world: World) -> Iterator[Move]:
        if world.clock < clock[-1]:
            then = clock[clock.index(world.clock) + 1]
            yield Move("time passes", {"world": world._replace(clock=then)})
        if world.grace:
            yield Move("an hour passes since the directory's restore", {"world": world._replace(grace=False)})
        for member in ("sender", *members):
            if world.standing(member) == SUSPENDED:
                entry = Entry("reinstated", member)
                yield Move(f"administrators reinstate the {member}", {"world": world._replace(log=(*world.log, entry))})

    rules = [Rule(("world",), passes)]
    if luck.govern:
        rules.append(Rule((*desks, "world", "luck"), lambda *of: _governed(desks, members, planted, *of)))
    if luck.strike:
        rules.append(Rule((*desks, "world", "luck"), lambda *of: _struck(desks, planted, *of)))
    return rules


def _governed(desks: tuple[str, ...], members: tuple[str, ...], planted: str, *of: Any) -> Iterator[Move]:
    *at, world, luck = of
    if not luck.govern:
        return
    left = luck._replace(govern=luck.govern - 1)
    for member in ("sender", *members):
        if world.standing(member) == ACTIVE:
            log = (*world.log, Entry("suspended", member))
            parts = {"world": world._replace(log=log), "luck": left}
            yield Move(f"administrators suspend the {member}", parts, fair=False)
        if world.standing(member) != REMOVED:
            log = (*world.log, Entry("removed", member))
            parts = {"world": world._replace(log=log), "luck": left}
            for place, desk in enumerate(desks):
                if member in ("sender", members[place]) and planted != "a removal ends no transfer":
                    parts[desk] = Broker(members[place], planted).expired(at[place])
            yield Move(f"administrators remove the {member}", parts, fair=False)


def _struck(desks: tuple[str, ...], planted: str, *of: Any) -> Iterator[Move]:
    """`cordee directory backup`, and `restore` of what it saved. Ciphertext may be lost with the disk."""
    *at, world, luck = of
    if not luck.strike:
        return
    if all(desk.saved is None for desk in at):
        saved = [each._replace(saved=(each.state, each.taken, each.to_sender, each.to_recipient)) for each in at]
        yield Move("the directory is backed up", dict(zip(desks, saved, strict=True)), fair=False)
        return
    left = luck._replace(strike=luck.strike - 1)
    known = planted != "a restored directory says nothing of it"
    then = world._replace(restored=known, grace=known)
    for lost in (False, True):
        parts: dict[str, Any] = {"world": then, "luck": left}
        for desk, each in zip(desks, at, strict=True):
            state, taken, to_sender, to_recipient = each.saved
            mail = 0 if lost else each.mail
            back = Desk(state, taken, to_sender, to_recipient, mail, each.afloat, None, each.ever)
            parts[desk] = back
        yield Move("the directory is restored from it" + (", without ciphertext" if lost else ""), parts, fair=False)


def _burning(me: str, desks: tuple[str, ...], halves: list[Any]) -> list[Rule]:
    """A node is backed up, burns, and comes back from its backup."""
    planted = halves[0].planted

    def disaster(node: Node, luck: Luck) -> Iterator[Move]:
        if not luck.burn or node.pending:
            return
        if node.saved is None:
            yield Move(f"{me} is backed up", {me: restored.back_up(node)}, fair=False)
            return
        left = luck._replace(burn=luck.burn - 1)
        for newer in (False, True) if node.buried and not node.saved.buried else (False,):
            words = f"{me} burns and is restored" + (", with its newer tombstones" if newer else "")
            then = restored.burn(node, newer_tombstones=newer, planted=planted)
            yield Move(words, {me: then, "luck": left}, fair=False)

    def announce(node: Node, *of: Any) -> Iterator[Move]:
        *at, world = of
        if node.pending != restored.NEW or world.standing(me) != ACTIVE:
            return
        parts: dict[str, Any] = {me: node._replace(pending=restored.told(0), seen=len(world.log))}
        for half, desk, each in zip(halves, desks, at, strict=True):
            if planted != "a restore ends no transfer":
                parts[desk] = half.broker.expired(each)
        yield Move(f"{me} tells the network that it was restored", parts)

    rules = [Rule((me, "luck"), disaster), Rule((me, *desks, "world"), announce)]
    for half, desk in zip(halves, desks, strict=True):
        rules.append(Rule((me, desk, "world"), lambda *of, half=half, desk=desk: _take_over(half, me, desk, *of)))
    return rules


def _take_over(half: Half, me: str, desk: str, node: Node, at: Desk, world: World) -> Iterator[Move]:
    """`Aftermath.take_over`: it reads a transfer, and then writes. Afterwards it hears events again from its cursor on,
    unless a newer stream of the lost machine has pruned them.
    """
    if node.pending != restored.told(half.place) or world.standing(me) != ACTIVE:
        return
    if node.look is None:
        yield Move(f"{me} reads its transfer at the directory", {me: node._replace(look=(at.state, at.taken))})
        return
    then = restored.settle(half, node)
    yield Move(f"{me} takes over what it missed", {me: then})
    again = tuple(st for st in at.taken if by_sender(st) != (me == "sender"))
    if at.state is State.EXPIRED:
        again = (*again, "expired")  # type: ignore[assignment]
    side = {"to_sender": again} if me == "sender" else {"to_recipient": again}
    yield Move(f"{me} takes over what it missed, and will hear it again", {me: then, desk: at._replace(**side)})
