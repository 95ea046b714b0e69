"""The files of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cordee.errors import N_, InvalidInput
from cordee.figures.page import page
from cordee.figures.paper import paper
from cordee.figures.report import Report
from cordee.figures.sheet import dictionary, figures

__all__ = ["FORMS", "Form", "form_of"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a report down."""

    code: str
    media_type: str
    write: Callable[[Report, str], bytes]

    def file_name(self, year: int) -> str:
        """Nothing in it but the year."""
        return f"dictionary-{year}.csv" if self.code == "dictionary" else f"report-{year}.{self.code}"


FORMS: Final[Mapping[str, Form]] = {
    each.code: each
    for each in (
        Form("html", "text/html; charset=utf-8", page),
        Form("csv", "text/csv; charset=utf-8", figures),
        Form("pdf", "application/pdf", paper),
        Form("dictionary", "text/csv; charset=utf-8", dictionary),
    )
}
"""Every form, by its code."""


def form_of(code: str) -> Form:
    """Raises: InvalidInput."""
    found = FORMS.get(code)
    if found is None:
        raise InvalidInput(field="form", problem=N_("it must be one of {options}"), options=", ".join(FORMS))
    return found
