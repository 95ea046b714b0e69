"""JSON documents as people give them: a change to a record, or many records in one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cordee.errors import N_, InvalidInput, InvalidRecord, Problem
from cordee.jsonform import parsed_json
from node.cli.files import parse_json, read_bytes

__all__ = ["checked", "documents", "merge_patch"]

_IMPORT_LIMIT = 256 << 20  # bytes


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396 §2): objects are merged, null removes, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def documents(file: Path) -> list[tuple[str, bytes]]:
    """The JSON objects of a file with their places: one object, an array, or one on each line.

    Raises: InvalidInput with the file and the line.
    """
    data = read_bytes(str(file), limit=_IMPORT_LIMIT)
    try:
        whole = parsed_json(data)
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        return [(str(file), data)]
    if isinstance(whole, list):
        places = [(f"{file}[{at}]", each) for at, each in enumerate(whole)]
    else:
        lines = [(f"{file}:{at}", line) for at, line in enumerate(data.splitlines(), start=1) if line.strip()]
        places = [(where, parse_json(line, where=where)) for where, line in lines]
    for where, each in places:
        if not isinstance(each, dict):
            raise InvalidInput(field=where, problem=N_("must be a JSON object"))
    if not places:
        raise InvalidInput(field=str(file), problem=N_("holds no record"))
    return [(where, json.dumps(each, ensure_ascii=False).encode()) for where, each in places]


def checked(parse: Callable[[bytes], object], body: bytes, *, where: str) -> None:
    """Check a record before it is sent: the same rules as the node's, but every problem names the file too.

    Raises: InvalidRecord, with all problems.
    """
    try:
        parse(body)
    except InvalidRecord as refused:
        problems = [
            Problem.of(N_("{file}: {place}"), each.problem, file=where, place=each.path, **dict(each.facts))
            for each in refused.problems
        ]
        raise InvalidRecord(problems=problems) from refused
