"""The pages' style: what the tests that look at pages rely on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cordee.web

_STYLE = Path(cordee.web.__file__).parent / "static" / "style.css"
_ABOUT_WIDTH = re.compile(r"@media[^{]*\b(?:min|max)-(?:width|inline-size|height)[^{]*\{")
_DARK = re.compile(r"@media[^{]*prefers-color-scheme[^{]*\{\s*:root\s*\{([^}]*)\}\s*\}")
_USED = re.compile(r"([a-z-]+)\s*:[^;{}]*var\((--[a-z-]+)\)")
_OF_COLOUR = re.compile(r"(?:[a-z-]*color|background|border(?:-[a-z-]+)?|outline|fill|stroke|box-shadow|accent-color)")
_COLOUR = re.compile(r"(?:^|[\s;{])((?:[a-z-]*color|background[a-z-]*|opacity|filter)\s*:[^;}]*)")


def _blocks(style: str) -> Iterator[str]:
    """What stands in each block that counts for some windows only."""
    for found in _ABOUT_WIDTH.finditer(style):
        depth, at = 1, found.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(style[at], 0)
            at += 1
        yield style[found.end() : at]


def test_no_colour_depends_on_how_large_the_window_is() -> None:
    """So colours that stand out at one width do at each."""
    blocks = list(_blocks(_STYLE.read_text(encoding="utf-8")))
    assert len(blocks) >= 3
    assert [each for block in blocks for each in _COLOUR.findall(block)] == []


def test_the_words_beside_a_box_hang_by_its_margin_alone() -> None:
    """Hung by an indent as well, the box stands out of its frame and over the one before it."""
    hung = re.findall(r"text-indent\s*:\s*-[^;}]*", _STYLE.read_text(encoding="utf-8"))
    assert hung == []


def test_the_dark_theme_replaces_colours_and_nothing_else() -> None:
    """So of a page in the dark theme nothing is new but its colours: sizes, places and what is shown are the same."""
    style = _STYLE.read_text(encoding="utf-8")
    assert style.count("prefers-color-scheme") == 1
    block = _DARK.search(style)
    assert block is not None
    replaced = dict(re.findall(r"([a-z-]+)\s*:\s*([^;]+);", block[1]))
    assert replaced
    assert [each for each in replaced.items() if not re.fullmatch(r"--[a-z-]+ #[0-9a-f]{6}", " ".join(each))] == []
    used = [(what, name) for what, name in _USED.findall(style) if name in replaced]
    assert {name for _, name in used} == set(replaced)
    assert [each for each in used if not _OF_COLOUR.fullmatch(each[0])] == []
