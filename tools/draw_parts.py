"""Draw `docs/parts.svg`: the processes, where they listen, what they keep, and what flows between them.

Run it after a change to this file; a test compares what it would write with what is committed. The background is part
of the picture, so that it reads the same on light and on dark pages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

__all__ = ["ARROWS", "BOXES", "svg"]

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "parts.svg"
WIDTH, HEIGHT = 1240, 746
INK, PAPER, PALE = "#222222", "#ffffff", "#f3efe6"
SIGNED, SEALED, PEOPLE = "#1f5fa8", "#1d7a46", "#6b5b4b"
LINE_HEIGHT = 18


@dataclass(frozen=True)
class Box:
    """A part: its place, its name, and what is in it. `kind` decides how it is drawn."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: Sequence[str] = ()
    kind: str = "part"  # "process", "part", "store", "door" or "person"


@dataclass(frozen=True)
class Arrow:
    """What flows: its path, its words, and where they stand."""

    path: str
    words: Sequence[str]
    x: int
    y: int
    colour: str
    anchor: str = "middle"
    dashed: bool = False
    both: bool = False


def _node(x: int, letter: str, door_x: int) -> list[Box]:
    """One association's node, its people above and its files below."""
    return [
        Box(x + 60, 24, 200, 44, f"people of association {letter}", kind="person"),
        Box(x, 120, 320, 290, f"node {letter}: cordee node serve", kind="process"),
        Box(x + 60, 104, 200, 32, "unix socket, sessions", kind="door"),
        Box(x + 20, 164, 280, 46, "cases · acts · accounts", ["one data key for each case"]),
        Box(
            x + 20, 218, 280, 64, "sending · receiving", ["outbox, worker, listener:", "resumable, also after a crash"]
        ),
        Box(x + 20, 290, 280, 46, "its own copy of the roster", ["every entry and card verified here"]),
        Box(x + 20, 344, 280, 46, "vault", ["opened with the passphrase"]),
        Box(
            x,
            430,
            320,
            108,
            "data folder",
            [
                "node.db: records sealed, statements, journal",
                "attachments/ sealed · spool/ ciphertext",
                "vault.json · inflight/ (in no backup)",
                "tombstones (a copy of its own)",
            ],
            "store",
        ),
    ]


BOXES: tuple[Box, ...] = (
    *_node(24, "A", 0),
    *_node(896, "B", 0),
    Box(470, 120, 300, 290, "directory: cordee directory serve", kind="process"),
    Box(520, 104, 200, 32, "members: mutual TLS", kind="door"),
    Box(490, 164, 260, 46, "broker", ["every step, by the transfer table"]),
    Box(490, 218, 260, 46, "events", ["kept for each member, in order"]),
    Box(490, 272, 260, 46, "roster log · cards · CA", ["signs checkpoints, decides nothing"]),
    Box(490, 326, 260, 46, "mailboxes", ["ciphertext waits; only B may read"]),
    Box(520, 394, 200, 32, "front: server TLS only", kind="door"),
    Box(
        470,
        446,
        300,
        92,
        "data folder",
        ["directory.db: log, cards, statements", "mailbox/ ciphertext · keys", "last-signed (never restored)"],
        "store",
    ),
    Box(
        470,
        640,
        300,
        82,
        "administrator: cordee admin",
        ["key in a file, encrypted", "its own verified copy of the log"],
        "process",
    ),
    Box(24, 640, 320, 82, "a node that joins: cordee node join", ["makes its keys; shows six words"], "process"),
)

ARROWS: tuple[Arrow, ...] = (
    Arrow("M 184 68 L 184 102", ["cordee case, consent, transfer, …"], 196, 90, PEOPLE, "start"),
    Arrow("M 1056 68 L 1056 102", ["the same commands"], 1068, 90, PEOPLE, "start"),
    Arrow("M 344 190 L 468 190", ["statements"], 406, 182, SIGNED),
    Arrow("M 770 190 L 894 190", ["offer, shipment"], 832, 182, SIGNED),
    Arrow("M 894 246 L 772 246", ["answer, receipt"], 832, 238, SIGNED),
    Arrow("M 468 246 L 346 246", ["events"], 406, 238, SIGNED),
    Arrow("M 468 302 L 346 302", ["log, cards"], 406, 294, SIGNED),
    Arrow("M 770 302 L 894 302", ["log, cards"], 832, 294, SIGNED),
    Arrow("M 344 356 L 468 356", ["ciphertext"], 406, 348, SEALED),
    Arrow("M 770 356 L 894 356", ["ciphertext"], 832, 348, SEALED),
    Arrow(
        "M 620 638 C 620 600 790 600 790 520 C 790 440 760 410 722 410",
        ["signed commands,", "signed entries"],
        802,
        580,
        SIGNED,
        "start",
    ),
    Arrow(
        "M 184 638 C 184 590 440 610 440 520 C 440 440 470 410 518 410",
        ["signed request,", "with an invitation"],
        190,
        566,
        SIGNED,
    ),
    Arrow("M 344 690 L 468 690", ["six words,", "by telephone"], 406, 664, PEOPLE, dashed=True, both=True),
)

_LEGEND = (
    (SIGNED, "signed; what is said of a case is sealed in it"),
    (SEALED, "the case, encrypted from node to node"),
    (PEOPLE, "people"),
)


def _box(box: Box) -> Iterator[str]:
    fill, stroke, width, radius = {
        "process": (PALE, INK, 2.5, 10),
        "part": (PAPER, INK, 1.2, 6),
        "store": (PAPER, INK, 1.2, 0),
        "door": (INK, INK, 1.2, 16),
        "person": (PAPER, PEOPLE, 1.5, 22),
    }[box.kind]
    dash = ' stroke-dasharray="2 3"' if box.kind == "store" else ""
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="{radius}" fill="{fill}"'
        f' stroke="{stroke}" stroke-width="{width}"{dash}/>'
    )
    middle = box.x + box.width // 2
    if box.kind == "process" and not box.lines:
        top = box.y + 36  # the parts stand below
    else:
        top = box.y + (box.height - LINE_HEIGHT * (len(box.lines) + 1)) // 2 + 14
    yield _text(middle, top, box.title, size=14, colour=PAPER if box.kind == "door" else INK, bold=True)
    for number, line in enumerate(box.lines, start=1):
        yield _text(middle, top + LINE_HEIGHT * number, line, size=13, colour="#444444")


def _arrow(arrow: Arrow) -> str:
    dash = ' stroke-dasharray="6 4"' if arrow.dashed else ""
    name = _marker(arrow.colour)
    start = f' marker-start="url(#{name})"' if arrow.both else ""
    return (
        f'<path d="{arrow.path}" fill="none" stroke="{arrow.colour}" stroke-width="2"{dash}{start}'
        f' marker-end="url(#{name})"/>'
    )


def _words(arrow: Arrow) -> Iterator[str]:
    for number, line in enumerate(arrow.words):
        yield _text(arrow.x, arrow.y + LINE_HEIGHT * number, line, size=13, colour=arrow.colour, anchor=arrow.anchor)


def _text(x: int, y: int, text: str, *, size: int, colour: str, anchor: str = "middle", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}"{weight} fill="{colour}">{escape(text)}</text>'
    )


def _marker(colour: str) -> str:
    return f"tip-{colour[1:]}"


def svg() -> str:
    """The picture."""
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' font-family="DejaVu Sans, Verdana, sans-serif">'
        ),
        "<title>The parts of Cordée and what flows between them</title>",
        "<desc>Two nodes, a directory between them, administrators and a node that joins.</desc>",
        "<defs>",
        *(
            f'<marker id="{_marker(colour)}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7"'
            f' orient="auto-start-reverse"><path d="M 0 0 L 10 5 L 0 10 z" fill="{colour}"/></marker>'
            for colour, _ in _LEGEND
        ),
        "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
    ]
    for box in BOXES:
        out += _box(box)
    out += [_arrow(arrow) for arrow in ARROWS]
    for arrow in ARROWS:
        out += _words(arrow)
    for number, (colour, words) in enumerate(_LEGEND):
        y = 650 + 24 * number
        out.append(f'<path d="M 806 {y - 5} L 836 {y - 5}" stroke="{colour}" stroke-width="3"/>')
        out.append(_text(846, y, words, size=13, colour=INK, anchor="start"))
    out.append(f'<rect x="806" y="706" width="30" height="18" rx="9" fill="{INK}"/>')
    out.append(_text(846, 720, "where it listens", size=13, colour=INK, anchor="start"))
    return "\n".join([*out, "</svg>", ""])


def main() -> int:
    """Write the picture, or with `--check` say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the picture is out of date")
    check = parser.parse_args().check
    text = svg()
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/parts.svg: {'out of date' if check else 'written'}")
    if not check:
        PICTURE.write_text(text, encoding="utf-8")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
