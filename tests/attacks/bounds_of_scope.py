"""What may leave, told a second time and in other words: an oracle that shares no code with what it judges.

It reads the matrix as the design wrote it (`tests/data/minimisation_matrix.json`) and an act as plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

MATRIX = json.loads((Path(__file__).parent.parent / "data" / "minimisation_matrix.json").read_text())["purposes"]
HANDING_OVER = {"specialised_support", "relocation", "ase_handover"}
WITHOUT_ACT = {"capacity_query", "statistics"}
LISTS = {
    "family", "weak_signals", "online_traces", "runaways", "actions", "notes", "attachments", "links", "consents"
}  # fmt: skip
NEVER = {"meta.owner_user_id", "meta.co_handler_ids", "meta.local_number"}


def beyond(
    package: Mapping[str, Any],
    attachments: Collection[str],
    *,
    case: Mapping[str, Any],
    act: Mapping[str, Any],
    purpose: str,
    hands_over: bool,
    ticked: Collection[str] | None = None,
    unticked: Collection[str] = (),
) -> list[str]:
    """Everything in a package that lies outside matrix(purpose) ∩ act − excluded − what never leaves − unticked.

    `ticked` None: unknown, as to the recipient.
    """
    found = []
    for name, value in package.items():
        rule = MATRIX[purpose].get(name, {"mode": "X"})
        entries = value if name in LISTS else [value]
        originals = case.get(name, [] if name in LISTS else {})
        originals = originals if name in LISTS else [originals]
        if name in ("notes", "consents") or rule["mode"] == "X":
            found.append(f"{name}: never")
        if name != "meta" and name not in act["sections"]:
            found.append(f"{name}: not in the act")
        if name in unticked:
            found.append(f"{name}: taken out")
        if rule["mode"] == "C" and ticked is not None and name not in ticked and name != "attachments":
            found.append(f"{name}: not ticked")
        for entry in entries:
            for field, content in entry.items():
                path = f"{name}.{field}"
                if rule["mode"] == "M" and field not in rule["fields"]:
                    found.append(f"{path}: not listed")
                if path in NEVER or field.startswith("x_"):
                    found.append(f"{path}: never")
                if path in act.get("excluded_fields", ()) or path in unticked:
                    found.append(f"{path}: held back")
                if path == "contact.code_phrase" and not hands_over:
                    found.append(f"{path}: they do not take over")
                if path == "housing.address" and case["housing"].get("address_protected") is not False:
                    found.append(f"{path}: protected")
                if not any(_part_of(content, original.get(field)) for original in originals):
                    found.append(f"{path}: not what stands in the case")
        if name == "links" and any(entry.get("may_be_mentioned") is not True for entry in entries):
            found.append("links: not to be mentioned")
        if name == "attachments" and {entry["attachment_id"] for entry in entries} != set(attachments):
            found.append("attachments: described are others than those that go")
    sendable = {each["attachment_id"] for each in case.get("attachments", ()) if each.get("may_be_sent") is True}
    for attachment in attachments:
        if attachment not in act.get("attachment_ids", ()) or attachment not in sendable:
            found.append("an attachment that is not covered")
        if "attachments" not in package:
            found.append("an attachment without the section")
    return found


def _part_of(content: Any, original: Any) -> bool:
    """The same, or a part of the same."""
    if isinstance(content, dict) and isinstance(original, dict):
        return all(key in original and _part_of(value, original[key]) for key, value in content.items())
    if isinstance(content, list) and isinstance(original, list):
        return all(any(_part_of(each, other) for other in original) for each in content)
    return bool(content == original)


def lacking(
    act: Mapping[str, Any] | None,
    *,
    case_id: str,
    purpose: str,
    org_id: str,
    categories: Collection[str],
    departement: str,
    bound_by_secrecy: bool,
    now: datetime,
) -> list[str]:
    """Why this act cannot carry anything there now; empty says only that nothing of this forbids it."""
    if act is None:
        return ["there is no act"]
    found = []
    if act["case_id"] != case_id:
        found.append("another case")
    if act["kind"] == "refusal" or act["status"] in ("requested", "refused", "withdrawn", "expired", "superseded"):
        found.append("it allows nothing")
    if act["status"] == "used" and act.get("single_use", True):
        found.append("used up")
    if purpose not in act["purposes"]:
        found.append("another purpose")
    if not datetime.fromisoformat(act["valid_from"]) <= now < datetime.fromisoformat(act["valid_until"]):
        found.append("not in force")
    if not any(_names(each, org_id, categories, departement) for each in act["recipients"]):
        found.append("another recipient")
    if act["legal_basis"] == "shared_secrecy_l226_2_2" and not bound_by_secrecy:
        found.append("not bound by secrecy")
    answers = {each["answer"] for each in act["decided_by"] if each["role"] == "minor"}
    if act["legal_basis"] == "consent" and not answers & {"agrees", "assents"}:
        able = [each.get("discernment", {}).get("result") for each in act["decided_by"] if each["role"] == "minor"]
        if "not_able" not in able:
            found.append("the minor has not agreed")
    return found


def _names(entry: Mapping[str, str], org_id: str, categories: Collection[str], departement: str) -> bool:
    if "org_id" in entry:
        return entry["org_id"] == org_id
    in_place = entry.get("departement", departement) == departement
    return in_place and (entry["category"] in categories or " " in entry["category"])
