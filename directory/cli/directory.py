"""`cordee directory`: make, run, look at and save a network's directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from cordee.errors import N_
from cordee.runtime.output import Output

__all__ = ["group"]

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CORDEE_DIRECTORY_DATA_DIR",
    required=True,
    help="Folder with the directory's keys, database and mailboxes [CORDEE_DIRECTORY_DATA_DIR].",
)


@click.group(name="directory")
def group() -> None:
    """Run a network's directory: it forwards, keeps order, and reads nothing."""


@group.command("init")
@data_dir_option
@click.option("--name", required=True, metavar="HOST", help="Name or address under which members reach it.")
@click.option("--members", metavar="HOST:PORT", help="Address for members [default: NAME:7443].")
@click.option("--front", metavar="HOST:PORT", help="Address for applicants and administrators [default: NAME:7444].")
@click.option("--origin", help="Name of the roster log [default: NAME/roster].")
@click.pass_context
def init(
    ctx: click.Context, data_dir: Path, name: str, members: str | None, front: str | None, origin: str | None
) -> None:
    """Make the directory's keys and founding.json, which its administrators found the network with.

    JSON: {data_dir, founding, origin, members, front}
    """
    from cordee.card import is_endpoint
    from cordee.runtime.clock import SystemClock
    from directory.house import House, initialise

    Output(ctx).for_real()
    host = name.rpartition(":")[0] if is_endpoint(name) else name
    founding = initialise(
        data_dir,
        origin=origin or f"{host}/roster",
        members=members or f"{host}:7443",
        front=front or f"{host}:7444",
        random=os.urandom,
        now=SystemClock().now(),
    )
    Output(ctx).record(
        {
            "data_dir": str(data_dir),
            "founding": str(House(data_dir).founding_file),
            "origin": founding.origin,
            "members": founding.members,
            "front": founding.front,
        }
    )


@group.command("serve")
@data_dir_option
@click.option("--listen-members", default="0.0.0.0:7443", show_default=True, metavar="HOST:PORT")  # a server
@click.option("--listen-front", default="0.0.0.0:7444", show_default=True, metavar="HOST:PORT")  # a server
@click.option("--metrics-port", type=int, help="Answer /metrics, /healthz and /readyz on this port of 127.0.0.1.")
@click.option("--reflection", is_flag=True, help="Let clients ask which services there are.")
@click.pass_context
def serve(
    ctx: click.Context,
    data_dir: Path,
    listen_members: str,
    listen_front: str,
    metrics_port: int | None,
    reflection: bool,
) -> None:
    """Run the directory until it is told to stop (SIGTERM, Ctrl-C).

    Prints one JSON line when it is ready: {"ready": true, "members": "host:port", "front": "host:port", "status":
    "host:port"}, the last with --metrics-port. Port 0 takes a free one.
    """
    import asyncio
    from importlib.metadata import version

    from prometheus_client import CollectorRegistry

    from cordee.runtime import logs
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.memory import keep_few_arenas, keep_freed_memory
    from cordee.runtime.metrics import Metrics
    from cordee.runtime.output import to_json
    from cordee.runtime.process import allow_many_files, forbid_core_dumps
    from directory import app

    Output(ctx).for_real()
    forbid_core_dumps()
    allow_many_files()
    keep_few_arenas()
    keep_freed_memory()
    logs.configure(level="warning" if ctx.find_root().params.get("quiet") else "info")
    logs.take_over()
    registry = CollectorRegistry()

    def ready(facts: dict[str, Any]) -> None:
        click.echo(to_json(facts))

    asyncio.run(
        app.serve(
            data_dir,
            clock=SystemClock(),
            listen_members=listen_members,
            listen_front=listen_front,
            ready=ready,
            observers=(logs.CallLog(),),
            metrics=Metrics(registry, version=version("cordee")),
            reflect=reflection,
            status="" if metrics_port is None else f"127.0.0.1:{metrics_port}",
        )
    )


@group.command("status")
@data_dir_option
@click.pass_context
def status(ctx: click.Context, data_dir: Path) -> None:
    """What is in the data folder; the directory may be running.

    JSON: {founded, network, entries, signed, log_behind, members: {active, suspended, removed},
    transfers: {state: count}, waiting_files, waiting_bytes, pending_entries}
    """
    from directory.maintenance import survey

    Output(ctx).record(survey(data_dir))


@group.command("doctor")
@data_dir_option
@click.option("--no-network", is_flag=True, help="Do not try whether the addresses for members answer.")
@click.option("--metrics-port", type=int, help="As given to “serve”: also ask the directory that runs.")
@click.pass_context
def doctor(ctx: click.Context, data_dir: Path, no_network: bool, metrics_port: int | None) -> None:
    """What is wrong with this directory, in words, and what to do about it; whether it runs or not. It changes nothing.

    What only the running directory knows (its certificate, its clock, a part that has ended) needs --metrics-port. The
    exit code is 0 unless something is broken; then it is that of the first broken thing.

    JSON: [{finding, severity: broken | soon | advice, message, remedy, facts: {}}]
    """
    from cordee.runtime.checkup import unit_findings
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.doctor import tell
    from directory.checking import UNIT, ask_running, check_folder
    from directory.findings import DIRECTORY

    now = SystemClock().now()
    found = [*check_folder(data_dir, now=now, listening=not no_network), *unit_findings(UNIT, known=DIRECTORY)]
    if metrics_port is not None:
        known = {each.ailment.code for each in found}  # looked at a moment ago, the same has other facts
        found += [each for each in ask_running(metrics_port) if each.ailment.code not in known]
    ctx.exit(int(tell(found, Output(ctx))))


@group.command("backup")
@data_dir_option
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option("--with-keys", is_flag=True, help="Save the secret keys as well; keep that copy under lock.")
@click.pass_context
def backup(ctx: click.Context, data_dir: Path, target: Path, with_keys: bool) -> None:
    """Save the database while the directory runs. Waiting ciphertext is not saved: senders send it again.

    To restore, put directory.db of the copy in the place of the old one and start the directory: its members give back
    what the copy does not have. The file last-signed is never saved and stays where it is.

    JSON: {backup, files: [], noted}
    """
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.exhausted import told
    from cordee.runtime.texts import refused_by_system, translate
    from directory.house import House
    from directory.maintenance import save
    from directory.saving import note_saved

    output = Output(ctx)
    output.for_real()
    files = save(data_dir, target, with_keys=with_keys)
    noted = True
    try:
        note_saved(House(data_dir), SystemClock().now())
    except OSError as failed:  # it is made all the same: refused, the same command would find it in its way
        noted = False
        reason, _ = translate(told(failed, what=str(data_dir)) or refused_by_system(failed), output.language)
        output.say(
            N_(
                "The copy is whole, but that it was made could not be noted: {reason} "
                "Until the next one, the doctor does not know of it."
            ),
            reason=reason,
        )
    output.record({"backup": str(target), "files": files, "noted": noted})


@group.command("rotate-key")
@data_dir_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Public half, to be made.")
@click.pass_context
def rotate_key(ctx: click.Context, data_dir: Path, out: Path) -> None:
    """Make the key that the log is to be signed with next; the directory may be running, and goes on with the old one.

    Give the file to an administrator and read its six words out (cordee admin rotate-key). Once they have signed, the
    directory uses the new key by itself and erases the old one.

    JSON: {public, key_id, words: []}
    """
    from cordee.keyfile import public_file
    from cordee.words import six_words
    from directory.files import replace
    from directory.maintenance import next_log_key

    Output(ctx).for_real()
    public = next_log_key(data_dir, os.urandom)
    replace(out, public_file(public), mode=0o644)
    Output(ctx).record({"public": str(out), "key_id": public.key_id.hex(), "words": six_words(public)})


@group.command("rotate-ca")
@data_dir_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Certificate, to be made.")
@click.pass_context
def rotate_ca(ctx: click.Context, data_dir: Path, out: Path) -> None:
    """Make the certification authority that is to follow; the directory may be running, and goes on with the old one.

    Give the file to an administrator and read its digest out (cordee admin rotate-ca). Once they have signed, members'
    certificates come from the new one, and both are trusted until the end that was signed.

    JSON: {certificate, digest}
    """
    from cordee.members import authority_digest
    from cordee.runtime.clock import SystemClock
    from directory.files import replace
    from directory.maintenance import next_authority

    Output(ctx).for_real()
    certificate = next_authority(data_dir, SystemClock().now())
    replace(out, certificate, mode=0o644)
    Output(ctx).record({"certificate": str(out), "digest": authority_digest(certificate).hex()})


@group.command("recover")
@data_dir_option
@click.option(
    "--log",
    "log",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="The log as an administrator verified it (cordee admin log --export FILE).",
)
@click.option(
    "--last-signed-lost",
    is_flag=True,
    help="The file last-signed is lost as well, and nobody, member or administrator, has a longer log than this one.",
)
@click.pass_context
def recover(ctx: click.Context, data_dir: Path, log: Path, last_signed_lost: bool) -> None:
    """After a restore from a backup, where no member can: bring back the entries that the backup does not have. The
    directory must not run.

    JSON: {entries, added}
    """
    from directory.maintenance import bring_back

    Output(ctx).for_real()
    entries, added = bring_back(data_dir, log, longest=last_signed_lost)
    Output(ctx).record({"entries": entries, "added": added})
