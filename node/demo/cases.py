"""The synthetic cases, profiles and acts of the demonstration, with dates that fit today."""

from __future__ import annotations

import importlib.resources
import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

__all__ = ["SECTIONS", "act", "cases", "profiles"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WRITTEN_ON = "2026-11-24"  # the day for which the data was written

SECTIONS = (
    "identity",
    "contact",
    "family",
    "situation",
    "weak_signals",
    "exploitation",
    "housing",
    "runaways",
    "health",
    "judicial",
    "risk",
    "safety_plan",
    "actions",
    "attachments",
)


def _read(name: str) -> Any:
    return json.loads((importlib.resources.files("node.demo") / "data" / name).read_text(encoding="utf-8"))


def profiles(*, now: datetime) -> dict[str, dict[str, Any]]:
    """The three associations' entries; what they say of their places was said this morning."""
    found: dict[str, dict[str, Any]] = _read("profiles.json")
    for profile in found.values():
        profile["updated_at"] = _stamp(now - timedelta(hours=2))
        profile["last_verified_on"] = f"{now - timedelta(days=30):%Y-%m-%d}"
        for service in profile["services"]:
            if service.get("shelter"):
                service["shelter"]["updated_at"] = _stamp(now - timedelta(hours=2))
    return found


def cases(*, now: datetime, owner: str, random: Callable[[int], bytes]) -> list[dict[str, Any]]:
    """Four cases of girls of fifteen, fresh ids, every date moved to lie in the days before today."""
    days = (now.date() - datetime.fromisoformat(_WRITTEN_ON).date()).days - 3
    found: list[dict[str, Any]] = json.loads(_move(json.dumps(_read("cases.json"), ensure_ascii=False), days))
    birth = f"{now.date() - timedelta(days=15 * 365 + 104):%Y-%m-%d}"
    for case in found:
        case["meta"] |= {"case_id": _uuid(random), "owner_org_id": owner, "status": "open", "version": 1}
        case["identity"] |= {"birth_date": birth, "age_at_opening": 15, "gender": "girl"}
        case["situation"]["departement_of_residence"] = "13"
        case["housing"] |= {"shelter_need": "within_72h", "departement": "13", "areas_to_avoid": []}
        case["risk"] |= {
            "assessed_on": f"{now:%Y-%m-%d}",
            "reassess_on": f"{now + timedelta(days=7):%Y-%m-%d}",
        }
    return found


def act(
    case: dict[str, Any],
    *,
    purpose: str,
    recipients: list[str],
    attachments: list[str],
    now: datetime,
    random: Callable[[int], bytes],
) -> dict[str, Any]:
    """An agreement, as a handler records it: who was told, who agreed, for what, until when."""
    said = _stamp(now - timedelta(minutes=10))
    holders = [
        {
            "role": "parental_authority_holder",
            "person_id": person["person_id"],
            "answer": "agrees",
            "answered_at": said,
            "channel": "phone",
        }
        for person in case.get("family", [])
        if person.get("parental_authority") in ("joint", "sole")
    ]
    return {
        "act_id": _uuid(random),
        "schema_version": "consent/1",
        "case_id": case["meta"]["case_id"],
        "kind": "consent",
        "legal_basis": "consent",
        "status": "active",
        "decided_at": said,
        "decided_by": [
            {
                "role": "minor",
                "answer": "agrees",
                "answered_at": said,
                "channel": "in_person",
                "discernment": {"result": "able", "assessed_by_role": "éducatrice spécialisée"},
            },
            *holders,
        ],
        "purposes": [purpose],
        "sections": list(SECTIONS),
        "excluded_fields": ["contact.social_handles"],
        "attachment_ids": attachments,
        "recipients": [{"kind": "organisation", "org_id": each} for each in recipients],
        "onward_transfer_allowed": False,
        "valid_from": said,
        "valid_until": _stamp(now + timedelta(days=90)),
        "single_use": True,
        "evidence": {"form": "oral_recorded_by_handler", "words_used": "Elle a dit : « d’accord, mais pas l’école »."},
        "notice": {"notice_id": "notice-partage-v3", "language": "fr", "read_aloud": True, "interpreter": False},
        "information": {"minor": "done", "parents": "done"},
        "events": [{"at": said, "state": "active", "by_role": "éducatrice spécialisée"}],
        "recorded_by": "u-515",
    }


def _move(text: str, days: int) -> str:
    def moved(found: re.Match[str]) -> str:
        try:
            return f"{datetime.fromisoformat(found.group()) + timedelta(days=days):%Y-%m-%d}"
        except ValueError:
            return found.group()  # digits inside an id

    return _DATE.sub(moved, text)


def _stamp(time: datetime) -> str:
    return time.replace(microsecond=0).isoformat()


def _uuid(random: Callable[[int], bytes]) -> str:
    return str(uuid.UUID(bytes=random(16), version=4))
