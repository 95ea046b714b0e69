"""`cordee practice`: a small network on this machine, with invented cases, to learn the ten workflows in."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["group"]


@click.group(name="practice")
def group() -> None:
    """Learn with invented cases, apart from everything real."""


@group.command("serve")
@click.option(
    "--pages",
    metavar="ADDRESS:PORT",
    default="127.0.0.2:8490",
    show_default=True,
    help="Where the pages are opened; never a real node's address. Port 0 takes any.",
)
@click.option("--pages-host", help="Name that browsers ask for [default: the address]; never a real node's.")
@click.option("--pages-certificate", type=click.Path(path_type=Path), help="PEM chain.")
@click.option("--pages-key", type=click.Path(path_type=Path), help="Its private key.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to make the folder that is erased at the end [default: the system's for temporary files].",
)
@click.pass_context
def serve(
    ctx: click.Context,
    pages: str,
    pages_host: str | None,
    pages_certificate: Path | None,
    pages_key: Path | None,
    folder: Path | None,
) -> None:
    """Open practice until it is told to stop (SIGTERM, Ctrl-C); then everything of it is erased.

    It makes a directory and three associations of its own, with keys of their own, in a new folder. It reads no
    file and no setting of a node, sends no mail, and joins no other network.

    JSON, one line when it is ready: {"ready": true, "pages": …, "name": …, "password": …}
    """
    import os
    import signal
    import sys

    from cordee.runtime import logs
    from cordee.runtime.memory import keep_few_arenas, keep_freed_memory
    from cordee.runtime.output import Output, to_json
    from cordee.runtime.process import allow_many_files, forbid_core_dumps
    from cordee.runtime.texts import text
    from node.practice.place import forget_settings, new_place

    output = Output(ctx)
    output.for_real()
    forget_settings(os.environ)
    forbid_core_dumps()
    allow_many_files()
    keep_few_arenas()
    keep_freed_memory()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))  # so that what was made is erased also before it is ready

    from cordee.errors import N_
    from node.practice.running import run, where_to_listen

    where = where_to_listen(pages, host=pages_host, certificate=pages_certificate, key=pages_key)
    logs.configure(level="warning")
    logs.take_over()

    def ready(address: str, name: str, password: str) -> None:
        if output.for_programs:
            click.echo(to_json({"ready": True, "pages": address, "name": name, "password": password}))
            return
        told = N_("Practice is open: {address}\nName: {name}, password: {word}. Ctrl-C ends it and erases everything.")
        click.echo(text(told, output.language).format(address=address, name=name, word=password))

    with new_place(folder) as place:
        output.say(N_("Preparing practice; this takes some seconds …"))
        run(place, where, ready=ready)
