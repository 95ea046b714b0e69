"""Every rule of axe on every state, at every width, in both themes, for little more than the rules themselves cost.

Loading a page, handing axe over, letting it grow fast and changing the window cost more than asking. So axe is handed
over once, to one page of the site; each width and each theme is chosen once; and under each of them the bodies of all
states are put into that page one after the other. A node's pages have one head (`every_state.py` asks for it), so what
they are drawn with is the same. A body is taken from a browser in which the page was loaded and its script has run.

Asking costs most where the answer is known: most of a page was looked at in a state before. So a body is taken apart
into blocks: paragraphs, fields' labels, buttons, items of lists, rows of tables, never a part of a sentence. A block is
known when one was looked at that has the same elements, attributes and places for words, drawn in the same colours and
sizes, equally visible, inside elements of the same kinds, classes and colours, each after a neighbour of the same kind.
Ids, addresses, values, and which words they are, make no other block.

What runs where:

- on every state, in each language: every rule but those about colours, on the whole page, at the narrowest width, where
  words have the least room, in the light theme; and those about colours on its blocks that are new in this language;
- at the other widths, in the light theme: the rules whose answer a place or a size can change, on blocks that no state
  had before; and every rule on a block of which something is seen here that is not seen at the narrowest width, or the
  other way round, once in each language. The others ask for elements, names and order, which are the same;
- in the dark theme, at each width: the rules that axe itself files under colour ("cat.color"), on blocks that no state
  had before. The dark theme replaces the values of colours and nothing else, and no colour depends on the width
  (`tests/node/web/test_style.py`), so a block that is drawn as one before is drawn as that one in the dark as well;
- with `whole` (the first state of each route) every rule but those about colours is asked of the whole page at each
  width, and in the dark: what was reasoned out above is asked all the same;
- folded, opened, at 200 % and with letters twice as large: whether anything sticks out, of every state.

A menu that is open lies over what follows it, and axe does not complain of what it cannot see. So the menu is folded
while the page is looked at, and the head with the menu open is looked at by itself, when one of its blocks is new.
Where the window is wide the menu always stands open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page

__all__ = ["COLOUR_RULES", "HEIGHT", "PLACE_RULES", "THEMES", "WIDTHS", "Drawn", "complaints", "drawn"]

WIDTHS = (320, 768, 1280)  # CSS pixels
THEMES = ("light", "dark")
HEIGHT = 900
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""Those of axe's category "cat.color" that belong to WCAG A or AA."""
PLACE_RULES = ["target-size", "scrollable-region-focusable"]
"""Those that ask how large something is, or whether it has room; contrast also asks what lies under the words."""

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_ALL: Any = {
    "resultTypes": ["violations"],
    "selectors": False,
    "preload": False,  # style sheets read anew are for a rule that is not ours, recordings for pages that have some
    "runOnly": {"type": "tag", "values": _RULES},
    # A target of 24 by 24 pixels is WCAG 2.2 AA, but axe asks for it only where it is told to.
    "rules": {"target-size": {"enabled": True}},
}
_OPTIONS: Any = {
    "all": _ALL,
    "but_colours": {**_ALL, "rules": {**_ALL["rules"], **{each: {"enabled": False} for each in COLOUR_RULES}}},
    "colours": {**_ALL, "runOnly": {"type": "rule", "values": COLOUR_RULES}, "rules": {}},
    "places": {**_ALL, "runOnly": {"type": "rule", "values": [*COLOUR_RULES, *PLACE_RULES]}, "rules": {}},
}
_AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
_AT_ONCE = 20

_BEGIN = """(options) => { window.looked = { options, states: [], known: new Set() }; }"""
_KEEP = """(states) => {
  for (const { body, ...each } of states) {
    const read = new DOMParser().parseFromString(body, "text/html");
    looked.states.push({ ...each, body: document.adoptNode(read.body), blocks: [] });
  }
}"""
_PUT = """
  const put = ({ body, language }) => {
    document.documentElement.lang = language;
    document.body.replaceWith(body);
    return [...body.querySelectorAll("details")];
  };
  const unfold = (details, open) => { for (const each of details) each.open = open; };
"""
_LOOK = (
    """async ([from, to, theme, width, narrowest]) => {"""
    + _PUT
    + """
  const light = theme === "light", first = light && width === narrowest;
  const { known, options } = looked;
  const found = [], say = (at, text) => found.push([at, `${text} (${theme}, ${width})`]);
  const ask = async (at, what, rules, how = "") => {
    if (what.include && !what.include.length) return;
    for (const rule of (await axe.run(what, rules)).violations) {
      const where = rule.nodes.slice(0, 3).map((each) => each.html.slice(0, 150)).join("; ");
      say(at, `axe: ${rule.id} (${rule.impact}): ${rule.help}: ${where}${how}`);
    }
  };
  const wide = (at, how) => {
    const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return;
    const out = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > room);
    for (const each of out.slice(-3)) say(at, `scrolls sideways${how}: ${each.outerHTML.slice(0, 120)}`);
  };
  const isNew = (key) => !known.has(key) && Boolean(known.add(key));
  const include = (blocks) => ({ include: blocks.map((each) => each.element) });

  // ---- what a page is made of ----
  const apart = "body, header, nav, main, section, article, aside, form, fieldset, details, div, ul, ol, table, tbody";
  const words = (each) => [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const may_scroll = (each) => !each.matches(".top") && getComputedStyle(each).overflow !== "visible";
  const one = (each) => !each.matches(apart) || !each.children.length || words(each) || may_scroll(each);
  const leaves = (each) => (one(each) ? [each] : [...each.children].flatMap(leaves));
  const given = ["id", "for", "name", "value", "href", "action", "max", "lang", "d", "src", "data-[a-z-]+",
    "aria-(?:label|labelledby|describedby|controls)"];
  const values = new RegExp(`(?<= )(${given.join("|")})="[^"]*"`, "g");
  const plain = (html) => html  // of one letter axe judges no colour
    .replace(values, "$1").replace(/ selected=""/g, "")
    .replace(/>\\s+</g, "><").replace(/>\\s*[^<\\s]\\s*</g, ">.<").replace(/>[^<.][^<]*</g, ">w<");
  const shell = (each) => plain(each.cloneNode(false).outerHTML);
  const look = (each) => {
    const style = getComputedStyle(each);
    const { color, backgroundColor, backgroundImage, fontSize, fontWeight, opacity } = style;
    return [color, backgroundColor, backgroundImage, fontSize, fontWeight, opacity].join();
  };
  const visible = (each) => {
    if (!each.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return 0;
    const { width, height, right } = each.getBoundingClientRect();
    return Number(width > 1 && height > 1 && right > 0);
  };
  const within = (element) => [element, ...element.querySelectorAll("*")];
  const seen = (element) => within(element).map(visible).join("");
  const around = new Map();
  const chain = (each) => {
    if (!each || each === document.documentElement) return "";
    if (!around.has(each)) {
      const before = each.previousElementSibling;
      around.set(each, `${chain(each.parentElement)} / ${before ? shell(before) : ""} + ${shell(each)} ${look(each)}`);
    }
    return around.get(each);
  };
  const blocks = (state, element) => leaves(element).map((each) => {
    const is = seen(each);
    const key = `${chain(each)} | ${plain(each.outerHTML)} | ${within(each).map(look).join(";")} | ${is}`;
    return { element: each, key, seen: is, fresh: isNew(key), spoken: isNew(`${state.language} ${key}`) };
  });

  // ---- the look ----
  const colours = (state, of) => of.filter((each) => (first ? each.spoken : each.fresh));
  const ask_blocks = async (at, state, of, how) => {
    if (first || !light) return ask(at, include(colours(state, of)), options.colours, how);
    const others = of.filter((each) => seen(each.element) !== each.seen);
    await ask(at, include(others.filter((each) => isNew(`${width} ${state.language} ${each.key}`))), options.all, how);
    await ask(at, include(of.filter((each) => each.fresh && !others.includes(each))), options.places, how);
  };
  for (let at = from; at < to; at += 1) {
    const state = looked.states[at];
    if (!light && !state.whole && !state.blocks.some((each) => each.fresh)) continue;
    const details = put(state);
    if (light) {
      unfold(details, false);
      wide(at, "");
    }
    unfold(details, true);
    if (light && details.length) wide(at, ", all of it opened");
    const top = document.querySelector(".top"), ours = (each) => !top?.contains(each.element);
    if (first && top) {
      state.blocks = blocks(state, top);
      if (state.blocks.some((each) => each.spoken)) await ask(at, { include: [top] }, options.all, ", in the menu");
    } else if (top) {
      await ask_blocks(at, state, state.blocks.filter((each) => !ours(each)), ", in the menu");
    }
    unfold(details.filter((each) => each.matches(".menu")), false);
    const others = [...document.body.children].filter((each) => each !== top);
    if (first) state.blocks.push(...others.flatMap((each) => blocks(state, each)));
    const anew = first ? !state.room || state.blocks.some((each) => each.spoken) : state.whole;
    if (anew) await ask(at, document, options.but_colours);
    await ask_blocks(at, state, state.blocks.filter(ours), "");
  }
  return found;
}"""
)
_ZOOMED = (
    """([from, to, size]) => {"""
    + _PUT
    + """
  const found = [];
  document.documentElement.style.fontSize = size;
  for (let at = from; at < to; at += 1) {
    unfold(put(looked.states[at]), true);
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push([at, "scrolls sideways"]);
  }
  document.documentElement.style.fontSize = "";
  return found;
}"""
)


@dataclass(frozen=True)
class Drawn:
    """A state as it stands in a browser, after the script has run: its name and its body."""

    name: str
    language: str
    body: str
    whole: bool = False  # every rule at every width, and in the dark theme too
    room: bool = False  # its elements came in another state: the whole page is asked nothing where no block is new


def drawn(page: Page, name: str, *, whole: bool = False) -> Drawn:
    """The page that is open, as it is now."""
    language, body = page.evaluate("[document.documentElement.lang, document.body.outerHTML]")
    return Drawn(name, language, body, whole)


def complaints(page: Page, states: Sequence[Drawn]) -> Iterator[str]:
    """What is wrong with any of these states. A page of the same site is open; it does not come back."""
    page.evaluate(_AXE)
    page.evaluate(_BEGIN, _OPTIONS)
    parts = [(at, min(at + _AT_ONCE, len(states))) for at in range(0, len(states), _AT_ONCE)]
    for begin, end in parts:
        page.evaluate(_KEEP, [asdict(each) for each in states[begin:end]])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of the two
            for begin, end in parts:
                for at, text in page.evaluate(_LOOK, [begin, end, theme, width, WIDTHS[0]]):
                    yield f"{states[at].name}: {text}"
    # At 200 % a window of 1280 pixels has half as many; and with letters alone twice as large.
    for width, size, how in ((640, "", "at 200 %"), (1280, "212.5%", "with letters twice as large")):
        page.set_viewport_size({"width": width, "height": HEIGHT * width // 1280})
        for begin, end in parts:
            yield from (f"{states[at].name}: {text} {how}" for at, text in page.evaluate(_ZOOMED, [begin, end, size]))
