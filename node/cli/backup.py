"""`cordee node backup` and `cordee node restore`: one encrypted file, and a node brought back from it."""

from __future__ import annotations

from pathlib import Path

import click

from cordee.errors import N_
from cordee.runtime.kit_options import sheets_option
from node.cli.calling import data_dir_option, passphrase_option

__all__ = ["backup", "restore"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("backup")
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Write over FILE, once the new backup is whole.")
@data_dir_option
@passphrase_option
@click.pass_context
def backup(ctx: click.Context, file: Path, replace: bool, data_dir: Path, passphrase_file: str) -> None:
    """Save the node to FILE, encrypted; the node may go on working meanwhile.

    Keep it on another machine or disk. The passphrase opens it, or the sheets of the recovery kit.

    JSON: {file, created, schema, files, bytes, missing, noted}
    """
    import os

    from cordee.errors import CordeeError
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.output import Output
    from cordee.runtime.texts import translate
    from node.backup import make_backup, note_backup
    from node.cli.files import private_file, read_secret
    from node.vault import FILE, Vault

    output = Output(ctx)
    output.for_real()
    vault = Vault.open(data_dir / FILE, read_secret(passphrase_file).encode())
    with private_file(file, replace=replace) as target:
        written = make_backup(data_dir, vault, target, now=SystemClock().now(), random=os.urandom)
    noted = True
    try:
        note_backup(data_dir, written)
    except CordeeError as failed:  # it is made all the same: refused, the same command would find it in its way
        noted = False
        reason, _ = translate(failed, output.language)
        output.say(
            N_(
                "The backup is whole, but it could not be noted in the journal: {reason} "
                "Until the next one, the node does not know of it."
            ),
            reason=reason,
        )
    if written.missing:
        output.say(
            N_("{count} attached files are missing on this disk: they are not in the backup."), count=written.missing
        )
    output.record(
        {
            "file": str(file),
            "created": written.created.isoformat(timespec="seconds"),
            "schema": written.schema,
            "files": written.files,
            "bytes": written.bytes,
            "missing": written.missing,
            "noted": noted,
        }
    )


@click.command("restore")
@click.argument("file", type=_FILE)
@data_dir_option
@passphrase_option
@click.option("--kit", "by_kit", is_flag=True, help="Open it with the sheets of the recovery kit, which are asked for.")
@sheets_option
@click.option("--tombstones", type=_FILE, help="The file “tombstones” of the lost node, where it could be saved.")
@click.pass_context
def restore(
    ctx: click.Context,
    file: Path,
    data_dir: Path,
    passphrase_file: str,
    by_kit: bool,
    sheets_file: str | None,
    tombstones: Path | None,
) -> None:
    """Bring a node back from FILE, into a data folder that is empty or not there yet.

    The passphrase opens it. Where that is lost, --kit asks for the sheets of the recovery kit, and the passphrase of
    --passphrase-file is a new one. When the node is started, it tells the network that it was restored, and whatever
    was under way is broken off on both sides. The lost machine must never be started again.

    JSON: {data_dir, created, schema, cases, accounts, attachments, missing, erased_again}
    """
    import os

    from cordee.runtime.clock import SystemClock
    from cordee.runtime.kit_command import ask_for_sheets
    from cordee.runtime.output import Output
    from node.cli.files import open_source, read_secret
    from node.recovery import SHEET_WORDS
    from node.restoring import opened_by_passphrase, opened_by_sheets
    from node.restoring import restore as bring_back

    output = Output(ctx)
    output.for_real()
    if [passphrase_file, sheets_file].count("-") == 2:
        raise click.UsageError("Only one secret can come from standard input.")
    passphrase = read_secret(passphrase_file).encode()
    source, _ = open_source(file)
    with source:
        if by_kit or sheets_file is not None:
            opener = opened_by_sheets(ask_for_sheets(output, sheets_file, length=SHEET_WORDS))
        else:
            opener = opened_by_passphrase(passphrase)
        told = bring_back(
            source,
            data_dir,
            opener=opener,
            passphrase=None if opener.proof is None else passphrase,
            now=SystemClock().now(),
            random=os.urandom,
            tombstones=tombstones,
        )
    if told.missing:
        output.say(N_("{count} attached files were not in the backup."), count=told.missing)
    output.say(N_("Start the node now (cordee node serve): it tells the network that it was restored."))
    output.record(
        {
            "data_dir": str(data_dir),
            "created": told.created.isoformat(timespec="seconds"),
            "schema": told.schema,
            "cases": told.cases,
            "accounts": told.accounts,
            "attachments": told.attachments,
            "missing": told.missing,
            "erased_again": told.erased_again,
        }
    )
