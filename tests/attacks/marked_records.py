"""Records and acts in which every field holds a mark, and which a node takes and may send."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.attacks.marks import SCHEMA, Filling, Marks

__all__ = ["PURPOSE", "SHARING", "marked_act", "marked_case", "without_narratives"]

PURPOSE, SHARING = "relocation", "joint_followup"


def marked_case(marks: Marks, name: str, *, now: datetime) -> dict[str, Any]:
    """A record with all twenty sections, one entry in each list, every field filled; so that it may be transferred."""
    case_id = marks.id(f"{name}: case_id", row=True)
    given = {
        "meta.case_id": case_id,
        "meta.status": "open",
        "identity.birth_date": marks.birth(f"{name}: identity.birth_date", today=now.date()),
        "identity.age_at_opening": 15,
        "family[].implicated": "no",
        "housing.address_protected": False,
        "consents[].case_id": case_id,
        "consents[].recipients": [
            {"kind": "organisation", "org_id": marks.id(f"{name}: consents[].recipients[].org_id")},
            {
                "kind": "category",
                "category": marks.text(f"{name}: consents[].recipients[].category"),
                "departement": "13",
            },
        ],
    }
    record: dict[str, Any] = Filling(marks, now.date(), given, name).document(SCHEMA)
    own = marks.text(f"{name}: a key of one's own")
    record[f"x_{own}"] = record["identity"][f"x_{own}"] = marks.text(f"{name}: the value of a key of one's own")
    return record


def marked_act(
    marks: Marks, record: dict[str, Any], *, recipients: list[str], attachments: list[str], now: datetime
) -> dict[str, Any]:
    """An agreement that covers everything, every field filled but the withdrawal, which the command makes."""
    said = (now - timedelta(minutes=10)).replace(microsecond=0).isoformat()
    name = f"{record['meta']['case_id'][-4:]}, act"
    made: dict[str, Any] = Filling(marks, now.date(), {}, name).document(SCHEMA["$defs"]["consent_act"])
    person = record["family"][0]["person_id"]
    minor = made["decided_by"][0] | {"role": "minor", "answer": "agrees", "answered_at": said}
    made |= {
        "act_id": marks.id(f"{name}: act_id", row=True),
        "case_id": record["meta"]["case_id"],
        "status": "active",
        "decided_at": said,
        "decided_by": [minor, {**minor, "role": "parental_authority_holder", "person_id": person}],
        "purposes": [PURPOSE, SHARING],
        "sections": list(SCHEMA["properties"]),
        "excluded_fields": ["identity.photo_attachment_id"],
        "attachment_ids": attachments,
        "recipients": [{"kind": "organisation", "org_id": each} for each in recipients],
        "valid_from": said,
        "valid_until": (now + timedelta(days=30)).replace(microsecond=0).isoformat(),
    }
    del made["withdrawal"]
    return made


def without_narratives(record: dict[str, Any]) -> dict[str, Any]:
    """The same record without its narratives, so that contents of different sizes travel."""

    def kept(value: object) -> bool:
        return not (isinstance(value, str) and " " in value)

    def shortened(value: object) -> Any:
        if isinstance(value, dict):
            return {key: shortened(each) for key, each in value.items() if kept(each)}
        return [shortened(each) for each in value] if isinstance(value, list) else value

    short: dict[str, Any] = shortened(record)
    short["notes"] = record["notes"]
    return short
