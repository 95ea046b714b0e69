"""Pages out of templates: in the reader's language, with dates and numbers as they are written there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal
from babel.units import format_unit
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from cordee.case.labels import field_label, section_label, value_label
from cordee.errors import N_, CordeeError, InvalidRecord, Problem
from cordee.runtime.texts import problems, text, translate
from cordee.web.request import HasFormToken
from cordee.web.times import exact_moment, moment_text, span_text
from cordee.web.wall import HERE

__all__ = ["Templates", "problems_in_words", "refused_in_words", "size_text"]

_INDEX = re.compile(r"\[(\d+)\]")
_IN_WORDS = {
    N_("must have the form {form}"): N_("does not have the form that is asked for"),
    N_("must be one of {options}"): N_("choose one of those that are offered"),
}
"""What is told of a document with a pattern or with codes in it → the same for who fills in a form."""
_CORRECT = N_("Some answers are to be corrected")  # the list below says which: a path of the document is no word
_UNITS = ("kB", "MB", "GB")


class Templates:
    """The templates of one site: its own package's, and those here that all sites share."""

    def __init__(self, package: str) -> None:
        self._package = package

    def page(self, template: str, language: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, rendered. A name that the template asks for and nobody gave is a fault of ours."""
        found = self.environment(language).get_template(template)
        return HTMLResponse(found.render(**values), status_code=status)

    def environment(self, language: str) -> Environment:
        """What renders them in a language."""
        return _environment(self._package, language)


def problems_in_words(refused: CordeeError, language: str) -> list[Problem]:
    """Every place of a record that breaks its schema, for a page: without patterns and codes."""
    if isinstance(refused, InvalidRecord):
        told = [each._replace(problem=_IN_WORDS.get(each.problem, each.problem)) for each in refused.problems]
        refused = InvalidRecord(problems=told)
    return problems(refused, language)


def refused_in_words(refused: CordeeError, language: str) -> tuple[str, str]:
    """What is wrong and what to do, for the head of a form; with a record's problems in a list below it."""
    message, remedy = translate(refused, language)
    return (text(_CORRECT, language) if isinstance(refused, InvalidRecord) else message), remedy


@lru_cache
def _environment(package: str, language: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("cordee.web")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        _=partial(_told, language=language),
        language=language,
        colon="\u00a0: " if language == "fr" else ": ",
        other_language="en" if language == "fr" else "fr",
        form_token=_form_token,
        field_label=field_label,
        section_label=section_label,
        value_label=value_label,
    )
    environment.filters.update(
        day=partial(_day, language=language),
        moment=partial(moment_text, language=language),
        exact=partial(exact_moment, language=language),
        span=partial(span_text, language=language),
        days=partial(_days, language=language),
        number=partial(format_decimal, locale=language),
        size=partial(size_text, language=language),
        words=partial(_words, language=language),
        anchor=_anchor,
        beside=_beside,
        place=partial(_place, language=language),
        spoken=partial(_spoken, language=language),
        wall_time=_wall_time,
    )
    return environment


def _told(message: str, /, *, language: str, **facts: object) -> Markup | str:
    """A marked text, its facts escaped as everything else is."""
    told = text(message, language)
    return Markup(told).format(**facts) if facts else told  # noqa: S704  # our own text; facts are escaped by format


def _words(message: str, *, language: str) -> str:
    return text(message, language)


def _form_token(visit: HasFormToken) -> Markup:
    """First in each form, before anything that is long."""
    return Markup('<input type="hidden" name="form_token" value="{}">').format(visit.form_token)


def _anchor(path: str) -> str:
    """A field's place on the page."""
    return re.sub(r"[^a-z0-9_]+", "-", path).strip("-")


def _beside(problems: Sequence[Problem], anchor: str) -> list[Problem]:
    """Those that are told at this place of the page: its own, and of what is listed in it."""
    return [each for each in problems if _anchor(each.path) == anchor or _anchor(each.path).startswith(f"{anchor}-")]


def _place(path: str, *, language: str) -> str:
    """A path of the record as people read it: its label, and which entry it is."""
    known = _INDEX.sub("", path).replace("[new]", "")
    number = _INDEX.search(path)
    try:
        label = text(field_label(known) if "." in known else section_label(known), language)
    except KeyError:
        return path
    return f"{label} ({int(number[1]) + 1})" if number else label


def _spoken(code: str, *, language: str) -> str:
    """The name of a language that somebody speaks."""
    name: str = Locale.parse(language).languages.get(code, code)
    return name


def _wall_time(value: str) -> str:
    """As an input of a local date and time takes it."""
    return datetime.fromisoformat(value).astimezone(HERE).strftime("%Y-%m-%dT%H:%M")


def _day(value: date | str, *, language: str) -> str:
    known = date.fromisoformat(value[:10]) if isinstance(value, str) else value
    return format_date(known, "long", locale=language)


def _days(value: timedelta, *, language: str) -> str:
    """Whole days, however many: nine days are not a week."""
    return format_unit(value.days, "duration-day", locale=language)


def size_text(size: int, *, language: str) -> str:
    """Bytes as people read them: powers of ten, one decimal."""
    amount, unit = float(size), "B" if language == "en" else "o"
    for larger in _UNITS:
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger if language == "en" else larger[0] + "o"
    return f"{format_decimal(amount, '#,##0.#', locale=language)}\u00a0{unit}"
