"""Texts for people: an error in their language, with what to do next."""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from cordee.errors import CordeeError

__all__ = ["LANGUAGES", "language_of", "text", "translate"]

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
    """What is wrong, and what to do next (perhaps nothing), with the error's facts put in."""
    facts = _Facts(error.facts)
    return (
        text(error.message, language).format_map(facts),
        text(error.remedy, language).format_map(facts),
    )


@lru_cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("cordee", localedir=_LOCALE, languages=[language], fallback=True)


class _Facts(dict[str, str]):
    """A fact that is missing shows as its name."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
