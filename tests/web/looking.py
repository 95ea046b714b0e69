"""What is wrong with a page as a browser shows it: for every eye, every width, both themes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import ConsoleMessage, Page, Request

__all__ = ["Watched", "complaints"]

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_OPTIONS: Any = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": _RULES},
    # A target of 24 by 24 pixels is WCAG 2.2 AA, but axe asks for it only where it is told to.
    "rules": {"target-size": {"enabled": True}},
}
_HEIGHT = 900
Theme = Literal["light", "dark"]
_THEMES: tuple[Theme, ...] = ("light", "dark")
_WIDTHS: dict[int, Theme] = {320: "light", 768: "dark", 1280: "dark"}
"""In CSS pixels; and the theme in which a page is looked at there that is not looked at in both."""
_AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const wide = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > width);
  return wide.slice(-3).map((each) => each.outerHTML.slice(0, 120));
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

    Without `whole` each width and each theme is looked at once, but not each with each: for the second language, in
    which words have other lengths, but the same colours stand on the same ground.
    """
    page = watched.page
    page.evaluate(_AXE)
    return [*_widths(page, whole), *_zoomed(page), *watched.heard()]


def _widths(page: Page, whole: bool) -> Iterator[str]:
    for width, only in _WIDTHS.items():
        page.set_viewport_size({"width": width, "height": _HEIGHT})
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false; })")
        yield from _sideways(page, f"at {width}")
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        yield from _sideways(page, f"at {width}, all of it opened")
        for theme in _THEMES if whole else (only,):
            page.emulate_media(color_scheme=theme)
            for each in page.evaluate("async (options) => (await axe.run(document, options)).violations", _OPTIONS):
                where = "; ".join(node["html"][:150] for node in each["nodes"][:3])
                yield f"axe ({theme}, {width}): {each['id']} ({each['impact']}): {each['help']}: {where}"
    page.emulate_media(color_scheme="light")


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
