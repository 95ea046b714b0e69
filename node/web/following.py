"""One transfer as its page tells it: what was said by whom, what is to come, and what an offer says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from cordee.case import mandatory_sections
from cordee.case.labels import field_label, section_label, value_label
from cordee.errors import N_, InvalidInput
from cordee.ids import TransferId
from cordee.statements import time_of
from cordee.summary import DECLINE_REASONS, KEEPING_REASONS, RECEIPT_REASONS, RETURN_REASONS
from cordee.transfer import Kind, Party, State, may
from cordee.v1 import statements_pb2
from node import journal, people, transfer_store
from node.transfer_store import Transfer

if TYPE_CHECKING:
    from node.app import Node

__all__ = [
    "ARRIVAL_CHECKS",
    "REASONS",
    "Course",
    "Section",
    "Step",
    "areas_of",
    "course_of",
    "id_of",
    "needed_of",
    "sections_of",
    "told",
    "words_of",
]

REASONS = DECLINE_REASONS | KEEPING_REASONS | RECEIPT_REASONS | RETURN_REASONS
"""What each code of a reason says, whichever list it is from."""

ARRIVAL_CHECKS = (
    N_("Signatures: every statement is signed by the association that it names, with both of its keys."),
    N_("Order: every statement names the digest of the one before it."),
    N_("Content: opened with the key made for this transfer alone, and unchanged to its last byte."),
    N_("Digests: the list of contents is the one announced, and each file is the one on that list."),
    N_("Legal basis: it is the one promised with the offer; it names you, this purpose, and is in force."),
    N_("Scope: nothing came that lies outside what was agreed to and what you accepted."),
)
"""What this node has checked before a byte of it became a record (protocol §5): all of it, or nothing was kept."""

_STEPS = {
    Kind.OFFER: N_("Offered"),
    Kind.ACCEPTANCE: N_("Accepted"),
    Kind.REFUSAL: N_("Declined"),
    Kind.SHIPMENT: N_("Sent in full"),
    Kind.RECEIPT_TAKEN: N_("Received and checked"),
    Kind.RECEIPT_REFUSED: N_("Refused on arrival; nothing was kept"),
    Kind.WITHDRAWAL: N_("Withdrawn"),
    Kind.ERASURE: N_("Answered the request to erase"),
}
_ERASURES = {
    "done": N_("Erased on request"),
    "refused": N_("Kept, with a reason"),
    "returned": N_("Not for them: erased and given back"),
}
_TO_COME = {
    State.OFFERED: (N_("Answer"), N_("Sending"), N_("Arrival and checks")),
    State.ACCEPTED: (N_("Sending"), N_("Arrival and checks")),
    State.SHIPPED: (N_("Arrival and checks"),),
}
_ACTIONS = {
    Kind.OFFER: "transfer.offered",
    Kind.ACCEPTANCE: "transfer.accepted",
    Kind.REFUSAL: "transfer.declined",
    Kind.WITHDRAWAL: "transfer.withdrawn",
    Kind.ERASURE: "transfer.erasure",
}
_RETURNED = "transfer.returned"
_CONSTRAINTS = {
    "immediate_danger": "risk.immediate_danger",
    "interpreter_needed": "identity.interpreter_needed",
    "areas_to_avoid": "housing.areas_to_avoid",
    "urgent_need": "health.urgent_need",
    "exploitation_status": "situation.exploitation_status",
    "forms": "exploitation.forms",
    "measures": "judicial.measures.kind",
}
"""The coded answers of a summary's constraints (`cordee.case.capacity`), each with its field in the record."""
_AS_ANSWERS = {"True": "yes", "False": "no"}


@dataclass(frozen=True)
class Step:
    """One statement, or time's own step: what, by whom, when. `person` is known of ours alone."""

    words: str
    by: str = ""
    person: str = ""
    at: datetime | None = None
    digest: str = ""
    ours: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Course:
    """What happened, what is to come, and what may be done now."""

    steps: tuple[Step, ...]
    to_come: tuple[str, ...]
    held: bool
    may_withdraw: bool
    asked_to_erase: bool


@dataclass(frozen=True)
class Section:
    """A section that an offer names; what the purpose needs cannot be left out."""

    name: str
    label: str
    needed: bool


def course_of(tx: Connection, node: Node, transfer: Transfer) -> Course:
    """Read from the statements that this node keeps. Raises CannotOpen."""
    kinds = transfer_store.kinds(tx, transfer.id)
    waits = {kind for kind, waiting in kinds if waiting}
    lines = journal.of_subject(tx, transfer.id.hex())
    names = {each.account_id: each.name for each in people.list_accounts(tx, node.vault)}
    actors = {each.action: names.get(each.actor, "") for each in lines}
    own, peer = node.roster.name_of(node.member), node.roster.name_of(transfer.peer)
    steps = [
        Step(
            words=_ERASURES.get(transfer.erasure or "", _STEPS[kind]) if kind is Kind.ERASURE else _STEPS[kind],
            by=own if ours else peer,
            person=_person(actors, kind) if ours else "",
            at=time_of(signed),
            digest=signed.digest.hex(),
            ours=ours,
            waits=kind in waits,
        )
        for kind, signed, ours in transfer_store.statements(tx, transfer.id)
    ]
    if transfer.state is State.EXPIRED:
        steps.append(Step(words=N_("The time ran out"), at=transfer.updated_at))
    to_come = _TO_COME.get(transfer.state, ())
    if transfer.erasure == "asked":
        to_come = (N_("Answer to the request to erase"),)
    taken = [kind for kind, _ in kinds]
    return Course(
        steps=tuple(steps),
        to_come=to_come,
        held=transfer.held,
        may_withdraw=transfer.outgoing and Kind.WITHDRAWAL in may(transfer.state, Party.SENDER, taken=taken),
        asked_to_erase=not transfer.outgoing and transfer.erasure == "asked",
    )


def _person(actors: Mapping[str, str], kind: Kind) -> str:
    """Who of ours took the step; an erasure was asked for or not."""
    action = _RETURNED if kind is Kind.ERASURE and _RETURNED in actors else _ACTIONS.get(kind, "")
    return actors.get(action, "")


# ---- an offer in words ----


def needed_of(purpose: str) -> frozenset[str]:
    """The sections that a purpose needs; none where this version does not know it."""
    try:
        return mandatory_sections(purpose)
    except InvalidInput:
        return frozenset()


def words_of(path: str, value: str) -> str:
    """A code in words; what came from elsewhere and is on no list stays as it is."""
    try:
        return value_label(path, _AS_ANSWERS.get(value, value))
    except KeyError:
        return value


def told(summary: statements_pb2.Summary) -> list[tuple[str, tuple[str, ...]]]:
    """The lines of a summary: a label, and what it says, both to be translated. What nobody knows is left out."""
    rows = [
        (N_("What for"), [words_of("consents.purposes", summary.purpose)]),
        (N_("What is looked for"), _coded("profile.services.specialities", [summary.need])),
        (N_("Urgency"), _coded("housing.shelter_need", [summary.urgency])),
        (N_("Risk"), _coded("risk.level", [summary.risk_level])),
        (N_("Age"), [str(summary.age)] if summary.age else []),
        (N_("Gender"), _coded("identity.gender", [summary.gender])),
        (N_("Département"), _coded("housing.departement", [summary.departement])),
        (N_("Languages"), _coded("identity.languages", summary.languages)),
        *_constraints(summary.constraints),
        (N_("Files"), [str(summary.attachments)] if summary.attachments else []),
    ]
    return [(label, tuple(values)) for label, values in rows if values]


def sections_of(summary: statements_pb2.Summary) -> list[Section]:
    """The sections of an offer, in words."""
    needed = needed_of(summary.purpose)
    return [Section(name, _section(name), name in needed) for name in summary.sections]


def areas_of(summary: statements_pb2.Summary) -> tuple[str, ...]:
    """Codes of the départements to avoid, as the summary says them."""
    return tuple(dict(_answers(summary.constraints)).get("areas_to_avoid", ()))


def _coded(path: str, values: Sequence[str]) -> list[str]:
    return [words_of(path, each) for each in values if each]


def _constraints(text: str) -> list[tuple[str, list[str]]]:
    rows = []
    for name, values in _answers(text):
        path = _CONSTRAINTS.get(name)
        rows.append((field_label(path), _coded(path, values)) if path else (name, list(values)))
    return rows


def _answers(text: str) -> list[tuple[str, list[str]]]:
    """`field=value,value; …` taken apart; words of another form stand as one remark."""
    parts = [each.partition("=") for each in text.split("; ") if each]
    return [(name, values.split(",")) if sign else (N_("Remark"), [name]) for name, sign, values in parts]


def _section(name: str) -> str:
    try:
        return section_label(name)
    except KeyError:
        return name


def id_of(text: str) -> TransferId | None:
    """A transfer's id as it stands in an address; None where it is none."""
    try:
        return TransferId(bytes.fromhex(text)) if len(text) == 2 * TransferId.length else None
    except ValueError:
        return None
