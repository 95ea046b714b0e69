"""Pictures of the main pages, from synthetic cases, into docs/pictures/: `make pictures`.

Each at the width of a telephone and of a desk. They are taken in French, in the light theme, without a cursor.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))  # the tests' network, which is not installed

from node.demo.stage import House
from tests.web.browsing import CHROMIUM, FLAGS, sign_in
from tests.web.town import Town, opened

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
WIDTHS = (320, 1280)
_COLOURS = 48
_TALLEST = 1600  # pixels; what is below is more of the same


def main(arguments: list[str] | None = None) -> int:
    """Take them all. Without a browser nothing is taken, and it says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=PICTURES)
    into = parser.parse_args(arguments).into
    if not Path(CHROMIUM).exists():
        print(f"{CHROMIUM} is missing (make browser): the pictures stay as they are", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(prefix="cordee-pictures-") as folder, opened(Path(folder)) as town:
        for name in take(town, into):
            print(into / name)
    return 0


def take(town: Town, into: Path) -> list[str]:
    """The names of the files that were written."""
    into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        taken = []
        for width in WIDTHS:
            context = browser.new_context(
                locale="fr",
                timezone_id="Europe/Paris",
                reduced_motion="reduce",
                viewport={"width": width, "height": 800},
            )
            page = context.new_page()
            page.goto(town.helpline.pages + "sign-in")
            taken.append(_picture(page, into, "entree", width))
            for name, house, address in _pages(town):
                sign_in(page, house)
                page.goto(house.pages + address)
                taken.append(_picture(page, into, name, width))
            context.close()
        browser.close()
    return taken


def _pages(town: Town) -> list[tuple[str, House, str]]:
    """Name of the picture, whose page, where."""
    helpline, shelter = town.helpline, town.shelter
    case, ready = f"cases/{town.full}", f"cases/{town.ready}"
    return [
        ("aujourd-hui", helpline, ""),
        ("dossiers", helpline, "cases"),
        ("dossier-nouveau", helpline, "cases/new"),
        ("dossier", helpline, case),
        ("dossier-identite", helpline, f"{case}/sections/identity"),
        ("dossier-signaux", helpline, f"{case}/sections/weak_signals"),
        ("accord", helpline, f"{ready}/acts"),
        ("accord-nouveau", helpline, f"{ready}/acts/new"),
        ("envoi-a-qui", helpline, f"{ready}/send"),
        ("annuaire", helpline, "members"),
        ("suivi", helpline, f"transfers/{town.ended}"),
        ("recu-aujourd-hui", shelter, ""),
        ("recu-offre", shelter, f"transfers/{town.waiting}"),
    ]


def _picture(page: Page, into: Path, name: str, width: int) -> str:
    page.wait_for_load_state()
    height = min(_TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    shot = page.screenshot(
        full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}, animations="disabled", caret="hide"
    )
    file = f"{name}-{width}.png"
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(into / file, optimize=True)
    return file


if __name__ == "__main__":
    raise SystemExit(main())
