"""Sheets of recovery words on paper: one page each, for an envelope each, in French and in English.

Made in memory, with fonts that every reader has; whoever calls this decides where the bytes go.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cordee.errors import N_
from cordee.runtime.texts import text
from cordee.shares import Sheet

if TYPE_CHECKING:
    from fpdf import FPDF

__all__ = ["Purpose", "printed"]

_ENCODING: Final = "windows-1252"  # what the readers' own fonts hold
_LANGUAGES: Final = ("fr", "en")
_COLUMNS: Final = 3
_MARGIN: Final = 18  # millimetres
_MANY: Final = 40  # words, from which on they stand closer
_WIDE = {"\u202f": "\u00a0", "\u2011": "-"}

_TITLE = N_("Recovery sheet {number} of {count}")
_ENOUGH = N_("{needed} of these {count} sheets together open it. This one alone opens nothing.")
_KEEP = N_("Put this sheet into an envelope of its own, close it, and keep it where the other sheets are not.")
_NEVER = N_("Never photograph it, never scan it, never send it, never type it anywhere but into the command below.")
_WORDS = N_("The words are English for everybody: copy them as they stand. Their first four letters are enough.")
_USE = N_("On the day: {command}")
_ONCE_A_YEAR = N_("Once a year, try it out, which uses nothing up: {command}")


@dataclass(frozen=True)
class Purpose:
    """What a kit opens, in a marked text, and the commands that take its sheets."""

    opens: str  # a marked text: "the records of this association"
    name: str  # of whose it is, for people
    count: int
    made_at: datetime
    on_the_day: str
    to_try: str


def printed(sheet: Sheet, purpose: Purpose) -> bytes:
    """One sheet as a PDF of one page, A4."""
    from fpdf import FPDF  # twenty MiB of memory that a program without such a sheet does not need

    pdf = FPDF(format="A4")
    pdf.core_fonts_encoding = _ENCODING
    pdf.set_title("Notes")
    pdf.set_creation_date(purpose.made_at)
    pdf.set_margin(_MARGIN)
    pdf.set_auto_page_break(False)
    pdf.add_page()
    facts = {"number": sheet.number, "count": purpose.count, "needed": sheet.needed}
    titles = [text(_TITLE, language).format(**facts) for language in _LANGUAGES]
    _line(pdf, titles[0], size=20, style="B", height=9)
    _line(pdf, titles[1], size=13, height=7)
    _line(pdf, purpose.name, size=13, style="B", height=8, above=2)
    opens = " / ".join(text(purpose.opens, language) for language in _LANGUAGES)
    _line(pdf, opens, size=10, height=5.5)
    day = purpose.made_at.date().isoformat()
    kit = " / ".join(text(N_("Kit {kit} of {day}"), each).format(kit=sheet.kit, day=day) for each in _LANGUAGES)
    _line(pdf, kit, size=11, height=7, above=1)
    _grid(pdf, sheet.words)
    size, height = (11, 5.3) if len(sheet.words) < _MANY else (10, 4.9)
    commands = ((_USE, purpose.on_the_day), (_ONCE_A_YEAR, purpose.to_try))
    for language in _LANGUAGES:
        pdf.ln(3)
        told = [text(each, language).format(**facts) for each in (_ENOUGH, _KEEP, _NEVER, _WORDS)]
        told += [text(each, language).format(command=command) for each, command in commands]
        for line in told:
            _line(pdf, line, size=size, height=height)
    return bytes(pdf.output())


def _grid(pdf: FPDF, words: Sequence[str]) -> None:
    """Numbered words, column by column, so large that they are copied without a mistake."""
    pdf.ln(2)
    columns = _COLUMNS if len(words) < _MANY else _COLUMNS + 1
    rows = -(-len(words) // columns)
    width, height = (pdf.w - 2 * _MARGIN) / columns, 9 if len(words) < _MANY else 7.2
    size = 14 if len(words) < _MANY else 11
    top = pdf.get_y()
    for at, word in enumerate(words):
        pdf.set_xy(_MARGIN + (at // rows) * width, top + (at % rows) * height)
        pdf.set_font("helvetica", size=9)
        pdf.cell(8, height, f"{at + 1}", align="R", border=0)
        pdf.set_font("courier", style="B", size=size)
        pdf.cell(width - 8, height, word)
    pdf.set_xy(_MARGIN, top + rows * height)
    pdf.set_draw_color(120)
    pdf.rect(_MARGIN - 2, top - 1, pdf.w - 2 * _MARGIN + 4, rows * height + 2)


def _line(pdf: FPDF, words: str, *, size: float, height: float, style: str = "", above: float = 0) -> None:
    pdf.ln(above)
    pdf.set_font("helvetica", style=style, size=size)
    pdf.multi_cell(0, height, _writable(words), new_x="LMARGIN", new_y="NEXT", align="L")


def _writable(words: str) -> str:
    """In letters that the font has: a name in others keeps its base letters."""
    found = []
    for each in "".join(_WIDE.get(letter, letter) for letter in words):
        try:
            each.encode(_ENCODING)
            found.append(each)
        except UnicodeEncodeError:
            found.append(unicodedata.normalize("NFKD", each).encode("ascii", "ignore").decode() or "?")
    return "".join(found)
