"""What is looked for where nothing of a case may be: only what can have come from a case alone.

Bits of ids occur by chance, ordinary words stand in programs: what is found must mean that something leaked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import cache
from importlib.metadata import distributions
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["needles_of", "phrases_of"]

# Whole values of these fields stand for one person or place.
_NAMES = frozenset(
    {
        *("last_name", "first_name", "used_name", "other_names", "alias", "handle", "trusted_adult_name"),
        *("email", "address", "birth_place", "school_name", "doctor", "lawyer", "reference", "report_reference"),
    }
)
_TECHNICAL = re.compile(r"meta|schema_version|.*_ids?|(.*_)?role")  # no secret; the program knows the roles by name
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_NUMBER = re.compile(r"\+?(?<!\d)\d{8,}(?!\d)")  # of a telephone, a file: fewer digits occur by chance
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\S*)?")
_WORD = re.compile(r"\w[\w'’-]*")
_CODE = re.compile(r"[a-z0-9_./-]*")  # of the form's lists
_NAME_LENGTH = 5  # characters
_RARE_LENGTH = 10
_PHRASE_WORDS = 3
_PHRASE_LENGTH = 16
_DAYS_AROUND = (-1, 91)  # of what happens now and what is due


def needles_of(records: Iterable[object], public: Iterable[object], *, today: date) -> set[str]:
    """Names, telephone numbers, dates and phrases of the cases; without what the associations publish of themselves,
    what the program itself says, and the dates around today, which others have as well.
    """
    begin, end = _DAYS_AROUND
    around = {(today + timedelta(days=each)).isoformat() for each in range(begin, end)}
    found = {needle for record in records for field, text in _told(record) for needle in _of_text(field, text)}
    spoken = json.dumps(list(public), ensure_ascii=False).casefold() + _program()
    return {each for each in found - around - _released() if each.casefold() not in spoken}


def phrases_of(text: str) -> set[str]:
    """Every run of three words or more that has sixteen characters or more, as short as may be, as it stands."""
    words = [found.span() for found in _WORD.finditer(text)]
    found = set()
    for at, (begin, _) in enumerate(words):
        for _, end in words[at + _PHRASE_WORDS - 1 :]:
            if end - begin >= _PHRASE_LENGTH:
                found.add(text[begin:end])
                break
    return found


def _told(record: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its field's name, without ids and states."""
    if isinstance(record, dict):
        for key, value in record.items():
            if not _TECHNICAL.fullmatch(key):
                yield from _told(value, key)
    elif isinstance(record, list):
        for each in record:
            yield from _told(each, field)
    elif isinstance(record, str):
        yield field, record


def _of_text(field: str, text: str) -> Iterator[str]:
    for line in map(str.strip, _ID.sub("\n", text).splitlines()):
        yield from _DATE.findall(line)
        yield from _NUMBER.findall(line)
        rare = not _CODE.fullmatch(line) and len(_WORD.findall(line)) < _PHRASE_WORDS and len(line) >= _RARE_LENGTH
        if rare or (field in _NAMES and len(line) >= _NAME_LENGTH):
            yield line
        for piece in _MOMENT.split(line):
            yield from phrases_of(piece)


@cache
def _program() -> str:
    """The texts of what the directory runs: sources, lists, catalogues."""
    return "\n".join(text for package in ("cordee", "directory") for text in _texts(files(package))).casefold()


def _texts(folder: Traversable) -> Iterator[str]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _texts(each)
        elif each.name.endswith((".py", ".json", ".mo")):
            yield each.read_bytes().decode(errors="ignore")


@cache
def _released() -> frozenset[str]:
    """Dates in the descriptions of the installed packages: a server may read one to learn a version."""
    return frozenset(day for each in distributions() for day in _DATE.findall(each.read_text("METADATA") or ""))
