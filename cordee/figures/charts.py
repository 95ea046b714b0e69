"""A table as horizontal bars in SVG: drawn from the same words and numbers, told in words too, in the reader's colours.

The drawing has no style of its own but classes: `chart`, `bar`, `untold`, `soft`. What it shows is never told by colour
alone: each bar has its label and its number, and what is not told is a dashed outline of one size with these words.
"""

from __future__ import annotations

import textwrap
from typing import Final

from markupsafe import Markup

from cordee.figures.report import Row, Table, number_text
from cordee.runtime.texts import text

__all__ = ["chart"]

_WIDTH: Final = 320  # of the drawing's own units, and about the narrowest screen in pixels: letters never shrink
_LETTERS: Final = 42  # that fit into a line
_LINE, _BAR, _GAP = 17, 18, 10
_LONGEST: Final = 230
_UNTOLD: Final = 24

_SVG: Final = Markup(
    '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-title {id}-desc" '
    'xmlns="http://www.w3.org/2000/svg"><title id="{id}-title">{title}</title><desc id="{id}-desc">{told}</desc>'
    "{bars}</svg>"
)
_LABEL: Final = Markup('<text x="0" y="{y}">{words}</text>')
_FILLED: Final = Markup('<rect class="bar" x="0.5" y="{y}" width="{width}" height="{height}"/>')
_EMPTY: Final = Markup('<rect class="untold" x="0.5" y="{y}" width="{width}" height="{height}"/>')
_NUMBER: Final = Markup('<text class="{kind}" x="{x}" y="{y}">{words}</text>')


def chart(table: Table, language: str) -> Markup:
    """The drawing, as an element of a page. Its ids begin with the table's code."""
    most = max((row.count for row in table.rows if row.count is not None), default=0)
    parts, y = [], 0
    for row in table.rows:
        for words in textwrap.wrap(text(row.label, language), _LETTERS):
            y += _LINE
            parts.append(_LABEL.format(y=y - 4, words=words))
        parts.append(_bar(row, y=y, most=most, language=language))
        y += _BAR + _GAP
    told = "; ".join(f"{text(row.label, language)}: {number_text(row.count, language)}" for row in table.rows)
    title = text(table.kind.title, language)
    return _SVG.format(width=_WIDTH, height=y, id=table.kind.code, title=title, told=told, bars=Markup().join(parts))


def _bar(row: Row, *, y: int, most: int, language: str) -> Markup:
    width = _UNTOLD if row.count is None else round(_LONGEST * row.count / most) if most else 0
    shape = _EMPTY if row.count is None else _FILLED
    rect = shape.format(y=y + 0.5, width=width, height=_BAR - 1) if width else Markup()
    kind = "soft" if row.count is None else "number"
    words = number_text(row.count, language)
    return rect + _NUMBER.format(kind=kind, x=width + 8 if width else 0, y=y + _BAR - 5, words=words)
