"""An act told in plain sentences: for the list, for its own page, and for the paper that a family takes along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_date

from cordee.act import Act, ActLimits, Decision, RecipientFacts, decide
from cordee.act.facts import is_named
from cordee.case.form import SECTIONS
from cordee.case.labels import field_label, section_label, value_label
from cordee.case.record import Case
from cordee.errors import N_, filled
from cordee.profile import departement_name
from cordee.runtime.texts import facts_in_words, text
from cordee.web.times import moment_text
from cordee.web.wall import HERE
from node.roster_sync import MemberView
from node.web.act_words import STATES, say

__all__ = [
    "Line",
    "Told",
    "Verdict",
    "can_be_withdrawn",
    "day_of",
    "persons_of",
    "recipient_told",
    "state_of",
    "told",
    "verdicts",
]

_STANDING = frozenset({"active", "used", "refused", "requested"})
_MANY = 8  # members that one category may name, shown one by one
_SAID = frozenset({"agrees", "refuses", "assents", "dissents", "informed", "orders"})
_FLAGS: Mapping[str, str] = {
    "notify_referent": N_("Tell the referent of the case."),
    "notify_manager": N_("Tell your manager."),
    "complete_within_24h": N_("Complete this decision within 24 hours: record it again with what is missing."),
    "minor_refused": N_("The minor refused: say so to whoever decides with you."),
    "minor_not_able": N_("The minor cannot judge this yet; those who hold parental authority agreed."),
    "holders_not_asked": N_("No holder of parental authority was asked."),
    "other_holder_presumed": N_("The other holder of parental authority is presumed to agree; they were not heard."),
    "holder_not_reached": N_("A holder of parental authority could not be reached: try again."),
    "recipient_named_in_words": N_("The act names them only by a description: check that they are meant."),
    "recipient_in_area_to_avoid": N_("They are in a département that the record says to avoid."),
    "propose_ase_or_judge": N_("Ask child welfare (ASE) or the judge to decide."),
    "propose_path_b": N_("Sharing between professionals bound by secrecy may be possible: look at its conditions."),
    "propose_path_c": N_("If there is danger, record a decision with its written reason."),
}
_NEXT: Mapping[int, str] = {
    1: N_("Choose another recipient, and record an act that names it."),
    4: N_("Record the decision again with what is missing."),
    5: N_("Respect the refusal. Ask again only if something has changed, and record the new answer."),
    6: N_("Record the sharing again with what is missing."),
    9: N_("Nobody can decide this alone: there are three ways on."),
    10: N_("Record an act with what is missing."),
}


@dataclass(frozen=True)
class Line:
    """One thing that an act says; `items` where there are several of it."""

    label: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """An act for the eye."""

    act_id: str
    kind: str
    state: str
    standing: bool  # whether it can still be withdrawn
    purpose: str
    recipients: tuple[str, ...]
    recorded_on: str
    until: str
    people: tuple[str, ...]
    sections: tuple[str, ...]
    left_out: tuple[str, ...]
    more: tuple[Line, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether a case may leave to one member under the act, and what to know or do."""

    name: str
    member: str  # hex
    purpose: str
    allowed: bool
    missing: str
    notes: tuple[str, ...]


def told(act: Act, *, members: Iterable[MemberView], persons: Mapping[str, str], now: datetime, language: str) -> Told:
    """Everything that an act says, in words; `persons` are the family's, by id."""
    document = act.to_dict()
    known = {each.profile.org_id: each for each in members if each.profile}
    return Told(
        act_id=act.act_id,
        kind=text(value_label("consents.kind", act.kind), language),
        state=text(STATES[state_of(act, now=now)], language),
        standing=can_be_withdrawn(act),
        purpose=", ".join(text(value_label("consents.purposes", each), language) for each in sorted(act.purposes)),
        recipients=tuple(recipient_told(each, known, language) for each in act.recipients),
        recorded_on=moment_text(act.decided_at, language),
        until=day_of(act.valid_until, language),
        people=tuple(_person(each, persons, language) for each in document["decided_by"]),
        sections=tuple(text(section_label(each), language) for each in SECTIONS if each in act.sections),
        left_out=tuple(text(field_label(each), language) for each in sorted(act.excluded_fields)),
        more=tuple(_more(act, document, language)),
    )


def state_of(act: Act, *, now: datetime) -> str:
    """Its status; what time has made of it where it was in force."""
    if act.status not in ("active", "used"):
        return act.status
    if now >= act.valid_until:
        return "ended"
    return "future" if now < act.valid_from else act.status


def can_be_withdrawn(act: Act) -> bool:
    """What has ended by itself can be withdrawn too: what rests on it may still be with others."""
    return act.status in _STANDING


def recipient_told(entry: Mapping[str, str], known: Mapping[str, MemberView], language: str) -> str:
    """A recipient by name, town and département; or by what it does, and where."""
    if "org_id" in entry:
        member = known.get(entry["org_id"])
        if member is None:
            return text(N_("an association that is not in the network any more"), language)
        where = ", ".join(filter(None, (member.commune, departement_name(member.departement))))
        return f"{member.name} ({where})" if where else member.name
    try:
        what = text(value_label("consents.recipients.category", entry["category"]), language)
    except KeyError:
        what = entry["category"]  # in a person's own words
    if "departement" not in entry:
        return say(N_("any association of this kind: {what}"), language, what=what)
    where = departement_name(entry["departement"])
    return say(N_("any association of this kind: {what}, {where}"), language, what=what, where=where)


def persons_of(case: Case, language: str) -> dict[str, str]:
    """The family by id: what each is to the minor, and the first name where it is kept."""
    found = {}
    for each in case.section("family") or ():
        if "person_id" in each:
            role = text(value_label("family.role", each["role"]), language) if "role" in each else ""
            found[each["person_id"]] = " ".join(filter(None, (role, each.get("first_name", ""))))
    return found


def verdicts(
    act: Act,
    *,
    acts_on_record: list[Act],
    case: Case,
    members: Iterable[MemberView],
    now: datetime,
    language: str,
    limits: ActLimits,
) -> tuple[Verdict, ...]:
    """What the decision table says of each member that the act names; the first few where it names many."""
    found = []
    for each in members:
        facts = _facts(each, now)
        if facts is None or not is_named(act, facts):
            continue
        for purpose in sorted(act.purposes):
            decision = decide(
                act=act,
                acts_on_record=acts_on_record,
                case=case,
                purpose=purpose,
                recipient=facts,
                now=now,
                limits=limits,
            )
            found.append(_verdict(each, purpose, decision, language))
    return tuple(found[:_MANY])


def day_of(moment: datetime, language: str) -> str:
    """A day as it is written there."""
    return str(format_date(moment.astimezone(HERE).date(), "long", locale=language))


def _facts(member: MemberView, now: datetime) -> RecipientFacts | None:
    if member.profile is None:
        return None
    return RecipientFacts(
        org_id=member.profile.org_id,
        active=member.state == "active",
        card_valid=member.card_expires is not None and member.card_expires > now,
        bound_by_secrecy=member.bound_by_secrecy,
        categories=member.profile.categories,
        departement=member.departement,
    )


def _verdict(member: MemberView, purpose: str, decision: Decision, language: str) -> Verdict:
    facts = facts_in_words(dict(decision.facts), language)
    notes = [text(_FLAGS[each], language) for each in sorted(decision.flags) if each in _FLAGS]
    if not decision.allowed and decision.rule in _NEXT:
        notes.insert(0, text(_NEXT[decision.rule], language))
    missing = filled(text(decision.missing, language), facts) if decision.missing else ""
    return Verdict(member.name, member.member.hex(), purpose, decision.allowed, missing, tuple(notes))


def _role(codes: str, language: str) -> str:
    """Roles, as the decision table joins them."""
    told_roles = []
    for code in codes.split(", "):
        try:
            told_roles.append(text(value_label("consents.decided_by.role", code), language))
        except KeyError:
            told_roles.append(text(code, language))
    return ", ".join(told_roles)


def _person(entry: Mapping[str, Any], persons: Mapping[str, str], language: str) -> str:
    who = persons.get(entry.get("person_id", "")) or text(
        value_label("consents.decided_by.role", entry["role"]), language
    )
    if entry.get("authority"):
        who = f"{who} ({entry['authority']})"
    parts = [text(value_label("consents.decided_by.answer", entry["answer"]), language)]
    if entry["answer"] in _SAID and "channel" in entry:
        parts.append(text(value_label("consents.decided_by.channel", entry["channel"]), language))
    if entry.get("discernment", {}).get("result", "not_assessed") != "not_assessed":
        found = entry["discernment"]
        parts.append(text(value_label("consents.decided_by.discernment.result", found["result"]), language))
    return say(N_("{who}: {what}"), language, who=who, what=" · ".join(parts))


def _more(act: Act, document: Mapping[str, Any], language: str) -> Iterator[Line]:
    def labelled(path: str, value: str) -> Line:
        return Line(text(field_label(f"consents.{path}"), language), (value,))

    def coded(path: str, value: str) -> Line:
        return labelled(path, text(value_label(f"consents.{path}", value), language))

    if document["evidence"].get("words_used"):
        yield labelled("evidence.words_used", document["evidence"]["words_used"])
    if act.kind in ("override", "information_only"):
        yield coded("legal_basis", act.legal_basis)
    if act.justification:
        yield labelled("justification", act.justification)
    if act.validated_by_role:
        yield labelled("validated_by_role", act.validated_by_role)
    if act.review_due_at is not None:
        yield labelled("review_due_at", day_of(act.review_due_at, language))
    yield coded("information.minor", act.minor_informed)
    yield coded("information.parents", act.parents_informed)
    if act.reason_not_informed:
        yield labelled("information.reason_not_informed", act.reason_not_informed)
    yield coded("evidence.form", document["evidence"]["form"])
    withdrawal = document.get("withdrawal")
    if withdrawal:
        yield labelled("withdrawal.at", moment_text(withdrawal["at"], language))
        yield labelled("withdrawal.by_role", _role(withdrawal["by_role"], language))
        if withdrawal.get("reason"):
            yield labelled("withdrawal.reason", withdrawal["reason"])
