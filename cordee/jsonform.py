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

from cordee.errors import N_, InvalidRecord, Problem

__all__ = ["Form", "canonical", "load_json", "package_data", "parsed_json", "path_text"]

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


def parsed_json(data: bytes | str) -> Any:
    """A short file of our own making that came from elsewhere. Raises: ValueError, also where it nests too deep."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None


def load_json(data: bytes, *, limit: int, what: str) -> Any:
    """Parse one JSON document: UTF-8, no key twice in one object, no NaN or infinity, at most 16 levels
    deep and 50,000 values.

    `limit` is in bytes; `what` names the document in the problem.

    Raises: InvalidRecord.
    """
    if len(data) > limit:
        raise InvalidRecord(path=what, problem=N_("longer than {limit} bytes"), limit=limit)
    document = None
    refusal = _bulk_problem(_STRING.sub(b"", data))
    if refusal is None:
        document, refusal = _parsed(data)
    if refusal is not None:
        raise InvalidRecord(problems=[Problem.of(what, refusal.problem, **refusal.facts)])
    return document


def _parsed(data: bytes) -> tuple[Any, _Refusal | None]:
    """The document, or what is wrong with it: a parser's own error holds the text, so it goes no further than here."""
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_not_a_number, parse_float=_finite
        )
        canonical(document)  # half a surrogate pair is no text that could be kept
    except json.JSONDecodeError as error:
        return None, _Refusal(N_("not JSON (line {line}, column {column})"), line=error.lineno, column=error.colno)
    except _Refusal as refusal:
        return None, refusal
    except (ValueError, RecursionError):
        return None, _Refusal(N_("not JSON in UTF-8, or a number is too long"))
    return document, None


class _Refusal(ValueError):
    """Why a document is not read, as a marked text and its facts. Not all of it is refused by JSON parsers."""

    def __init__(self, problem: str, **facts: int) -> None:
        super().__init__(problem)
        self.problem, self.facts = problem, facts


def _bulk_problem(marks: bytes) -> _Refusal | None:
    """Whether a document, its texts taken out, is nested too deep, or has too many values to tell what is wrong."""
    if marks.count(b",") > _VALUE_LIMIT:
        return _Refusal(N_("more than {limit} values"), limit=_VALUE_LIMIT)
    depth = 0
    for bracket in _BRACKET.finditer(marks):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > _DEPTH_LIMIT:
            return _Refusal(N_("nested deeper than {limit} levels"), limit=_DEPTH_LIMIT)
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Refusal(N_("a key stands twice in one object"))
    return document


def _not_a_number(_: str) -> NoReturn:
    raise _Refusal(N_("NaN and infinity are no numbers here"))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refusal(N_("a number is out of range"))
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
            return Problem(path_text([*place, str(facts["property"])]), N_("missing"))
        if rule in ("additionalProperties", "unevaluatedProperties"):
            return self._unknown(place, facts["unexpected"])
        return _broken(path_text(place) or _WHOLE, rule, facts)

    def _unknown(self, place: Sequence[str | int], found: Sequence[str]) -> Problem:
        """A key that is not known may itself be a name: only known keys are told."""
        node = self.node_at(place) or {}
        known = sorted(node.get("properties", {}))
        tried = [key[:_KEY_LIMIT] for key in found[:_KEYS_COMPARED]]
        close = sorted({match for key in tried for match in difflib.get_close_matches(key, known, n=1)})
        path, count = path_text(place) or _WHOLE, len(found)
        if close:
            text = N_("holds {count} unknown key(s); did you mean {close}")
            return Problem.of(path, text, count=count, close=", ".join(close))
        if known:
            text = N_("holds {count} unknown key(s); known: {known}")
            return Problem.of(path, text, count=count, known=", ".join(known[:_ALLOWED_LIMIT]))
        return Problem.of(path, N_("holds {count} unknown key(s)"), count=count)


_WHOLE = N_("the document")
_TYPES = {
    "object": N_("an object"),
    "array": N_("a list"),
    "string": N_("a text"),
    "integer": N_("a whole number"),
    "number": N_("a number"),
    "boolean": N_("true or false"),
    "null": N_("nothing"),
}
_FORMATS = {
    "date": N_("must be a date such as 2026-03-14"),
    "date-time": N_("must be a time with its offset such as 2026-03-14T09:30:00+01:00"),
    "email": N_("must be an e-mail address"),
}
_LIMITS = {
    "minLength": N_("must have at least {limit} character(s)"),
    "maxLength": N_("must have at most {limit} character(s)"),
    "minItems": N_("must have at least {limit} item(s)"),
    "maxItems": N_("must have at most {limit} item(s)"),
    "minimum": N_("must be at least {limit}"),
    "maximum": N_("must be at most {limit}"),
}


def _broken(path: str, rule: str, facts: Mapping[str, Any]) -> Problem:
    """The rule in words, from the schema's side alone: `facts` also holds what was found for some rules."""
    if rule == "enum":
        options = [str(option) for option in facts["options"]]
        more = ", …" if len(options) > _ALLOWED_LIMIT else ""
        told = f"{', '.join(options[:_ALLOWED_LIMIT])}{more}"
        return Problem.of(path, N_("must be one of {options}"), options=told)
    if rule == "const":
        return Problem.of(path, N_("must be {expected}"), expected=facts["expected_value"])
    if rule == "type":
        return _wrong_type(path, [_TYPES[each] for each in facts["types"]])
    if rule == "format":
        return Problem.of(path, _FORMATS.get(facts["format"], N_("must be a {format}")), format=facts["format"])
    if rule in _LIMITS:
        return Problem.of(path, _LIMITS[rule], limit=facts["limit"])
    if rule == "pattern" and facts["pattern"].startswith("^[0-9a-f]{8}-"):
        return Problem(path, N_("must be a UUID in lower case"))
    if rule == "pattern":
        return Problem.of(path, N_("must have the form {form}"), form=facts["pattern"])
    if rule == "uniqueItems":
        return Problem(path, N_("holds the same item twice"))
    if rule == "not":
        return Problem.of(path, N_("may not be {forbidden}"), forbidden=json.dumps(facts["schema"], ensure_ascii=False))
    if rule in ("anyOf", "oneOf", "oneOfNotValid", "oneOfMultipleValid"):
        return Problem(path, N_("must have exactly one of the forms that the schema allows"))
    return Problem.of(path, N_("breaks the rule {rule}"), rule=rule)


def _wrong_type(path: str, types: Sequence[str]) -> Problem:
    if len(types) == 1:
        return Problem.of(path, N_("must be {type}"), type=types[0])
    if len(types) == 2:
        return Problem.of(path, N_("must be {type} or {other}"), type=types[0], other=types[1])
    return Problem(path, N_("has a type that the schema does not allow"))
