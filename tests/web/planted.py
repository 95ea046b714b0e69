"""Scripts that somebody writes into fields, and whether a browser that has no policy against them ran one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from urllib.parse import urldefrag, urljoin

from playwright.sync_api import Page

__all__ = ["MARK", "SHORT", "crawl", "fill_everything", "nothing_ran"]

MARK = "</textarea><script>window.ran=1</script>\"onmouseover='window.ran=1' {{ 7*7 }}<img src=x onerror=window.ran=1>"
SHORT = '"><script>window.ran=1</script>'

_FILL = """([mark, short]) => {
  document.querySelectorAll("main details").forEach((each) => { each.open = true; });
  const free = [...document.querySelectorAll("main form.stack input[type=text], main form.stack textarea")];
  for (const each of free) {
    each.removeAttribute("maxlength");
    each.value = each.getAttribute("inputmode") ? short : mark;
  }
  return free.map((each) => each.name);
}"""
_LINKS = "[...document.querySelectorAll('main a[href]')].map((each) => each.getAttribute('href'))"
_FILES = re.compile(
    r"/proof$|/erasure-receipt$|/receipt\b|/files/[^/]+/[^/]+$"
)  # no pages: they are kept, and never shown
_MANY = 60


def fill_everything(page: Page) -> list[str]:
    """Every text field of the page's form holds markup; the fields' names."""
    found: list[str] = page.evaluate(_FILL, [MARK, SHORT])
    return found


def nothing_ran(page: Page) -> None:
    """What was planted is text: nothing of it ran, not even under the mouse, and none of it became an element."""
    page.locator("body").hover(position={"x": 5, "y": 5}, force=True)
    page.evaluate("document.querySelectorAll('*').forEach((each) => each.dispatchEvent(new MouseEvent('mouseover')))")
    assert page.evaluate("window.ran") is None
    assert page.locator("main img[src=x]").count() == 0


def crawl(page: Page, first: Iterable[str], about: Collection[str]) -> set[str]:
    """Open these pages, and every page about one of these ids that they lead to; where markup was seen as text."""
    waiting, known, shown = list(first), set[str](), set[str]()
    while waiting and len(known) < _MANY:
        address = waiting.pop(0)
        if address in known:
            continue
        known.add(address)
        page.goto(address)
        nothing_ran(page)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        text = page.locator("main").inner_text()
        if MARK in text or SHORT in text:
            shown.add(address)
        links = (urldefrag(urljoin(page.url, each)).url for each in page.evaluate(_LINKS))
        waiting += [each for each in links if any(id_ in each for id_ in about) and not _FILES.search(each)]
    return shown
