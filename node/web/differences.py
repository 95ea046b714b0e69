"""Two versions of a field, as text that people can compare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from babel.dates import format_date

from cordee.case.form import CASE_FORM
from cordee.case.labels import field_label, value_label
from cordee.errors import N_
from cordee.runtime.texts import text
from cordee.web.times import exact_moment

__all__ = ["as_text", "is_prose", "is_vital", "vital_fields"]

_VITAL = 4
_PROSE = 1000  # characters
_STEP = re.compile(r"([a-z0-9_]+)((?:\[\d+\])*)")
_INDEX = re.compile(r"\[\d+\]")


def as_text(path: str, value: Any, language: str) -> str:
    """A field, or a whole entry, field after field on lines of its own."""
    if value is None:
        return text(N_("(nothing)"), language)
    if isinstance(value, Mapping):
        lines = ((name, as_text(f"{path}.{name}", each, language)) for name, each in value.items())
        told = ((_label(f"{path}.{name}", language), line) for name, line in lines)
        return "\n".join(
            f"{label}\u00a0: {line}" if language == "fr" else f"{label}: {line}" for label, line in told if label
        )
    if isinstance(value, list):
        return ", ".join(as_text(path, each, language) for each in value)
    if isinstance(value, bool):
        return text(N_("yes") if value else N_("no"), language)
    return _plain(path, value, language)


def is_prose(path: str) -> bool:
    """A long text, of which two make one that is still a text."""
    node = _schema_of(path)
    return int(node.get("maxLength") or 0) > _PROSE and "enum" not in node


def is_vital(path: str) -> bool:
    """Whether a field, at any depth, is shown only when somebody asks for it. False for what is no field."""
    return int(_schema_of(path).get("x-sensitivity", 0)) >= _VITAL


def vital_fields(path: str, *values: Any) -> Iterator[str]:
    """The vital fields (`section.field`) that showing these values shows."""
    if is_vital(path):
        yield _INDEX.sub("", path)
    for value in values:
        if isinstance(value, Mapping):
            for name, each in value.items():
                yield from vital_fields(f"{path}.{name}", each)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from vital_fields(f"{path}[{index}]", each)


def _plain(path: str, value: Any, language: str) -> str:
    node = _schema_of(path)
    node = CASE_FORM.resolved(node.get("items", {})) if node.get("type") == "array" else node
    written: Callable[[str], str] = str
    if "enum" in node:
        return text(value_label(path, str(value)), language)
    if node.get("format") == "date":
        written = _day(language)
    elif node.get("format") == "date-time":
        written = _moment(language)
    try:
        return written(str(value))
    except ValueError:
        return str(value)  # not yet checked: as it was typed


def _day(language: str) -> Callable[[str], str]:
    return lambda value: format_date(date.fromisoformat(value), "long", locale=language)


def _moment(language: str) -> Callable[[str], str]:
    return lambda value: exact_moment(value, language)  # two may differ by seconds


def _label(path: str, language: str) -> str:
    """Empty for what has no name for people: ids, and keys of an association's own."""
    name = path.rpartition(".")[2]
    if name.endswith(("_id", "_ids")) or name.startswith("x_"):
        return ""
    try:
        return text(field_label(path), language)
    except KeyError:
        return ""


def _schema_of(path: str) -> Mapping[str, Any]:
    """What the schema says of a place, whether its path says which entry of a list or not; nothing of what is none."""
    node: Mapping[str, Any] = {"properties": {}}
    parts: list[str | int] = []
    for step in path.split("."):
        found = _STEP.fullmatch(step)
        if found is None:
            return {}
        if node.get("type") == "array":
            parts.append(0)
        parts.append(found[1])
        parts.extend([0] * found[2].count("["))
        node = CASE_FORM.node_at(parts) or {}
    return node
