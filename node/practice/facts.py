"""What has really happened in the practice house, read from its own database and journal; nobody's click says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from cordee.act import Act
from cordee.errors import NotFound
from cordee.ids import MemberId
from cordee.transfer import State
from node import acts, journal, people, records
from node.app import Node
from node.journal import JournalEntry
from node.people import Account, Handler
from node.records import StoredCase
from node.transfers import TransferLine

__all__ = ["Attempt", "Facts", "read_facts"]

_LINES = 20_000


@dataclass(frozen=True)
class Attempt:
    """One time that somebody began a workflow: when, and with what that was laid ready for it."""

    workflow: str
    at: datetime
    cases: tuple[str, ...] = ()
    account: str = ""  # of the colleague who leaves
    transfer: str = ""  # that was made ready


@dataclass(frozen=True)
class Facts:
    """The practice house at one moment."""

    me: str  # account id
    relay: MemberId
    shelter: MemberId
    cases: Mapping[str, StoredCase]
    acts: Mapping[str, Sequence[Act]]  # by case
    transfers: Sequence[TransferLine]
    lines: Sequence[JournalEntry]
    accounts: Mapping[str, Account]
    prepared: frozenset[str] = field(default_factory=frozenset)  # cases that were laid ready

    def mine(self, attempt: Attempt) -> str:
        """The case of this attempt: the one laid ready, or the first that was opened since; empty before that."""
        if attempt.cases:
            return attempt.cases[0]
        opened = (each.subject for each in self.done("case.created", attempt))
        return next((each for each in opened if each not in self.prepared), "")

    def done(self, action: str, attempt: Attempt, *, subject: str = "", **facts: str) -> list[JournalEntry]:
        """What the newcomer did since the attempt began, the oldest first."""
        return [
            each
            for each in self._by_action.get(action, ())
            if each.at >= attempt.at
            and each.actor == self.me
            and subject in ("", each.subject)
            and all(each.facts.get(name) == value for name, value in facts.items())
        ]

    @cached_property
    def _by_action(self) -> Mapping[str, Sequence[JournalEntry]]:
        found: dict[str, list[JournalEntry]] = {}
        for each in self.lines:
            found.setdefault(each.action, []).append(each)
        return found

    def covered(self, case_id: str, *purposes: str) -> bool:
        """Whether an act that is no refusal was recorded for one of these purposes; it may be used up since."""
        return any(each.purposes & set(purposes) and each.kind != "refusal" for each in self.acts.get(case_id, ()))

    def sent(
        self,
        case_id: str,
        to: MemberId,
        purpose: str,
        *,
        kind: str = "",
        where: Callable[[TransferLine], bool] | None = None,
    ) -> list[TransferLine]:
        """Offers of a case to a partner."""
        return [
            each
            for each in self.transfers
            if each.direction == "out"
            and case_id
            and each.case_id == case_id
            and each.peer == to
            and each.purpose in (purpose, "")  # after an erasure nobody can read any more what it was for
            and kind in ("", each.kind)
            and (where is None or where(each))
        ]

    def arrived(self, case_id: str, to: MemberId, purpose: str, *, kind: str = "") -> bool:
        """Whether the case was offered to them and their node has confirmed it."""
        return bool(self.sent(case_id, to, purpose, kind=kind, where=lambda each: each.state is State.RECEIVED))

    def came(self, attempt: Attempt) -> TransferLine | None:
        """The transfer that was made ready, once it is here."""
        return next((each for each in self.transfers if each.transfer_id.hex() == attempt.transfer), None)


async def read_facts(
    node: Node, person: Handler, *, relay: MemberId, shelter: MemberId, attempts: Sequence[Attempt]
) -> Facts:
    """Everything at once. The newcomer reads nothing by it, and the journal says nothing of it."""
    transfers = await node.transfers.list(person)

    def query(tx: Connection) -> Facts:
        lines = journal.latest(tx, limit=_LINES)[::-1]
        prepared = frozenset(case for each in attempts for case in each.cases)
        ids = [each.case_id for each in records.list_cases(tx, node.vault)]
        cases, kept = {}, {}
        for case_id in ids:
            try:
                cases[case_id] = records.read_case(tx, node.vault, case_id)
                kept[case_id] = acts.acts_of(tx, node.vault, case_id)
            except NotFound:  # erased
                continue
        return Facts(
            me=person.account_id,
            relay=relay,
            shelter=shelter,
            cases=cases,
            acts=kept,
            transfers=transfers,
            lines=lines,
            accounts={each.account_id: each for each in people.list_accounts(tx, node.vault)},
            prepared=prepared,
        )

    return await node.db.read(query)
