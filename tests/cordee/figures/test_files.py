from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from cordee.errors import InvalidInput, YearNotClosed
from cordee.figures.catalogue import ASSOCIATION, BY_NAME, NETWORK, Shape
from cordee.figures.charts import chart
from cordee.figures.forms import FORMS, form_of
from cordee.figures.protection import Count
from cordee.figures.report import Report, Scope, counted, exact, is_plausible
from cordee.figures.sheet import COLUMNS, harmless, shown
from cordee.figures.years import begin, closes, is_closed, require_closed, year_of
from tests.web.markup import complaints

MADE = datetime(2027, 2, 3, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def report(name: str = "Amicale <b>«Été»</b>") -> Report:
    sent = {"received": Count(143), "declined": Count(38), "withdrawn": Count(21), "not_received": Count(3)}
    apart = {"cases_erased": Count(57), "opened": Count(4)}
    return Report(
        Scope.ASSOCIATION,
        2026,
        name,
        MADE,
        (counted(BY_NAME["sent"], sent), counted(BY_NAME["apart"], apart), exact(BY_NAME["machine"], {"alarms": 2})),
        since=datetime(2026, 3, 12, tzinfo=UTC),
    )


def lines(data: bytes) -> list[dict[str, str]]:
    assert data.startswith("\ufeff".encode())
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=";"))


# ---- the catalogue ----


def test_codes_are_for_programs_and_are_never_used_twice() -> None:
    kinds = (*NETWORK, *ASSOCIATION)
    assert len({each.code for each in kinds}) == len(kinds)
    for kind in kinds:
        assert re.fullmatch(r"[a-z_]+", kind.code)
        codes = [row.code for row in kind.rows]
        assert len(set(codes)) == len(codes)
        assert "total" not in codes
        assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)
        assert len(codes) >= 2 or kind.shape is not Shape.TOGETHER


def test_nothing_that_is_about_cases_is_told_exactly() -> None:
    assert {each.code for each in (*NETWORK, *ASSOCIATION) if each.shape is Shape.EXACT} == {
        "members",
        "incidents",
        "changes",
        "machine",
    }


# ---- HTML ----


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_is_valid_and_needs_nothing_else(language: str) -> None:
    html = FORMS["html"].write(report(), language).decode()
    meant = ("the title is not neutral", "style inline")  # it is a document of its own, no page of a node
    assert [each for each in complaints(html, language) if not each.startswith(meant)] == []
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", html)
    assert "<b>" not in html
    assert "default-src 'none'; style-src 'sha256-" in html


def test_the_page_shows_what_the_csv_says() -> None:
    html = FORMS["html"].write(report(), "en").decode()
    told = [each["count"] or "not published" for each in lines(FORMS["csv"].write(report(), "en"))]
    cells = re.findall(r'<td class="count[^"]*">([^<]*)</td>', html)
    assert cells == told
    assert not {"143", "38", "21", "57"} & set(re.findall(r">(\d+)<", html))


def test_a_chart_is_told_in_words_and_never_by_colour_alone() -> None:
    table = report().tables[0]
    root = ET.fromstring(chart(table, "en"))  # our own
    ids = {each.get("id") for each in root.iter()}
    assert root.get("role") == "img"
    assert set(str(root.get("aria-labelledby")).split()) <= ids
    desc = root.findtext(f"{SVG}desc") or ""
    assert desc == "received: 145; declined: 40; withdrawn: not published; not received: not published"
    words = [each.text for each in root.iter(f"{SVG}text")]
    for row in table.rows:
        assert row.label in words
    assert words.count("not published") == 2
    widths = {each.get("class"): each.get("width") for each in root.iter(f"{SVG}rect")}
    assert widths["untold"] == "24", "an outline of one size, whatever the number is"
    assert not any("style" in each.attrib or "fill" in each.attrib for each in root.iter()), "the page decides"


def test_nothing_is_drawn_of_a_table_that_is_not_told() -> None:
    table = counted(BY_NAME["sent"], {"received": Count(5)})
    assert table.total is None
    assert 'class="bar"' not in chart(table, "en")


# ---- CSV ----


def test_every_count_is_a_line_and_every_column_and_row_stands_in_the_dictionary() -> None:
    sheet = lines(FORMS["csv"].write(report(), "en"))
    assert list(sheet[0]) == [name for name, _ in COLUMNS]
    words = lines(FORMS["dictionary"].write(report(), "en"))
    explained = {(each["table"], each["row"]) for each in words if each["kind"] == "row"}
    assert {(each["table"], each["row"]) for each in sheet if each["row"] != "total"} == explained
    assert {each["row"] for each in words if each["kind"] == "column"} == set(sheet[0])
    assert all(each["meaning"] for each in words)
    assert [each["count"] for each in sheet if each["row"] == "total"] == ["210"]


@pytest.mark.parametrize("name", ["=1+1", "+33 4", "-2", "@sum", "\t=1", "  =cmd|' /C calc'!A0", "\r=1"])
def test_no_name_becomes_a_formula(name: str) -> None:
    for each in lines(FORMS["csv"].write(report(name), "en")):
        assert each["name"] == f"'{name}"


def test_a_name_with_quotes_semicolons_and_lines_stays_one_cell() -> None:
    name = 'A; "B"\nC'
    sheet = lines(FORMS["csv"].write(report(name), "en"))
    assert {each["name"] for each in sheet} == {name}
    assert len(sheet) == len(lines(FORMS["csv"].write(report(), "en")))


def test_what_is_harmless_stays_as_it_is() -> None:
    assert [harmless(each) for each in ("Étoile", "a=b", "1-2", "", " ")] == ["Étoile", "a=b", "1-2", "", " "]


def test_a_command_shows_the_same_lines() -> None:
    data = FORMS["csv"].write(report(), "en")
    rows = shown(data)
    assert rows[0] == {"table": "sent", "row": "received", "label": "received", "count": 145, "status": "rounded"}
    assert rows[2]["count"] is None
    assert len(rows) == len(lines(data))


# ---- PDF, and all of them ----


def test_the_sheets_are_made_of_any_letters() -> None:
    data = FORMS["pdf"].write(report("Дом «Надежда» – Łódź 中"), "fr")
    assert data.startswith(b"%PDF-")
    assert len(data) > 3000


def test_a_form_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInput):
        form_of("docx")


def test_file_names_hold_a_year_and_nothing_else() -> None:
    names = {form.file_name(2026) for form in FORMS.values()}
    assert names == {"report-2026.html", "report-2026.csv", "report-2026.pdf", "dictionary-2026.csv"}


def test_numbers_that_were_not_protected_are_known() -> None:
    assert is_plausible([10, 15, None, 1000])
    for wrong in (0, 5, 7, 11, 101):
        assert not is_plausible([20, wrong])


# ---- years ----


def test_a_year_is_closed_when_each_of_its_offers_has_ended() -> None:
    assert closes(2026) == datetime(2027, 2, 1, tzinfo=UTC)
    last = begin(2027) - timedelta(microseconds=1)
    assert last + timedelta(days=14) + timedelta(days=14) < closes(2026), "offer and one-time key live 14 days each"
    assert year_of(last) == 2026
    assert year_of(datetime.fromisoformat("2027-01-01T00:30:00+01:00")) == 2026
    assert not is_closed(2026, closes(2026) - timedelta(seconds=1))
    with pytest.raises(YearNotClosed) as refused:
        require_closed(2026, last)
    assert refused.value.facts == {"year": "2026", "day": "2027-02-01"}
    for wrong in (0, 10_000):
        with pytest.raises(InvalidInput):
            require_closed(wrong, last)
