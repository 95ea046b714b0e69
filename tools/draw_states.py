"""Draw `docs/transfer-states.svg` and `docs/transfer-states.md` from the transfer table in `cordee/transfer.py`.

Run it after a change to the table; a test compares what it would write with what is committed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cordee.transfer import END_STATES, RULES, Kind, Party, Pause, Rule, State, sentence  # noqa: E402 - run from a checkout

WIDTH, HEIGHT = 1260, 640
BOX_WIDTH, BOX_HEIGHT = 136, 46
COLOUR = {Party.SENDER: "#1f5fa8", Party.RECIPIENT: "#1d7a46", Party.BROKER: "#6b5b4b"}

CENTRE = {
    None: (60, 270),
    State.OFFERED: (220, 270),
    State.ACCEPTED: (500, 270),
    State.SHIPPED: (780, 270),
    State.RECEIVED: (1060, 270),
    State.EXPIRED: (500, 80),
    State.DECLINED: (170, 430),
    State.REFUSED: (850, 430),
    State.WITHDRAWN: (500, 530),
}


@dataclass(frozen=True)
class Line:
    """How one arrow runs: an SVG path, and where its words stand."""

    path: str
    x: int
    y: int
    anchor: str = "middle"


# A step that the table gains and this drawing lacks stops the generator with its name.
LINES: dict[tuple[State | None, State], Line] = {
    (None, State.OFFERED): Line("M 72 270 L 146 270", 108, 258),
    (State.OFFERED, State.ACCEPTED): Line("M 288 270 L 426 270", 357, 258),
    (State.ACCEPTED, State.SHIPPED): Line("M 568 270 L 706 270", 637, 258),
    (State.SHIPPED, State.RECEIVED): Line("M 848 270 L 986 270", 917, 258),
    (State.OFFERED, State.DECLINED): Line("M 195 293 L 176 401", 176, 350, "end"),
    (State.SHIPPED, State.REFUSED): Line("M 795 293 L 835 401", 828, 352, "start"),
    (State.OFFERED, State.EXPIRED): Line("M 235 247 C 255 160 330 105 426 88", 280, 150, "end"),
    (State.ACCEPTED, State.EXPIRED): Line("M 500 247 L 500 109", 490, 180, "end"),
    (State.SHIPPED, State.EXPIRED): Line("M 765 247 C 745 160 670 105 574 88", 708, 170, "end"),
    (State.OFFERED, State.WITHDRAWN): Line("M 235 293 C 255 420 330 505 426 522", 292, 420, "start"),
    (State.ACCEPTED, State.WITHDRAWN): Line("M 500 293 L 500 501", 510, 370, "start"),
    (State.SHIPPED, State.WITHDRAWN): Line("M 745 293 C 725 420 670 505 574 522", 690, 420, "end"),
    (State.EXPIRED, State.RECEIVED): Line("M 568 70 C 760 40 1020 60 1050 241", 900, 66, "start"),
    (State.WITHDRAWN, State.RECEIVED): Line("M 568 540 C 800 560 1030 520 1050 299", 900, 546, "start"),
    (State.RECEIVED, State.RECEIVED): Line("M 1085 293 C 1100 360 1150 350 1115 297", 1064, 366, "start"),
    (State.EXPIRED, State.EXPIRED): Line("M 470 57 C 450 10 510 10 506 51", 452, 30, "end"),
    (State.WITHDRAWN, State.WITHDRAWN): Line("M 470 553 C 450 604 510 604 506 559", 452, 596, "end"),
}


def _words(rule: Rule) -> str:
    text = _spelt(rule.statement)
    if rule.after:
        return f"{text} (after {_spelt(rule.after)})"
    return f"{text} (not after {_spelt(rule.unless)})" if rule.unless else text


def _spelt(kind: Kind | None) -> str:
    return kind.value.replace("_", " ") if kind else ""


def _arrow(pair: tuple[State | None, State], rules: list[Rule]) -> list[str]:
    line = LINES[pair]
    by = rules[0].by
    dashed = ' stroke-dasharray="6 4"' if all(rule.after for rule in rules) else ""
    out = [
        (
            f'<path d="{line.path}" fill="none" stroke="{COLOUR[by]}" stroke-width="1.8"{dashed}'
            f' marker-end="url(#{by.value})"/>'
        )
    ]
    for number, rule in enumerate(rules):
        out.append(
            f'<text x="{line.x}" y="{line.y + 17 * number}" text-anchor="{line.anchor}" font-size="14"'
            f' fill="{COLOUR[rule.by]}" stroke="#ffffff" stroke-width="4" paint-order="stroke">'
            f"{escape(_words(rule))}</text>"
        )
    return out


def _box(state: State) -> list[str]:
    x, y = CENTRE[state]
    end = state in END_STATES
    return [
        (
            f'<rect x="{x - BOX_WIDTH // 2}" y="{y - BOX_HEIGHT // 2}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"'
            f' fill="{"#f3efe6" if end else "#ffffff"}" stroke="#222222" stroke-width="{3 if end else 1.5}"/>'
        ),
        (
            f'<text x="{x}" y="{y + 5}" text-anchor="middle" font-size="15" font-weight="bold" fill="#222222">'
            f"{state.name}</text>"
        ),
    ]


def svg() -> str:
    """The picture: one arrow for each pair of states, one line of words for each rule."""
    pairs: dict[tuple[State | None, State], list[Rule]] = {}
    for rule in RULES:
        pairs.setdefault((rule.state, rule.then), []).append(rule)
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' font-family="DejaVu Sans, Verdana, sans-serif">'
        ),
        "<title>The states of a transfer</title>",
        "<desc>Drawn from the table in cordee/transfer.py; docs/transfer-states.md says the same in words.</desc>",
        "<defs>",
    ]
    for party, colour in COLOUR.items():
        out.append(
            f'<marker id="{party.value}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7"'
            f' orient="auto-start-reverse"><path d="M 0 0 L 10 5 L 0 10 z" fill="{colour}"/></marker>'
        )
    out += ["</defs>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    x, y = CENTRE[None]
    out.append(f'<circle cx="{x}" cy="{y}" r="9" fill="#222222"/>')
    arrows = [part for pair, rules in pairs.items() for part in _arrow(pair, rules)]
    out += [part for part in arrows if part.startswith("<path")]
    for state in State:
        out += _box(state)
    out += [part for part in arrows if part.startswith("<text")]
    for number, (party, words) in enumerate(
        (
            (Party.SENDER, "the sender's statement"),
            (Party.RECIPIENT, "the recipient's statement"),
            (Party.BROKER, "the broker's clock"),
        )
    ):
        out.append(
            f'<text x="700" y="{584 + 20 * number}" font-size="14" fill="{COLOUR[party]}">━ {escape(words)}</text>'
        )
    out.append('<text x="930" y="584" font-size="14" fill="#222222">thick frame: an end</text>')
    out.append('<text x="930" y="604" font-size="14" fill="#222222">dashed: only after the step named</text>')
    return "\n".join([*out, "</svg>", ""])


def markdown() -> str:
    """The same in words: the rules, the grid of all cells, the sentences."""
    out = [
        "# The states of a transfer",
        "",
        "<!-- Written by tools/draw_states.py from the table in cordee/transfer.py; change that, then run it. -->",
        "",
        "![The states of a transfer](transfer-states.svg)",
        "",
        "## Who may send what",
        "",
        "| in state | statement | by | then | only after | never after |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rule in RULES:
        before = f"`{rule.state.name}`" if rule.state else "–"
        after, unless = _spelt(rule.after), _spelt(rule.unless)
        out.append(
            f"| {before} | {_spelt(rule.statement)} | {rule.by.value} | `{rule.then.name}` | {after} | {unless} |"
        )
    kinds = [kind for kind in Kind if kind is not Kind.OFFER]
    out += [
        "",
        (
            "Each step is taken once: another statement for a step already taken is refused, the same one is"
            " answered as the first time. A dot is a refusal."
        ),
        "",
        "| | " + " | ".join(kind.value.replace("_", " ") for kind in kinds) + " |",
        "| --- |" + " --- |" * len(kinds),
    ]
    for state in State:
        cells = []
        for kind in kinds:
            found = [rule for rule in RULES if rule.state is state and rule.statement is kind]
            cells.append(f"{found[0].then.name}{'*' if found[0].after or found[0].unless else ''}" if found else "·")
        out.append(f"| **{state.name}** | " + " | ".join(cells) + " |")
    out += [
        "",
        "\\* only after, or never after, the step named in the first table.",
        "",
        "## What people read",
        "",
        "| state | the sender reads | the recipient reads |",
        "| --- | --- | --- |",
    ]
    told: list[tuple[str, frozenset[Kind], bool]] = [(state.value, frozenset(), False) for state in State]
    told += [
        ("received, shared", frozenset(), True),
        ("received, withdrawn", frozenset({Kind.WITHDRAWAL}), False),
        ("received, withdrawn, answered", frozenset({Kind.WITHDRAWAL, Kind.ERASURE}), False),
    ]
    told += [
        ("received, returned", frozenset({Kind.ERASURE}), False),
        ("received, shared, returned", frozenset({Kind.ERASURE}), True),
    ]
    for name, taken, shared in told:
        state = State(name.split(",")[0])
        both = (sentence(state, party, taken=taken, shared=shared) for party in (Party.SENDER, Party.RECIPIENT))
        out.append(f"| {name} | " + " | ".join(both) + " |")
    for pause in Pause:
        both = (sentence(State.ACCEPTED, party, pause=pause) for party in (Party.SENDER, Party.RECIPIENT))
        out.append(f"| accepted, {pause.value} | " + " | ".join(both) + " |")
    return "\n".join([*out, ""])


def main() -> int:
    """Write both files, or with `--check` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is out of date")
    check = parser.parse_args().check
    stale = []
    for path, text in ((ROOT / "docs/transfer-states.svg", svg()), (ROOT / "docs/transfer-states.md", markdown())):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not check:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/{name}: {'out of date' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
