"""What an update of a referral rests on: the referral itself, received and not withdrawn, and its act, still in force.

Either association may send one, and both ask the same question: the one that sends before it offers, the other before
it accepts by itself and again before it imports (protocol §6).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cordee.act import Act, ActLimits
from cordee.case import SECTIONS
from cordee.errors import N_, InvalidInput, NotCovered, NotFound, NotInThisState, RecordClosed
from cordee.ids import MemberId, TransferId
from cordee.transfer import Kind, State
from node import acts, records, transfer_store
from node.house import House
from node.receiving import read_summary, read_taken
from node.terms import Terms
from node.transfer_store import Transfer

__all__ = ["Ground", "ground_of"]

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ground:
    """The referral that an update follows."""

    first: Transfer
    case_id: str
    act: Act  # as it travels: the same bytes on both sides
    purpose: str
    sections: tuple[str, ...]  # those of the referral: that we offered, or that we took
    held_back: frozenset[str]  # fields that our handler left out of it
    not_taken: frozenset[str]  # sections that were offered with it and that our handler did not want

    @property
    def shared_by_us(self) -> bool:
        """The act is ours, and names the other; else it names us."""
        return self.first.outgoing

    def chosen(self, sections: Collection[str] | None, *, attachments: bool) -> frozenset[str]:
        """The sections of an update: those asked for, or the referral's. Raises InvalidInput."""
        for name in sections or ():
            if name not in SECTIONS:
                raise InvalidInput(field="sections", problem=N_("it names a section that does not exist"))
        names = frozenset(self.sections if sections is None else sections)
        return names | {"attachments"} if attachments else names - {"attachments"}


def ground_of(
    house: House, tx: Connection, first: TransferId, *, now: datetime, peer: MemberId | None = None
) -> Ground:
    """The ground of an update of `first`; `peer` where it must be shared with that member.

    Raises: NotFound, also where the other party is not `peer`; InvalidInput where it is no referral; NotInThisState
    where it was not received, or was withdrawn; RecordClosed where the case was erased or handed over; NotCovered where
    the act is not in force any more.
    """
    found = transfer_store.read_transfer(tx, first)
    if peer is not None and found.peer != peer:
        raise NotFound(what=N_("transfer"))
    if found.state is not State.RECEIVED or found.case_id is None or found.act_id is None:
        raise NotInThisState(state=found.state, statement=N_("update"))
    if found.erasure is not None or transfer_store.statement(tx, first, Kind.WITHDRAWAL) is not None:
        raise NotInThisState(state=State.WITHDRAWN, statement=N_("update"))
    standing = records.standing_of(tx, found.case_id)
    if standing is None or standing.holder == "handed_over":
        raise RecordClosed()
    if found.outgoing:
        terms = Terms.unsealed(found.sealed_terms, records.data_key_of(tx, house.vault, found.case_id), found.id)
        kind, purpose, sections = terms.kind, terms.purpose, terms.offered
        held_back, not_taken = frozenset(each for each in terms.unticked if "." in each), _NOTHING
    else:
        summary = read_summary(house, found)
        kind, purpose, sections = summary.kind, summary.purpose, read_taken(house, found)
        held_back, not_taken = _NOTHING, frozenset(summary.sections) - set(sections)
    if kind != "referral":
        raise InvalidInput(field="transfer", problem=N_("only a referral has updates"))
    limits = ActLimits.of(house.roster.roster.policy)
    if not acts.in_force(tx, house.vault, found.act_id, now=now, limits=limits):
        raise NotCovered(missing=N_("an act that is in force"), rule=10)
    return Ground(
        first=found,
        case_id=found.case_id,
        act=acts.travelling_act(tx, house.vault, found.act_id),
        purpose=purpose,
        sections=sections,
        held_back=held_back,
        not_taken=not_taken,
    )
