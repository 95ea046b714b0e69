"""The case record: bytes in, a checked `Case` out; and the same for sections that came from another association."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from cordee.case.form import (
    ALWAYS_THERE,
    CASE_FORM,
    LIST_SECTIONS,
    RECEIVED_FORM,
    SECTIONS,
    Stage,
    required_fields,
)
from cordee.errors import N_, InvalidRecord, Problem
from cordee.ids import TransferId
from cordee.jsonform import canonical, load_json

__all__ = [
    "CASE_LIMIT",
    "Case",
    "case_of",
    "decode_sections",
    "encode_sections",
    "missing_for",
    "parse_case",
    "received_case",
]

CASE_LIMIT = 2 * 1024 * 1024
"""Bytes of one record, attachments not counted."""

_SCHEMA_VERSION = "1"
_NO_PSEUDONYM = "—"
_NOT_ASSIGNED = "-"
_UNIQUE_IDS = {"attachments": "attachment_id", "consents": "act_id", "family": "person_id"}


class Case:
    """A case record that has been checked. It does not change: a change makes another one."""

    __slots__ = ("_document",)

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def __repr__(self) -> str:
        return f"Case({self.case_id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self._document == other._document

    def __hash__(self) -> int:
        return hash(self.case_id)

    @property
    def case_id(self) -> str:
        """The id of the case, the same at every association that it goes to."""
        return str(self._document["meta"]["case_id"])

    @property
    def pseudonym(self) -> str:
        """What lists show instead of a name."""
        return str(self._document["meta"]["pseudonym"])

    @property
    def received(self) -> bool:
        """It came by a transfer: what the sender held back may be missing until it is completed."""
        return "received_transfer_id" in self._document["meta"]

    @property
    def birth_date(self) -> date | None:
        """As it was told; None where it was not."""
        text = self._document.get("identity", {}).get("birth_date")
        return date.fromisoformat(text) if text else None

    @property
    def attachments(self) -> tuple[dict[str, Any], ...]:
        """What the record says of its attachments."""
        return tuple(self.section("attachments") or ())

    def sections(self) -> tuple[str, ...]:
        """The names of the sections that hold something."""
        return tuple(name for name in SECTIONS if self._document.get(name))

    def section(self, name: str) -> Any:
        """A copy of one section: an object, a list, or None where it is not there."""
        return copy.deepcopy(self._document.get(name))

    def value(self, path: str) -> Any:
        """A copy of one field, `section.field`, of a section that is no list; None where it is not there."""
        section, _, field = path.partition(".")
        return copy.deepcopy(self._document.get(section, {}).get(field))

    def with_section(self, name: str, value: object) -> Case:
        """The case with another content of one section; None takes it out. Raises: InvalidRecord."""
        document = {key: each for key, each in self._document.items() if key != name}
        if value is not None:
            document[name] = copy.deepcopy(value)
        return case_of(document)

    def to_dict(self) -> dict[str, Any]:
        """A copy of the whole record."""
        return copy.deepcopy(self._document)

    def to_bytes(self) -> bytes:
        """The record as it is kept: JSON, keys sorted."""
        return canonical(self._document)


def parse_case(data: bytes) -> Case:
    """Check a record: 2 MiB at most, strict JSON, the schema, no id twice in a list.

    A record that was received (`meta.received_transfer_id`) may lack what its sender held back; `missing_for` tells it.

    Raises: InvalidRecord with every problem; its facts and `problems` never hold a value of the record.
    """
    return case_of(load_json(data, limit=CASE_LIMIT, what=N_("the case")))


def case_of(document: Any) -> Case:
    """As `parse_case`, for a document that is parsed already; the case takes it over."""
    meta = document.get("meta") if isinstance(document, dict) else None
    received = isinstance(meta, dict) and "received_transfer_id" in meta
    (RECEIVED_FORM if received else CASE_FORM).check(document)
    problems = tuple(_own_rules(document))
    if problems:
        raise InvalidRecord(problems=problems)
    return Case(document)


def _own_rules(document: Mapping[str, Any]) -> Iterator[Problem]:
    for section, key in _UNIQUE_IDS.items():
        seen: set[str] = set()
        for index, entry in enumerate(document.get(section, ())):
            if entry.get(key) in seen:
                yield Problem(f"{section}[{index}].{key}", N_("stands twice in this list"))
            if key in entry:
                seen.add(entry[key])
    for index, act in enumerate(document.get("consents", ())):
        if act["case_id"] != document["meta"]["case_id"]:
            yield Problem(f"consents[{index}].case_id", N_("names another case"))


def missing_for(case: Case, stage: Stage, *, sections: Collection[str] | None = None) -> tuple[str, ...]:
    """The paths that are still empty at a stage: `open`, `transfer`, `report` or `close` (domain §1.3).

    What a section needs to be opened is asked of sections that are there; what the stage itself needs is asked of
    every section, or of `sections` where they are given, and of each entry of a list.
    """
    wanted = SECTIONS if sections is None else [name for name in SECTIONS if name in sections]
    return tuple(path for name in wanted for path in _missing_in(case.section(name), name, stage))


def _missing_in(content: Any, name: str, stage: Stage) -> Iterator[str]:
    entries = [(f"{name}[{index}]", entry) for index, entry in enumerate(content or ())]
    if name not in LIST_SECTIONS:
        entries = [(name, content or {})]
    for place, entry in entries:
        for field, to_open in required_fields(name, stage):
            if to_open and not entry and name not in ALWAYS_THERE:
                continue
            if entry.get(field) in (None, ""):
                yield f"{place}.{field}"


# ---- on the way ----


def encode_sections(package: Mapping[str, object]) -> dict[str, bytes]:
    """Each section as it stands in a shipment: JSON, keys sorted, in the order of the record."""
    return {name: canonical(package[name]) for name in SECTIONS if name in package}


def decode_sections(sections: Mapping[str, bytes]) -> dict[str, Any]:
    """The sections of a shipment. Raises: InvalidRecord for an unknown section, or one that is no strict JSON."""
    unknown = sum(name not in SECTIONS for name in sections)
    if unknown:
        raise InvalidRecord(path=N_("the content"), problem=N_("holds {count} unknown section(s)"), count=unknown)
    if sum(map(len, sections.values())) > CASE_LIMIT:
        raise InvalidRecord(path=N_("the content"), problem=N_("longer than {limit} bytes"), limit=CASE_LIMIT)
    return {name: load_json(data, limit=CASE_LIMIT, what=name) for name, data in sections.items()}


def received_case(
    sections: Mapping[str, Any],
    *,
    case_id: str,
    owner_org_id: str,
    received_from: str,
    transfer: TransferId,
    now: datetime,
) -> Case:
    """The record that the recipient keeps: what came, under its own ownership.

    The case keeps its id. `meta` is written anew but for what describes the case itself; nobody is its referent yet
    (`owner_user_id` is "-"); whether an attachment may be sent on is decided anew.

    Raises: InvalidRecord, also where `meta` names another case than the manifest.
    """
    document: dict[str, Any] = json.loads(canonical(dict(sections)))
    told = document.get("meta", {})
    if not isinstance(told, dict) or told.get("case_id", case_id) != case_id:
        raise InvalidRecord(path="meta.case_id", problem=N_("is not the case that the manifest names"))
    time = now.isoformat(timespec="seconds")
    document["meta"] = {
        **{key: told[key] for key in ("opened_on", "statistical_id") if key in told},
        "case_id": case_id,
        "schema_version": told.get("schema_version", _SCHEMA_VERSION),
        "local_number": f"R-{transfer.short}",
        "pseudonym": told.get("pseudonym", _NO_PSEUDONYM),
        "status": "open",
        "owner_org_id": owner_org_id,
        "owner_user_id": _NOT_ASSIGNED,
        "access_restriction": "team",
        "received_from_org_id": received_from,
        "received_transfer_id": transfer.hex(),
        "created_at": time,
        "updated_at": time,
        "version": 1,
    }
    document["meta"].setdefault("opened_on", now.date().isoformat())
    entries = document.get("attachments", [])
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            entry["may_be_sent"] = False
    if len(canonical(document)) > CASE_LIMIT:
        raise InvalidRecord(path=N_("the content"), problem=N_("longer than {limit} bytes"), limit=CASE_LIMIT)
    return case_of(document)
