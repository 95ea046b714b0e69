"""What a case asks for by itself, and when: risk to be looked at again, clocks of three days, dates that were noted.

Times are the record's own: a date holds on the wall of whoever reads it. The rules are the domain's (§1.4, §2.3, W3,
W10); how long an assessment may stand where nobody noted a date, and how early each thing is told, are our judgement
and stand here as data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cordee.act.form import Act
from cordee.act.lacking import COMPLETION, lacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cordee.case.record import Case

__all__ = [
    "ASSESSMENT_HOLDS",
    "CLOCK",
    "END",
    "NOTED",
    "RISK",
    "TELLS_BEFORE",
    "Due",
    "Needs",
    "due_of_acts",
    "due_of_case",
    "needs_of",
]

CLOCK, RISK, END, NOTED = "clock", "risk", "end", "noted"
"""The four kinds: a clock that runs, a risk to be looked at again, an act that ends, a date that was noted."""

ASSESSMENT_HOLDS: Final[Mapping[str, timedelta]] = {
    "immediate": timedelta(days=1),
    "high": timedelta(days=7),
    "moderate": timedelta(days=30),
    "low": timedelta(days=90),
    "not_assessed": timedelta(days=7),
}
"""For how long a risk level stands where nobody noted when to look at it again; without one, from the opening."""

TELLS_BEFORE: Final[Mapping[str, timedelta]] = {
    CLOCK: timedelta(days=3),
    RISK: timedelta(days=3),
    END: timedelta(days=14),
    NOTED: timedelta(days=3),
}
"""How early each kind is told."""

_DAY, _THREE_DAYS = timedelta(days=1), timedelta(hours=72)
_TONIGHT = timedelta(hours=12)
_STAYS = timedelta(days=7)  # what has ended is still told for a week
_WITHOUT_ANSWER = (timedelta(days=15), timedelta(days=91))  # W10: fifteen days, three months
_COMES_OF_AGE = timedelta(days=30)
_OVER = frozenset({"closed", "archived", "duplicate", "transferred"})
_ADULT = 18
_YEARS = range(1900, 9000)  # others are slips of the pen, and days cannot be added to all of them
_72_HOURS = "accueil_72h_l223_2"


@dataclass(frozen=True)
class Due:
    """One thing that a case asks for.

    `at`: from when it is late, a moment or a whole day. `since`: when a clock began. `tell_from` and `tell_until`: the
    days between which it is told; without an end it is told until the record says otherwise. `about`: the section of
    the record, or the id of the act, where it is dealt with.
    """

    kind: str
    what: str
    at: datetime | date
    tell_from: date
    about: str
    since: datetime | date | None = None
    tell_until: date | None = None


@dataclass(frozen=True)
class Needs:
    """Needs that have no date in the record, each with the moment at which this node first saw it as it is."""

    shelter: tuple[str, str] = ("", "")
    care: tuple[str, str] = ("", "")


def needs_of(case: Case, before: Needs, now: datetime) -> Needs:
    """What is needed now; what was needed as much before keeps its moment."""

    def seen(value: object, known: tuple[str, str]) -> tuple[str, str]:
        told = str(value or "")
        return known if told == known[0] else (told, now.isoformat(timespec="seconds") if told else "")

    return Needs(
        shelter=seen(case.value("housing.shelter_need"), before.shelter),
        care=seen(case.value("health.urgent_need"), before.care),
    )


def due_of_case(case: Case, needs: Needs) -> tuple[Due, ...]:
    """All that the record itself asks for, whenever that is. One that is closed asks for nothing."""
    if case.value("meta.status") in _OVER:
        return ()
    return tuple(
        each
        for found in (_risk(case), _needs(needs), _runaways(case), _judicial(case), _noted(case), _birthday(case))
        for each in found
    )


def due_of_acts(acts: Sequence[Act]) -> dict[str, tuple[Due, ...]]:
    """What the acts of one case ask for, by the act's id: all of them are needed, for a later one may complete one."""
    return {each.act_id: tuple(_act(each, acts)) for each in acts}


# ---- the record ----


def _risk(case: Case) -> Iterator[Due]:
    level = str(case.value("risk.level") or "not_assessed")
    noted, assessed = _day(case.value("risk.reassess_on")), _day(case.value("risk.assessed_on"))
    if noted is not None:
        yield _due(RISK, "reassess", noted, "risk", since=assessed)
        return
    opened = _day(case.value("meta.opened_on"))
    if level == "not_assessed" or assessed is None:
        if opened is not None:
            holds = ASSESSMENT_HOLDS["not_assessed" if level == "not_assessed" else level]
            yield _due(RISK, "never_assessed", opened + holds, "risk", since=opened)
        return
    yield _due(RISK, "assessment_old", assessed + ASSESSMENT_HOLDS[level], "risk", since=assessed)


def _needs(needs: Needs) -> Iterator[Due]:
    (shelter, shelter_seen), (care, care_seen) = needs.shelter, needs.care
    if shelter in ("tonight", "within_72h"):
        begun = datetime.fromisoformat(shelter_seen)
        ends = begun + (_TONIGHT if shelter == "tonight" else _THREE_DAYS)
        yield _due(CLOCK, f"shelter_{shelter}", ends, "housing", since=begun)
    if care in ("now", "within_72h"):
        begun = datetime.fromisoformat(care_seen)
        yield _due(CLOCK, f"care_{care}", begun if care == "now" else begun + _THREE_DAYS, "health", since=begun)


def _runaways(case: Case) -> Iterator[Due]:
    """One that has not ended: at once where nobody told the police, else after three days."""
    for each in _entries(case, "runaways"):
        begun = _day(each.get("started_on"))
        if begun is None or each.get("ended_on"):
            continue
        if each.get("reported_to_police") == "yes":
            yield _due(CLOCK, "runaway", begun + _THREE_DAYS, "runaways", since=begun)
        else:
            yield _due(CLOCK, "runaway_not_reported", begun, "runaways", since=begun)


def _judicial(case: Case) -> Iterator[Due]:
    for each in case.value("judicial.measures") or ():
        begun, ends = _day(each.get("starts_on")), _day(each.get("ends_on"))
        if each.get("kind") == "accueil_72h":
            if begun is not None or ends is not None:
                last = ends or (begun or date.min) + _THREE_DAYS
                until = last + _STAYS if ends else None
                yield _due(CLOCK, "accueil_72h", last, "judicial", since=begun, until=until)
        elif ends is not None:
            yield _due(END, "measure", ends, "judicial", until=ends + _STAYS)
    for each in case.value("judicial.alerts") or ():
        sent = _day(each.get("sent_on"))
        if sent is None:
            continue
        if each.get("parents_informed") == "pending":
            yield _due(CLOCK, "parents_to_be_told", sent, "judicial", since=sent)
        if each.get("outcome") in (None, "", "pending") and each.get("kind") in (
            "information_preoccupante",
            "signalement_procureur",
        ):
            first, second = (sent + span for span in _WITHOUT_ANSWER)
            yield Due(NOTED, "no_answer_15_days", first, first, "judicial", sent, second - _DAY)
            yield Due(NOTED, "no_answer_3_months", second, second, "judicial", sent)


def _noted(case: Case) -> Iterator[Due]:
    review = _day(case.value("safety_plan.review_on"))
    if review is not None:
        yield _due(NOTED, "safety_plan", review, "safety_plan")
    for each in _entries(case, "actions"):
        due = _day(each.get("next_due_on"))
        if due is not None:
            # Whoever did it writes another entry rather than in this one: a month later it is no longer news.
            yield _due(NOTED, "action", due, "actions", until=due + timedelta(days=30))
    kept = _day(case.value("meta.retention_review_on"))
    if kept is not None:
        yield _due(NOTED, "retention", kept, "meta")


def _birthday(case: Case) -> Iterator[Due]:
    """The 18th: the parents' part of each act ends, and the person is asked again (domain §2.3)."""
    born = case.birth_date
    if born is None or born.year not in _YEARS:
        return
    leap_day = (born.month, born.day) == (2, 29)
    birthday = date(born.year + _ADULT, 3, 1) if leap_day else born.replace(year=born.year + _ADULT)
    yield Due(END, "birthday", birthday, birthday - _COMES_OF_AGE, "consents", tell_until=birthday + _STAYS)


# ---- acts ----


def _act(act: Act, every: Sequence[Act]) -> Iterator[Due]:
    if act.kind == "refusal" or act.status not in ("active", "used"):
        return
    begins, ends = act.valid_from, act.valid_until
    if begins.year not in _YEARS or ends.year not in _YEARS:
        return
    until = ends.date() + _STAYS
    if ends - begins <= _THREE_DAYS:
        yield _due(CLOCK, "act_72h", ends, act.act_id, since=begins, until=until)
        if act.legal_basis == _72_HOURS:
            review = begins + _DAY
            yield _due(CLOCK, "shelter_review", review, act.act_id, since=begins, until=ends.date())
    else:
        yield _due(END, "act", ends, act.act_id, until=until)
    if act.review_due_at is not None:
        yield _due(CLOCK, "override_review", act.review_due_at, act.act_id, since=act.decided_at, until=until)
    if lacking(act) and not any(_completes(other, act) for other in every):
        at = act.decided_at + COMPLETION
        yield _due(CLOCK, "act_incomplete", at, act.act_id, since=act.decided_at, until=until)


def _completes(other: Act, act: Act) -> bool:
    """Whether a later act says all that this one still lacks, for the same purposes."""
    return (
        other.act_id != act.act_id
        and other.path is act.path
        and other.decided_at >= act.decided_at
        and other.purposes >= act.purposes
        and other.status in ("active", "used")
        and not lacking(other)
    )


# ---- how it is told ----


def _due(
    kind: str,
    what: str,
    at: datetime | date,
    about: str,
    *,
    since: datetime | date | None = None,
    until: date | None = None,
) -> Due:
    day = at.date() if isinstance(at, datetime) else at
    begins = day - TELLS_BEFORE[kind]
    if kind == CLOCK and since is not None:  # a clock is told as soon as it runs
        begins = since.date() if isinstance(since, datetime) else since
    return Due(kind, what, at, begins, about, since, until)


def _entries(case: Case, section: str) -> list[dict[str, Any]]:
    return list(case.section(section) or ())


def _day(value: object) -> date | None:
    """A date of the record, or None: also for one with which nobody can reckon."""
    try:
        found = date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
    return found if found is not None and found.year in _YEARS else None
