"""The sample cases, acts, transfers and associations of `tests/data`."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cordee.act import Act, RecipientFacts, parse_act
from cordee.case import Case, case_of

__all__ = [
    "acts_in",
    "association",
    "associations",
    "cases",
    "facts_of",
    "profile_of",
    "scenario",
    "time",
    "transfers",
]

_DATA = Path(__file__).parent / "data"


@cache
def cases() -> tuple[Case, ...]:
    """All forty."""
    return tuple(case_of(json.loads(line)) for line in (_DATA / "cases_sample.jsonl").read_text().splitlines())


def scenario(start: str) -> Case:
    """The case whose scenario begins with these words."""
    return next(case for case in cases() if str(case.to_dict().get("x_scenario", "")).startswith(start))


def acts_in(case: Case) -> list[Act]:
    """The acts that the record of a case holds."""
    return [parse_act(each) for each in case.section("consents") or []]


@cache
def transfers() -> tuple[dict[str, Any], ...]:
    """All thirteen."""
    return tuple(json.loads(line) for line in (_DATA / "transfers_sample.jsonl").read_text().splitlines())


@cache
def _associations() -> dict[str, dict[str, Any]]:
    entries = json.loads((_DATA / "associations_sample.json").read_text())
    return {entry["org_id"]: entry for entry in entries}


def association(org_id: str) -> dict[str, Any] | None:
    """An entry of the directory, or None."""
    return _associations().get(org_id)


def associations() -> list[dict[str, Any]]:
    """All twenty-five."""
    return list(_associations().values())


def facts_of(org_id: str, *, active: bool | None = None) -> RecipientFacts:
    """What the decision table is told of a recipient; one without an entry is no member, unless told otherwise."""
    entry = association(org_id)
    if entry is None:
        return RecipientFacts(org_id, bool(active), bool(active), True, frozenset(), "unknown")
    member = entry["membership"]["status"] == "active" if active is None else active
    return RecipientFacts(
        org_id=org_id,
        active=member,
        card_valid=member,
        bound_by_secrecy=entry["professional_secrecy"]["bound"],
        categories=frozenset(each for service in entry["services"] for each in service["specialities"]),
        departement=entry["head_office"]["departement"],
    )


def time(text: str) -> datetime:
    """An aware time."""
    return datetime.fromisoformat(text)


def profile_of(org_id: str, **changes: Any) -> dict[str, Any]:
    """What that association publishes of itself: the entry without what its card and the roster log say."""
    entry = association(org_id)
    if entry is None:
        raise KeyError(org_id)
    return {key: value for key, value in entry.items() if key not in ("node", "membership")} | changes
