"""Every rule of axe on every state, at every width, in both themes, for little more than the rules themselves cost.

Loading a page, handing axe over, letting it grow fast and changing the window cost more than asking. So axe is handed
over once, to one page of the site; each width and each theme is chosen once; and under each of them the bodies of all
states are put into that page one after the other. A node's pages have one head (`every_state.py` asks for it), so what
they are drawn with is the same. A body is taken from a browser in which the page was loaded and its script has run.

What runs where, for each state in each language:

- at each of the three widths every rule, in the light theme;
- at each of the three widths, in the dark theme, the rules that axe itself files under colour ("cat.color"). The others
  ask for elements, names, order, sizes and places, and the dark theme replaces the values of colours and nothing else
  (`tests/node/web/test_style.py`), so their answers cannot differ; with `whole` they are asked all the same;
- a state that has the same elements in the other language, and nothing but other words: every rule at the narrowest
  width, where words have the least room, in the light theme. What is asked again at other widths and in the dark
  (colours, sizes, order) is asked of elements, and theirs were looked at;
- folded, opened, at 200 % and with letters twice as large: whether anything sticks out.

A menu that is open lies over what follows it, and axe does not complain of what it cannot see. So the menu is folded
while the page is looked at, and the head with the menu open is looked at by itself: each that differs, under the same
rules. Where the window is wide the menu always stands open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page

__all__ = ["COLOUR_RULES", "HEIGHT", "THEMES", "WIDTHS", "Drawn", "complaints", "drawn"]

WIDTHS = (320, 768, 1280)  # CSS pixels
THEMES = ("light", "dark")
HEIGHT = 900
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""Those of axe's category "cat.color" that belong to WCAG A or AA."""

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_ALL: Any = {
    "resultTypes": ["violations"],
    "selectors": False,
    "runOnly": {"type": "tag", "values": _RULES},
    # A target of 24 by 24 pixels is WCAG 2.2 AA, but axe asks for it only where it is told to.
    "rules": {"target-size": {"enabled": True}},
}
_COLOURS: Any = {**_ALL, "runOnly": {"type": "rule", "values": COLOUR_RULES}, "rules": {}}
_AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
_AT_ONCE = 20
_TOP = re.compile(r'<header class="top">.*?</header>', re.DOTALL)
_UNSEEN = re.compile(r' (?:value|data-[a-z-]+)="[^"]*"')

_LOOK = """async ([states, all, colours, theme, width, narrowest]) => {
  const wide = () => {
    const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return [];
    const out = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > room);
    return out.slice(-3).map((each) => each.outerHTML.slice(0, 120));
  };
  const found = [], say = (at, text) => found.push([at, `${text} (${theme}, ${width})`]);
  const ask = async (at, what, options, how) => {
    for (const rule of (await axe.run(what, options)).violations) {
      const where = rule.nodes.slice(0, 3).map((each) => each.html.slice(0, 150)).join("; ");
      say(at, `axe: ${rule.id} (${rule.impact}): ${rule.help}: ${where}${how}`);
    }
  };
  for (const { at, language, body, whole, once, room, menu } of states) {
    const read = new DOMParser().parseFromString(body, "text/html");
    document.documentElement.lang = language;
    document.body.replaceWith(document.adoptNode(read.body));
    const details = [...document.querySelectorAll("details")];
    const top = details.filter((each) => each.classList.contains("menu"));
    const rules = theme === "light" || whole ? all : colours;
    if (theme === "light") {
      for (const each of details) each.open = false;
      wide().forEach((each) => say(at, `scrolls sideways: ${each}`));
    }
    for (const each of details) each.open = true;
    if (theme === "light") wide().forEach((each) => say(at, `scrolls sideways, all of it opened: ${each}`));
    if (room || (once && (theme !== "light" || width !== narrowest))) continue;
    if (menu) await ask(at, { include: [".top"] }, rules, ", in the menu");
    for (const each of top) each.open = false;
    await ask(at, document, rules, "");
  }
  return found;
}"""
_ZOOMED = """([states, size]) => {
  const found = [];
  document.documentElement.style.fontSize = size;
  for (const { at, language, body } of states) {
    const read = new DOMParser().parseFromString(body, "text/html");
    document.documentElement.lang = language;
    document.body.replaceWith(document.adoptNode(read.body));
    for (const each of document.querySelectorAll("details")) each.open = true;
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push([at, "scrolls sideways"]);
  }
  document.documentElement.style.fontSize = "";
  return found;
}"""


@dataclass(frozen=True)
class Drawn:
    """A state as it stands in a browser, after the script has run: its name and its body."""

    name: str
    language: str
    body: str
    whole: bool = False  # every rule in the dark theme too
    once: bool = False  # looked at in another language: every rule at the narrowest width, in the light
    room: bool = False  # its elements were looked at in another state; whether its words have room is all that is new


def drawn(page: Page, name: str, *, whole: bool = False, once: bool = False) -> Drawn:
    """The page that is open, as it is now."""
    language, body = page.evaluate("[document.documentElement.lang, document.body.outerHTML]")
    return Drawn(name, language, body, whole, once)


def complaints(page: Page, states: Sequence[Drawn]) -> Iterator[str]:
    """What is wrong with any of these states. A page of the same site is open; it does not come back."""
    page.evaluate(_AXE)
    menus = _first_of_each_menu(states)
    given = [{"at": at, "menu": at in menus, **vars(each)} for at, each in enumerate(states)]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of the two
            for some in _in_parts(given):
                for at, text in page.evaluate(_LOOK, [some, _ALL, _COLOURS, theme, width, WIDTHS[0]]):
                    yield f"{states[at].name}: {text}"
    # At 200 % a window of 1280 pixels has half as many; and with letters alone twice as large.
    for width, size, how in ((640, "", "at 200 %"), (1280, "212.5%", "with letters twice as large")):
        page.set_viewport_size({"width": width, "height": HEIGHT * width // 1280})
        for some in _in_parts(given):
            yield from (f"{states[at].name}: {text} {how}" for at, text in page.evaluate(_ZOOMED, [some, size]))


def _in_parts(given: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(given)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _first_of_each_menu(states: Sequence[Drawn]) -> set[int]:
    """Where the heads stand that are not the same as one before, but for what no reader sees."""
    first: dict[str, int] = {}
    for at, each in enumerate(states):
        found = _TOP.search(each.body)
        if not each.room:
            first.setdefault(each.language + _UNSEEN.sub("", found[0]) if found else "", at)
    return set(first.values())
