"""Yearly reports: which years there are, one of them to look at, and its files to hand on.

What is shown is what is handed on: small numbers are left out here too, so that nobody copies more than may leave.
"""

from __future__ import annotations

from functools import partial

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, NotFound
from cordee.figures.charts import chart
from cordee.figures.forms import FORMS, form_of
from cordee.figures.page import WORDS
from cordee.figures.report import day_text, number_text
from cordee.figures.years import FIRST, LAST, closes
from node import figures
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_FILES = {
    "pdf": N_("PDF, to print or to send"),
    "html": N_("HTML, one file with its charts"),
    "csv": N_("CSV, for a spreadsheet"),
    "dictionary": N_("data dictionary of the CSV"),
}


async def _years(visit: Visit) -> Response:
    node, now = visit.node, visit.node.clock.now()
    years = await node.db.read(lambda tx: figures.years_of(tx, now))
    running = now.year if now >= closes(now.year - 1) else now.year - 1
    day = day_text(closes(running), visit.language)
    return page("figures.html", visit.language, visit=visit, years=years, running=running, closes=day)


async def _year(visit: Visit) -> Response:
    node, year = visit.node, _asked(visit)
    report = await node.db.read(lambda tx: figures.report_of(node, tx, year, stamp=visit.stamp))
    return page(
        "figures_year.html",
        visit.language,
        visit=visit,
        report=report,
        forms=_FILES,
        told=WORDS,
        chart=partial(chart, language=visit.language),
        count=partial(number_text, language=visit.language),
        calendar_day=partial(day_text, language=visit.language),
    )


async def _file(visit: Visit, form: FormData) -> Response:
    """One of its files; that it was taken is journalled."""
    year, chosen = _asked(visit), form_of(str(form.get("form", ""))[:16])
    by = visit.handler.account_id
    made = await figures.written(visit.node, year, chosen.code, visit.language, by=by, stamp=visit.stamp)
    headers = {"Content-Disposition": f'attachment; filename="{chosen.file_name(year)}"'}
    return Response(made, media_type=FORMS[chosen.code].media_type, headers=headers)


def _asked(visit: Visit) -> int:
    written = str(visit.request.path_params["year"])
    if not (written.isascii() and written.isdecimal() and len(written) == 4 and FIRST <= int(written) <= LAST):
        raise NotFound(what=N_("figures of that year"))
    return int(written)


PAGES = (
    Page("figures", "/figures", get=_years),
    Page("figures_year", "/figures/{year}", get=_year),
    Page("figures_file", "/figures/{year}/file", post=_file),
)
