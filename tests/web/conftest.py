"""A network and a browser for the tests of the pages: without a browser they are skipped, with CI=true they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.lacking import lacking
from tests.web.browsing import CHROMIUM, FLAGS, WAITING
from tests.web.town import Town, opened

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One network for all tests of a worker. Whoever changes what others read makes a case of their own."""
    with opened(tmp_path_factory.mktemp("town")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Started and stopped with a module: beside its event loop no asynchronous test can run."""
    if not Path(CHROMIUM).exists():
        lacking(f"{CHROMIUM} is missing: make browser")
    with sync_playwright() as playwright:
        expect.set_options(timeout=WAITING)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Opens a page in a context of its own: `open_page(language="en", java_script_enabled=False)`."""
    with ExitStack() as stack:

        def opening(*, language: str = "fr", **options: Any) -> Page:
            context: BrowserContext = stack.enter_context(
                chromium.new_context(**{"locale": language, "reduced_motion": "reduce", **options})
            )
            context.set_default_timeout(WAITING)
            return context.new_page()

        yield opening
