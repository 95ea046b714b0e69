"""A section of a case as a form, made from the record's schema; and the form back into a section.

Nothing is mandatory but what the schema needs to open a section. A level-4 field that was not shown is not in the form,
and keeps what it holds. What was typed comes back with its errors; nothing typed is lost.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import FormData

from cordee.case.form import CASE_FORM, LIST_SECTIONS
from cordee.case.labels import field_label, hint_of, value_label
from cordee.web.wall import HERE
from node.web.glance import SIGNALS, ticked_signals

__all__ = ["Entry", "Field", "Fields", "entries_of", "fields_of", "is_hidden", "section_from"]

_VITAL = 4  # sensitivity: lets someone find or reach the minor, or names an exploiter
_LONG_TEXT = 1000  # characters from which a text gets several lines
_FEW = 4  # choices that are shown side by side
_MANY_ENTRIES = 200
_GIVEN = frozenset({"person_id", "trace_id", "action_id", "note_id"})  # an entry's own id, made here
_AUTHOR = "author_id"
_TYPED = frozenset({"linked_case_id", "org_id"})  # ids of what is elsewhere: somebody copies them
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}")


@dataclass(frozen=True)
class Field:
    """One field as the page shows it. `name` is the form's, `path` the record's; `place` also says in which entry."""

    path: str
    place: str
    name: str
    label: str
    kind: str  # text, lines, date, datetime, number, choice, radio, several, list, yes, entries
    value: Any
    choices: tuple[tuple[str, str], ...] = ()
    hint: str | None = None
    needed: bool = False
    level: int = 0
    shown: bool = True  # False: vital, and not asked for yet
    longest: int | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One entry of a list. `key` names it in the form: its place, or "new"."""

    key: str
    fields: tuple[Field, ...]


Fields = Sequence[Field]


def is_hidden(path: str) -> bool:
    """Whether a field (`section.field`) is shown only when somebody asks for it."""
    section, _, name = path.partition(".")
    node = _node([section, 0, name] if section in LIST_SECTIONS else [section, name])
    return int(node.get("x-sensitivity", 0)) >= _VITAL


def fields_of(section: str, content: Mapping[str, Any] | None, *, revealed: Collection[str] = ()) -> Fields:
    """The fields of a section that is no list."""
    return tuple(_fields(section, section, [section], dict(content or {}), prefix="", revealed=revealed))


def entries_of(
    section: str, content: Sequence[Mapping[str, Any]] | None, *, revealed: Collection[str] = ()
) -> tuple[Entry, ...]:
    """The entries of a list section, and an empty one to fill."""
    kept = [
        Entry(
            str(index),
            tuple(
                _fields(
                    section, f"{section}[{index}]", [section, 0], dict(entry), prefix=f"{index}.", revealed=revealed
                )
            ),
        )
        for index, entry in enumerate(content or ())
    ]
    return (
        *kept,
        Entry(
            "new",
            tuple(_fields(section, f"{section}[new]", [section, 0], {}, prefix="new.", revealed=revealed, fresh=True)),
        ),
    )


@dataclass(frozen=True)
class _Giver:
    """What a new entry gets from the node."""

    now: datetime
    random: Callable[[int], bytes]
    author: str


def section_from(
    section: str, before: Any, form: FormData, *, now: datetime, random: Callable[[int], bytes], author: str
) -> Any:
    """The section as the form says it; what the form does not hold stays. None where nothing is left.

    Nothing is checked here but what a form cannot say otherwise: the record's own rules judge the whole.
    """
    giver = _Giver(now, random, author)
    if section not in LIST_SECTIONS:
        return _object([section], dict(before or {}), form, prefix="", giver=giver) or None
    ticked = ticked_signals(form) if section == SIGNALS else []
    return [*_list([section], list(before or ()), form, prefix="", giver=giver), *ticked] or None


# ---- towards the page ----


def _fields(
    path: str,
    place: str,
    parts: list[str | int],
    content: dict[str, Any],
    *,
    prefix: str,
    revealed: Collection[str],
    fresh: bool = False,
) -> Iterator[Field]:
    for name, raw in _node(parts).get("properties", {}).items():
        node = CASE_FORM.resolved(raw)
        if _is_ours(name):
            continue
        own = f"{path}.{name}"
        level = int(node.get("x-sensitivity", 0))
        shown = level < _VITAL or fresh or own in revealed or content.get(name) in (None, "", [])
        kind = _kind(node)
        yield Field(
            path=own,
            place=f"{place}.{name}",
            name=prefix + name,
            label=field_label(own),
            kind=kind,
            value=content.get(name) if shown else None,
            choices=tuple((each, value_label(own, each)) for each in _choices(node)),
            hint=hint_of(own),
            needed=name in _node(parts).get("required", ()),
            level=level,
            shown=shown,
            longest=node.get("maxLength") or CASE_FORM.resolved(node.get("items", {})).get("maxLength"),
            entries=tuple(
                _sub_entries(own, f"{place}.{name}", [*parts, name], content.get(name), f"{prefix}{name}.", revealed)
            )
            if kind == "entries" and shown
            else (),
        )


def _sub_entries(
    path: str, place: str, parts: list[str | int], content: Any, prefix: str, revealed: Collection[str]
) -> Iterator[Entry]:
    inside = [*parts, 0]
    for index, entry in enumerate(content or ()):
        yield Entry(
            str(index),
            tuple(_fields(path, f"{place}[{index}]", inside, entry, prefix=f"{prefix}{index}.", revealed=revealed)),
        )
    yield Entry(
        "new", tuple(_fields(path, f"{place}[new]", inside, {}, prefix=f"{prefix}new.", revealed=revealed, fresh=True))
    )


def _kind(node: Mapping[str, Any]) -> str:
    if node.get("type") == "array":
        item = CASE_FORM.resolved(node.get("items", {}))
        if item.get("type") == "object":
            return "entries"
        return "several" if "enum" in item else "list"
    if "enum" in node:
        return "radio" if len(node["enum"]) <= _FEW else "choice"
    if node.get("type") == "boolean":
        return "yes"
    if node.get("type") == "integer":
        return "number"
    if node.get("format") in ("date", "date-time"):
        return "date" if node["format"] == "date" else "datetime"
    return "lines" if int(node.get("maxLength") or 0) > _LONG_TEXT else "text"


def _choices(node: Mapping[str, Any]) -> Sequence[str]:
    item = CASE_FORM.resolved(node.get("items", {})) if node.get("type") == "array" else node
    choices: Sequence[str] = item.get("enum", ())
    return choices


def _is_ours(name: str) -> bool:
    """Ids and the like: made by the node, never typed."""
    return name.endswith(("_id", "_ids")) and name not in _TYPED


def _node(parts: Sequence[str | int]) -> Mapping[str, Any]:
    found = CASE_FORM.node_at(parts)
    if found is None:
        raise KeyError(parts)
    return found


# ---- and back ----


def _object(
    parts: list[str | int],
    before: dict[str, Any],
    form: FormData,
    *,
    prefix: str,
    giver: _Giver,
) -> dict[str, Any]:
    after = copy.deepcopy(before)
    for name, raw in _node(parts).get("properties", {}).items():
        node = CASE_FORM.resolved(raw)
        key = prefix + name
        if _is_ours(name) or f"{key}:there" not in form:
            continue
        if _kind(node) == "entries":
            kept = list(before.get(name) or ())
            value: Any = _list([*parts, name], kept, form, prefix=f"{key}.", giver=giver)
        else:
            value = _value(node, form, key)
            if name in before and _says_the_same(node, before[name], value):
                value = before[name]
        nothing = value in (None, "", []) or (value is False and name not in before)  # an unticked box says nothing
        if nothing and before.get(name) not in ("", []):
            after.pop(name, None)
        elif not nothing:
            after[name] = value
    return after


def _list(
    parts: list[str | int],
    before: list[dict[str, Any]],
    form: FormData,
    *,
    prefix: str,
    giver: _Giver,
) -> list[dict[str, Any]]:
    inside = [*parts, 0]
    after = []
    for index, entry in enumerate(before[:_MANY_ENTRIES]):
        if form.get(f"{prefix}{index}:remove") == "on":
            continue
        after.append(_object(inside, entry, form, prefix=f"{prefix}{index}.", giver=giver))
    fresh = _object(inside, {}, form, prefix=f"{prefix}new.", giver=giver)
    if fresh:
        after.append(_with_ids(inside, fresh, giver=giver))
    return after


def _with_ids(parts: list[str | int], entry: dict[str, Any], *, giver: _Giver) -> dict[str, Any]:
    """What the node gives a new entry: its id, its time, and the answers that nobody gave but which must be there."""
    node = _node(parts)
    for name, raw in node.get("properties", {}).items():
        each = CASE_FORM.resolved(raw)
        if name in entry or name not in node.get("required", ()):
            continue
        if name in _GIVEN:
            entry[name] = str(uuid.UUID(bytes=giver.random(16), version=4))
        elif name == _AUTHOR:
            entry[name] = giver.author
        elif each.get("format") == "date-time":
            entry[name] = giver.now.isoformat(timespec="seconds")
        elif each.get("type") == "boolean":
            entry[name] = False
    return entry


def _says_the_same(node: Mapping[str, Any], before: Any, value: Any) -> bool:
    """A form knows no order of boxes, no seconds, no offset and no spaces at the ends: not to touch changes nothing."""
    if isinstance(before, list) and isinstance(value, list):
        as_typed = [str(each).strip() for each in before]
        return sorted(as_typed) == sorted(value) if _choices(node) else as_typed == value
    if not isinstance(before, str) or not isinstance(value, str):
        return False
    if _kind(node) != "datetime":
        return before.replace("\r\n", "\n").strip() == value
    try:
        one, other = (datetime.fromisoformat(each).astimezone(UTC) for each in (before, value))
    except ValueError:
        return False
    return one.replace(second=0, microsecond=0) == other.replace(second=0, microsecond=0)


def _value(node: Mapping[str, Any], form: FormData, key: str) -> Any:
    kind = _kind(node)
    if kind == "several":
        chosen = {str(each) for each in form.getlist(key)}
        return [each for each in _choices(node) if each in chosen]
    typed = str(form.get(key, "")).replace("\r\n", "\n").strip()
    if kind == "yes":
        return typed == "on"
    if kind == "list":
        return list(dict.fromkeys(line.strip() for line in typed.splitlines() if line.strip()))
    if kind == "number" and typed:
        return int(typed) if typed.isascii() and typed.lstrip("-").isdecimal() else typed  # else the schema refuses it
    if kind == "datetime":
        return datetime.fromisoformat(typed).replace(tzinfo=HERE).isoformat() if _LOCAL_TIME.fullmatch(typed) else typed
    return typed
