"""The holders of parental authority: has every one who can be asked agreed, or is validly not asked? (domain §2.1)

Each parent is presumed to act with the other's agreement (code civil 372-2), so one who agrees is enough where nobody
refuses; people are told that the other was not asked.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from cordee.act.form import LEGAL, Act, Decider
from cordee.errors import N_

if TYPE_CHECKING:
    from cordee.case.record import Case

__all__ = ["holders_flags", "holders_gap", "is_adult"]

_AUTHORITY: Final = frozenset({"joint", "sole", "delegated"})
_EXCUSES: Final = frozenset({"against_child_interest", "not_possible", "not_required_minor_asked_secrecy"})
_SILENT: Final = frozenset({"not_asked", "not_reached", "informed"})


def is_adult(case: Case, moment: datetime) -> bool:
    """From the 18th birthday on, by the calendar of `moment`'s own offset; not where the birth date is unknown."""
    born = case.birth_date
    if born is None:
        return False
    years = int(LEGAL["adult_at"])
    leap_day = (born.month, born.day) == (2, 29)
    birthday = date(born.year + years, 3, 1) if leap_day else born.replace(year=born.year + years)
    return moment.date() >= birthday


def holders_gap(act: Act, case: Case) -> str:
    """What an agreement still lacks on the side of the holders; empty if nothing. Whoever is of age needs none."""
    if is_adult(case, act.decided_at):
        return ""
    listed = _listed(act)
    if any(each.refuses for each in listed):
        return N_("the agreement of every holder of parental authority")
    if any(each.agrees for each in listed) or _excused(act, case):
        return ""
    return N_("the agreement of a holder of parental authority, or the reason why none was asked")


def holders_flags(act: Act, case: Case) -> frozenset[str]:
    """What people are told about the holders where the act is allowed."""
    if is_adult(case, act.decided_at):
        return frozenset()
    listed = _listed(act)
    answered = {each.person_id for each in listed if each.agrees}
    others = any(each.answer in _SILENT for each in listed) or any(
        person.get("person_id") not in answered for person in _reachable(case)
    )
    flags = set()
    if not answered and not any(each.agrees for each in listed):
        flags.add("holders_not_asked")
    elif others:
        flags.add("other_holder_presumed")
    if any(each.answer == "not_reached" for each in listed):
        flags.add("holder_not_reached")
    return frozenset(flags)


def _listed(act: Act) -> list[Decider]:
    return [each for each in act.deciders if each.is_holder]


def _excused(act: Act, case: Case) -> bool:
    """Nobody agreed, and that is in order: a written reason, or there is nobody who could be asked."""
    if act.parents_informed in _EXCUSES:
        return bool(act.reason_not_informed)
    reachable = _reachable(case)
    if act.parents_informed == "none_known":
        return not reachable
    return bool(_holders(case)) and not reachable


def _holders(case: Case) -> list[dict[str, Any]]:
    return [person for person in case.section("family") or [] if person.get("parental_authority") in _AUTHORITY]


def _reachable(case: Case) -> list[dict[str, Any]]:
    """Holders whom one may contact: not those who are implicated, nor those whom the record forbids to contact."""
    return [
        person
        for person in _holders(case)
        if person.get("contact_allowed") != "forbidden" and person.get("implicated") != "yes"
    ]
