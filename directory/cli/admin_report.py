"""`cordee admin report`: the yearly report of a network for the authority that supervises it."""

from __future__ import annotations

from pathlib import Path

import click

from cordee.figures.years import FIRST, LAST, require_closed
from directory.cli.session import Session, administering
from directory.files import write_new

__all__ = ["report"]


@click.command("report")
@click.option(
    "--year",
    type=click.IntRange(FIRST, LAST),
    required=True,
    help="Which year; it is closed on 1 February of the next.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder for the report as HTML, PDF and CSV, and its data dictionary [default: shown here only].",
)
@administering
async def report(session: Session, year: int, out: Path | None) -> None:
    """What the network did in a year, without anybody in it: for the authority that supervises it.

    Members and incidents come from the log, verified on this machine. Transfers and erasures are what the directory
    counted; small numbers are left out, the others rounded. Overrides are known to each association alone: it makes its
    own report with "cordee node report".

    JSON: [{table, row, label, count, status}]; with --out {year, files: []}
    """
    from cordee.figures import sheet  # forms and their pages: slow to import, and for this command alone
    from cordee.figures.forms import FORMS
    from directory.administrator.governed import network_report

    require_closed(year, session.clock.now())
    figures = await session.client.figures(year)
    made = network_report(
        session.log.entries, figures, year=year, origin=session.roster.origin, made=session.clock.now()
    )
    language = session.output.language
    if out is None:
        session.output.rows(sheet.shown(sheet.figures(made, language)), ("table", "label", "count", "status"))
        return
    files = {out / form.file_name(year): form for form in FORMS.values()}
    if not session.output.dry_run:
        for path, form in files.items():
            write_new(path, form.write(made, language))
    session.output.record({"year": year, "files": [str(path) for path in files]})
