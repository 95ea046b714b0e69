"""The form of a case record: names of its sections and fields, their French labels, what is needed at which stage."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from cordee.jsonform import Form, package_data

__all__ = [
    "ACT_FORM",
    "CASE_FORM",
    "LIST_SECTIONS",
    "RECEIVED_FORM",
    "SECTIONS",
    "Stage",
    "is_field",
    "known_part",
    "label_of",
    "required_fields",
]

Stage = Literal["open", "transfer", "report", "close"]

_SCHEMA: Final[Mapping[str, Any]] = package_data("case.schema.json")

SECTIONS: Final[tuple[str, ...]] = tuple(_SCHEMA["properties"])
"""The twenty sections, in the order in which they are shown and sent."""

LIST_SECTIONS: Final[frozenset[str]] = frozenset(
    name for name, node in _SCHEMA["properties"].items() if node["type"] == "array"
)
"""The sections that are lists of entries."""

ALWAYS_THERE: Final[frozenset[str]] = frozenset(_SCHEMA["required"])


def _as_received(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema for a case that came from elsewhere: what was held back is not missing. `meta` is our own."""
    lenient = copy.deepcopy(dict(schema))
    lenient["required"] = ["meta"]
    for name, node in lenient["properties"].items():
        if name != "meta":
            _drop_required(node)
    return lenient


def _drop_required(node: dict[str, Any]) -> None:
    node.pop("required", None)
    for child in [*node.get("properties", {}).values(), node.get("items")]:
        if isinstance(child, dict):
            _drop_required(child)


CASE_FORM: Final = Form(_SCHEMA)
RECEIVED_FORM: Final = Form(_as_received(_SCHEMA))
ACT_FORM: Final = Form({"$schema": _SCHEMA["$schema"], "$defs": _SCHEMA["$defs"], "$ref": "#/$defs/consent_act"})

_STEP = re.compile(r"([a-z0-9_]+)((?:\[\d*\])*)")


def _parts(path: str) -> list[str | int] | None:
    parts: list[str | int] = []
    for step in path.split("."):
        found = _STEP.fullmatch(step)
        if found is None:
            return None
        parts.append(found.group(1))
        parts.extend([0] * found.group(2).count("["))
    return parts


def label_of(path: str) -> str:
    """The French label of a path such as `identity.birth_date` or `family[1].role`; the path itself if it has none."""
    parts = _parts(path)
    while parts:
        node = CASE_FORM.node_at(parts)
        if node is not None and "title" in node:
            return str(node["title"])
        parts.pop()
    return path


def is_field(path: str) -> bool:
    """Whether `section.field` is a field of the record. In a list section it is a field of every entry."""
    section, _, field = path.partition(".")
    node = CASE_FORM.node_at([section, 0] if section in LIST_SECTIONS else [section])
    return node is not None and field in node.get("properties", {})


def known_part(section: str, value: Any) -> Any:
    """What of a section's value the schema knows: keys of one's own (`x_…`) are left out, at every level."""
    return _known(CASE_FORM.node_at([section]) or {}, value)


def _known(node: Mapping[str, Any], value: Any) -> Any:
    fields = node.get("properties")
    if fields is not None:
        if not isinstance(value, dict):
            return {}
        return {key: _known(CASE_FORM.resolved(fields[key]), each) for key, each in value.items() if key in fields}
    if node.get("type") == "array":
        if not isinstance(value, list):
            return []
        item = CASE_FORM.resolved(node.get("items", {}))
        return [_known(item, each) for each in value]
    return value


def required_fields(section: str, stage: Stage) -> Iterator[tuple[str, bool]]:
    """The fields of a section that are needed at a stage; True with those that are already needed to open."""
    node = CASE_FORM.node_at([section, 0] if section in LIST_SECTIONS else [section]) or {}
    for field, facts in node.get("properties", {}).items():
        needed = facts.get("x-required-at")
        if needed == "open" or needed == stage:
            yield field, needed == "open"
