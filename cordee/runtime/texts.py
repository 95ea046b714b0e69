"""Texts for people: an error in their language, with what to do next."""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

from cordee.errors import N_, CordeeError, InvalidRecord, Problem, filled

__all__ = ["LANGUAGES", "language_of", "problems", "text", "translate", "why"]

LANGUAGES = ("fr", "en")
_LOCALE = Path(__file__).resolve().parent.parent / "locale"


def language_of(environment: Mapping[str, str] = os.environ) -> str:
    """The language that the environment asks for, of those that we have; English where it asks for none of them."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(variable, "")
        if value:
            return next((language for language in LANGUAGES if value.startswith(language)), "en")
    return "en"


def text(message: str, language: str | None = None) -> str:
    """A marked text in a language; in English where nobody has translated it."""
    return _catalogue(language or "en").gettext(message) if message else ""


def translate(error: CordeeError, language: str | None = None) -> tuple[str, str]:
    """What is wrong, and what to do next (perhaps nothing), with the error's facts put in.

    Every fact is looked up: what no catalogue knows (an id, a path, a number) stays as it is.
    """
    translated = partial(text, language=language)
    return filled(error.message, error.facts, translated), filled(error.remedy, error.facts, translated)


def problems(error: CordeeError, language: str | None = None) -> list[Problem]:
    """Every place of a record that breaks its schema, told in full; none for another error."""
    if not isinstance(error, InvalidRecord):
        return []
    translated = partial(text, language=language)
    told = ((each, dict(each.facts)) for each in error.problems)
    return [
        Problem(filled(each.path, facts, translated), filled(each.problem, facts, translated)) for each, facts in told
    ]


def why(error: OSError, otherwise: str) -> str:
    """What keeps a file from being read or written, as a marked text; `otherwise` where it is something rare."""
    return next((told for kind, told in _FILE_PROBLEMS if isinstance(error, kind)), otherwise)


_FILE_PROBLEMS: tuple[tuple[type[OSError], str], ...] = (
    (FileNotFoundError, N_("there is no such file or folder")),
    (PermissionError, N_("this account may not open it")),
    (IsADirectoryError, N_("it is a folder")),
    (NotADirectoryError, N_("a part of its path is no folder")),
)


@lru_cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("cordee", localedir=_LOCALE, languages=[language], fallback=True)
