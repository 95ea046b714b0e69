"""JSON that came from outside, read strictly, and checked against a schema without ever repeating what it says.

The problems that are found name a path, the rule that is broken and what is allowed; never the value, which may be a
child's name.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

from jsonschema_rs import Draft202012Validator, ValidationError

from cordee.errors import InvalidRecord, Problem

__all__ = ["Form", "canonical", "load_json", "package_data", "path_text"]

_DEPTH_LIMIT = 16
_VALUE_LIMIT = 50_000
_PROBLEM_LIMIT = 50
_ALLOWED_LIMIT = 120  # values listed in one problem
_KEYS_COMPARED, _KEY_LIMIT = 10, 60  # unknown keys, and characters of each, that a close one is looked for

# The closing quote is optional: a text that never ends must not be tried again from each quote in it.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


@cache
def package_data(name: str) -> Any:
    """A file of `cordee/data`, parsed once. It is shared: change nothing in it."""
    return json.loads(files("cordee").joinpath("data", name).read_text(encoding="utf-8"))


def canonical(document: object) -> bytes:
    """One form for one document: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def load_json(data: bytes, *, limit: int, what: str) -> Any:
    """Parse one JSON document: UTF-8, no key twice in one object, no NaN or infinity, at most 16 levels
    deep and 50,000 values.

    `limit` is in bytes; `what` names the document in the problem.

    Raises: InvalidRecord.
    """
    document = None
    problem = f"longer than {limit} bytes" if len(data) > limit else _bulk_problem(_STRING.sub(b"", data))
    if not problem:
        document, problem = _parsed(data)
    if problem:
        raise InvalidRecord(path=what, problem=problem)
    return document


def _parsed(data: bytes) -> tuple[Any, str]:
    """The document, or what is wrong with it: a parser's own error holds the text, so it goes no further than here."""
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_not_a_number, parse_float=_finite
        )
        canonical(document)  # half a surrogate pair is no text that could be kept
    except json.JSONDecodeError as error:
        return None, f"not JSON (line {error.lineno}, column {error.colno})"
    except _Refusal as refusal:
        return None, str(refusal)
    except (ValueError, RecursionError):
        return None, "not JSON in UTF-8, or a number is too long"
    return document, ""


class _Refusal(ValueError):
    """What JSON parsers let pass and this one does not."""


def _bulk_problem(marks: bytes) -> str:
    """Whether a document, its texts taken out, is nested too deep, or has too many values to tell what is wrong."""
    if marks.count(b",") > _VALUE_LIMIT:
        return f"more than {_VALUE_LIMIT} values"
    depth = 0
    for bracket in _BRACKET.finditer(marks):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > _DEPTH_LIMIT:
            return f"nested deeper than {_DEPTH_LIMIT} levels"
    return ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Refusal("a key stands twice in one object")
    return document


def _not_a_number(_: str) -> NoReturn:
    raise _Refusal("NaN and infinity are no numbers here")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refusal("a number is out of range")
    return number


def path_text(parts: Sequence[str | int]) -> str:
    """A path as people read it: `family[1].role`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Form:
    """A JSON Schema (2020-12, formats checked) that documents are held against."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator = Draft202012Validator(dict(schema), validate_formats=True, offline=True)

    def problems(self, document: object) -> tuple[Problem, ...]:
        """What is wrong with it: the first 50, in the order of the document's paths."""
        found = []
        for error in self._validator.iter_errors(document):
            found.append(self._problem(error))
            if len(found) == _PROBLEM_LIMIT:
                break
        return tuple(sorted(set(found)))

    def check(self, document: object) -> None:
        """Raises: InvalidRecord with all problems."""
        problems = self.problems(document)
        if problems:
            raise InvalidRecord(problems=problems)

    def node_at(self, parts: Sequence[str | int]) -> Mapping[str, Any] | None:
        """The schema of a place, references resolved; None where the schema says nothing of it."""
        node: Mapping[str, Any] | None = self.resolved(self._schema)
        for part in parts:
            if node is None:
                return None
            child = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
            node = self.resolved(child) if child is not None else None
        return node

    def resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema node with what its reference says; its own words (the title) win."""
        reference = node.get("$ref", "")
        if not reference.startswith("#/$defs/"):
            return node
        return {**self._schema["$defs"][reference.removeprefix("#/$defs/")], **node}

    def _problem(self, error: ValidationError) -> Problem:
        place = list(error.instance_path)
        facts = error.kind.as_dict()
        rule = str(error.kind.name)
        if rule == "required":
            return Problem(path_text([*place, str(facts["property"])]), "missing")
        if rule in ("additionalProperties", "unevaluatedProperties"):
            return Problem(path_text(place) or "the document", self._unknown(place, facts["unexpected"]))
        return Problem(path_text(place) or "the document", _broken(rule, facts))

    def _unknown(self, place: Sequence[str | int], found: Sequence[str]) -> str:
        """A key that is not known may itself be a name: only known keys are told."""
        node = self.node_at(place) or {}
        known = sorted(node.get("properties", {}))
        tried = [key[:_KEY_LIMIT] for key in found[:_KEYS_COMPARED]]
        close = sorted({match for key in tried for match in difflib.get_close_matches(key, known, n=1)})
        text = f"holds {len(found)} unknown key(s)"
        if close:
            return f"{text}; did you mean {', '.join(close)}"
        return f"{text}; known: {', '.join(known[:_ALLOWED_LIMIT])}" if known else text


_TYPES = {"object": "an object", "array": "a list", "string": "a text", "integer": "a whole number", "null": "nothing"}
_FORMATS = {
    "date": "a date such as 2026-03-14",
    "date-time": "a time with its offset such as 2026-03-14T09:30:00+01:00",
    "email": "an e-mail address",
}
_LIMITS = {
    "minLength": "have at least {limit} character(s)",
    "maxLength": "have at most {limit} character(s)",
    "minItems": "have at least {limit} item(s)",
    "maxItems": "have at most {limit} item(s)",
    "minimum": "be at least {limit}",
    "maximum": "be at most {limit}",
}


def _broken(rule: str, facts: Mapping[str, Any]) -> str:
    """The rule in words, from the schema's side alone: `facts` also holds what was found for some rules."""
    if rule == "enum":
        options = [str(option) for option in facts["options"]]
        more = ", …" if len(options) > _ALLOWED_LIMIT else ""
        return f"must be one of {', '.join(options[:_ALLOWED_LIMIT])}{more}"
    if rule == "const":
        return f"must be {facts['expected_value']}"
    if rule == "type":
        return "must be " + " or ".join(_TYPES.get(each, f"a {each}") for each in facts["types"])
    if rule == "format":
        return "must be " + _FORMATS.get(facts["format"], f"a {facts['format']}")
    if rule in _LIMITS:
        return f"must {_LIMITS[rule].format(limit=facts['limit'])}"
    if rule == "pattern" and facts["pattern"].startswith("^[0-9a-f]{8}-"):
        return "must be a UUID in lower case"
    if rule == "pattern":
        return f"must have the form {facts['pattern']}"
    if rule == "uniqueItems":
        return "holds the same item twice"
    if rule == "not":
        return f"may not be {json.dumps(facts['schema'], ensure_ascii=False)}"
    if rule in ("anyOf", "oneOf", "oneOfNotValid", "oneOfMultipleValid"):
        return "must have exactly one of the forms that the schema allows"
    return f"breaks the rule {rule}"
