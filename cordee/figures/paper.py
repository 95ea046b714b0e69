"""The report as PDF, on A4: the same tables, each count with its bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cordee.figures.page import WORDS
from cordee.figures.report import Report, Row, Table, day_text, number_text
from cordee.runtime.texts import text
from cordee.web.paper import ENCODING, writable

if TYPE_CHECKING:
    from fpdf import FPDF

__all__ = ["paper"]

_LABEL, _BAR, _NUMBER = 88, 52, 30  # millimetres
_LINE: Final = 5.0
_SOFT: Final = (74, 86, 104)
_MAIN: Final = (29, 79, 145)


def paper(report: Report, language: str) -> bytes:
    """The sheets."""
    from fpdf import FPDF  # twenty MiB of memory that a process without such a sheet does not need

    foot = f"{text(WORDS['title'], language).format(year=report.year)} \u00b7 {report.name}"

    class Sheet(FPDF):
        def footer(self) -> None:
            self.set_y(-12)
            self.set_font("helvetica", size=9)
            self.set_text_color(*_SOFT)
            self.cell(0, 5, f"{writable(foot)[:100]} \u00b7 {self.page_no()}/{{nb}}", align="C")

    pdf = Sheet(format="A4")
    pdf.core_fonts_encoding = ENCODING
    pdf.set_lang(language)
    pdf.set_title(writable(text(WORDS["title"], language).format(year=report.year)))
    pdf.set_creation_date(report.made)
    pdf.set_margin(20)
    pdf.set_auto_page_break(True, margin=18)
    pdf.add_page()
    _head(pdf, report, language)
    for table in report.tables:
        _table(pdf, table, language)
    return bytes(pdf.output())


def _head(pdf: FPDF, report: Report, language: str) -> None:
    days = {"closed": day_text(report.closed, language), "made": day_text(report.made, language)}
    if report.stamp:
        _words(pdf, text(report.stamp, language), size=14, style="B", border=True)
    _words(pdf, text(WORDS["title"], language).format(year=report.year), size=20, style="B", height=9)
    _words(pdf, report.name, size=12, style="B")
    _words(pdf, text(WORDS["closed"], language).format(year=report.year, **days), size=11)
    if report.since:
        since = text(WORDS["since"], language).format(since=day_text(report.since, language))
        _words(pdf, since, size=11, style="B")
    pdf.ln(2)
    for each in report.notes:
        _words(pdf, f"\u2022 {text(each, language)}", size=10)


def _table(pdf: FPDF, table: Table, language: str) -> None:
    rows = len(table.rows) + table.has_total
    if pdf.will_page_break(28 + rows * 2.2 * _LINE):
        pdf.add_page()
    pdf.ln(5)
    _words(pdf, text(table.kind.title, language), size=13, style="B", height=7)
    _words(pdf, text(table.kind.about, language), size=10)
    _words(pdf, text(table.status, language), size=9, soft=True)
    pdf.ln(1)
    most = max((row.count for row in table.rows if row.count is not None), default=0)
    for row in table.rows:
        _row(pdf, row, most, language)
    if table.has_total:
        _total(pdf, table, language)
    source = f"{text(WORDS['source'], language)} {text(table.kind.source, language)}"
    _words(pdf, source, size=9, soft=True)


def _row(pdf: FPDF, row: Row, most: int, language: str) -> None:
    y = pdf.get_y()
    pdf.set_font("helvetica", size=10)
    pdf.multi_cell(_LABEL, _LINE, writable(text(row.label, language)), new_x="LMARGIN", new_y="NEXT", align="L")
    pdf.set_font("helvetica", size=8.5)
    pdf.set_text_color(*_SOFT)
    pdf.multi_cell(_LABEL, 4, writable(text(row.meaning, language)), new_x="LMARGIN", new_y="NEXT", align="L")
    pdf.set_text_color(0)
    end, x = pdf.get_y(), pdf.l_margin + _LABEL + 3
    pdf.set_draw_color(*_MAIN)
    pdf.set_fill_color(*_MAIN)
    if row.count is None:
        pdf.set_draw_color(*_SOFT)
        pdf.set_dash_pattern(dash=1, gap=0.8)
        pdf.rect(x, y + 0.6, 6, 3.8)
        pdf.set_dash_pattern()
    elif row.count:
        pdf.rect(x, y + 0.6, _BAR * row.count / most, 3.8, style="DF")
    _number(pdf, number_text(row.count, language), y, bold=row.count is not None)
    pdf.set_xy(pdf.l_margin, end + 1)
    pdf.set_draw_color(*_SOFT)
    pdf.line(pdf.l_margin, end + 0.4, pdf.w - pdf.r_margin, end + 0.4)


def _total(pdf: FPDF, table: Table, language: str) -> None:
    y = pdf.get_y()
    pdf.set_font("helvetica", style="B", size=10)
    pdf.cell(_LABEL, _LINE, writable(text(WORDS["total"], language)))
    _number(pdf, number_text(table.total, language), y, bold=True)
    pdf.set_xy(pdf.l_margin, y + _LINE + 1)


def _number(pdf: FPDF, words: str, y: float, *, bold: bool) -> None:
    pdf.set_font("helvetica", style="B" if bold else "", size=10)
    pdf.set_xy(pdf.w - pdf.r_margin - _NUMBER, y)
    pdf.cell(_NUMBER, _LINE, writable(words), align="R")


def _words(
    pdf: FPDF,
    words: str,
    *,
    size: float,
    style: str = "",
    height: float = _LINE,
    soft: bool = False,
    border: bool = False,
) -> None:
    pdf.set_font("helvetica", style=style, size=size)
    pdf.set_text_color(*(_SOFT if soft else (0, 0, 0)))
    pdf.multi_cell(0, height, writable(words), new_x="LMARGIN", new_y="NEXT", align="L", border=1 if border else 0)
    pdf.set_text_color(0)
