"""`cordee admin console`: the administrator's pages, on this machine alone, for as long as the command runs."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click

from cordee.errors import N_
from cordee.runtime.clock import SystemClock
from cordee.runtime.output import Output
from directory.administrator.home import Home
from directory.administrator.keyfile import open_key
from directory.cli.session import home_option, key_options, read_passphrase

__all__ = ["console"]


@click.command("console")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default="a free one", help="Port on 127.0.0.1.")
@home_option
@key_options
@click.pass_context
def console(ctx: click.Context, home: Path, key_file: Path, passphrase_file: str | None, port: int) -> None:
    """Open the console: pages on this machine alone, for as long as this command runs.

    It prints a link that works once, for a quarter of an hour. The passphrase of the key is asked in the page, unless
    --passphrase-file gives it; it is never stored. Ctrl-C ends the console.

    JSON, one line: {url}
    """
    from cordee.web.serving import Listening, serving
    from directory.console.app import application
    from directory.console.console import Console

    Output(ctx).for_real()
    output = Output(ctx)
    key = None if passphrase_file is None else open_key(key_file, read_passphrase(passphrase_file))
    opened = Console(Home(home), key_file, clock=SystemClock(), random=os.urandom, key=key)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, opened.end)
        where = Listening(address="127.0.0.1", port=port, host="127.0.0.1")
        async with serving(where, lambda hosts, secure: application(opened)) as address:
            output.say(N_("Open this link in your browser. It works once, for a quarter of an hour; Ctrl-C ends all."))
            url = address.rstrip("/") + opened.link
            output.line({"url": url}, text=url)
            await opened.ended.wait()
        await opened.lock()

    asyncio.run(work())
