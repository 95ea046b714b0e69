"""From `async def command(client, output, …)` to a click command that finds the node, signs in and reports."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cordee.runtime.output import Output
from node.cli.session import Sessions, session_file

__all__ = ["data_dir_option", "default_data_dir", "on_node", "passphrase_option", "rehearsed", "socket_in_use"]

Callback = Callable[..., Any]
Command = TypeVar("Command", bound=Callable[..., Any])
_REHEARSED: set[Callable[..., Any]] = set()


def default_data_dir() -> Path:
    """`CORDEE_NODE_DATA_DIR`, or the data folder of the XDG base directories."""
    given = os.environ.get("CORDEE_NODE_DATA_DIR")
    if given:
        return Path(given)
    from platformdirs import user_data_path

    return user_data_path("cordee")


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_data_dir,
    show_default="CORDEE_NODE_DATA_DIR, or ~/.local/share/cordee",
    help="Folder with the node's database and keys.",
)
passphrase_option = click.option(
    "--passphrase-file",
    envvar="CORDEE_NODE_PASSPHRASE_FILE",
    required=True,
    help="File whose first line opens the vault; - for standard input.",
)


def _socket(given: Path | None) -> Path:
    from node.rpc.address import default_socket

    return given or default_socket(default_data_dir())


def rehearsed(command: Command) -> Command:
    """Mark a command that honours --dry-run itself; all others refuse it. Stands below `on_node`."""
    _REHEARSED.add(command)
    return command


def on_node(command: Callable[..., Awaitable[None]]) -> Callback:
    """Run a command against the node behind `--socket`, with the token of whoever is signed in there.

    The command gets `client` (node.cli.client.Client) and `output`, then its own arguments.
    """

    @click.option(
        "--socket",
        type=click.Path(path_type=Path),
        envvar="CORDEE_NODE_SOCKET",
        help="The node's unix socket [default: run/node.sock in the node's data folder].",
    )
    @click.pass_context
    @functools.wraps(command)
    def callback(ctx: click.Context, /, socket: Path | None, **arguments: Any) -> None:
        from node.cli.client import connect

        where = _socket(socket)
        output = Output(ctx)
        ctx.meta[__name__] = where
        if command not in _REHEARSED:
            output.for_real()

        async def call() -> None:
            async with connect(where, Sessions(session_file()).token(where)) as client:
                await command(client, output, **arguments)

        asyncio.run(call())

    return callback


def socket_in_use() -> Path:
    """The socket of the command that runs."""
    where = click.get_current_context().meta[__name__]
    if not isinstance(where, Path):
        raise TypeError("no command on a node is running")
    return where
