"""Texts for people: an error in their language, with what to do next."""

from __future__ import annotations

import errno
import gettext
import os
from collections.abc import Mapping
from datetime import date
from functools import lru_cache, partial
from pathlib import Path

from cordee.errors import N_, CordeeError, InvalidRecord, Problem, SystemRefused, filled

__all__ = ["LANGUAGES", "facts_in_words", "language_of", "problems", "refused_by_system", "text", "translate", "why"]

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


def translate(error: CordeeError, language: str | None = None, *, with_codes: bool = False) -> tuple[str, str]:
    """What is wrong, and what to do next (perhaps nothing), with the error's facts put in.

    Every fact is looked up: what no catalogue knows (an id, a path, a number) stays as it is. `with_codes`: beside a
    role stands its code, for whoever has to type it.
    """
    translated = partial(text, language=language)
    facts = facts_in_words(error.facts, language)
    role = facts.get("role", "")
    if with_codes and translated(role) != role:
        facts["role"] = f"{translated(role)} ({role})"
    return filled(error.message, facts, translated), filled(error.remedy, facts, translated)


def facts_in_words(facts: Mapping[str, str], language: str | None = None) -> dict[str, str]:
    """Facts with what only programs read put in the reader's words: `day`, a date (ISO 8601), and `who`, codes of those
    who decided on a sharing, with commas between. What is neither stays as it is.
    """
    told = dict(facts)
    if "day" in told:
        told["day"] = _day(told["day"], language or "en")
    if "who" in told:
        told["who"] = ", ".join(_decider(each, language) for each in told["who"].split(", "))
    return told


def _day(written: str, language: str) -> str:
    from babel.dates import format_date  # slow to import, and rarely needed

    try:
        return str(format_date(date.fromisoformat(written), "long", locale=language))
    except ValueError:
        return written


def _decider(code: str, language: str | None) -> str:
    from cordee.case.labels import value_label  # opens the case's schema

    try:
        return text(value_label("consents.decided_by.role", code), language)
    except KeyError:
        return text(code, language)


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
    known = _SYSTEM.get(error.errno or 0)
    return known[0] if known else otherwise


def refused_by_system(error: OSError) -> SystemRefused:
    """What the system refused, why, and what to do. Its own text is not told: it is in no language of ours."""
    code = error.errno or 0
    problem, advice = _SYSTEM.get(code, _RARE)
    what = error.filename2 if code == errno.EEXIST and error.filename2 is not None else error.filename
    if isinstance(what, bytes):
        what = os.fsdecode(what)
    if what is None or isinstance(what, int):
        what = N_("this computer")
    return SystemRefused(
        what=what, problem=problem, advice=advice, code=errno.errorcode.get(code, type(error).__name__)
    )


_WHOSE = N_("Use the account to which it belongs, or give this one the right to it (ls -l tells whose it is).")
_ELSEWHERE = N_("Choose a place on another disk.")
_NAME = N_("Check the path.")
_SYSTEM = {
    errno.ENOENT: (N_("there is no such file or folder"), _NAME),
    errno.ENOTDIR: (N_("a part of its path is no folder"), _NAME),
    errno.EISDIR: (N_("it is a folder"), N_("Name a file.")),
    errno.EEXIST: (N_("it is there already"), N_("Choose another name, or remove it first.")),
    errno.ENOTEMPTY: (N_("the folder is not empty"), N_("Choose another name, or remove it first.")),
    errno.EACCES: (N_("this account may not open it"), _WHOSE),
    errno.EPERM: (N_("the system does not allow it to this account, or not on this disk"), _WHOSE),
    errno.EROFS: (
        N_("its disk can only be read"),
        N_("Choose a place on another disk, or mount this one for writing."),
    ),
    errno.ELOOP: (N_("it is a link, or its links lead nowhere"), N_("Name the file itself.")),
    errno.ENAMETOOLONG: (N_("its name is too long"), N_("Choose a shorter one.")),
    errno.EBUSY: (N_("another program uses it"), N_("End that program (fuser names it), or choose another place.")),
    errno.ETXTBSY: (N_("another program uses it"), N_("End that program (fuser names it), or choose another place.")),
    errno.ENOTSUP: (N_("its disk cannot do what is asked of it"), _ELSEWHERE),
    errno.ENXIO: (N_("it is no file"), N_("Name a file.")),
    errno.ESPIPE: (N_("it is no file"), N_("Name a file.")),
    errno.ENODEV: (N_("its disk is gone"), _ELSEWHERE),
    errno.ESTALE: (N_("its disk is gone"), _ELSEWHERE),
    errno.EADDRINUSE: (
        N_("nobody can listen there: another program does, this account may not, or it is no address of this computer"),
        N_("End that program (ss -ltnp names it), or choose another port."),
    ),
}
_SYSTEM[errno.EADDRNOTAVAIL] = _SYSTEM[errno.EADDRINUSE]
_RARE = (N_("the system refuses it ({code})"), N_("Try again with -v and tell whoever looks after this machine."))


@lru_cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("cordee", localedir=_LOCALE, languages=[language], fallback=True)
