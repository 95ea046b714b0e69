"""`cordee admin evidence`: what this machine was shown of the roster, set against what others were shown."""

from __future__ import annotations

from pathlib import Path

import click

from cordee.evidence import judge_views
from cordee.runtime.findings import in_words, tell
from cordee.runtime.output import Output
from cordee.views import MAX_EVIDENCE
from directory.administrator.evidence import kept, own_file
from directory.administrator.home import Home
from directory.cli.session import home_option
from directory.files import read_whole, write_new

__all__ = ["evidence"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("evidence")
@click.argument("files", metavar="[FILE]…", type=_FILE, nargs=-1)
@click.option("--file", "target", type=_FILE, help="Write what this machine was shown up to now into this file.")
@home_option
@click.pass_context
def evidence(ctx: click.Context, files: tuple[Path, ...], target: Path | None, home: Path) -> None:
    """What the directory showed to this machine and should not have. It asks nobody, and needs no key.

    With FILEs that associations have brought ("cordee node evidence"): all of them are judged together with this
    machine's own copy of the log. What shows nothing ends in exit code 8.

    \b
    JSON: [{file, time, verdict, shows: []}], the newest first, the verdict null where nothing follows;
      with FILEs as cordee verify; with --file {file, size}
    """
    output, place = Output(ctx), Home(home)
    output.for_real()
    if files and target is not None:
        raise click.UsageError("Give files to judge, or --file to write one.")
    if target is not None:
        written = own_file(place)
        write_new(target, written)
        output.record({"file": str(target), "size": len(written)})
        return
    if files:
        brought = [read_whole(each, limit=MAX_EVIDENCE) for each in files]
        tell(judge_views([own_file(place), *brought], network=place.network().id), output)
        return
    rows = [
        {
            "file": str(each.path),
            "time": each.at.isoformat(timespec="seconds"),
            "verdict": each.verdict,
            "shows": [in_words(said, output.language) for said in each.shows],
        }
        for each in kept(place)
    ]
    output.rows(rows, ("file", "time", "verdict", "shows"))
