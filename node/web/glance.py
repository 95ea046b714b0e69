"""Two list sections at a glance: weak signals, ticked while somebody talks; and what was done, in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from starlette.datastructures import FormData

from cordee.case.labels import value_label, values_of

__all__ = ["SIGNALS", "TIMELINE", "Moment", "signals_to_tick", "ticked_signals", "timeline"]

SIGNALS: Final = "weak_signals"
"""The section whose entries can be ticked in one go."""

TIMELINE: Final = "actions"
"""The section that is told in order of time."""

_TICKED: Final = "tick"
_SOURCE: Final = "tick:source"
_OURSELVES: Final = "handler"


@dataclass(frozen=True)
class Moment:
    """One thing that was done: labels and values as the page shows them, empty where nothing is noted."""

    day: date | None
    kind: str
    outcome: str
    who: str
    summary: str
    next_on: date | None


def signals_to_tick(content: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, str], ...]:
    """The signals that are not noted yet: code and label, in the order of the record's own list."""
    noted = {each.get("signal") for each in content or ()}
    return tuple((each, value_label(f"{SIGNALS}.signal", each)) for each in _signals() if each not in noted)


def ticked_signals(form: FormData) -> list[dict[str, str]]:
    """An entry for each signal that was ticked, in the list's order, with who saw it; when is not asked.

    What is no code of the list says nothing, whoever sent it.
    """
    ticked = {str(each) for each in form.getlist(_TICKED)}
    typed = str(form.get(_SOURCE, ""))
    source = typed if typed in values_of(f"{SIGNALS}.source") else _OURSELVES
    return [{"signal": each, "source": source} for each in _signals() if each in ticked]


def timeline(content: Sequence[Mapping[str, Any]] | None) -> tuple[Moment, ...]:
    """What was done, the latest first, of one day what was written later; what bears no date comes last."""
    told = [_moment(each) for each in reversed(content or ())]
    return tuple(sorted(told, key=lambda each: each.day or date.min, reverse=True))


def _moment(entry: Mapping[str, Any]) -> Moment:
    who = (entry.get("by_role"), entry.get("partner_org"))
    return Moment(
        day=_day(entry.get("date")),
        kind=_label("kind", entry),
        outcome=_label("outcome", entry),
        who=", ".join(str(each) for each in who if each),
        summary=str(entry.get("summary") or ""),
        next_on=_day(entry.get("next_due_on")),
    )


def _label(field: str, entry: Mapping[str, Any]) -> str:
    value = entry.get(field)
    return value_label(f"{TIMELINE}.{field}", value) if value in values_of(f"{TIMELINE}.{field}") else ""


def _day(value: Any) -> date | None:
    """What somebody typed and the record refused is no day: it stands in its field, with its error."""
    try:
        return date.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def _signals() -> Sequence[str]:
    return values_of(f"{SIGNALS}.signal")
