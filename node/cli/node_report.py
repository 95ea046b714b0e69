"""`cordee node report`: the association's own yearly report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node, rehearsed

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["report"]


@click.command("report")
@click.option(
    "--year", type=click.IntRange(2020, 2999), required=True, help="Which year; it is closed on 1 February of the next."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder for the report as HTML, PDF and CSV, and its data dictionary [default: shown here only].",
)
@on_node
@rehearsed
async def report(client: Client, output: Output, *, year: int, out: Path | None) -> None:
    """What this association did in a year, without anybody in it: for the authority that supervises it.

    Counted from the journal; small numbers are left out, the others rounded. Overrides are counted here and nowhere
    else: the network's directory does not know them.

    JSON: [{table, row, label, count, status}]; with --out {year, files: []}
    """
    from cordee.figures.forms import FORMS
    from cordee.figures.sheet import shown
    from node.cli.files import private_file

    if out is None:
        rows = shown(await _made(client, year, "csv", output.language))
        output.rows(rows, ("table", "label", "count", "status"))
        return
    files = {form: out / form.file_name(year) for form in FORMS.values()}
    if not output.dry_run:
        for form, path in files.items():
            data = await _made(client, year, form.code, output.language)
            with private_file(path) as file:
                file.write(data)
    output.record({"year": year, "files": [str(path) for path in files.values()]})


async def _made(client: Client, year: int, form: str, language: str) -> bytes:
    from cordee.v1 import node_pb2

    request = node_pb2.MakeReportRequest(year=year, form=form, language=language)
    return b"".join([part.data async for part in client.audit.MakeReport(request)])
