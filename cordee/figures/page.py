"""The report as one HTML file, which needs nothing else: it can be put into a folder, sent, and printed years later."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache, partial
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cordee.errors import N_
from cordee.figures.charts import chart
from cordee.figures.report import Report, day_text, number_text
from cordee.runtime.texts import text

__all__ = ["WORDS", "page"]

WORDS = {
    "title": N_("Yearly report {year}"),
    "closed": N_("Figures of the year {year}, closed on {closed}. Made on {made}."),
    "since": N_("Counted from {since} on: before that day nothing was counted."),
    "how": N_("How to read this"),
    "row": N_("what is counted"),
    "count": N_("number"),
    "total": N_("total"),
    "source": N_("Source:"),
}
"""What stands on the page besides tables and notes."""


def page(report: Report, language: str) -> bytes:
    """The file, in UTF-8."""
    style = files("cordee.figures").joinpath("templates", "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            language=language,
            words=WORDS,
            style=Markup(style),  # noqa: S704  # our own file
            digest=digest,  # no other style and no script runs in it, whatever a name may hold
            t=partial(text, language=language),
            number=partial(number_text, language=language),
            day=partial(day_text, language=language),
            chart=partial(chart, language=language),
        )
    )
    return html.encode()


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cordee.figures"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
