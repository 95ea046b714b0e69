"""What is wrong with a page as a browser shows it: by the keyboard, in the reader's own colours, on paper, and what its
console says. What axe finds: `matrix.py`."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import ConsoleMessage, Page, Request

__all__ = [
    "Watched",
    "keyboard_complaints",
    "outline_complaints",
    "paper_complaints",
]


class Watched:
    """A page whose console and requests are listened to."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin.rstrip("/")  # of the node's pages; whatever else is asked for is wrong
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
        if not request.url.startswith((self.origin + "/", "data:")):
            self._heard.append(f"asked another host: {request.url}")


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
