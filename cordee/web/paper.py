"""Paper: a PDF made in memory, with fonts that every reader has, so that nothing of it is written to a disk."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cordee.runtime.texts import text

if TYPE_CHECKING:
    from fpdf import FPDF

__all__ = ["ENCODING", "Part", "printed", "writable"]

Part = tuple[str, str]
"""What stands on a sheet: title, heading, text, item, line or small; and its words."""

ENCODING: Final = "windows-1252"  # what the readers' own fonts hold: French, quotation marks, the euro sign
_LOOSE: Final = {
    "\u202f": "\u00a0",
    "\u2011": "-",
    "\u2212": "-",
    "→": "-",
    "←": "-",
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "ı": "i",
}


def printed(parts: Iterable[Part], *, now: datetime, language: str, stamp: str = "", foot: str = "") -> bytes:
    """Sheets of A4. `stamp`, a marked text, stands at the head of each page, `foot` with its number at its end."""
    from fpdf import FPDF  # twenty MiB of memory that a node without such a sheet does not need

    class Sheet(FPDF):
        def header(self) -> None:
            if stamp:
                _put(self, "stamp", writable(text(stamp, language)))

        def footer(self) -> None:
            if foot:
                self.set_y(-12)
                self.set_font("helvetica", size=9)
                self.cell(0, 5, f"{writable(foot)} \u00b7 {self.page_no()}/{{nb}}", align="C")

    pdf = Sheet(format="A4")
    pdf.core_fonts_encoding = ENCODING
    pdf.set_lang(language)
    pdf.set_title("Notes")
    pdf.set_creation_date(now)
    pdf.set_margin(20)
    pdf.set_auto_page_break(True, margin=16)
    pdf.add_page()
    for kind, words in parts:
        _put(pdf, kind, writable(words))
    return bytes(pdf.output())


def _put(pdf: FPDF, kind: str, words: str) -> None:
    size, style, above, height = {
        "title": (20, "B", 0, 9),
        "heading": (13, "B", 4, 7),
        "text": (12, "", 1, 6.2),
        "item": (12, "", 0.5, 6.2),
        "line": (10.5, "", 0.5, 5.4),
        "small": (9.5, "", 3, 5),
        "stamp": (14, "B", 0, 9),
    }[kind]
    pdf.ln(above)
    pdf.set_font("helvetica", style=style, size=size)
    if kind == "stamp":
        pdf.multi_cell(0, height, words, new_x="LMARGIN", new_y="NEXT", align="C", border=1)
        return
    if kind == "item":
        pdf.cell(6, height, "\u2022")
    pdf.multi_cell(0, height, words, new_x="LMARGIN", new_y="NEXT", align="L")


def writable(words: str) -> str:
    """In letters that the font has: a name in others keeps its base letters, and nothing ever fails for a letter."""
    found = []
    for each in "".join(_LOOSE.get(letter, letter) for letter in words):
        try:
            each.encode(ENCODING)
            found.append(each)
        except UnicodeEncodeError:
            plain = unicodedata.normalize("NFKD", each).encode("ascii", "ignore").decode()
            found.append(plain or "?")
    return "".join(found)
