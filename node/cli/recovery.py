"""`cordee node recovery-kit`: sheets of words for the envelopes of a few people, and the proof that they work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from cordee.runtime.kit_options import kit_options, sheets_option
from node.cli.calling import data_dir_option

if TYPE_CHECKING:
    from cordee.runtime.output import Output

__all__ = ["recovery_kit"]


@click.command("recovery-kit")
@kit_options
@click.option("--rehearse", is_flag=True, help="Try out the sheets of a kit, which uses nothing up.")
@sheets_option
@click.option("--name", default="", help="What stands on the sheets as the association’s name.")
@data_dir_option
@click.option(
    "--passphrase-file",
    envvar="CORDEE_NODE_PASSPHRASE_FILE",
    help="File whose first line opens the vault; - for standard input. A rehearsal needs none.",
)
@click.pass_context
def recovery_kit(
    ctx: click.Context,
    folder: Path | None,
    on_paper: bool,
    show: bool,
    count: int,
    needed: int,
    rehearse: bool,
    sheets_file: str | None,
    name: str,
    data_dir: Path,
    passphrase_file: str | None,
) -> None:
    """Make sheets of recovery words, or try out with --rehearse those that there are.

    Any two of three sheets open this node, or a backup of it, on a new machine; one alone opens nothing. Each goes into
    an envelope of its own. The kit before goes on working until the new one was tried out once.

    JSON: {kit, needed, sheets, files: [], words: []}; with --rehearse {kit, tried: [], at, cases, people}
    """
    from cordee.runtime.output import Output

    output = Output(ctx)
    output.for_real()
    if rehearse:
        _rehearse(output, sheets_file, data_dir)
    else:
        _make(output, data_dir, passphrase_file, name, folder=folder, on_paper=on_paper, show=show,
              count=count, needed=needed)  # fmt: skip


def _make(
    output: Output,
    data_dir: Path,
    passphrase_file: str | None,
    name: str,
    *,
    folder: Path | None,
    on_paper: bool,
    show: bool,
    count: int,
    needed: int,
) -> None:
    import os

    from cordee.runtime.clock import SystemClock
    from cordee.runtime.kit_command import give_out, require_one_way
    from cordee.runtime.kit_sheets import Purpose
    from node.cli.files import read_secret
    from node.recovery import make_kit

    require_one_way(folder, on_paper, show)
    if passphrase_file is None:
        raise click.UsageError("Give the passphrase with --passphrase-file (- for standard input).")
    passphrase, now = read_secret(passphrase_file).encode(), SystemClock().now()
    sheets = make_kit(data_dir, passphrase=passphrase, needed=needed, count=count, now=now, random=os.urandom)
    purpose = Purpose(
        opens=N_("for the records of this association"),
        name=name,
        count=count,
        made_at=now,
        on_the_day="cordee node restore BACKUP --kit",
        to_try="cordee node recovery-kit --rehearse",
    )
    facts = give_out(output, sheets, purpose, folder=folder, on_paper=on_paper, show=show)
    output.say(N_("Try it out now, with two of the sheets: cordee node recovery-kit --rehearse"))
    output.record(facts, hide=("words",))


def _rehearse(output: Output, sheets_file: str | None, data_dir: Path) -> None:
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.kit_command import ask_for_sheets
    from node.recovery import SHEET_WORDS, rehearse

    proof = rehearse(data_dir, ask_for_sheets(output, sheets_file, length=SHEET_WORDS), now=SystemClock().now())
    output.record(
        {
            "kit": proof.kit,
            "tried": list(proof.sheets),
            "at": proof.at.isoformat(timespec="seconds"),
            "cases": proof.cases,
            "people": proof.people,
        }
    )
