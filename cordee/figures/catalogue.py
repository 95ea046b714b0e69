"""Which tables a yearly report has, and what each count in them means: the one list behind page, paper, CSV and docs.

Codes are for programs and stay as they are; titles, labels and meanings are marked texts. The order of the rows matters
where a table is protected: what has to be kept back to protect another count is taken from the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cordee.errors import N_

__all__ = ["ASSOCIATION", "BY_NAME", "NETWORK", "Kind", "RowKind", "Shape"]


class Shape(StrEnum):
    """What may be told of a table's counts."""

    EXACT = "exact"
    """As they are: about associations and machines, and known to every member anyway."""
    TOGETHER = "together"
    """Protected, and they add up to a total."""
    APART = "apart"
    """Protected, each by itself."""


@dataclass(frozen=True, slots=True)
class RowKind:
    """One count: its code, what people read, and what exactly is counted."""

    code: str
    label: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One table."""

    code: str
    title: str
    about: str
    source: str
    shape: Shape
    rows: tuple[RowKind, ...]


_LOG = N_("the roster log, verified entry by entry on the administrator’s machine")
_BROKER = N_("what the directory forwarded; it knows states and no content, and nobody can check its count")
_JOURNAL = N_("the association’s own journal, whose lines are chained and signed")

_BY_END = (
    RowKind("received", N_("received"), N_("arrived, was checked and kept by the other association’s machine")),
    RowKind("declined", N_("declined"), N_("the other association said no to the offer; nothing but the offer left")),
    RowKind("withdrawn", N_("withdrawn"), N_("taken back by the sender before it was received")),
    RowKind("not_received", N_("not received"), N_("time ran out, or the other machine refused what came, whole")),
)
_BY_ANSWER = (
    RowKind("erased", N_("erased"), N_("erased, and signed by the association that had it")),
    RowKind("unanswered", N_("not answered"), N_("no answer by the day on which the year was closed")),
    RowKind("kept", N_("kept, with a reason"), N_("kept because the law asks for it or a claim needs it; also signed")),
)
_OFFERS = N_("Offers of the year that are over, by how they ended. A further message about a shared case counts too.")
_REQUESTS = N_("Requests of the year to erase what had been received, by the answer.")

NETWORK: Final = (
    Kind(
        "members",
        N_("Members"),
        N_("Associations that belong to the network."),
        _LOG,
        Shape.EXACT,
        (
            RowKind("at_beginning", N_("at the beginning of the year"), N_("admitted and not removed, on 1 January")),
            RowKind("admitted", N_("admitted in the year"), N_("admissions signed by the administrators")),
            RowKind("removed", N_("removed in the year"), N_("for good: it never comes back as the same member")),
            RowKind("at_end", N_("at the end of the year"), N_("admitted and not removed, on 31 December")),
            RowKind("suspended_at_end", N_("of these, suspended"), N_("of those at the end of the year")),
        ),
    ),
    Kind(
        "incidents",
        N_("Incidents and what was done about them"),
        N_("Entries of the log that answer an incident."),
        _LOG,
        Shape.EXACT,
        (
            RowKind("suspended", N_("suspensions"), N_("an association cut off until it is reinstated")),
            RowKind("reinstated", N_("suspensions taken back"), N_("an association connected again")),
            RowKind("announced", N_("replacements of an identity key announced"), N_("before they may be made")),
            RowKind("objected", N_("objections to a replacement"), N_("by the association, with its present key")),
            RowKind("identity_lost", N_("identity keys replaced after a loss"), N_("recovered by the administrators")),
            RowKind("identity_revoked", N_("identity keys revoked at once"), N_("since somebody else had them")),
            RowKind("node_restored", N_("machines brought back from a backup"), N_("as the association itself told")),
        ),
    ),
    Kind(
        "changes",
        N_("Changes of keys, administrators and rules"),
        N_("Entries of the log that are part of looking after a network."),
        _LOG,
        Shape.EXACT,
        (
            RowKind("identity_rotated", N_("identity keys changed"), N_("by the association, with its former key")),
            RowKind("administrators_added", N_("administrators added"), N_("keys that may sign for the network")),
            RowKind("administrators_removed", N_("administrators removed"), N_("keys that may not sign any more")),
            RowKind("rules_changed", N_("changes of the rules"), N_("of threshold, limits or durations")),
            RowKind("directory_key", N_("changes of the directory’s key"), N_("of the key that signs the log")),
            RowKind("authority", N_("changes of the certificate authority"), N_("of the network’s connections")),
            RowKind("corrected", N_("corrections of a member"), N_("of name, number or professional secrecy")),
            RowKind("other", N_("other entries"), N_("entries of a kind that is in none of these rows")),
        ),
    ),
    Kind("transfers", N_("Transfers by how they ended"), _OFFERS, _BROKER, Shape.TOGETHER, _BY_END),
    Kind("erasures", N_("Requests to erase"), _REQUESTS, _BROKER, Shape.TOGETHER, _BY_ANSWER),
    Kind(
        "returned",
        N_("Given back without being asked"),
        N_("Cases that the recipient found were not for it."),
        _BROKER,
        Shape.APART,
        (RowKind("returned", N_("given back"), N_("erased unasked by the recipient, which signed that")),),
    ),
)
"""What the office of a network reports."""

ASSOCIATION: Final = (
    Kind("sent", N_("What we offered, by how it ended"), _OFFERS, _JOURNAL, Shape.TOGETHER, _BY_END),
    Kind("came", N_("What was offered to us, by how it ended"), _OFFERS, _JOURNAL, Shape.TOGETHER, _BY_END),
    Kind(
        "grounds",
        N_("What our offers rested on"),
        N_("Offers of the year that are over and rest on a consent act, by the path that it takes."),
        _JOURNAL,
        Shape.TOGETHER,
        (
            RowKind("agreement", N_("an agreement"), N_("the minor and the holders of parental authority agreed")),
            RowKind("override", N_("an override"), N_("without agreement: a duty to act, with its reason in writing")),
            RowKind(
                "secrecy", N_("information, between professionals"), N_("shared secrecy; those concerned were told")
            ),
        ),
    ),
    Kind("asked", N_("Requests to erase that we sent"), _REQUESTS, _JOURNAL, Shape.TOGETHER, _BY_ANSWER),
    Kind("answered", N_("Requests to erase that we got"), _REQUESTS, _JOURNAL, Shape.TOGETHER, _BY_ANSWER),
    Kind(
        "apart",
        N_("Other events about cases"),
        N_("Each counted by itself; they do not add up to anything."),
        _JOURNAL,
        Shape.APART,
        (
            RowKind("cases_erased", N_("cases erased by us"), N_("by our own decision, not on request")),
            RowKind("gave_back", N_("cases that we gave back"), N_("erased unasked: they were not for us")),
            RowKind("got_back", N_("cases given back to us"), N_("erased unasked by the recipient")),
            RowKind("wrong", N_("cases sent to the wrong association"), N_("as whoever sent them said afterwards")),
            RowKind("opened", N_("cases opened with a reason"), N_("by somebody who is not of the case’s team")),
        ),
    ),
    Kind(
        "machine",
        N_("Incidents of the machine"),
        N_("What the node noticed; nothing of it is about a case."),
        _JOURNAL,
        Shape.EXACT,
        (
            RowKind("alarms", N_("alarms about the roster"), N_("what the directory showed did not verify")),
            RowKind("messages", N_("messages refused"), N_("statements of others that did not verify")),
        ),
    ),
)
"""What an association reports."""

BY_NAME: Final = {kind.code: kind for kind in (*NETWORK, *ASSOCIATION)}
