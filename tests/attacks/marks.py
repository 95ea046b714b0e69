"""Marks: values that occur nowhere else, one for each field, and records that hold nothing but marks."""

from __future__ import annotations

import os
import string
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from cordee.jsonform import package_data

__all__ = ["SCHEMA", "Filling", "Marks", "fields_of", "leaves_of", "resolved", "why_unmarked"]

SCHEMA: Mapping[str, Any] = package_data("case.schema.json")

_UUID = "^[0-9a-f]{8}-"
_LANGUAGE = "^[a-z]{2,3}(-"
_FIELD = r"^[a-z0-9_]+\.[a-z0-9_]+$"
_TELLING = 1000  # a number below this stands in every file
_LETTERS = string.ascii_lowercase
_LONG = 2000  # a text that may be longer than this is a narrative


def _letters(count: int) -> str:
    return "".join(_LETTERS[byte % 26] for byte in os.urandom(count))


def _digits(count: int) -> str:
    return "".join(str(byte % 10) for byte in os.urandom(count))


@dataclass
class Marks:
    """What one run looks for. Marks of a kind begin alike, so that a search for a beginning finds them all."""

    word: str = field(default_factory=lambda: f"mk{_letters(6)}")  # of every text, file, name and reason
    number: str = field(default_factory=lambda: f"9{_digits(6)}")  # of every number without a small bound
    year: str = field(default_factory=lambda: f"{3000 + os.urandom(1)[0] * 20}")  # of every date
    hex: str = field(default_factory=lambda: os.urandom(6).hex())  # of every id and digest
    row: str = field(default_factory=lambda: os.urandom(6).hex())  # of the ids that a node keeps in clear by design
    fields: dict[str, str] = field(default_factory=dict)  # mark -> the field that it was put into
    literals: dict[bytes, str] = field(default_factory=dict)  # what the node itself made, as bytes -> the field
    row_literals: dict[bytes, str] = field(default_factory=dict)  # those of them that it keeps in clear by design
    born: str = ""

    def text(self, path: str) -> str:
        """Sixteen letters."""
        return self._kept(f"{self.word}{_letters(8)}", path)

    def language(self, path: str) -> str:
        """A language tag, of a private language."""
        return self._kept(f"qaa-{self.word}-{_letters(8)}", path)

    def id(self, path: str, *, row: bool = False) -> str:
        """A UUID. `row`: of a case or an act, which stands in clear in the database of a node (node.store)."""
        made = bytearray(bytes.fromhex(self.row if row else self.hex) + os.urandom(10))
        return self._kept(str(uuid.UUID(bytes=bytes(made), version=4)), path)

    def digest(self, path: str) -> str:
        """64 hexadecimal digits."""
        return self._kept(self.hex + os.urandom(26).hex(), path)

    def day(self, path: str) -> str:
        """A date in a far year."""
        made = date(int(self.year), 1, 1) + timedelta(days=os.urandom(2)[0] + os.urandom(1)[0] % 100)
        return self._kept(made.isoformat(), path)

    def integer(self, path: str) -> int:
        """Ten digits."""
        return int(self._kept(self.number + _digits(3), path))

    def birth(self, path: str, *, today: date) -> str:
        """A birth date, the same for all: of a girl of fifteen, for it has to be one that may be true."""
        self.born = self.born or (today - timedelta(days=15 * 365 + 10 + os.urandom(1)[0])).isoformat()
        return self._kept(self.born, path)

    def _kept(self, mark: str, path: str) -> str:
        self.fields[mark] = path
        return mark


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema node with what its reference says."""
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    return {**SCHEMA["$defs"][name], **node} if name else node


def fields_of(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every place of a schema that holds a value, `[]` for an entry of a list."""
    node = resolved(node)
    if "properties" in node:
        for name, child in node["properties"].items():
            yield from fields_of(child, f"{path}.{name}" if path else name)
    elif node.get("type") == "array":
        yield from fields_of(node["items"], f"{path}[]")
    else:
        yield path, node


def leaves_of(document: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a document, with its place as `fields_of` writes it."""
    if isinstance(document, dict):
        for name, child in document.items():
            yield from leaves_of(child, f"{path}.{name}" if path else name)
    elif isinstance(document, list):
        for child in document:
            yield from leaves_of(child, f"{path}[]")
    else:
        yield path, document


def why_unmarked(node: Mapping[str, Any]) -> str:
    """Why a field of this form can hold no mark; empty where it can."""
    if "enum" in node or "const" in node:
        return "a word of a closed list"
    if node.get("type") == "boolean":
        return "yes or no"
    if node.get("type") == "integer" and node.get("maximum", _TELLING) < _TELLING:
        return "a number so small that it stands in every file"
    if node.get("pattern") == "^[A-Z]{2}$":
        return "two letters"
    return ""


@dataclass
class Filling:
    """Makes documents of a schema in which every field holds a mark. `given` says otherwise, by path."""

    marks: Marks
    today: date
    given: Mapping[str, object] = field(default_factory=dict)
    name: str = ""  # of the document, told with what is found

    def document(self, node: Mapping[str, Any], path: str = "") -> Any:
        """A value of this form."""
        if path in self.given:
            return self.given[path]
        node = resolved(node)
        if "properties" in node:
            return {
                name: self.document(child, f"{path}.{name}" if path else name)
                for name, child in node["properties"].items()
            }
        if node.get("type") == "array":
            return [self.document(node["items"], f"{path}[]")]
        return self._value(node, path)

    def _value(self, node: Mapping[str, Any], path: str) -> object:
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return node["enum"][0]
        if node["type"] == "boolean":
            return True
        place = f"{self.name}: {path}"
        if node["type"] == "integer":
            return self.marks.integer(place) if not why_unmarked(node) else node["maximum"]
        return self._text(node, path, place)

    def _text(self, node: Mapping[str, Any], path: str, place: str) -> str:
        forms: dict[str, Callable[[str], str]] = {"date": self.marks.day, "date-time": self._time}
        pattern = node.get("pattern", "")
        if node.get("format") in forms:
            return forms[node["format"]](place)
        if pattern.startswith(_UUID):
            return self.marks.id(place)
        if pattern.startswith("^([0-9a-f]{32}|"):
            return self.marks.digest(place)[:32]
        if pattern == "^[0-9a-f]{64}$":
            return self.marks.digest(place)
        if pattern.startswith(_LANGUAGE):
            return self.marks.language(place)
        if pattern == "^[A-Z]{2}$":
            return "FR"
        if pattern == _FIELD:
            return f"identity.{self.marks.text(place)}"
        if pattern:
            raise NotImplementedError(f"{path}: no mark is known for the form {pattern}")
        mark = self.marks.text(place)
        field_name = path.rpartition(".")[2]
        dressed = {"email": f"{mark}@example.org", "url": f"https://example.org/{mark}"}
        if node.get("maxLength", 0) > _LONG:  # among other words, some of them not in Latin-1
            return f"Elle dit « {mark} », puis se tait… Œuvre à suivre."
        return dressed.get(field_name, mark)

    def _time(self, place: str) -> str:
        return f"{self.marks.day(place)}T10:20:30+01:00"
