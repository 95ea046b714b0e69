"""Pictures of the main pages, from synthetic cases, into docs/pictures/: `make pictures`.

Each at the width of a telephone and of a desk. They are taken in French, in the light theme, without a cursor.
`--only NAME …` takes some of them; what comes before them is brought about all the same.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))  # the tests' network, which is not installed
sys.path.insert(0, str(Path(__file__).parent))

from pictured import CONSOLE, PRACTICE, Camera, console_pictures, every_picture, practice_pictures

from tests.web.browsing import CHROMIUM, FLAGS, WAITING
from tests.web.consoles import opened as consoles
from tests.web.town import opened

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
WIDTHS = (320, 1280)
_COLOURS = 48
_TALLEST = 1600  # pixels; what is below is more of the same


def main(arguments: list[str] | None = None) -> int:
    """Take them. Without a browser nothing is taken, and it says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=PICTURES)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args(arguments)
    if not Path(CHROMIUM).exists():
        print(f"{CHROMIUM} is missing (make browser): the pictures stay as they are", file=sys.stderr)
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cordee-pictures-")))
        camera = Photographer(stack.enter_context(_browser()), given.into, set(given.only))
        if not given.only or PRACTICE.intersection(given.only):
            practice_pictures(camera, folder)
        if not given.only or CONSOLE.intersection(given.only):
            console_pictures(camera, stack.enter_context(consoles(folder / "office")))
        if not given.only or set(given.only) - PRACTICE - CONSOLE:
            every_picture(camera, stack.enter_context(opened(folder)), stack)
    return 0


class Photographer(Camera):
    """Writes what the browser shows, once at each width."""

    def __init__(self, page: Page, into: Path, only: set[str]) -> None:
        super().__init__(page)
        self._into, self._only = into, only
        into.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> None:
        """The page as it is now."""
        if self._only and name not in self._only:
            return
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            print(_picture(self.page, self._into, name, width))


@contextmanager
def _browser() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(
            locale="fr",
            timezone_id="Europe/Paris",
            reduced_motion="reduce",
            viewport={"width": WIDTHS[-1], "height": 800},
        )
        context.set_default_timeout(WAITING)
        yield context.new_page()
        browser.close()


def _picture(page: Page, into: Path, name: str, width: int) -> Path:
    page.wait_for_load_state()
    page.evaluate("scrollTo(0, 0)")  # the header stays in sight, and stands on top of a page that is not scrolled
    height = min(_TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    shot = page.screenshot(
        full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}, animations="disabled", caret="hide"
    )
    file = into / f"{name}-{width}.png"
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    return file


if __name__ == "__main__":
    raise SystemExit(main())
