"""What is wrong with a page as a browser shows it: for every eye, every width, both themes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import ConsoleMessage, Page, Request

__all__ = [
    "Watched",
    "complaints",
    "keyboard_complaints",
    "outline_complaints",
    "paper_complaints",
    "prepare",
    "same_page_complaints",
    "sticking_out",
]

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_OPTIONS: Any = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": _RULES},
    # A target of 24 by 24 pixels is WCAG 2.2 AA, but axe asks for it only where it is told to.
    "rules": {"target-size": {"enabled": True}},
}
_COLOURS: Any = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
_LAYOUT: Any = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "rule", "values": ["target-size", "scrollable-region-focusable"]},
}
_WORDS: Any = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["cat.language", "cat.forms", "cat.name-role-value", "cat.text-alternatives"]},
}
_HEIGHT = 900
_WIDTHS = (320, 768, 1280)  # CSS pixels
_LAST = _WIDTHS[-1]
_AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const wide = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > width);
  return wide.slice(-3).map((each) => each.outerHTML.slice(0, 120));
}"""

_SWAP = """([language, html]) => {
  const read = new DOMParser().parseFromString(html, "text/html");
  document.documentElement.lang = language;
  document.body.replaceWith(document.adoptNode(read.body));
}"""


class Watched:
    """A page whose console and requests are listened to."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self._origin = origin.rstrip("/")
        self._heard: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._heard.append(f"a script failed: {error}"))
        page.on("request", self._request)

    def heard(self) -> list[str]:
        """What was wrong since the last time: errors of scripts, violated policies, requests to another host."""
        heard, self._heard = self._heard, []
        return heard

    def _console(self, message: ConsoleMessage) -> None:
        # That a page came with a status such as 409 is told on the console too; it is meant.
        of_itself = message.text.startswith("Failed to load resource") and message.location["url"] == self.page.url
        if message.type in ("error", "warning") and not of_itself:
            self._heard.append(f"console: {message.text} ({message.location['url']})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._origin + "/", "data:")):
            self._heard.append(f"asked another host: {request.url}")


def complaints(watched: Watched, *, whole: bool = True) -> list[str]:
    """Looks at the page that is open, at every width and in both themes, and leaves it as it was.

    With `whole` every rule is run at each width in the light theme and those about colours in the dark one, at each
    width too. That is for one state of each route. Its other states have the same head, style and frame; so for them
    every rule is run at the largest width, with colours in both themes, and at the other widths what the width decides:
    how large targets are, what scrolls, and whether anything sticks out. The style's colours do not differ by width
    (`test_style.py`).
    """
    page = watched.page
    prepare(page)
    return [*_widths(page, whole), *_zoomed(page), *watched.heard()]


def prepare(page: Page) -> None:
    """Once for each page that is opened."""
    page.evaluate(_AXE)


def same_page_complaints(page: Page, language: str, html: str) -> list[str]:
    """Puts other contents in the page that is open: of a state that was looked at in full in another language.

    Its colours and elements are the same; words are other words, of other lengths. So what is asked is whether anything
    sticks out at any width, and the rules about names, labels, forms and language.
    """
    found = sticking_out(page, language, html)
    return [*found, *_by_axe(page, language, _WORDS)]


def sticking_out(page: Page, language: str, html: str) -> list[str]:
    """The same of a page whose elements were looked at in full: whether its words and values have room."""
    page.evaluate(_SWAP, [language, html])
    return [*_reflow(page), *_zoomed(page)]


def _reflow(page: Page) -> Iterator[str]:
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": _HEIGHT})
        yield from _folded_and_not(page, width)


def _widths(page: Page, whole: bool) -> Iterator[str]:
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": _HEIGHT})
        yield from _folded_and_not(page, width)
        full = whole or width == _LAST
        yield from _by_axe(page, f"light, {width}", _OPTIONS if full else _LAYOUT)
        if full:
            page.emulate_media(color_scheme="dark")
            yield from _by_axe(page, f"dark, {width}", _COLOURS)
            page.emulate_media(color_scheme="light")


def _folded_and_not(page: Page, width: int) -> Iterator[str]:
    """Leaves everything opened."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false; })")
    yield from _sideways(page, f"at {width}")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    yield from _sideways(page, f"at {width}, all of it opened")


def _by_axe(page: Page, how: str, options: Any) -> Iterator[str]:
    for each in page.evaluate("async (options) => (await axe.run(document, options)).violations", options):
        where = "; ".join(node["html"][:150] for node in each["nodes"][:3])
        yield f"axe ({how}): {each['id']} ({each['impact']}): {each['help']}: {where}"


def _sideways(page: Page, how: str) -> Iterator[str]:
    wide = page.evaluate(_OVERFLOW)
    if wide is not None:
        yield f"scrolls sideways {how}: {wide}"


def _zoomed(page: Page) -> Iterator[str]:
    """At 200 %: a window of 1280 pixels has half as many; and with letters alone twice as large."""
    page.set_viewport_size({"width": 640, "height": _HEIGHT // 2})
    yield from _sideways(page, "at 200 %")
    page.set_viewport_size({"width": 1280, "height": _HEIGHT})
    page.evaluate("document.documentElement.style.fontSize = '212.5%'")
    yield from _sideways(page, "with letters twice as large")
    page.evaluate("document.documentElement.style.fontSize = ''")


# ---- by the keyboard, in the reader's own colours, on paper ----

_CONTROLS = """() => {
  const seen = (each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled;
  const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")];
  window.controls = all.filter(seen);
  // Of a group of radio buttons the Tab key reaches one; the arrow keys lead to the others.
  const key = (each, at) => (each.type === "radio" ? each.name : String(at));
  return window.controls.map((each, at) => [key(each, at), each.outerHTML.slice(0, 120)]);
}"""
_FOCUSED = """() => {
  const each = document.activeElement, at = window.controls.indexOf(each);
  if (at < 0) return null;
  const style = getComputedStyle(each), box = each.getBoundingClientRect(), head = document.querySelector(".top");
  const seen = document.elementFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 20));
  const covered = !head.contains(each) && head.contains(seen);
  return { at, ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, covered };
}"""
_OUTLINED = """() => [...document.querySelectorAll("button, .button, input:not([type=hidden]), select, textarea")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }))
  .filter((each) => {
    const style = getComputedStyle(each);
    const own = ["checkbox", "radio"].includes(each.type);  // drawn by the browser itself
    return !own && (parseFloat(style.borderTopWidth) < 1 || style.borderTopColor === style.backgroundColor);
  }).map((each) => each.outerHTML.slice(0, 120))"""
_ON_PAPER = """() => {
  const visible = (each) => each.checkVisibility({ visibilityProperty: true });
  const wrong = [...document.querySelectorAll(".top, .skip, button, nav.turn")].filter(visible)
    .map((each) => `stands on paper: ${each.outerHTML.slice(0, 120)}`);
  if (!visible(document.querySelector("h1"))) wrong.push("no heading");
  const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (colour) => (parts(colour)[0] * 3 + parts(colour)[1] * 6 + parts(colour)[2]) / 10;
  for (const each of document.querySelectorAll("main *")) {
    const words = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (words && visible(each) && light(getComputedStyle(each).color) > 130) {
      wrong.push(`pale on paper: ${each.outerHTML.slice(0, 120)}`);
    }
  }
  return wrong;
}"""
_TABS = 400
_ENDS = 2


def keyboard_complaints(page: Page) -> Iterator[str]:
    """Every control is reached by the Tab key, and one sees where one is."""
    page.set_viewport_size({"width": 320, "height": 640})
    wanted = page.evaluate(_CONTROLS)
    page.evaluate("document.activeElement.blur()")
    reached, ends = set(), 0
    for _ in range(_TABS):
        page.keyboard.press("Tab")
        here = page.evaluate(_FOCUSED)
        if here is None:  # past the last one; a page that puts the focus somewhere by itself is gone through once more
            ends += 1
            if ends == _ENDS:
                break
            continue
        key, html = wanted[here["at"]]
        if not here["ring"]:
            yield f"one does not see that it has the focus: {html}"
        if here["covered"]:
            yield f"the head of the page lies over it: {html}"
        reached.add(key)
    for key in sorted({key for key, _ in wanted} - reached):
        yield f"the Tab key does not lead to it: {next(html for each, html in wanted if each == key)}"


def outline_complaints(page: Page) -> list[str]:
    """Where the reader's own colours replace ours, a control is known by its border."""
    return [f"has no outline: {each}" for each in page.evaluate(_OUTLINED)]


def paper_complaints(page: Page) -> list[str]:
    """What is printed is dark and without what can only be pressed."""
    page.emulate_media(media="print", color_scheme="dark")
    found: list[str] = page.evaluate(_ON_PAPER)
    page.emulate_media(media="screen", color_scheme="dark")
    return found
