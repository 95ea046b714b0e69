"""The sheet for child protection (CRIP): an *information préoccupante*, complete and ready to be signed by hand.

In the shape of their forms (domain W10): the child, the holders of authority, addresses, school, facts with dates,
words, what was done already, whether the parents were told, who writes. What stands on it is what the act and the
purpose's matrix let leave; what lets somebody find the child, or names an exploiter, is never printed (domain §1.2,
level 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from babel import Locale
from babel.dates import format_date

from cordee.case.form import SECTIONS
from cordee.case.labels import field_label, section_label, value_label
from cordee.errors import N_
from cordee.profile import departement_name
from cordee.runtime.texts import text
from cordee.web.paper import Part
from cordee.web.times import moment_text
from cordee.web.wall import HERE
from node.web.act_words import say
from node.web.lines import Line, lines_of
from node.web.receipt import House

__all__ = ["ORDER", "Written", "report"]

_FIRST: Final = ("identity", "contact", "family", "housing", "schooling", "situation", "risk")
ORDER: Final = (*_FIRST, *(each for each in SECTIONS if each not in (*_FIRST, "meta", "attachments")))
"""In which order the sections of the record stand on the sheet: who, where, then what. `meta` is the node's own."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the author adds, in words of their own."""

    facts: str
    done: str
    parents: str  # as judicial.alerts.parents_informed
    parents_words: str
    minor: str  # as judicial.alerts.minor_informed
    author: str
    function: str


def report(
    sections: Mapping[str, Any],
    written: Written,
    house: House,
    *,
    departement: str,
    number: str,
    decided: str,
    now: datetime,
    language: str,
) -> Iterator[Part]:
    """What stands on it. `sections`: what may leave of the record; `decided`: the act it rests on, in words."""
    where = departement_name(departement)
    yield "title", text(N_("Worrying information about a child"), language)
    yield "text", say(N_("To the CRIP of the département: {where} ({code})"), language, where=where, code=departement)
    yield "line", say(N_("Written on {day} by {author}, {function}"), language, day=_day(now, language),
                      author=written.author, function=written.function)  # fmt: skip
    yield "line", ", ".join((house.name, *house.reach))
    yield "line", say(N_("Our number: {number}"), language, number=number)
    yield "heading", text(N_("Facts, with their dates"), language)
    yield from _paragraphs(written.facts)
    if written.done:
        yield "heading", text(N_("What was done already"), language)
        yield from _paragraphs(written.done)
    yield "heading", text(N_("Who was told of this"), language)
    yield from _coded("judicial.alerts.parents_informed", written.parents, language)
    if written.parents_words:
        yield from _paragraphs(written.parents_words)
    yield from _coded("judicial.alerts.minor_informed", written.minor, language)
    for name in ORDER:
        groups = [each for each in lines_of(name, sections.get(name)) if any(line.shown for line in each)]
        if groups:
            yield "heading", text(section_label(name), language)
        for index, lines in enumerate(groups):
            if index:
                yield "line", ""
            yield from _lines(lines, language)
    yield "heading", text(N_("Signature"), language)
    yield "line", say(N_("This rests on: {what}"), language, what=decided)
    yield "text", say(N_("{author}, {function}"), language, author=written.author, function=written.function)
    yield "text", text(N_("Date, place and signature:"), language)
    yield "text", "\n\n" + "_" * 40
    yield (
        "small",
        text(N_("Confidential: for professionals who must keep it secret (CASF L226-3)."), language),
    )


def _lines(lines: tuple[Line, ...], language: str) -> Iterator[Part]:
    for each in lines:
        if not each.shown:
            continue
        label = text(each.label, language)
        if each.groups:
            yield "line", say(N_("{label}:"), language, label=label)
            for group in each.groups:
                yield from _lines(group, language)
        else:
            told = ", ".join(_words(value, each.kind, language) for value in each.values)
            yield "line", say(N_("{label}: {value}"), language, label=label, value=told)


def _words(value: str, kind: str, language: str) -> str:
    if kind == "code":
        return text(value, language)
    if kind == "language":
        return str(Locale.parse(language).languages.get(value, value))
    try:
        if kind == "day":
            return str(format_date(date.fromisoformat(value), "long", locale=language))
        return moment_text(value, language) if kind == "moment" else value
    except ValueError:
        return value


def _coded(path: str, value: str, language: str) -> Iterator[Part]:
    label, told = text(field_label(path), language), text(value_label(path, value), language)
    yield "line", say(N_("{label}: {value}"), language, label=label, value=told)


def _paragraphs(words: str) -> Iterator[Part]:
    yield from (("text", each.strip()) for each in words.splitlines() if each.strip())


def _day(now: datetime, language: str) -> str:
    return str(format_date(now.astimezone(HERE).date(), "long", locale=language))
