"""The options of commands that make or take sheets of recovery words. Light: every start of a command reads this."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["kit_options", "sheets_option"]


def kit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How many sheets, and where they go."""
    for option in (
        click.option("--show", is_flag=True, help="Show the words here, to be copied by hand."),
        click.option("--print", "on_paper", is_flag=True, help="Send the sheets to this machine’s printer (lp)."),
        click.option(
            "--folder", type=click.Path(path_type=Path, file_okay=False), help="Write them there, as one PDF each."
        ),
        click.option("--sheets", "count", type=click.IntRange(2, 16), default=3, show_default=True, help="How many."),
        click.option(
            "--needed", type=click.IntRange(2, 16), default=2, show_default=True, help="How many of them are needed."
        ),
    ):
        command = option(command)
    return command


sheets_option = click.option(
    "--sheets-file", help="File with the words, a sheet a line; - for standard input [default: they are asked for]."
)
