"""The yearly report as a browser shows it: on a node's pages, and as the file that is handed on, which stands alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from cordee.figures.forms import FORMS
from tests.cordee.figures.test_files import report
from tests.web import looking, matrix
from tests.web.browsing import sign_in
from tests.web.conftest import Open
from tests.web.town import Town
from tests.web.years import with_a_closed_year

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LANGUAGES = ("fr", "en")


@pytest.fixture(scope="module")
def year(town: Town) -> int:
    return with_a_closed_year(town.helpline)


def wrong_with_file(page: Page, *, width: int, theme: str) -> Iterator[str]:
    page.set_viewport_size({"width": width, "height": matrix.HEIGHT})
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of two
    page.evaluate(matrix._AXE)
    found = page.evaluate("(options) => axe.run(document, options)", matrix._ALL)
    for each in found["violations"]:
        yield f"{theme}, {width}: axe: {each['id']}: {each['nodes'][0]['html'][:120]}"
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        yield f"{width}: scrolls sideways"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_file_is_accessible_at_every_width_in_both_themes_and_asks_nobody_for_anything(
    open_page: Open, tmp_path: Path, language: str
) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(FORMS["html"].write(report(), language))
    page = open_page(bypass_csp=True)  # axe is put into it; the file's own policy lets no script run
    page.goto(path.as_uri())
    wrong = [
        each
        for width in matrix.WIDTHS
        for theme in matrix.THEMES
        for each in wrong_with_file(page, width=width, theme=theme)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_file_lets_no_script_run_and_its_own_style_does(open_page: Open, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    html = FORMS["html"].write(report(), "fr").decode()
    path.write_text(html.replace("</main>", "<script>window.ran = 1</script></main>"), encoding="utf-8")
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.querySelector('.chart .bar')).fill") == "rgb(29, 79, 145)"
    assert asked == [path.as_uri()]


def test_the_file_is_dark_on_paper(open_page: Open, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(FORMS["html"].write(report(), "fr"))
    page = open_page(color_scheme="dark")
    page.goto(path.as_uri())
    assert looking.paper_complaints(page) == []


@pytest.mark.parametrize("scripts", [True, False])
def test_an_auditor_looks_at_a_year_and_takes_its_files(
    town: Town, open_page: Open, year: int, tmp_path: Path, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    sign_in(page, town.helpline, "Aude")
    page.goto(f"{town.helpline.pages.rstrip('/')}/association")
    page.locator("a[href='/figures']").click()
    page.locator(f"a[href='/figures/{year}']").click()
    page.locator(f"form[action='/figures/{year}/file']").wait_for()
    assert page.locator("svg.chart").count() == page.locator("main table").count() > 4
    for form, name in (("pdf", f"report-{year}.pdf"), ("csv", f"report-{year}.csv")):
        with page.expect_download() as begun:
            page.locator(f"button[value={form}]").click()
        assert begun.value.suggested_filename == name
        begun.value.save_as(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
