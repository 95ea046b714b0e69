"""How the demonstration is told: with colour and progress on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

__all__ = ["Teller"]

_LINE = 100
_INDENT = (0, 0, 0, 3)

# Rich's own frame fetches its fonts from elsewhere; a picture of ours asks nobody for anything.
_SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>"""


def _indented(text: Text) -> Padding:
    return Padding(text, _INDENT)


class Teller:
    """Tells a story, chapter by chapter."""

    def __init__(self, *, plain: bool, picture: bool = False) -> None:
        """With `picture`, what is told is remembered, to be drawn by `draw`."""
        self.plain = not picture and (plain or not sys.stdout.isatty())
        self.console = Console(
            highlight=False,
            width=_LINE if self.plain or picture else None,
            no_color=self.plain,
            record=picture,
            force_terminal=True if picture else None,
        )
        self._began = time.monotonic()

    def title(self, text: str, below: str) -> None:
        """The beginning."""
        if self.plain:
            self.console.print(f"{text}\n{below}\n", markup=False)
        else:
            self.console.print(
                Panel(below, title=f"[bold]{text}[/]", border_style="cyan", width=min(_LINE, self.console.width))
            )

    def chapter(self, number: int, text: str) -> None:
        """One of the six points."""
        line = f"{number}. {text}"
        self.console.print(f"\n{line}" if self.plain else f"\n[bold cyan]{line}[/]")

    def say(self, text: str) -> None:
        """One sentence of the story."""
        self.console.print(_indented(Text(text)))

    def proved(self, text: str) -> None:
        """Something that was verified."""
        self.console.print(_indented(Text.assemble(("✓ ", "green"), text)))

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """A bar on a terminal; nothing but the sentence elsewhere. The function takes bytes done and in all."""
        if self.plain or self.console.record:
            self.say(text)
            yield lambda done, total: None
            return
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with Progress(*columns, console=self.console, transient=False) as bar:
            task = bar.add_task(text, total=None)

            def moved(done: int, total: int) -> None:
                bar.update(task, completed=min(done, total) if total else done, total=total or None)

            yield moved

    def table(self, title: str, columns: list[str], rows: list[list[Any]]) -> None:
        """The closing table."""
        table = Table(title=title, title_justify="left", show_lines=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.console.print()
        self.console.print(table)

    def draw(self, path: Path, title: str) -> None:
        """Write what was told as an SVG picture of a terminal."""
        drawn = self.console.export_svg(title=title, unique_id="demo", code_format=_SVG)
        path.write_text(drawn + "\n", encoding="utf-8")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began
