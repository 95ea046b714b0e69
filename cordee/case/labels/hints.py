"""What a handler should know before filling a field, in one or two short sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cordee.errors import N_

__all__ = ["HINTS"]

HINTS: Final[Mapping[str, str]] = {
    "meta.pseudonym": N_("Shown instead of the name: choose one that does not resemble it."),
    "contact.phone_controlled_by_third_party": N_(
        "If yes or not known, write and say nothing there that could put the minor in danger."
    ),
    "contact.code_phrase": N_(
        "Agreed with the minor to know who is speaking. It leaves only when the case is handed over."
    ),
    "contact.instructions": N_("What to say, and what never to mention: somebody else may be listening."),
    "contact.do_not_contact": N_("People who must not be told anything."),
    "family.implicated": N_("If yes or not known, think of the minor's safety before you contact this person."),
    "situation.request_summary": N_("What is asked for, and how soon. Give names only where they are needed."),
    "situation.minor_words": N_("As the minor said it; do not rephrase."),
    "weak_signals.description": N_("What was seen or heard, without interpretation."),
    "exploitation.minor_account": N_("In the minor's own words, without leading questions."),
    "exploitation.alleged_exploiters.description": N_("What was reported, and by whom: nothing is established yet."),
    "online_traces.content_summary": N_("In words only: no screenshot, no copy of an image."),
    "online_traces.sexual_image_present": N_("Never copy it: describe it in words and report it to PHAROS."),
    "housing.address_protected": N_("Unless you answer “no”, the address leaves with no transfer."),
    "housing.areas_to_avoid": N_("Where those who exploit the minor could find them."),
    "judicial.alerts.parents_informed": N_(
        "They are told before it is sent, unless that is against the child's interest."
    ),
    "safety_plan.signals_and_code": N_("What the minor says or sends to ask for help without being noticed."),
    "notes.text": N_("Notes never leave the association. The minor may ask to read them one day."),
    "attachments.kind": N_("Never attach a sexual image of a minor, not even as evidence."),
    "attachments.may_be_sent": N_("Unless you answer “yes”, it is part of no transfer."),
    "links.may_be_mentioned": N_("It says something about another minor. Unless you answer “yes”, it stays here."),
    "consents.decided_by.discernment": N_("No fixed age decides: write what you observed, and who judged it."),
    "consents.evidence.words_used": N_("The words that were really said, in the language of the conversation."),
}
"""By field; few have one."""
