"""`cordee admin key kit` and `cordee admin key restore`: an administrator's key on paper, and back again."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cordee.errors import N_
from cordee.runtime.clock import SystemClock
from cordee.runtime.kit_options import kit_options, sheets_option
from cordee.runtime.output import Output
from cordee.words import six_words
from directory.administrator import key_kit, keyfile
from directory.cli.session import read_passphrase

__all__ = ["kit", "restore"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("kit")
@click.argument("file", type=_FILE)
@kit_options
@click.option("--rehearse", is_flag=True, help="Try out the sheets of this key, which uses nothing up.")
@sheets_option
@click.option("--name", default="", help="What stands on the sheets as the administrator’s name.")
@click.option("--passphrase-file", envvar="CORDEE_ADMIN_PASSPHRASE_FILE", help="File whose first line opens the key.")
@click.pass_context
def kit(
    ctx: click.Context,
    file: Path,
    folder: Path | None,
    on_paper: bool,
    show: bool,
    count: int,
    needed: int,
    rehearse: bool,
    sheets_file: str | None,
    name: str,
    passphrase_file: str | None,
) -> None:
    """Make recovery sheets of the key in FILE, or try out with --rehearse those that there are.

    Any two of three sheets bring the key back, without any file; one alone brings back nothing. Each goes into an
    envelope of its own, and no two of them to one person: together they are the key.

    JSON: {kit, needed, sheets, files: [], words: []}; with --rehearse {kit, tried: [], at, people}
    """
    from cordee.runtime.kit_command import ask_for_sheets, give_out, require_one_way
    from cordee.runtime.kit_sheets import Purpose

    output, now = Output(ctx), SystemClock().now()
    output.for_real()
    if rehearse:
        sheets = ask_for_sheets(output, sheets_file, length=key_kit.SHEET_WORDS)
        proven = key_kit.rehearse(file, sheets, now=now)
        output.record({"kit": proven.kit, "tried": list(proven.tried), "at": proven.proven_at, "people": proven.people})
        return
    require_one_way(folder, on_paper, show)
    made = key_kit.make_kit(file, read_passphrase(passphrase_file), needed=needed, count=count, now=now)
    purpose = Purpose(
        opens=N_("for the key of an administrator of the network"),
        name=name or " ".join(six_words(keyfile.load_public(file))),
        count=count,
        made_at=now,
        on_the_day="cordee admin key restore --out NEW.KEY",
        to_try=f"cordee admin key kit {file.name} --rehearse",
    )
    facts = give_out(output, made, purpose, folder=folder, on_paper=on_paper, show=show)
    output.say(N_("Try it out now, with two of the sheets: the same command with --rehearse."))
    output.record(facts, hide=("words",))


@click.command("restore")
@click.option("--out", type=_FILE, required=True, help="File to make; its public half goes to FILE.pub.")
@sheets_option
@click.option(
    "--passphrase-file",
    envvar="CORDEE_ADMIN_PASSPHRASE_FILE",
    help="File whose first line is the new passphrase; - for standard input [default: asked for].",
)
@click.pass_context
def restore(ctx: click.Context, out: Path, sheets_file: str | None, passphrase_file: str | None) -> None:
    """Bring a key back from its recovery sheets, into a new file with a new passphrase.

    Compare the six words with those that the other administrators have of it (cordee admin administrators list).

    JSON: {key, public, key_id, words: []}
    """
    from cordee.runtime.kit_command import ask_for_sheets

    output = Output(ctx)
    output.for_real()
    if [passphrase_file, sheets_file].count("-") == 2:
        raise click.UsageError("Only one secret can come from standard input.")
    sheets = ask_for_sheets(output, sheets_file, length=key_kit.SHEET_WORDS)
    made = key_kit.restore(out, sheets, read_passphrase(passphrase_file, new=True), random=os.urandom)
    output.record(
        {
            "key": str(out),
            "public": str(keyfile.public_path(out)),
            "key_id": made.public.key_id.hex(),
            "words": six_words(made.public),
        }
    )
