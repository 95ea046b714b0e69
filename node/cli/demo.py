"""`cordee demo`: a directory, three associations, and every outcome of a transfer, on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

__all__ = ["command"]


@click.command("demo")
@click.option("--report", type=click.Path(path_type=Path), help="Write the same as JSON to this file.")
@click.option("--plain", is_flag=True, help="Plain lines, also on a terminal.")
@click.option("--keep", is_flag=True, help="Keep the folder, to look at it afterwards.")
@click.option(
    "--megabytes", type=click.IntRange(1, 1000), default=50, show_default=True, help="Size of the largest attachment."
)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw what is told as an SVG picture to this file.")
@click.pass_context
def command(
    ctx: click.Context, report: Path | None, plain: bool, keep: bool, megabytes: int, picture: Path | None
) -> None:
    """One directory and three associations with synthetic cases, as separate processes in a folder of their own.

    A case travels with its files; others are declined, withdrawn, refused. Each point is verified by reading the
    databases and keys; the exit code is 0 only if all of them hold.
    """
    from cordee.runtime.output import Output
    from cordee.runtime.texts import text
    from node.demo import report as reporting
    from node.demo.opening import stay_up
    from node.demo.stage import Stage
    from node.demo.story import Story
    from node.demo.telling import Teller

    language = Output(ctx).language

    def _(message: str) -> str:
        return text(message, language)

    folder = Path(tempfile.mkdtemp(prefix="cordee-demo-"))
    teller = Teller(plain=plain, picture=picture is not None)
    stage = Stage(folder)
    story = Story(stage, teller, _, wav_bytes=megabytes * 1_000_000, random=os.urandom)
    failure = ""
    teller.title(_("Cordée: one case, sealed, from one association to another"), _("Synthetic data, real programs."))
    try:
        with stage.open():
            try:
                story.tell()
                reporting.show(story, teller)
                reporting.require_little(stage)
            except Exception as failed:
                failure = reporting.reason_of(failed)
                teller.say(_("This does not hold: {what}").format(what=failure))
                reporting.show_logs(stage, sys.stderr)
            if report is not None:
                reporting.write(report, story, seconds=teller.seconds, ok=not failure, failure=failure)
            if not failure and picture is None and not plain and sys.stdin.isatty() and sys.stdout.isatty():
                stay_up(stage, teller, _, sys.stdin)
    finally:
        if keep:
            teller.say(_("Kept in {folder}").format(folder=folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if failure:
        # Again, after everything else: a log that is cut is cut before its end.
        sys.stdout.flush()
        click.echo(_("This does not hold: {what}").format(what=failure), err=True)
        ctx.exit(1)
    teller.say(_("All six points hold, in {seconds} seconds.").format(seconds=round(teller.seconds)))
    if picture is not None:
        teller.draw(picture, "make demo")
