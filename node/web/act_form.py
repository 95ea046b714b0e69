"""The form of an act, typed: turned into the act that the schema wants.

Nothing is decided here: the act's own rules judge what comes out, and their problems are brought beside the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from cordee.act.form import LEGAL
from cordee.case.form import is_field
from cordee.case.record import Case
from cordee.errors import N_, Problem
from cordee.web.wall import HERE
from node.web.act_offer import BASES, DURATIONS, Choice, Holder, holders_of, offered
from node.web.act_words import NOTICE

__all__ = ["Typed", "document_of", "place_of"]

_AGREES = frozenset({"agrees", "assents"})
_REFUSES = frozenset({"refuses", "dissents"})
_ANSWERED = _AGREES | _REFUSES | {"informed", "orders"}

_PLACES: Final = (  # where the act's own problems belong on the page
    (r"decided_by\[\d+\]\.discernment", "function"),
    (r"decided_by\[\d+\]\.authority", "other_authority"),
    (r"decided_by", "minor_answer"),
    (r"valid_until", "duration"),
    (r"(valid_from|decided_at)", "decided"),
    (r"justification", "justification"),
    (r"validated_by_role", "validated_by"),
    (r"review_due_at", "review"),
    (r"legal_basis", "basis"),
    (r"information\.minor", "informed_minor"),
    (r"information\.parents", "informed_parents"),
    (r"information", "reason_not_informed"),
    (r"evidence\.words_used", "words"),
    (r"evidence\.witness_role", "witness"),
    (r"evidence", "evidence"),
    (r"notice", "notice_language"),
    (r"attachment_ids", "attachments"),
    (r"events", "function"),
)


@dataclass(frozen=True)
class Typed:
    """What stands in the form, whoever put it there."""

    values: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """The value of a field; empty where there is none."""
        return self.values[name][0].replace("\r\n", "\n").strip() if self.values.get(name) else ""

    def many(self, name: str) -> Sequence[str]:
        """The values of a list of boxes that are ticked."""
        return self.values.get(name, ())

    def has(self, name: str, value: str) -> bool:
        """Whether this box is ticked."""
        return value in self.many(name)


def place_of(path: str) -> str:
    """The field of the form to which a problem of the act belongs; empty for one that no field can mend."""
    return next((field for pattern, field in _PLACES if re.match(pattern, path)), "")


def document_of(
    choice: Choice, typed: Typed, *, case: Case, act_id: str, by: str, now: datetime
) -> tuple[dict[str, Any], list[Problem]]:
    """The act as the form says it, with what is missing before the act's own rules can judge it.

    The problems' paths are names of fields of the form.
    """
    problems: list[Problem] = []
    decided = _moment(typed.one("decided"), problems, now)
    stamp = _stamp(decided)
    deciders = _deciders(typed, holders_of(case), stamp)
    problems += _missing(choice, typed, deciders)
    function = typed.one("function")
    refused = choice.kind == "refusal"
    attachments = sorted(set(typed.many("attachments")))
    document: dict[str, Any] = {
        "act_id": act_id,
        "schema_version": "consent/1",
        "case_id": case.case_id,
        "kind": choice.kind,
        "legal_basis": _basis(choice, typed),
        "status": "refused" if refused else "active",
        "decided_at": stamp,
        "decided_by": deciders,
        "purposes": [choice.purpose],
        "sections": [] if refused else _sections(choice, typed, case, bool(attachments)),
        "excluded_fields": [] if refused else sorted(each for each in set(typed.many("excluded")) if is_field(each)),
        "attachment_ids": [] if refused else attachments,
        "recipients": [choice.recipient],
        "onward_transfer_allowed": False,
        "valid_from": stamp,
        "valid_until": _stamp(_until(typed, decided, problems)),
        "single_use": typed.one("several") != "on",
        "evidence": _evidence(typed),
        "notice": {
            "notice_id": NOTICE,
            "language": typed.one("notice_language") or "fr",
            "read_aloud": typed.one("read_aloud") == "on",
            "interpreter": typed.one("interpreter") == "on",
        },
        "information": _information(typed, deciders),
        "events": [{"at": stamp, "state": "refused" if refused else "active", "by_role": function}],
        "recorded_by": by,
    }
    if choice.kind in ("override", "information_only"):
        document |= _reasons(choice, typed, decided, problems)
    return document, problems


# ---- what the form says ----


def _missing(choice: Choice, typed: Typed, deciders: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """What people forget in a hurry, asked for in words of the form."""
    answers = {each["answer"] for each in deciders}
    found = []
    if not typed.one("minor_answer"):
        found.append(Problem("minor_answer", N_("choose an answer")))
    elif choice.kind == "consent" and not answers & _AGREES:
        found.append(Problem("minor_answer", N_("nobody has said yes; if somebody said no, record a refusal")))
    elif choice.kind == "refusal" and not answers & _REFUSES:
        found.append(Problem("minor_answer", N_("nobody has said no")))
    if not typed.one("function"):
        found.append(Problem("function", N_("say who you are in this: your function, not your name")))
    informed = _information(typed, deciders)
    if typed.one("minor_answer") and not informed["minor"]:
        found.append(Problem("informed_minor", N_("say why the minor was not told")))
    if not informed["parents"]:
        found.append(Problem("informed_parents", N_("say why no parent was told, or that none is known")))
    if choice.kind == "information_only":
        found += [
            Problem(name, N_("without this condition the law does not allow it"))
            for name in ("protection", "necessity")
            if typed.one(name) != "on"
        ]
    in_a_hurry = choice.kind == "override" and choice.purpose in LEGAL["incomplete_allowed_for"]  # completed afterwards
    if choice.kind in ("information_only", "override") and not in_a_hurry and not typed.one("justification"):
        found.append(Problem("justification", N_("write it in a sentence or two")))
    if choice.kind == "override" and not in_a_hurry and not typed.one("validated_by"):
        found.append(Problem("validated_by", N_("a second person decides with you")))
    return found


def _deciders(typed: Typed, holders: Sequence[Holder], stamp: str) -> list[dict[str, Any]]:
    minor = _answer("minor", typed.one("minor_answer") or "not_asked", typed.one("minor_channel"), stamp)
    minor["discernment"] = {
        "result": typed.one("discernment") or "not_assessed",
        "assessed_by_role": typed.one("function"),
    }
    if typed.one("discernment_reason"):
        minor["discernment"]["reason"] = typed.one("discernment_reason")
    found = [minor]
    for each in holders:
        answer = _answer(each.role, typed.one(each.field) or "not_asked", typed.one(f"{each.field}-channel"), stamp)
        found.append({**answer, "person_id": each.person_id})
    if typed.one("other_role"):
        other = _answer(
            typed.one("other_role"), typed.one("other_answer") or "informed", typed.one("other_channel"), stamp
        )
        if typed.one("other_authority"):
            other["authority"] = typed.one("other_authority")
        found.append(other)
    return found


def _answer(role: str, answer: str, channel: str, stamp: str) -> dict[str, Any]:
    told = {"role": role, "answer": answer}
    return {**told, "answered_at": stamp, "channel": channel or "in_person"} if answer in _ANSWERED else told


def _sections(choice: Choice, typed: Typed, case: Case, attachments: bool) -> list[str]:
    rows = offered(case, choice.purpose)
    chosen = [each.name for each in rows if each.mode == "R" or typed.has("sections", each.name)]
    return [*chosen, "attachments"] if attachments else chosen


def _basis(choice: Choice, typed: Typed) -> str:
    if choice.kind == "information_only":
        return "shared_secrecy_l226_2_2"
    return (typed.one("basis") or BASES[0]) if choice.kind == "override" else "consent"


def _evidence(typed: Typed) -> dict[str, str]:
    found = {"form": typed.one("evidence") or "oral_recorded_by_handler"}
    named = {"witness_role": "witness", "words_used": "words", "attachment_id": "evidence_attachment"}
    return found | {key: typed.one(name) for key, name in named.items() if typed.one(name)}


def _information(typed: Typed, deciders: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Whoever answered was told; of the others the form says why not. Empty where it does not."""
    minor = any(each["role"] == "minor" and each["answer"] in _ANSWERED for each in deciders)
    parents = any("person_id" in each and each["answer"] in _ANSWERED for each in deciders)
    found = {
        "minor": typed.one("informed_minor") or ("done" if minor else ""),
        "parents": typed.one("informed_parents") or ("done" if parents else ""),
    }
    if typed.one("reason_not_informed"):
        found |= {"reason_not_informed": typed.one("reason_not_informed"), "decided_by_role": typed.one("function")}
    return found


def _reasons(choice: Choice, typed: Typed, decided: datetime, problems: list[Problem]) -> dict[str, Any]:
    found: dict[str, Any] = {"justification": typed.one("justification")}
    second = typed.one("validated_by")
    if choice.kind == "override":
        day = _day(typed.one("review"))
        if day is None:
            problems.append(Problem("review", N_("choose a day")))
        return found | {"validated_by_role": second, "review_due_at": _stamp(_end_of(day) if day else decided)}
    return found | ({"validated_by_role": second} if second else {})


# ---- times ----


def _moment(typed: str, problems: list[Problem], now: datetime) -> datetime:
    if not typed:
        return now
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        problems.append(Problem("decided", N_("this is no time that can be")))
        return now
    moment = moment if moment.tzinfo else moment.replace(tzinfo=HERE)
    if moment > now:
        problems.append(Problem("decided", N_("this lies in the future")))
    return moment


def _until(typed: Typed, decided: datetime, problems: list[Problem]) -> datetime:
    span = DURATIONS.get(typed.one("duration"))
    if span is not None:
        return decided + span
    day = _day(typed.one("until"))
    if day is None:
        problems.append(Problem("duration", N_("choose how long, or a day")))
        return decided + DURATIONS["72h"]
    return _end_of(day)


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59), HERE)


def _stamp(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat()
