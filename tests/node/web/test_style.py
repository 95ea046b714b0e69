"""The pages' style: what the tests that look at pages rely on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import node.web

_STYLE = Path(node.web.__file__).parent / "static" / "style.css"
_ABOUT_WIDTH = re.compile(r"@media[^{]*\b(?:min|max)-(?:width|inline-size|height)[^{]*\{")
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
