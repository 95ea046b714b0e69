"""How a command answers: data on stdout (a table for people, JSON for programs), messages on stderr."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cordee.errors import N_
from cordee.runtime.texts import text

__all__ = ["Output", "clean", "to_json"]

_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """A text fit for a terminal: what comes from elsewhere may hold neither control codes nor turned-around writing."""
    return "".join(
        each if each == "\n" or unicodedata.category(each) not in ("Cc", "Cf", "Co", "Cs") else "�" for each in text
    )


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON that a terminal can show: control codes and turned-around writing are escaped."""
    written = json.dumps(value, ensure_ascii=False, indent=indent)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


class Output:
    """The answer of one command, in the form that was asked for with `--output`."""

    def __init__(self, ctx: click.Context) -> None:
        options = ctx.find_root().params
        self.mode: str = options.get("output") or "table"
        self.yes = bool(options.get("yes"))
        self.dry_run = bool(options.get("dry_run"))
        self.language = "en" if str(options.get("lang") or "fr").startswith("en") else "fr"
        self._quiet = bool(options.get("quiet"))
        self._plain = bool(options.get("no_color")) or not sys.stdout.isatty()

    @property
    def for_programs(self) -> bool:
        """JSON was asked for."""
        return self.mode != "table"

    def record(self, facts: Mapping[str, Any], *, hide: Sequence[str] = ()) -> None:
        """One thing: an object in JSON; in a table one line for each fact but those in `hide`."""
        if self.mode != "table":
            click.echo(to_json(facts, indent=None if self.mode == "ndjson" else 2))
            return
        width = max((len(name) for name in facts), default=0)
        for name, value in facts.items():
            if name not in hide:
                click.echo(f"{name:<{width}}  {_cell(value, self.language)}")

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Many things: an array in JSON, an object a line in NDJSON, a table of `columns` for people."""
        if self.mode == "json":
            click.echo(to_json(list(rows), indent=2))
        elif self.mode == "ndjson":
            for row in rows:
                click.echo(to_json(row))
        else:
            self._table(rows, columns)

    def line(self, row: Mapping[str, Any], *, text: str) -> None:
        """One of a stream of things, told at once: an object a line, or a sentence for people."""
        click.echo(to_json(row) if self.mode != "table" else clean(text))

    def text(self, document: str) -> None:
        """A document for people, on stdout."""
        click.echo(clean(document))

    def say(self, message: str, **facts: object) -> None:
        """A marked text on stderr, in the reader's language; none with `--quiet`."""
        if not self._quiet:
            click.echo(clean(text(message, self.language).format(**facts)), err=True)

    def for_real(self) -> None:
        """Called by a command that has no rehearsal, before it does anything: asked for one, it does nothing.

        Raises: click.UsageError.
        """
        if self.dry_run:
            raise click.UsageError(text(N_("This command has no dry run; nothing was done."), self.language))

    def confirm(self, question: str, **facts: object) -> None:
        """Ask, by a marked text, before something that cannot be undone; `--yes` answers beforehand.

        Raises: click.UsageError where nobody can answer; click.Abort for a no.
        """
        if self.yes:
            return
        asked = clean(text(question, self.language).format(**facts))
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"{asked} {text(N_('Nobody is there to answer: repeat with --yes.'), self.language)}"
            )
        click.confirm(asked, abort=True, err=True)

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        cells = [[_cell(row.get(column), self.language) for column in columns] for row in rows]
        if self._plain:
            widths = [max([len(column), *(len(row[at]) for row in cells)]) for at, column in enumerate(columns)]
            for row in [list(columns), *cells]:
                click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, pad_edge=False)
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)


def _cell(value: object, language: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return text(N_("yes") if value else N_("no"), language)
    if isinstance(value, list | tuple):
        return " ".join(_cell(each, language) for each in value) or "–"
    if isinstance(value, Mapping):
        return clean(to_json(value))
    return clean(str(value)).replace("\n", " ")
