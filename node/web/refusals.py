"""A refusal to send, in words, with the ways out of it as links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from cordee.case import PURPOSES, SECTIONS
from cordee.case.labels import section_label, value_label
from cordee.errors import (
    N_,
    CardExpired,
    CordeeError,
    MemberIsSuspended,
    NotAMember,
    NotCovered,
    OfferAlreadyOpen,
    RoleMissing,
    StaleRecord,
    TooLarge,
    filled,
)
from cordee.runtime.texts import facts_in_words, text
from node.web.visit import Visit

__all__ = ["Refusal", "refusal_of"]

_ROW_OF_RECIPIENT = "1"  # of the decision table: nobody may be sent to there, whatever the act


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong, what to do, and where: links with their marked texts."""

    message: str
    remedy: str
    ways: tuple[tuple[str, str], ...]


def refusal_of(
    visit: Visit,
    case_id: str,
    refused: CordeeError,
    *,
    back: str,
    purpose: str = "",
    record: str = "",
    again: str = "",
    transfer: str = "",
) -> Refusal:
    """`back`: where another association is chosen; `purpose`: another purpose; `record`: a new act; `again`: the same
    step, as it was before anything was taken out or added; `transfer`: the one that is under way already.
    """
    section = refused.facts.get("section", "")
    ways: list[tuple[str, str]] = []
    if isinstance(refused, OfferAlreadyOpen):
        again = record = ""
        ways += [(f"/transfers/{transfer}", N_("See that transfer"))] if transfer else []
    elif isinstance(refused, StaleRecord):
        again, ways = "", [(again, N_("Look at what leaves now"))] if again else []
    elif isinstance(refused, (MemberIsSuspended, NotAMember, CardExpired, RoleMissing)):
        record = purpose = again = ""
    elif isinstance(refused, TooLarge):
        record = ""
    elif isinstance(refused, NotCovered) and refused.facts.get("rule") == "R" and section in SECTIONS:
        ways.append((f"/cases/{case_id}/sections/{section}", N_("Fill in that section")))
        record = ""
    elif isinstance(refused, NotCovered) and refused.facts.get("rule") == _ROW_OF_RECIPIENT:
        record = again = ""
    if again:
        ways.append((again, N_("Start again from what is usual for this purpose")))
    if record and isinstance(refused, NotCovered):
        ways.append((record, N_("Record an act")))
    if purpose:
        ways.append((purpose, N_("Choose another purpose")))
    ways.append((back, N_("Choose another association")))
    facts, translated = _in_words(refused, visit.language), partial(text, language=visit.language)
    message, remedy = (filled(each, facts, translated) for each in (refused.message, refused.remedy))
    return Refusal(message, remedy, tuple(ways))


def _in_words(refused: CordeeError, language: str) -> dict[str, str]:
    """Its facts, with codes as people read them; those that are texts are translated where it is told."""
    facts = facts_in_words(refused.facts, language)
    if facts.get("section") in SECTIONS:
        facts["section"] = section_label(facts["section"])
    if facts.get("purpose") in PURPOSES:
        facts["purpose"] = value_label("purpose", facts["purpose"])
    return facts
