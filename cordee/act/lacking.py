"""What an act of path C (duty or danger) still lacks, and how long it may be used all the same (domain §2.2, §2.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cordee.act.form import LEGAL, Act, Path
from cordee.errors import N_

__all__ = ["COMPLETION", "lacking"]

COMPLETION: Final = timedelta(hours=LEGAL["completion_hours"])
"""From the decision: until then an emergency may go out under an act that is not complete."""


def lacking(act: Act) -> str:
    """What it still lacks, as a marked text; empty if it is complete, or on another path."""
    if act.path is not Path.DUTY:
        return ""
    if not act.justification:
        return N_("the written reason")
    if not act.validated_by_role:
        return N_("the manager who confirmed it")
    if act.review_due_at is None:
        return N_("the date of its review")
    if act.parents_informed not in ("done", "none_known") and not act.reason_not_informed:
        return N_("the reason why the parents were not informed")
    if act.minor_informed == "against_interest" and not act.reason_not_informed:
        return N_("the reason why the minor was not informed")
    ordered = any(each.role in ("judge", "prosecutor") and each.answer == "orders" for each in act.deciders)
    if act.legal_basis == "court_order" and not ordered:
        return N_("the order of the judge or the prosecutor")
    return ""
