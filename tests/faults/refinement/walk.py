"""A walk: what happens next is drawn from what the model allows, done for real, and then both are compared."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

from tests.faults.model import recipient as model_recipient
from tests.faults.model import sender as model_sender
from tests.faults.model.facts import Luck, St
from tests.faults.model.mutants import Mutant
from tests.faults.model.scenes import Scene
from tests.faults.model.transfer import SOON_OVER
from tests.faults.simulation.loop import Loop
from tests.faults.simulation.template import Template

from .abstract import Abstract, Plan
from .seen import Numbers, differences, of_code, of_model
from .still import OFFER_LIFE, Died, Refused, Stage

__all__ = ["SCENES", "Walked", "walk"]

_HOURS = (0, 2, 4)
"""Of the model's clock those at which all clocks agree: before the offer's end, after it, after everything."""
_LEAPS = {2: OFFER_LIFE + timedelta(hours=1), 4: timedelta(days=15)}
_OFTEN = 9
_SOME = Scene("the network, people, disks", Luck(lose=2, late=1, twice=2, old=_OFTEN, spoil=1), clock=_HOURS)
SCENES = (
    _SOME,
    Scene("the sender restored", Luck(lose=1, old=_OFTEN, burn=1), clock=SOON_OVER, burns="sender"),
    _SOME,
    Scene("the recipient restored", Luck(lose=1, old=_OFTEN, burn=1), clock=SOON_OVER, burns="recipient"),
    _SOME,
    Scene("the directory restored", Luck(lose=1, old=_OFTEN, strike=1), clock=SOON_OVER),
)
"""Walk number n goes through the scene n modulo their number."""

_STEPS = 60
_IDLE = 4
"""So often one after the other nothing but restarts and what is in vain: it is over."""
_TRIES = 99
_PEOPLES = {
    "sender withdraws it": 1.0,
    "recipient accepts": 6.0,
    "recipient declines": 1.0,
    "recipient answers the request to erase: done": 1.5,
    "recipient answers the request to erase: refused": 1.0,
    "recipient returns it unasked": 0.7,
}
_SHIPPING = (
    r"sender (keeps another content key|packs the case into its spool|keeps the packing's header|uploads it"
    r"|signs the shipment|misses its spool)"
)
_FETCHING = (
    r"recipient (downloads it|imports the case and signs the receipt|hears that it is over|refuses it: it is over here)"
)
_BURYING = "recipient sets the tombstone"
_ERASING = "the directory erases what waited"
_AN_HOUR = "an hour passes since the directory's restore"
_SHIP_POINTS = ("key_kept", "spooled", "packed", "uploading", "uploaded", "before_write", "after_write")
_FETCH_POINTS = (
    *("node.fetch.fetching", "node.fetch.fetched", "node.fetch.quarantined"),
    *("node.import.before_write", "node.import.after_write"),
)
_HEAR_POINTS = {
    "sender": ("node.answer.before_write", "node.answer.after_write", "node.receipt.before_write"),
    "recipient": ("node.arrival.offer.after_write", "node.arrival.shipment.before_write"),
}


@dataclass
class Walked:
    """What came of a walk."""

    number: int
    scene: str
    steps: int = 0
    wrong: str = ""
    """Where code and model differ: what was done, and what then was not as in the model."""
    said: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    """The words of the model's steps that the code took."""


def walk(
    number: int, template: Template, folder: Path, *, mutant: Mutant | None = None, told: Callable[[str], None]
) -> Walked:
    """One walk, in an empty folder. Once for each process of the system's."""
    loop = Loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)

    async def go() -> Walked:
        return await _Walk(number, template, folder, mutant, told).go()

    with patch.object(model_sender, "TRIES", _TRIES), patch.object(model_recipient, "TRIES", _TRIES):
        return loop.run_until_complete(go())


class _Walk:
    def __init__(
        self, number: int, template: Template, folder: Path, mutant: Mutant | None, told: Callable[[str], None]
    ) -> None:
        scene = SCENES[number % len(SCENES)]
        self._chance = Random(f"walk/{number}")
        self._stage = Stage(f"walk/{number}", template, folder, told)
        self._model = Abstract(scene, mutant)
        self._told = told
        self._numbers = Numbers()
        self._afloat: dict[St, object] = {}
        self.walked = Walked(number, scene.name)

    async def go(self) -> Walked:
        await self._stage.begin()
        self._compare("at the beginning", Plan())
        idle = 0
        while not self.walked.wrong and self.walked.steps < _STEPS and idle < _IDLE:
            chosen = self._choose()
            idle = idle + 1 if chosen.startswith(("restart", "probe")) else 0
            self.walked.steps += 1
            self.walked.said.append(chosen)
            self._told(f"--- {self.walked.steps}: {chosen}")
            plan = await self._do(chosen)
            self._compare(chosen, plan)
        self.walked.taken = sorted(self._model.taken)
        return self.walked

    # ---- comparing ----

    def _compare(self, what: str, plan: Plan) -> None:
        stage, model = self._stage, self._model
        seen = of_code(stage.directory, stage.nodes, stage.transfer, stage.case.case_id, self._numbers)
        found = {state: by for state, by in model.follow(plan).items() if not differences(seen, of_model(model, state))}
        if found:
            model.keep(found.items())
            return
        nearest = min(
            (differences(seen, of_model(model, state)) for state in model.follow(plan) or model.states), key=len
        )
        missing = "" if model.follow(plan) else "there is no such step in the model; "
        self.walked.wrong = f"{what}: {missing}{'; '.join(nearest)}"

    # ---- choosing ----

    def _choose(self) -> str:
        """Something that the model allows; at times something that it does not offer, or a restart."""
        model, chance = self._model, self._chance
        state = chance.choice(model.states)
        weights: dict[str, float] = {"restart sender": 0.4, "restart recipient": 0.4, "restart directory": 0.4}
        for words, _ in model.moves(state):
            for pattern, thing, weight in _THINGS:
                match = re.fullmatch(pattern, words)
                if match:
                    weights[match.expand(thing)] = _PEOPLES.get(words, weight)
        if self._stage.transfer is None:
            weights = {thing: each for thing, each in weights.items() if thing != "probe"}
        else:
            weights["probe"] = 1.0
        if self._afloat:  # it would be too old
            for thing in ("time", "an hour", "sender old", "recipient old"):
                weights.pop(thing, None)
        if self._stage.transfer is None:
            weights.pop("an hour", None)
            weights.pop("time", None)
        return chance.choices(list(weights), list(weights.values()))[0]

    # ---- doing ----

    async def _do(self, chosen: str) -> Plan:
        if chosen in _PEOPLES:
            return await self._people(chosen)
        first, _, rest = chosen.partition(" ")
        if first in ("sender", "recipient"):
            name, _, _ = rest.partition(":")
            return await getattr(self, f"_{name.replace(' ', '_')}")(first)
        return await getattr(self, f"_{first}")(rest)

    async def _offer(self, _: str) -> Plan:
        await self._stage.offer()
        return Plan(step="sender offers the case")

    async def _people(self, words: str) -> Plan:
        _, _, step = words.partition(" ")
        dies_at = ""
        if self._chance.random() < 0.2:
            dies_at = self._chance.choice(
                [
                    *("node.accept.before_write", "node.accept.after_write", "node.decline.after_write"),
                    *("node.withdrawal.after_write", "node.erase.before_write", "node.erase.after_write"),
                    "node.erase.buried",
                ]
            )
        try:
            await self._stage.people(step, dies_at=dies_at)
        except Refused as refused:
            return Plan(step=f"never: the code refuses that ({refused.reason})")
        except Died:
            if dies_at.endswith("before_write"):
                return Plan()
        return Plan(step=re.escape(words), after=_BURYING)

    async def _probe(self, _: str) -> Plan:
        """Somebody tries what the model does not offer: nothing may come of it."""
        offered = {words for state in self._model.states for words, _ in self._model.moves(state)}
        barred = [words for words in _PEOPLES if words not in offered]
        if not barred:
            return Plan()
        words = self._chance.choice(barred)
        self.walked.said[-1] = f"in vain: {words}"
        try:
            await self._stage.people(words.partition(" ")[2])
        except Refused:
            return Plan()
        return Plan(step=f"never: the code lets that be ({words})")

    async def _submit(self, who: str) -> Plan:
        waiting, dies_at = self._stage.waiting(who), ""
        if waiting is not None and self._chance.random() < 0.1:
            dies_at = f"node.outbox.{waiting.kind}.before_submit"
        try:
            await self._stage.submit(who, dies_at=dies_at)
        except Died:
            return Plan()
        return _submitted(who)

    async def _lose(self, who: str) -> Plan:
        """The directory has it, and whoever sent it never hears so: the line breaks, or one of the two dies."""
        waiting = self._stage.waiting(who)
        if waiting is None:
            return Plan()
        how = self._chance.choice(("line", "directory", "node"))
        lost = _submitted(who, ", and never hears of it")
        if how != "node":
            wrote = await self._stage.submit_unheard(who, directory_dies=how == "directory")
            if wrote and how == "directory":
                return Plan(before=lost.before, step=lost.step, after=_ERASING)
            return lost if wrote else _submitted(who)
        try:
            await self._stage.submit(who, dies_at=f"node.outbox.{waiting.kind}.after_submit")
        except Died:
            return lost
        return _submitted(who)

    async def _old(self, who: str) -> Plan:
        await self._stage.later(timedelta(minutes=6))
        return await self._submit(who)

    async def _held_up(self, who: str) -> Plan:
        waiting = self._stage.waiting(who)
        for state in self._model.states:
            for words, then in self._model.moves(state):
                if re.fullmatch(f"{who} submits its .*: it is held up in the network", words):
                    st = self._model.part(then, "desk0").afloat[-1]
                    self._afloat[st] = (who, waiting.signed)
        return Plan(step=f"{who} submits its .*: it is held up in the network")

    async def _arrives(self, _: str) -> Plan:
        (_, (who, signed)) = self._afloat.popitem()  # type: ignore[misc]
        self._afloat.clear()
        await self._stage.arrives(who, signed)
        return Plan(step="the .* that was held up reaches the directory: .*")

    async def _hear(self, who: str) -> Plan:
        dies_at = self._chance.choice(_HEAR_POINTS[who]) if self._chance.random() < 0.15 else ""
        plan = Plan(before=f"{who} gives back what it has.*", step=f"{who} hears: .*", after=_BURYING)
        try:
            await self._stage.hear(who, dies_at=dies_at)
        except Died:
            if dies_at.endswith("before_write"):
                return Plan(after=f"{who} gives back what it has.*|{_BURYING}", cut=True)
        return plan

    async def _hear_twice(self, who: str) -> Plan:
        await self._stage.hear(who, again=True)
        return Plan(before=f"{who} gives back what it has.*", step=f"{who} hears, and will hear again: .*")

    async def _work(self, who: str) -> Plan:
        words = _SHIPPING if who == "sender" else _FETCHING
        dies_at = ""
        if self._chance.random() < 0.45:
            ship = f"node.ship.{self._chance.choice(_SHIP_POINTS)}"
            dies_at = ship if who == "sender" else self._chance.choice(_FETCH_POINTS)
        try:
            await self._stage.work(who, dies_at=dies_at)
        except Refused:
            return Plan(after=words, stalls=True)
        except Died:
            return Plan(after=words, cut=True)
        return Plan(after=words)

    async def _spool(self, who: str) -> Plan:
        if not self._stage.lose_spool(who):
            return Plan()
        return Plan(step=f"{who} loses its spool")

    async def _damage(self, _: str) -> Plan:
        """What waits at the directory is damaged before it is fetched."""
        if self._stage.lose_spool("recipient") or not self._stage.damage_mail():
            return Plan(step="recipient loses its spool", optional=True)
        try:
            await self._stage.work("recipient")
        except Refused:
            return Plan(after=_FETCHING, stalls=True)
        return Plan(before="recipient downloads it", step="recipient refuses what came: it is damaged")

    async def _restart(self, name: str) -> Plan:
        kill = self._chance.random() < 0.6
        await self._stage.restart(name, kill=kill)
        return Plan(after={"recipient": _BURYING, "directory": _ERASING}.get(name, ""))

    async def _expire(self, _: str) -> Plan:
        await self._stage.expire()
        return Plan(step="the directory writes down that it expired")

    async def _sweep(self, _: str) -> Plan:
        await self._stage.sweep()
        return Plan(step=_ERASING)

    async def _time(self, _: str) -> Plan:
        state = self._model.states[0]
        (then,) = {
            self._model.part(then, "world").clock for words, then in self._model.moves(state) if words == "time passes"
        }
        await self._stage.later(_LEAPS[then])
        return Plan(step="time passes", after=_AN_HOUR)

    async def _an(self, _: str) -> Plan:
        await self._stage.later(timedelta(minutes=61))
        return Plan(step=_AN_HOUR)

    # ---- backups ----

    async def _save(self, name: str) -> Plan:
        await self._stage.save(name)
        return Plan(step=f"(the )?{name} is backed up")

    async def _burn(self, who: str) -> Plan:
        await self._stage.burn(who)
        follows = f"{who} (tells the network that it was restored|reads its transfer at the directory"
        follows += f"|takes over what it missed)|{_BURYING}"
        return Plan(step=f"{who} burns and is restored", after=follows)

    async def _strike(self, how: str) -> Plan:
        await self._stage.strike(without_mail=bool(how))
        step = "the directory is restored from it" + (", without ciphertext" if how else "")
        return Plan(step=step, after=_ERASING)

    async def _give(self, who: str) -> Plan:
        await self._stage.give_back(who)
        return Plan(step=f"{who} gives back what it has.*")


def _submitted(who: str, how: str = "") -> Plan:
    return Plan(
        before=f"{who} signs its .* anew: .*",
        step=f"{who} submits its .*: (taken|conflict|not found|refused|waits){how}",
        optional=not how,
    )


_WHO = "(sender|recipient)"
_THINGS: tuple[tuple[str, str, float], ...] = (
    ("sender offers the case", "offer", 10),
    (f"({'|'.join(map(re.escape, _PEOPLES))})", r"\1", 1),
    (rf"{_WHO} submits its .*: (taken|conflict|not found|refused|waits)", r"\1 submit", 8),
    (rf"{_WHO} submits its .*, and never hears of it", r"\1 lose", 1.5),
    (rf"{_WHO} submits its .*: it is held up in the network", r"\1 held up", 1),
    (rf"{_WHO} signs its .* anew: .*", r"\1 old", 0.5),
    ("the .* that was held up reaches the directory: .*", "arrives", 2),
    (rf"{_WHO} hears: .*", r"\1 hear", 8),
    (rf"{_WHO} hears, and will hear again: .*", r"\1 hear twice", 1),
    (f"(?:{_SHIPPING})", "sender work", 8),
    (f"(?:{_FETCHING})", "recipient work", 8),
    (rf"{_WHO} loses its spool", r"\1 spool", 0.7),
    ("recipient refuses what came: it is damaged", "damage", 1),
    (_BURYING, "restart recipient", 4),
    (_ERASING, "sweep", 2),
    ("the directory writes down that it expired", "expire", 2),
    ("time passes", "time", 0.5),
    (_AN_HOUR, "an hour", 1),
    (rf"(?:the )?{_WHO} is backed up", r"save \1", 1.6),
    ("the directory is backed up", "save directory", 0.7),
    (rf"{_WHO} burns and is restored", r"burn \1", 2),
    ("the directory is restored from it", "strike", 1),
    ("the directory is restored from it, without ciphertext", "strike without", 0.7),
    (rf"{_WHO} gives back what it has.*", r"give \1", 2),
)
"""A step of the model, by its words; the thing that is done for it; how often it is chosen."""
