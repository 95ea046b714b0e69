"""Check that every text that people see is translated, and translated soundly.

Marked texts (`N_`, `_`, `gettext`, `ngettext`) are taken from the folders that babel.cfg names and compared with each
catalogue in cordee/locale/. Refused are: missing, obsolete, fuzzy and empty entries; placeholders that differ from the
original's; and, in French, straight apostrophes, missing no-break spaces and words that the project does not use.
"""

from __future__ import annotations

import argparse
import ast
import re
import string
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po, write_po
from babel.util import pathmatch

__all__ = ["catalogues", "extracted", "marked", "problems_of", "read_catalogue", "updated", "write_catalogue"]

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"N_": None, "_": None, "gettext": None, "ngettext": (1, 2)}
FOLDERS = ("cordee", "node", "directory")

# One word for each secret, on every screen and in every message (the plural counts as the word).
WORDS = {
    "passphrase": "phrase de passe",
    "password": "mots? de passe",
    "six words": "six mots",
    "recovery kit": "kit de secours",
    "invitation": "invitation",
}
# Consent is never said of what was done to a minor, and so not of the sharing either: « accord pour le partage ».
NEVER = ("consentement", "consentir", "mot-clé", "passphrase", "password", "client·e")

_STARTED = datetime(2026, 1, 1, tzinfo=UTC)  # a date that changes with every run would make every run a change
_TYPOGRAPHY = (
    (re.compile(r"'"), "a straight apostrophe: write ’"),
    (re.compile(r" [:;?!»%]|« "), "an ordinary space before : ; ? ! » % or after «: write a no-break space"),
    (re.compile(r"[\wé…)}][:;?!](?=\s|$)"), "no space before : ; ? !: write a no-break space"),
    (re.compile(r"[“”\"]"), "foreign quotation marks: write « … »"),
    (re.compile(r"\.\.\."), "three dots: write …"),
)


def marked(
    file: BinaryIO, keywords: Collection[str], _tags: Collection[str], options: Mapping[str, Any]
) -> Iterator[tuple[int, str, tuple[str, ...], list[str]]]:
    """Babel's interface of an extractor: each call of a mark with plain texts, wherever it stands in the code."""
    for node in ast.walk(ast.parse(file.read())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        plain = [each.value for each in node.args if isinstance(each, ast.Constant)]
        texts = tuple(each for each in plain if isinstance(each, str))
        if name in keywords and texts:
            yield node.lineno, name, texts, []


def extracted() -> Catalog:
    """Every marked text of the sources, with the files in which it stands."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    catalog = Catalog(project="Cordée", charset="utf-8", creation_date=_STARTED)
    sources = (each for folder in FOLDERS for kind in ("*.py", "*.html") for each in (ROOT / folder).rglob(kind))
    for path in sorted(sources):
        name = path.relative_to(ROOT).as_posix()
        method = next((method for pattern, method in methods if pathmatch(pattern, name)), "ignore")
        if method == "ignore":
            continue
        for _line, message, _comments, context in extract_from_file(method, path, MARKS, (), options.get(name, {})):
            catalog.add(message, None, [(name, 0)], context=context)
    return catalog


def catalogues() -> Iterator[tuple[str, Path]]:
    """Each language that has a catalogue, with its file."""
    for path in sorted((ROOT / "cordee" / "locale").glob("*/LC_MESSAGES/cordee.po")):
        yield path.parts[-3], path


def read_catalogue(path: Path, language: str) -> Catalog:
    """The translations in a file. An entry that stands there twice is an error."""
    with path.open("rb") as file:
        return read_po(file, locale=language, domain="cordee", abort_invalid=True)


def write_catalogue(path: Path, catalog: Catalog) -> None:
    """Write a catalogue in its one form: in order of the texts, and without line numbers, which change all the time."""
    with path.open("wb") as file:
        write_po(file, catalog, width=110, sort_output=True, include_lineno=False, omit_header=False)


def updated(catalog: Catalog, template: Catalog) -> Catalog:
    """The catalogue with the template's texts: translations are kept, new texts are empty, old ones are gone."""
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
    catalog.obsolete.clear()
    catalog.header_comment = f"# {catalog.locale.english_name if catalog.locale else ''} texts of Cordée.".strip()
    catalog.fuzzy = False
    catalog.revision_date = catalog.creation_date = _STARTED
    catalog.last_translator = "Cordée"
    catalog.language_team = str(catalog.locale.english_name) if catalog.locale else ""
    catalog.msgid_bugs_address = ""
    return catalog


def problems_of(catalog: Catalog, template: Catalog, language: str) -> list[str]:
    """What is wrong with a catalogue, a line each."""
    problems = [f"obsolete: {_told(key)}" for key in catalog.obsolete]
    wanted = {message.id: message for message in template if message.id}
    present = {message.id: message for message in catalog if message.id}
    problems += [f"missing: {_told(key)}" for key in wanted if key not in present]
    problems += [f"obsolete: {_told(key)}" for key in present if key not in wanted]
    for key, message in present.items():
        if key in wanted:
            problems += [f"{problem}: {_told(key)}" for problem in _faults(message, language)]
    return problems


def _faults(message: Message, language: str) -> Iterator[str]:
    originals, texts = _forms(message.id), _forms(message.string)
    if message.fuzzy:
        yield "fuzzy"
    if not texts or not all(texts):
        yield "untranslated"
        return
    for text in texts:
        if all(_placeholders(text) != _placeholders(original) for original in originals):
            yield "other placeholders"
        if all(_margins(text) != _margins(original) for original in originals):
            yield "other spaces around it"
    if language != "fr":
        return
    for text in texts:
        yield from (what for pattern, what in _TYPOGRAPHY if pattern.search(_without_placeholders(text)))
        yield from (f"“{word}” is not our word" for word in NEVER if word in text.casefold())
        for english, french in WORDS.items():
            if re.search(rf"\b{english}s?\b", originals[0].casefold()) and not re.search(french, text.casefold()):
                yield f"“{english}” is always “{french}”"


def _forms(value: object) -> tuple[str, ...]:
    """The one text, or singular and plural."""
    return tuple(str(each) for each in value) if isinstance(value, tuple | list) else (str(value or ""),)


def _placeholders(text: str) -> Counter[str]:
    """The names between braces; a text that is no format string counts as having one of its own."""
    try:
        return Counter(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)
    except ValueError:
        return Counter([text])


def _margins(text: str) -> tuple[str, str]:
    """The white space before and after: it indents a line of several."""
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def _without_placeholders(text: str) -> str:
    """Each placeholder as one letter: what it stands for has its own spelling."""
    return re.sub(r"\{[^{}]*\}", "é", text)


def _told(key: object) -> str:
    return " | ".join(_forms(key))


def main() -> int:
    """Check every catalogue, or with `--update` bring it up to the sources first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="take new texts in and old ones out; translations stay")
    update = parser.parse_args().update
    template = extracted()
    failed = 0
    found = list(catalogues())
    if not found:
        print("no catalogue in cordee/locale/")
        return 1
    for language, path in found:
        catalog = read_catalogue(path, language)
        if update:
            catalog = updated(catalog, template)
            write_catalogue(path, catalog)
        problems = problems_of(catalog, template, language)
        failed += len(problems)
        for problem in problems:
            print(f"{language}: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
