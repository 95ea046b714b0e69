"""The practice network at work in one process: the house that practises, two partners, and what was begun.

Each association has its own folder, database, keys and vault, and speaks to the practice directory over TLS, as in
life.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyotp
from sqlalchemy import Connection, select

from cordee.errors import N_, NotFound
from cordee.runtime.clock import Clock
from node import people, second_factor
from node.app import Node, Parts, opened
from node.demo import cases as synthetic
from node.demo.stage import Stage
from node.people import Handler, Role
from node.practice.facts import Attempt, Facts, read_facts
from node.practice.network import Joined, join
from node.practice.partner import MANNERS, RELAY, SHELTER, Partner
from node.practice.prepare import prepare
from node.practice.workflows import BY_ID
from node.store import table_of
from node.store.second_factor import SecondFactorRow
from node.vault import FILE, Vault

__all__ = ["NAME", "PASSWORD", "Practice", "practising"]

NAME: Final = "camille"
PASSWORD: Final = "ici-rien-n-est-reel"  # noqa: S105  # shown on the page; it opens invented cases in a throw-away folder
_OURS: Final = "helpline"
_MARK: Final = "Exercice · "
_STEP: Final = 30  # seconds of a code
_ROLES: Final = (Role.HANDLER, Role.LEAD, Role.ADMINISTRATOR)
_CODES = table_of(SecondFactorRow)
_LOOKS: Final = 0.05  # seconds


@dataclass
class Practice:
    """The house that practises, and what surrounds it."""

    node: Node
    relay: Partner
    shelter: Partner
    person: Handler
    telephone: str = field(repr=False)  # the otpauth address that a telephone would hold
    attempts: list[Attempt] = field(default_factory=list)

    async def begin(self, workflow: str) -> Attempt:
        """Lay ready what a workflow begins with. Raises NotFound."""
        if workflow not in BY_ID:
            raise NotFound(what=N_("workflow"))
        attempt = await prepare(self, workflow)
        self.attempts.append(attempt)
        return attempt

    def latest(self, workflow: str) -> Attempt | None:
        """The last time that it was begun."""
        return next((each for each in reversed(self.attempts) if each.workflow == workflow), None)

    async def facts(self) -> Facts:
        """What has really happened so far."""
        return await read_facts(
            self.node,
            self.person,
            relay=self.relay.node.member,
            shelter=self.shelter.node.member,
            attempts=self.attempts,
        )

    def code(self) -> str:
        """What the practice account's telephone shows: a code that was not used yet."""
        made = pyotp.parse_uri(self.telephone)
        query = select(_CODES.c.last_counter).where(_CODES.c.account_id == self.person.account_id)
        used = self.node.db.look(lambda tx: tx.execute(query).scalar_one())
        counter = max(int(self.node.clock.now().timestamp()) // _STEP, used + 1)
        return str(made.generate_otp(counter)) if isinstance(made, pyotp.TOTP) else ""


@contextlib.asynccontextmanager
async def practising(
    stage: Stage, *, clock: Clock, random: Callable[[int], bytes], manners: Any = MANNERS
) -> AsyncIterator[Practice]:
    """Let three associations join the practice network, and open them until the block ends."""
    profiles = synthetic.profiles(now=clock.now())
    joined = {}
    for name in (_OURS, RELAY, SHELTER):
        profiles[name]["display_name"] = _MARK + profiles[name]["display_name"]
        joined[name] = await join(stage, name, profiles[name], clock=clock, random=random)
    async with contextlib.AsyncExitStack() as houses:
        nodes = {
            name: await houses.enter_async_context(_opened(each, clock=clock, random=random))
            for name, each in joined.items()
        }
        await _knowing_each_other(list(nodes.values()))
        node = nodes[_OURS]
        person, telephone = await node.db.write(lambda tx: _newcomer(tx, node))
        relay, shelter = (Partner(nodes[name], manners[name]) for name in (RELAY, SHELTER))
        practice = Practice(node, relay, shelter, person, telephone)
        running = [asyncio.create_task(each.run()) for each in (relay, shelter)]
        try:
            yield practice
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@contextlib.asynccontextmanager
async def _opened(joined: Joined, *, clock: Clock, random: Callable[[int], bytes]) -> AsyncIterator[Node]:
    vault = await asyncio.to_thread(Vault.open, joined.folder / FILE, joined.passphrase)
    async with opened(joined.folder, vault=vault, clock=clock, random=random, parts=Parts(practice=True)) as node:
        yield node


async def _knowing_each_other(nodes: Sequence[Node]) -> None:
    """Until each has everybody's card: it comes by itself."""
    for node in nodes:
        await node.listener.caught_up.wait()
        while len([each for each in node.roster.members() if each.card_expires]) < len(nodes):  # noqa: ASYNC110  # as it is
            await asyncio.sleep(_LOOKS)


def _newcomer(tx: Connection, node: Node) -> tuple[Handler, str]:
    """The one practice account, with the second factor that its telephone would hold."""
    now, vault = node.clock.now(), node.vault
    made = people.add_account(tx, vault, NAME, PASSWORD, _ROLES, True, now, node.random)
    telephone = second_factor.give(tx, vault, NAME, now=now, random=node.random, by="practice")
    return Handler(made.account_id, made.name, made.roles, made.bound_by_secrecy), telephone
