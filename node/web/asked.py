"""What waits in the cases, as lines of the first page: in words, with what to do and the place to do it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from cordee.case.due import CLOCK, END, NOTED, RISK
from cordee.errors import N_
from cordee.transfer import State
from cordee.web.wall import HERE
from node.agenda import Asked
from node.drafts import Kept
from node.transfers import TransferLine

__all__ = ["EMERGENCY", "Line", "Section", "clocks_of_transfers", "draft_lines", "lines_of", "most_of", "sections_of"]

EMERGENCY: Final = "emergency_shelter"
_THREE_DAYS = timedelta(hours=72)
_FIRST = 10  # lines of a section, unless all are asked for
_MOST = 1000

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    # Clocks.
    "shelter_tonight": (
        N_("A place is needed tonight"),
        N_("Look for who can help; once there is a place, say so in the housing section."),
    ),
    "shelter_within_72h": (
        N_("A place is needed within 72 hours"),
        N_("Look for who can help; once there is a place, say so in the housing section."),
    ),
    "care_now": (N_("Care is needed now"), N_("Once it is given, say so in the health section.")),
    "care_within_72h": (
        N_("Care is needed within 72 hours"),
        N_("Once it is given, say so in the health section."),
    ),
    "runaway_not_reported": (
        N_("A runaway that the police may not know of"),
        N_("Report it, or write down that it is reported, or that it has ended."),
    ),
    "runaway": (
        N_("Away from home"),
        N_("After 72 hours: speak with those responsible again. Once it has ended, write down when."),
    ),
    "accueil_72h": (
        N_("72-hour reception"),
        N_("At its end: home, child welfare (ASE) or the judge. Write down when it ended."),
    ),
    "parents_to_be_told": (
        N_("The parents have still to be told of a report"),
        N_("Tell them, or write down why it is against the child’s interest."),
    ),
    "act_72h": (
        N_("A decision for at most 72 hours"),
        N_("At its end nothing more may leave under it: decide what follows."),
    ),
    "shelter_review": (
        N_("Emergency shelter: look again after 24 hours"),
        N_("Speak with the shelter; write down what was decided."),
    ),
    "override_review": (
        N_("A decision taken without agreement is to be reviewed"),
        N_("With a lead: if it does not hold, withdraw it; else record a new one. Past its review it covers nothing."),
    ),
    "act_incomplete": (
        N_("A decision taken in an emergency is to be completed"),
        N_("Within 24 hours: record it again with its reason and with who confirmed it."),
    ),
    "shelter_transfer": (
        N_("Emergency shelter through the network: 72 hours"),
        N_("Look again after 24 hours. At its end: home, child welfare (ASE) or the judge."),
    ),
    "wrong_recipient": (
        N_("A case came here that was not for us"),
        N_("Tell whoever sent it, and the data protection officer: where the CNIL has to know, it is within 72 hours."),
    ),
    "sent_wrongly": (
        N_("A case went to the wrong association"),
        N_("Tell the data protection officer: where the CNIL has to know, it is within 72 hours. And tell the minor."),
    ),
    # Risk.
    "reassess": (N_("Risk to be looked at again"), N_("Assess it and note the next date.")),
    "assessment_old": (
        N_("Risk assessed too long ago for its level"),
        N_("Assess it and note the next date."),
    ),
    "never_assessed": (N_("Risk not assessed yet"), N_("Assess it, also where much is unknown.")),
    # What ends.
    "act": (
        N_("An act of sharing ends"),
        N_("After it nothing more leaves. Ask again if it is still wanted; else nothing need be done."),
    ),
    "measure": (
        N_("A protection measure ends"),
        N_("Ask the service in charge what follows, and write it down."),
    ),
    "birthday": (
        N_("18th birthday"),
        N_("Each act of sharing ends with it: ask the person again, now alone."),
    ),
    # Dates that were noted.
    "safety_plan": (N_("Safety plan to be looked at again"), N_("With the young person, if you can.")),
    "action": (N_("Next step planned"), N_("Do it, or note another date.")),
    "retention": (
        N_("Keep or erase: to be decided again"),
        N_("A lead decides whether the case is still needed."),
    ),
    "no_answer_15_days": (
        N_("No answer to a report for 15 days"),
        N_("Ask the recipient, and write down the answer."),
    ),
    "no_answer_3_months": (
        N_("No answer to a report for three months"),
        N_("Ask the recipient, and write down the answer."),
    ),
}
"""What is asked for → in words, and what to do."""

_TITLES: Final[tuple[tuple[str, str], ...]] = (
    (CLOCK, N_("Against the clock")),
    (RISK, N_("Risk to be looked at again")),
    (END, N_("About to end")),
    (NOTED, N_("Dates that were noted")),
)


@dataclass(frozen=True)
class Line:
    """One line. `left` is the time until it is late, None from then on; `day` is set where only a day is known."""

    name: str
    title: str
    help: str
    link: str
    at: datetime
    day: date | None
    left: timedelta | None
    since: datetime | date | None = None

    @property
    def today(self) -> bool:
        """It is a whole day, and that is today."""
        return self.day is not None and self.left == timedelta(0)


@dataclass(frozen=True)
class Section:
    """One part of the page; `more` lines are not shown."""

    kind: str
    title: str
    lines: Sequence[Line]
    count: int

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.count - len(self.lines)


def lines_of(asked: Iterable[Asked], *, now: datetime) -> list[tuple[str, Line]]:
    """What cases ask for, each with its kind."""
    return [
        (each.due.kind, _line(each.pseudonym, each.due.what, _link(each), each.due.at, now, since=each.due.since))
        for each in asked
    ]


def clocks_of_transfers(
    lines: Iterable[TransferLine],
    *,
    names: Mapping[str, str],
    with_clock: Collection[str],
    noted: Mapping[str, datetime],
    now: datetime,
) -> list[tuple[str, Line]]:
    """Clocks that a transfer began: an emergency shelter that was taken, unless its act says so already (`with_clock`:
    the cases that have one), and what went to the wrong association (`noted`: when that was said, by the transfer).
    """
    found = []
    for each in lines:
        link, name = f"/transfers/{each.transfer_id.hex()}", names.get(each.case_id or "") or each.peer_name
        taken = each.updated_at
        sheltered = each.purpose == EMERGENCY and each.state is State.RECEIVED and each.case_id not in with_clock
        if sheltered and now < taken + 2 * _THREE_DAYS:
            found.append((CLOCK, _line(name, "shelter_transfer", link, taken + _THREE_DAYS, now, since=taken)))
        known = noted.get(each.transfer_id.hex())
        if known is not None and now < known + 2 * _THREE_DAYS:
            what = "wrong_recipient" if each.direction == "in" else "sent_wrongly"
            found.append((CLOCK, _line(each.peer_name, what, link, known + _THREE_DAYS, now, since=known)))
    return found


def most_of(*, whole: bool) -> int:
    """How many lines a part of the page shows."""
    return _MOST if whole else _FIRST


def sections_of(
    lines: Iterable[tuple[str, Line]], *, whole: bool, beyond: Mapping[str, int] | None = None
) -> list[Section]:
    """The parts of the page that have something in them, each with what is most urgent first. `beyond`: how many more
    there are of each kind, all of them less urgent.
    """
    by_kind: dict[str, list[Line]] = {}
    for kind, line in lines:
        by_kind.setdefault(kind, []).append(line)
    return [
        Section(
            kind,
            title,
            sorted(found, key=lambda each: each.at)[: most_of(whole=whole)],
            len(found) + (beyond or {}).get(kind, 0),
        )
        for kind, title in _TITLES
        if (found := by_kind.get(kind))
    ]


_WITHOUT_CASE: Final[Mapping[str, tuple[str, str]]] = {
    "case-new": ("/cases/new", N_("A new case")),
    "profile": ("/profile/edit", N_("What the others read of us")),
}
"""Forms that are about no case: the draft's key → its page, and what it is called."""


@dataclass(frozen=True)
class DraftLine:
    """A form that was begun and not saved."""

    name: str
    link: str
    saved_at: datetime
    title: str = ""  # what the form is about, where that is no case


def draft_lines(kept: Iterable[Kept], names: Mapping[str, str]) -> list[DraftLine]:
    """Begun forms with the page where each goes on; one whose page is not known leads to its case."""
    found = []
    for each in kept:
        link = _draft_link(each)
        if link:
            name = names.get(each.case_id or "", "")
            found.append(DraftLine(name, link, each.saved_at, _WITHOUT_CASE.get(each.key, ("", ""))[1]))
    return found


def _draft_link(kept: Kept) -> str:
    parts = kept.key.split("/")
    if kept.case_id is None:
        return _WITHOUT_CASE.get(kept.key, ("", ""))[0]
    case = f"/cases/{kept.case_id}"
    if len(parts) == 4 and parts[0] == "act" and all(part.replace("_", "").isalnum() for part in parts[2:]):
        return f"{case}/acts/new?kind={parts[2]}&purpose={parts[3]}"
    # What was chosen on the way to sending it waits there.
    if parts[0] == kept.case_id and parts[1:2] in (
        ["send"],
        ["send-confirm"],
    ):
        return f"{case}/send"
    if parts == [kept.case_id, "report"]:
        return f"{case}/report"
    if len(parts) == 2 and parts[0] == kept.case_id and parts[1].replace("_", "").isalnum():
        return f"{case}/sections/{parts[1]}"
    return case


def _link(asked: Asked) -> str:
    case, about = f"/cases/{asked.case_id}", asked.due.about
    if asked.due.what == "retention":
        return case
    if "-" in about:  # an act's id
        return f"{case}/acts/{about}"
    return f"{case}/acts" if about == "consents" else f"{case}/sections/{about}"


def _line(
    name: str, what: str, link: str, at: datetime | date, now: datetime, *, since: datetime | date | None = None
) -> Line:
    title, help_ = _WORDS[what]
    if isinstance(at, datetime):
        return Line(name, title, help_, link, at, None, at - now if now < at else None, since)
    # A whole day is late once it is over on the wall.
    begins = datetime(at.year, at.month, at.day, tzinfo=HERE)
    days = at - now.astimezone(HERE).date()
    return Line(name, title, help_, link, begins, at, days if days >= timedelta(0) else None, since)
