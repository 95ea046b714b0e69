"""Parts of a record in words: each field with its label, as a page lists them. Vital ones only for who asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cordee.case.form import CASE_FORM, LIST_SECTIONS
from cordee.case.labels import field_label, value_label
from cordee.errors import N_
from cordee.v1 import statements_pb2

__all__ = ["Line", "is_vital", "lines_of", "summary_lines"]

_VITAL: Final = 4  # sensitivity: lets someone find or reach the minor, or names an exploiter
_CONSTRAINTS: Final[Mapping[str, str]] = {  # as cordee.case.capacity writes them → where the record has them
    "immediate_danger": "risk.immediate_danger",
    "interpreter_needed": "identity.interpreter_needed",
    "areas_to_avoid": "housing.areas_to_avoid",
    "urgent_need": "health.urgent_need",
    "exploitation_status": "situation.exploitation_status",
    "forms": "exploitation.forms",
    "measures": "judicial.measures.kind",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One field. `values` are marked texts where `kind` is code; `groups` are the entries of a list of its own."""

    path: str
    label: str
    kind: str  # code, text, day, moment or language
    values: tuple[str, ...] = ()
    groups: tuple[tuple[Line, ...], ...] = ()
    shown: bool = True  # False: vital, and not asked for


def lines_of(section: str, value: Any, *, revealed: Collection[str] = ()) -> tuple[tuple[Line, ...], ...]:
    """A section's fields that hold something: one group, or one for each entry of a list section."""
    entries = value if section in LIST_SECTIONS else [value]
    parts: list[str | int] = [section, 0] if section in LIST_SECTIONS else [section]
    return tuple(tuple(_lines(section, parts, entry, revealed)) for entry in entries or () if entry)


def is_vital(path: str) -> bool:
    """Whether a field of the record, at any depth, is shown only to who asks for it. False for what is no field."""
    node = _node_of(path)
    return node is not None and int(node.get("x-sensitivity", 0)) >= _VITAL


def summary_lines(summary: statements_pb2.Summary, *, revealed: Collection[str] = ()) -> tuple[Line, ...]:
    """A sealed summary as its recipient will read it, field by field; what it leaves open is not among them."""
    told = {
        "situation.departement_of_residence": [summary.departement],
        "identity.gender": [summary.gender],
        "housing.shelter_need": [summary.urgency],
        "risk.level": [summary.risk_level],
    }
    for part in summary.constraints.split("; ") if summary.constraints else ():
        name, _, codes = part.partition("=")
        if name in _CONSTRAINTS:
            told[_CONSTRAINTS[name]] = codes.split(",")
    found = [Line("age", N_("Age"), "code", (str(summary.age) if summary.age else N_("unknown"),))]
    for path, values in told.items():
        known = tuple(value_label(path, each) for each in values if each)
        if known:
            shown = not is_vital(path) or path in revealed
            found.append(Line(path, field_label(path), "code", known if shown else (), shown=shown))
    if summary.languages:
        found.append(
            Line("identity.languages", field_label("identity.languages"), "language", tuple(summary.languages))
        )
    return tuple(found)


def _lines(path: str, parts: list[str | int], entry: Mapping[str, Any], revealed: Collection[str]) -> Iterator[Line]:
    fields = (CASE_FORM.node_at(parts) or {}).get("properties", {})
    for name, raw in fields.items():
        value, own = entry.get(name), f"{path}.{name}"
        if value in (None, "", []):
            continue
        node = CASE_FORM.resolved(raw)
        label = field_label(own)
        if int(node.get("x-sensitivity", 0)) >= _VITAL and own not in revealed:
            yield Line(own, label, "text", shown=False)
            continue
        inside: list[str | int] = [*parts, name]
        if isinstance(value, Mapping):
            yield Line(own, label, "text", groups=(tuple(_lines(own, inside, value, revealed)),))
        elif isinstance(value, list) and isinstance(value[0], Mapping):
            groups = tuple(tuple(_lines(own, [*inside, 0], each, revealed)) for each in value)
            yield Line(own, label, "text", groups=groups)
        else:
            yield Line(own, label, _kind(own, node), tuple(_words(own, node, value)))


def _kind(path: str, node: Mapping[str, Any]) -> str:
    if path.endswith(".languages"):
        return "language"
    if _is_coded(node) or node.get("type") == "boolean":
        return "code"
    return {"date": "day", "date-time": "moment"}.get(node.get("format", ""), "text")


def _is_coded(node: Mapping[str, Any]) -> bool:
    return "enum" in node or "enum" in CASE_FORM.resolved(node.get("items", {}))


def _words(path: str, node: Mapping[str, Any], value: Any) -> Iterator[str]:
    coded = _is_coded(node)
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool):
            yield N_("yes") if each else N_("no")
        else:
            yield value_label(path, str(each)) if coded else str(each)


def _node_of(path: str) -> Mapping[str, Any] | None:
    section, *names = path.split(".")
    parts: list[str | int] = [section]
    node = CASE_FORM.node_at(parts)
    for name in names:
        if node is None:
            return None
        if node.get("type") == "array":
            parts.append(0)
        parts.append(name)
        node = CASE_FORM.node_at(parts)
    return node
