"""What people read for each section, field and coded value: marked texts, to be translated where they are shown.

A path is `section.field`, or `section.field.subfield` in a sub-list; an index in it (`family[1].role`) says nothing.
An act's fields are those of the section `consents`. Two things that are no case have paths too: what an association
says of itself (`profile.kind`, `profile.services.specialities`) and a transfer (`transfer.kind`, `transfer.state`).
Some closed lists are known by a name alone as well: `purpose`, `legal_basis`, `speciality`, `authority_type`,
`intake_status`, `gender`, `departement`, `decline_reason`, `receipt_reason`, `keeping_reason`, `yes_no_unknown`.

Every function raises KeyError for a path or value that nobody has named: that is a fault of ours, and no refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cordee.case.labels import acts, fields, profiles, values_situation, values_support
from cordee.case.labels.common import ABROAD, COMMON, TRANSFERS
from cordee.case.labels.hints import HINTS
from cordee.jsonform import package_data
from cordee.summary import DECLINE_REASONS, KEEPING_REASONS, RECEIPT_REASONS

__all__ = ["field_label", "hint_of", "section_label", "value_label", "values_of"]

_INDEX = re.compile(r"\[\d*\]")
_CASE: Final[Mapping[str, Any]] = package_data("case.schema.json")
_PROFILE: Final[Mapping[str, Any]] = package_data("directory_entry.schema.json")
_YES_NO: Final = ("yes", "no")

_FIELDS: Final[Mapping[str, str]] = {**fields.FIELDS, **acts.FIELDS, **profiles.FIELDS}
_DEPARTEMENTS: Final[Mapping[str, str]] = {
    **ABROAD,
    **{code: name.replace("'", "’") for code, name in package_data("departements.json").items()},
}
_REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "decline_reason": DECLINE_REASONS,
    "receipt_reason": RECEIPT_REASONS,
    "keeping_reason": KEEPING_REASONS,
}
_SPECIALITIES: Final = profiles.VALUES["profile.services.specialities"]
_CATEGORIES: Final[Mapping[str, str]] = {
    **profiles.VALUES["profile.kind"],
    **profiles.VALUES["profile.authority_type"],
    **_SPECIALITIES,
}
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    **values_situation.VALUES,
    **values_support.VALUES,
    **acts.VALUES,
    **profiles.VALUES,
    **TRANSFERS,
    **_REASONS,
    "consents.sections": fields.SECTIONS,
    "consents.recipients.category": _CATEGORIES,
    "profile.services.genders_accepted": values_situation.VALUES["identity.gender"],
}
_NAMES: Final[Mapping[str, str]] = {
    "purpose": "consents.purposes",
    "legal_basis": "consents.legal_basis",
    "speciality": "profile.services.specialities",
    "authority_type": "profile.authority_type",
    "intake_status": "profile.services.intake_status",
    "gender": "identity.gender",
    "departement": "housing.departement",
}


def _closed_lists(schema: Mapping[str, Any], node: Mapping[str, Any], path: str) -> Iterator[tuple[str, list[str]]]:
    """Each field below a node that has a closed list, with its codes; true and false are yes and no to people."""
    reference = node.get("$ref", "").removeprefix("#/$defs/")
    node = {**schema["$defs"].get(reference, {}), **node}
    if "enum" in node:
        yield path, node["enum"]
    elif node.get("type") == "boolean" or node.get("const") is True:
        yield path, list(_YES_NO)
    for each in (node.get("items"), *node.get("oneOf", ())):
        if each is not None:
            yield from _closed_lists(schema, each, path)
    for name, child in node.get("properties", {}).items():
        yield from _closed_lists(schema, child, f"{path}.{name}" if path else name)


_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    **{path: tuple(codes) for path, codes in _closed_lists(_CASE, _CASE, "")},
    **{path: tuple(codes) for path, codes in _closed_lists(_PROFILE, _PROFILE, "profile")},
    **{name: tuple(table) for name, table in (*TRANSFERS.items(), *_REASONS.items())},
    "consents.recipients.category": tuple(_CATEGORIES),
    "yes_no_unknown": (*_YES_NO, "unknown"),
}


def section_label(name: str) -> str:
    """The name of a section of the case. Raises: KeyError for another name."""
    return fields.SECTIONS[name]


def field_label(path: str) -> str:
    """The name of a field of a case, an act or a profile. Raises: KeyError for a path that is none."""
    return _FIELDS[_INDEX.sub("", path)]


def values_of(path: str) -> tuple[str, ...]:
    """The codes of a closed list, in the order in which they are shown; empty for a field without one.

    A field that is true or false has the codes `yes` and `no`. Raises: KeyError for a path that is no field, and for
    a name that is no list.
    """
    plain = _plain(path)
    if plain not in _LISTS:
        field_label(plain)
        return ()
    return _LISTS[plain]


def value_label(path: str, value: str) -> str:
    """What a code of a closed list means in this field; of true and false, say `yes` and `no`.

    A département has its name, which is no marked text and alike in every language.

    Raises: KeyError for a path without closed list, or a code that is not on it.
    """
    plain = _plain(path)
    if value not in _LISTS[plain]:
        raise KeyError(value)
    for table in (_TABLES.get(plain, {}), COMMON, _DEPARTEMENTS):
        if value in table:
            return table[value]
    raise KeyError(value)


def hint_of(path: str) -> str | None:
    """What a handler should know before filling a field; None for most. Raises: KeyError for a path that is none."""
    plain = _INDEX.sub("", path)
    field_label(plain)
    return HINTS.get(plain)


def _plain(path: str) -> str:
    """The path without indices, and of a list that has a name the path under which it stands."""
    plain = _INDEX.sub("", path)
    return _NAMES.get(plain, plain)
