"""May this leave? The decision table of domain §2.6: ten rows in order, the first that matches decides.

The wordings wait for the network's lawyer; the legal bases and their limits are data (`legal_bases.json`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cordee.act.facts import RecipientFacts, is_named, named_in_words_only
from cordee.act.form import LEGAL, Act, Path
from cordee.act.holders import holders_flags, holders_gap, is_adult
from cordee.act.lacking import COMPLETION, lacking
from cordee.act.limits import NO_LIMITS, ActLimits
from cordee.case.minimisation import PURPOSES
from cordee.errors import N_, InvalidInput, NotCovered

if TYPE_CHECKING:
    from cordee.case.record import Case

__all__ = ["ROWS", "Decision", "Question", "Row", "decide", "outweighs"]

_INCOMPLETE_FOR: Final = frozenset(LEGAL["incomplete_allowed_for"])
_AVOID_FOR: Final = frozenset(LEGAL["avoid_areas_for"])
_TELL: Final = frozenset({"notify_referent", "notify_manager"})
_NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the table says: allowed or not, by which row, what is missing, and what people must see or do.

    Flags: `notify_referent`, `notify_manager`, `complete_within_24h`, `minor_refused`, `minor_not_able`,
    `holders_not_asked`, `other_holder_presumed`, `holder_not_reached`, `recipient_named_in_words`,
    `recipient_in_area_to_avoid`; with a block by row 9, what is proposed: `propose_ase_or_judge`, `propose_path_b`,
    `propose_path_c`.
    """

    allowed: bool
    rule: int
    missing: str = ""
    """A marked text; what it names between braces stands in `facts`."""
    flags: frozenset[str] = _NOTHING
    facts: tuple[tuple[str, str], ...] = ()

    def require(self) -> None:
        """Raises: NotCovered where it is not allowed."""
        if not self.allowed:
            raise NotCovered(missing=self.missing, rule=self.rule, **dict(self.facts))


@dataclass(frozen=True, slots=True)
class Question:
    """All that a row may look at."""

    act: Act | None
    acts_on_record: Sequence[Act]
    case: Case
    purpose: str
    recipient: RecipientFacts
    now: datetime
    update: bool
    named: RecipientFacts
    limits: ActLimits

    @property
    def path(self) -> Path:
        """The path chosen; without an act it is the agreement that is missing."""
        return self.act.path if self.act else Path.AGREEMENT

    @property
    def gap(self) -> str:
        """What keeps the act from covering this purpose, this recipient and this moment; empty if it covers them."""
        return _gap(self)

    @property
    def minor_refused(self) -> bool:
        """The minor said no, in this act or in a refusal on record for this purpose and recipient."""
        acts = [*([self.act] if self.act else []), *_refusals(self)]
        return any(each.is_minor and each.refuses for act in acts for each in act.deciders)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. `decide` answers None where the row does not match."""

    number: int
    condition: str
    decide: Callable[[Question], Decision | None]


def decide(
    *,
    act: Act | None,
    acts_on_record: Sequence[Act],
    case: Case,
    purpose: str,
    recipient: RecipientFacts,
    now: datetime,
    update: bool = False,
    named: RecipientFacts | None = None,
    limits: ActLimits = NO_LIMITS,
) -> Decision:
    """Decide whether a case may be offered under an act.

    `acts_on_record`: all acts of the case, for a refusal among them counts. `update`: a further shipment of a referral
    under the same act, which a single use does not stop. `named`: the association that the act has to name, where it
    is not the recipient: an update that goes back to the one that shared under the act comes from the one it names.
    `limits`: what the network's policy allows less of.
    An allowed decision says nothing yet of what leaves: see `cordee.case.minimise`.

    Raises: InvalidInput for an unknown purpose.
    """
    if purpose not in PURPOSES:
        raise InvalidInput(field="purpose", problem=N_("it must be one of {options}"), options=", ".join(PURPOSES))
    question = Question(act, acts_on_record, case, purpose, recipient, now, update, named or recipient, limits)
    decision = next(found for row in ROWS if (found := row.decide(question)) is not None)
    if not decision.allowed:
        return decision
    return Decision(True, decision.rule, flags=decision.flags | _recipient_flags(question))


def outweighs(refusal: Act, act: Act, *, purpose: str, recipient: RecipientFacts, now: datetime) -> bool:
    """Whether a refusal stops what was begun under this act: it rests on an agreement, and row 5 would block it now."""
    return act.path is Path.AGREEMENT and _stands(refusal, act, act.case_id, purpose, recipient, now)


# ---- the rows ----


def _unusable_recipient(q: Question) -> Decision | None:
    if not q.recipient.active:
        return Decision(False, 1, N_("a recipient that is an active member of the network"))
    if not q.recipient.card_valid:
        return Decision(False, 1, N_("a recipient with a valid, verified key"))
    going_there = q.named is q.recipient  # nobody moves to the association that is told how it goes
    if going_there and q.purpose in _AVOID_FOR and _in_area_to_avoid(q):
        return Decision(False, 1, N_("a recipient outside the départements to avoid"))
    return None


def _no_act_needed(q: Question) -> Decision | None:
    return None if PURPOSES[q.purpose].needs_act else Decision(True, 2)


def _duty_complete(q: Question) -> Decision | None:
    if q.act is None or q.path is not Path.DUTY or q.gap or lacking(q.act) or _review_overdue(q):
        return None
    return Decision(True, 3, flags=_TELL)


def _duty_incomplete(q: Question) -> Decision | None:
    if q.act is None or q.path is not Path.DUTY or q.gap or _review_overdue(q):
        return None
    missing = lacking(q.act)
    if q.purpose in _INCOMPLETE_FOR and q.now < q.act.decided_at + COMPLETION:
        return Decision(True, 4, flags=_TELL | {"complete_within_24h"})
    return Decision(False, 4, missing)


def _refusal_on_record(q: Question) -> Decision | None:
    refusals = _refusals(q) if q.path is Path.AGREEMENT else []
    if not refusals:
        return None
    last = max(refusals, key=lambda act: act.decided_at)
    who = ", ".join(sorted({each.role for each in last.deciders if each.refuses})) or N_("not told")
    facts = (("who", who), ("day", str(last.decided_at.date())))
    return Decision(False, 5, N_("an agreement: a refusal is on record (by: {who}, on {day})"), facts=facts)


def _shared_secrecy(q: Question) -> Decision | None:
    if 6 in q.limits.closed or q.act is None or q.path is not Path.SHARED_SECRECY or q.gap or _sharing_gap(q):
        return None
    return Decision(True, 6, flags=frozenset({"minor_refused"}) if q.minor_refused else _NOTHING)


def _agreement(q: Question) -> Decision | None:
    if q.act is None or q.path is not Path.AGREEMENT or q.gap or _minor_gap(q.act) or holders_gap(q.act, q.case):
        return None
    return Decision(True, 7, flags=holders_flags(q.act, q.case))


def _holders_for_minor(q: Question) -> Decision | None:
    if 8 in q.limits.closed or q.act is None or q.path is not Path.AGREEMENT:
        return None
    if q.gap or holders_gap(q.act, q.case):
        return None
    not_able = any(each.is_minor and each.discernment == "not_able" for each in q.act.deciders)
    if not not_able or not any(each.is_holder and each.agrees for each in q.act.deciders):
        return None
    refused = {"minor_refused"} if q.minor_refused else set()
    return Decision(True, 8, flags=holders_flags(q.act, q.case) | {"minor_not_able"} | refused)


def _disagreement(q: Question) -> Decision | None:
    if q.act is None or q.path is not Path.AGREEMENT:
        return None
    concerned = [each for each in q.act.deciders if each.is_minor or each.is_holder]
    if not (any(each.agrees for each in concerned) and any(each.refuses for each in concerned)):
        return None
    proposed = frozenset({"propose_ase_or_judge", "propose_path_b", "propose_path_c"})
    return Decision(False, 9, N_("an agreement between the minor and the holders of parental authority"), proposed)


def _otherwise(q: Question) -> Decision:
    return Decision(False, 10, _what_is_missing(q))


ROWS: Final[tuple[Row, ...]] = (
    Row(1, "recipient not in the directory, suspended, key expired, or in an area to avoid", _unusable_recipient),
    Row(2, "statistics or capacity query: the projection, no act", _no_act_needed),
    Row(3, "path C, complete, not past its review", _duty_complete),
    Row(4, "path C, incomplete: only emergency shelter and missing child, to be completed", _duty_incomplete),
    Row(5, "path A and a refusal on record", _refusal_on_record),
    Row(6, "path B: secrecy, necessity, information or the reason why not", _shared_secrecy),
    Row(7, "path A: the minor and every holder who can be asked agree", _agreement),
    Row(8, "path A: the minor is not able to discern, the holders agree", _holders_for_minor),
    Row(9, "path A: they disagree", _disagreement),
    Row(10, "otherwise", _otherwise),
)
"""The table, in order."""


# ---- what the rows ask ----

_NOT_IN_FORCE: Final = {
    "requested": N_("an act in force: this one is only requested"),
    "refused": N_("an act in force: this one was refused"),
    "withdrawn": N_("an act in force: this one was withdrawn"),
    "expired": N_("an act in force: this one has expired"),
    "superseded": N_("an act in force: this one was superseded"),
}


def _gap(q: Question) -> str:
    act = q.act
    if act is None:
        return N_("an act")
    if act.case_id != q.case.case_id:
        return N_("an act about this case")
    if act.kind == "refusal":
        return N_("an agreement: this act is a refusal")
    if act.status == "used" and act.single_use and not q.update:
        return N_("a new act: this one was for one transfer")
    if act.status not in ("active", "used"):
        return _NOT_IN_FORCE[act.status]
    if q.purpose not in act.purposes or q.purpose not in LEGAL["bases"][act.legal_basis].get("purposes", PURPOSES):
        return N_("an act for this purpose")
    if not is_named(act, q.named):
        return (
            N_("an act that names this recipient")
            if q.named is q.recipient
            else N_("an act that names this association")
        )
    if q.now < act.valid_from:
        return N_("an act that is valid already")
    if q.now >= act.valid_until:
        return N_("an act that is still valid")
    if q.now >= q.limits.end_of(act):
        return N_("a new act: the network does not count one that is so old")
    if is_adult(q.case, q.now) and not is_adult(q.case, act.decided_at):
        return N_("a new act: the minor has turned 18")
    return ""


def _refusals(q: Question) -> list[Act]:
    """Refusals that stand for this purpose and recipient. One that ran out still outweighs what was said before it."""
    acts = {act.act_id: act for act in (*q.acts_on_record, *([q.act] if q.act else []))}
    return [each for each in acts.values() if _stands(each, q.act, q.case.case_id, q.purpose, q.recipient, q.now)]


def _stands(
    refusal: Act, act: Act | None, case_id: str, purpose: str, recipient: RecipientFacts, now: datetime
) -> bool:
    return (
        refusal.status == "refused"
        and refusal.case_id == case_id
        and purpose in refusal.purposes
        and is_named(refusal, recipient)
        and (now < refusal.valid_until or (act is not None and refusal.decided_at >= act.decided_at))
    )


def _review_overdue(q: Question) -> bool:
    return q.act is not None and q.act.review_due_at is not None and q.now >= q.act.review_due_at


def _sharing_gap(q: Question) -> str:
    """What CASF L226-2-2 still asks for; empty if its conditions are met."""
    act = q.act
    if act is None:
        return N_("an act")
    if not q.recipient.bound_by_secrecy:
        return N_("a recipient bound by professional secrecy")
    if not act.justification:
        return N_("the written necessity")
    if act.minor_informed != "done" and not act.reason_not_informed:
        return N_("the information of the minor, or the reason why not")
    if act.parents_informed not in ("done", "none_known") and not act.reason_not_informed:
        return N_("the information of the parents, or the reason why not")
    if q.minor_refused and not act.validated_by_role:
        return N_("a second person: the minor refused")
    return ""


def _minor_gap(act: Act) -> str:
    minors = [each for each in act.deciders if each.is_minor]
    if any(each.refuses for each in minors) or not any(each.agrees for each in minors):
        return N_("the agreement or assent of the minor")
    return ""


def _what_is_missing(q: Question) -> str:
    if q.act is None or q.gap:
        return q.gap
    if q.path is Path.DUTY:
        return N_("the review of this decision, which is overdue")
    if q.path is Path.SHARED_SECRECY:
        return _sharing_gap(q) or N_("an agreement: this network does not share on professional secrecy alone")
    return _minor_gap(q.act) or holders_gap(q.act, q.case)


def _in_area_to_avoid(q: Question) -> bool:
    return q.recipient.departement in (q.case.value("housing.areas_to_avoid") or [])


def _recipient_flags(q: Question) -> frozenset[str]:
    flags: set[str] = set()
    if _in_area_to_avoid(q):
        flags.add("recipient_in_area_to_avoid")
    if q.act is not None and named_in_words_only(q.act, q.named):
        flags.add("recipient_named_in_words")
    return frozenset(flags)
