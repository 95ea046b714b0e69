"""The handler of a partner association, simulated: it answers by itself, by the same steps as a person's page.

How it behaves is a table (`MANNERS`), so that a newcomer meets every outcome: accepted, declined for lack of capacity,
no answer until the time is over, an update, a request that is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from cordee.errors import CordeeError
from cordee.runtime.logs import logger
from cordee.transfer import State
from node import records, transfer_store
from node.app import Node
from node.people import Handler, Role
from node.receiving import read_summary
from node.transfer_store import Transfer

__all__ = ["MANNERS", "RELAY", "SHELTER", "Manner", "Partner"]

log = logger("node.practice")

RELAY, SHELTER = "marseille", "lille"

_THINKS: Final = timedelta(seconds=4)
"""How long it takes to answer: long enough to see that one waits."""
_LOOKS: Final = 1.0  # seconds
_WRITTEN: Final = "Entretien avec la jeune : elle se repose, elle souhaite continuer. (Écrit par le partenaire simulé.)"


@dataclass(frozen=True)
class Manner:
    """How a partner answers, by the purpose of what it is offered. What is not named is accepted."""

    declines: Mapping[str, str] = field(default_factory=dict)  # purpose → reason
    silent: frozenset[str] = frozenset()  # nobody there answers
    writes_back: frozenset[str] = frozenset()  # sends an update of a referral


MANNERS: Final[Mapping[str, Manner]] = {
    RELAY: Manner(declines={"relocation": "no_capacity"}, writes_back=frozenset({"joint_followup"})),
    SHELTER: Manner(silent=frozenset({"emergency_shelter"})),
}


class Partner:
    """One partner association's handler, at work until cancelled."""

    def __init__(self, node: Node, manner: Manner) -> None:
        self.node = node
        self.person = Handler("partner", "Partenaire", frozenset({Role.HANDLER, Role.LEAD}), bound_by_secrecy=True)
        self._manner = manner

    @property
    def name(self) -> str:
        """As everybody in the network reads it."""
        return self.node.roster.name_of(self.node.member)

    async def run(self) -> None:
        """Look at what came, again and again. What cannot be done now is tried again."""
        while True:
            try:
                for each in await self.node.db.read(transfer_store.all_transfers):
                    await self._try(each)
            except Exception as unforeseen:  # a partner who falls silent leaves whoever learns waiting without end
                log.error("practice.later", reason=type(unforeseen).__name__)
            await asyncio.sleep(_LOOKS)

    async def _try(self, transfer: Transfer) -> None:
        try:
            await self._look_at(transfer)
        except CordeeError as later:
            log.info("practice.later", transfer=transfer.id.short, reason=later.reason)

    async def _look_at(self, transfer: Transfer) -> None:
        node = self.node
        if node.clock.now() - transfer.updated_at < _THINKS:
            return
        if transfer.outgoing:
            return
        if transfer.state is State.OFFERED and transfer.job is None:
            await self._answer(transfer)
        elif transfer.erasure == "asked":
            await node.receiving.answer_erasure(self.person, transfer.id, erase=True)
        elif transfer.state is State.RECEIVED and transfer.erasure is None:
            await self._write_back(transfer)

    async def _answer(self, transfer: Transfer) -> None:
        node = self.node
        summary = await node.db.read(lambda tx: read_summary(node.house, transfer))
        code = self._manner.declines.get(summary.purpose)
        if summary.purpose in self._manner.silent:
            return
        if code is not None:
            await node.receiving.decline(self.person, transfer.id, code=code)
        else:
            await node.receiving.accept(self.person, transfer.id)

    async def _write_back(self, transfer: Transfer) -> None:
        """Something new in a case that both follow, once."""
        node, case_id = self.node, transfer.case_id or ""
        summary = await node.db.read(lambda tx: read_summary(node.house, transfer))
        if summary.kind != "referral" or summary.purpose not in self._manner.writes_back:
            return
        others = await node.db.read(lambda tx: transfer_store.of_case(tx, case_id))
        if any(each.outgoing for each in others):
            return
        now = node.clock.now()

        def step(tx: Connection) -> None:
            stored = records.read_case(tx, node.vault, case_id)
            changed = stored.case.with_section("situation", _with_news(stored.case.section("situation"), now))
            records.update_case(
                tx, node.vault, case_id, changed, expected_version=stored.version, by=self.person.account_id, now=now
            )

        await node.db.write(step)
        await node.sending.update(self.person, transfer.id, sections=["situation"])


def _with_news(situation: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {**situation, "minor_words": f"{now:%d/%m} : {_WRITTEN}"}
