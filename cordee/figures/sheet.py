"""The report as CSV, and a data dictionary that says what each of its rows and columns means.

Both are UTF-8 with a byte-order mark and semicolons between columns, as spreadsheets in France expect. A text that a
spreadsheet would take for a formula gets an apostrophe before it: an association may be called "=1+1".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from cordee.errors import N_
from cordee.figures.report import Report, Table
from cordee.runtime.texts import text

__all__ = ["COLUMNS", "dictionary", "figures", "harmless", "shown"]

COLUMNS: Final = (
    ("year", N_("the calendar year, in UTC")),
    ("scope", N_("network or association: whose report it is")),
    ("name", N_("the network’s origin, or the association’s name")),
    ("table", N_("code of the table; it never changes")),
    ("row", N_("code of the row; total is the sum of the table’s rounded counts")),
    ("label", N_("the row in words")),
    ("count", N_("a whole number; empty where it is not published")),
    ("status", N_("exact, rounded (to 5) or not_published")),
)
"""The columns of the CSV, and what they mean."""

_FORMULA: Final = frozenset("=+-@\t\r\n")
_BETWEEN: Final = ";"
_BOM: Final = "\ufeff"
_TOTAL: Final = N_("total")


def figures(report: Report, language: str) -> bytes:
    """One line for each count."""
    lines: list[Sequence[object]] = [[name for name, _ in COLUMNS]]
    for table in report.tables:
        lines += _lines(report, table, language)
    return _written(lines)


def dictionary(report: Report, language: str) -> bytes:
    """What the columns and rows of `figures` mean, where the counts come from, and how they are protected."""
    lines: list[Sequence[object]] = [["kind", "table", "row", "label", "meaning", "source", "status"]]
    lines += [["column", "", name, "", text(meaning, language), "", ""] for name, meaning in COLUMNS]
    for table in report.tables:
        kind, source, status = table.kind, text(table.kind.source, language), text(table.status, language)
        lines.append(["table", kind.code, "", text(kind.title, language), text(kind.about, language), source, status])
        for row in table.rows:
            words = text(row.label, language), text(row.meaning, language)
            lines.append(["row", kind.code, row.code, *words, source, status])
    lines += [["note", "", "", "", text(each, language), "", ""] for each in report.notes]
    return _written(lines)


def shown(data: bytes) -> list[dict[str, Any]]:
    """What `figures` wrote, as a command shows it: table, row, label, count and status of each line."""
    lines = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=_BETWEEN)
    return [
        {
            "table": each["table"],
            "row": each["row"],
            "label": each["label"],
            "count": int(each["count"]) if each["count"] else None,
            "status": each["status"],
        }
        for each in lines
    ]


def harmless(cell: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip(" ")[:1] in _FORMULA and cell.strip(" ") else cell


def _lines(report: Report, table: Table, language: str) -> Iterable[Sequence[object]]:
    counts = [(row.code, row.label, row.count) for row in table.rows]
    if table.has_total:
        counts.append(("total", _TOTAL, table.total))
    stamp = text(report.stamp, language)
    name = f"{stamp}: {report.name}" if stamp else report.name
    for code, label, count in counts:
        status = "exact" if table.exact else "not_published" if count is None else "rounded"
        told = "" if count is None else count
        yield report.year, report.scope, name, table.kind.code, code, text(label, language), told, status


def _written(lines: Iterable[Sequence[object]]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=_BETWEEN, lineterminator="\r\n")
    writer.writerows([harmless(str(cell)) for cell in line] for line in lines)
    return (_BOM + target.getvalue()).encode()
