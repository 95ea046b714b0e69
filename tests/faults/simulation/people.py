"""The handlers of the three associations: they offer, answer, withdraw, give back, and type again what failed.

What an association's node has answered to them is written down here: it must not be forgotten afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from cordee.errors import CordeeError
from cordee.ids import KeyId, TransferId
from cordee.transfer import State
from node import transfer_store
from node.transfer_store import Transfer

from .template import PURPOSES, Template
from .world import PERSON, Place, World

__all__ = ["NewKey", "People", "Word"]

_PATIENCE = 20.0  # seconds until somebody gives up waiting for a page


@dataclass(frozen=True)
class Word:
    """What a node said it had done: the step, at what true time."""

    node: str
    step: str
    transfer: TransferId
    at: float


@dataclass(frozen=True)
class NewKey:
    """A node said that it signs with this identity key from now on."""

    node: str
    key: KeyId
    at: float


@dataclass
class People:
    """All of them."""

    world: World
    template: Template
    words: list[Word] = field(default_factory=list)
    asked: int = 0
    new_keys: list[NewKey] = field(default_factory=list)
    given_up: set[KeyId] = field(default_factory=set)
    """Identity keys that were replaced although transfers were under way: what they signed may be read by nobody."""

    async def does(self, place: Place, what: str, act: Callable[[Any], Awaitable[Any]]) -> tuple[bool, Any]:
        """One step at a node, by its own code and in its own process. Whether it said that it was done, and what."""
        life = place.life
        if life is None or not place.up:
            return False, None
        world = self.world
        answer: asyncio.Future[tuple[bool, Any]] = world.loop.create_future()

        async def run() -> None:
            try:
                result: tuple[bool, Any] = True, await act(life.here)
            except CordeeError as refused:
                result = False, refused.reason
            except (OSError, DBAPIError) as failed:
                result = False, type(failed).__name__
            if not answer.done():
                answer.set_result(result)

        self.asked += 1
        world.loop.spawn(life, run())
        try:
            async with asyncio.timeout(_PATIENCE):
                done, result = await answer
        except TimeoutError:
            done, result = False, "no answer"
        told = (result.hex()[:8] if isinstance(result, bytes) else "done") if done else str(result)
        world.trace(f"{place.name} {what}: {told}")
        return done, result

    def _word(self, place: Place, step: str, transfer: TransferId) -> None:
        self.words.append(Word(place.name, step, transfer, self.world.loop.time()))

    # ---- what one person does at one time ----

    async def one_thing(self, place: Place) -> None:
        """Whatever comes to somebody's mind: mostly to answer what has come, or to offer something."""
        if not place.up:
            return
        chance = self.world.chance
        kept = sorted(place.here.db.read_sync(transfer_store.all_transfers), key=lambda each: bytes(each.id))
        came = [each for each in kept if not each.outgoing and each.state is State.OFFERED]
        if came and chance.random() < 0.8:
            await self.answer(place, chance.choice(came))
            return
        doing = chance.randrange(29)
        if doing < 9:
            await self.offer(place)
        elif doing < 11:
            await self.withdraw(place, [each for each in kept if each.outgoing and not each.over])
        elif doing < 13:
            await self.withdraw(place, [each for each in kept if each.outgoing and each.state is State.RECEIVED])
        elif doing < 18:
            await self.give_back(place, [each for each in kept if not each.outgoing and each.state is State.RECEIVED])
        elif doing < 20:
            await self.let_go(place, [each for each in kept if each.held])
        elif doing >= 27:
            await self.replace_identity(place)
        elif doing >= 24:
            await self.does(place, "replaces its sealing key", lambda node: node.publishing.publish(by="camille"))
        else:
            await self.update(place, [each for each in kept if each.state is State.RECEIVED and not each.hands_over])

    async def replace_identity(self, place: Place) -> None:
        """Another identity key: refused while something is under way, unless somebody wants it all the same."""
        despite = self.world.chance.random() < 0.4

        async def rotate(node: Any) -> KeyId:
            if despite:
                self.given_up.add(node.identity_public.key_id)
            key: KeyId = (await node.identity.rotate(by="camille", despite_transfers=despite)).key_id
            return key

        done, key = await self.does(place, f"replaces its identity key{' all the same' if despite else ''}", rotate)
        if done:
            self.new_keys.append(NewKey(place.name, key, self.world.loop.time()))

    async def offer(self, place: Place) -> None:
        chance = self.world.chance
        known = chance.choice(self.template.cases[place.name])
        to = chance.choice(sorted(known.acts))
        hold, attached = chance.random() < 0.1, chance.random() < 0.5
        done, transfer = await self.does(
            place,
            f"offers to {to}",
            lambda node: node.sending.offer(
                PERSON,
                case_id=known.case_id,
                recipient=self.template.members[to],
                purpose=PURPOSES[known.kind],
                kind=known.kind,
                act_id=known.acts[to],
                attachments=[known.attachment] if attached else [],
                hold=hold,
            ),
        )
        if done:
            self._word(place, "offer", transfer)

    async def answer(self, place: Place, transfer: Transfer) -> None:
        if self.world.chance.random() < 0.8:
            await self._said(place, "accept", transfer, lambda node: node.receiving.accept(PERSON, transfer.id))
        else:
            await self._said(
                place, "decline", transfer, lambda node: node.receiving.decline(PERSON, transfer.id, code="no_capacity")
            )

    async def withdraw(self, place: Place, chosen: list[Transfer]) -> None:
        if chosen:
            one = self.world.chance.choice(chosen)
            await self._said(place, "withdraw", one, lambda node: node.sending.withdraw(PERSON, one.id))

    async def update(self, place: Place, chosen: list[Transfer]) -> None:
        """Tell the other association, or be told, what is new in a case that both follow."""
        if chosen:
            first = self.world.chance.choice(chosen)
            done, transfer = await self.does(
                place, f"updates {first.id.hex()[:8]}", lambda node: node.sending.update(PERSON, first.id)
            )
            if done:
                self._word(place, "update", transfer)

    async def let_go(self, place: Place, chosen: list[Transfer]) -> None:
        if chosen:
            one = self.world.chance.choice(chosen)
            await self._said(place, "let go", one, lambda node: node.sending.ship(PERSON, one.id))

    async def give_back(self, place: Place, chosen: list[Transfer]) -> None:
        """Erase what came: asked for, or unasked."""
        if not chosen:
            return
        one = self.world.chance.choice(chosen)
        if one.erasure == "asked":
            erase = self.world.chance.random() < 0.7
            await self._said(
                place,
                "erase" if erase else "keep",
                one,
                lambda node: node.receiving.answer_erasure(
                    PERSON, one.id, erase=erase, code="" if erase else "legal_obligation"
                ),
            )
        else:
            await self._said(
                place,
                "return",
                one,
                lambda node: node.receiving.give_back(PERSON, one.id, code="wrong_recipient", text="Un homonyme."),
            )

    async def _said(self, place: Place, step: str, one: Transfer, act: Callable[[Any], Awaitable[Any]]) -> None:
        done, _ = await self.does(place, f"{step} {one.id.hex()[:8]}", act)
        if done:
            self._word(place, step, one.id)
