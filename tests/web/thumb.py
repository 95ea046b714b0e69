"""Somebody who holds a telephone: whatever they do to a page is counted, and so is each page that opens."""

from __future__ import annotations

from playwright.sync_api import Frame, Locator, Page

__all__ = ["Thumb"]


class Thumb:
    """`done` tells each tap, choice and filled field in order, `pages` the path of each page that they opened."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.done: list[str] = []
        self.pages: list[str] = []
        page.on("framenavigated", self._opened)

    def tap(self, what: Locator) -> None:
        """A link, a button, a box or a radio."""
        self._count("tap", what)
        what.click()

    def fill(self, what: Locator, typed: str) -> None:
        """A tap into the field and what is typed there: one interaction."""
        self._count("fill", what)
        what.fill(typed)

    def _count(self, how: str, what: Locator) -> None:
        # Whatever lies under something else, or is off the page, nobody's thumb can reach.
        what.scroll_into_view_if_needed()
        self.done.append(f"{how}: {what.evaluate('(each) => (each.innerText || each.value || each.id).trim()')[:60]}")

    def _opened(self, frame: Frame) -> None:
        if frame == self._page.main_frame:
            self.pages.append(frame.url.partition("?")[0].partition("#")[0])
