from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from bench.__main__ import _rows
from bench.cases import lines
from bench.goals import GOALS
from bench.publish import publish
from bench.report import Line, Report, Result
from bench.rounds import Spread


def result(row: str, value: float) -> Result:
    return Result(GOALS[row], spread=Spread.of([value]))


@pytest.mark.parametrize(
    ("row", "value", "verdict"),
    [
        ("W1", 0.69, "BELOW FLOOR"),
        ("W1", 0.70, "at or above floor"),
        ("W1", 0.85, "goal reached"),
        ("W7 growth", 65, "BELOW FLOOR"),
        ("W7 growth", 64, "at or above floor"),
        ("W7 growth", -3, "goal reached"),
    ],
)
def test_a_figure_is_held_against_goal_and_floor_the_way_it_is_good(row, value, verdict):
    assert result(row, value).verdict == verdict


def test_a_floor_is_never_stricter_than_its_goal():
    assert all(goal.above_floor(goal.goal) for goal in GOALS.values())


def test_a_skipped_row_says_why_and_is_not_below_its_floor():
    report = Report(quick=False, rounds=1, results=[Result(GOALS["W2"], skipped="age is missing")])
    assert report.results[0].verdict == "skipped: age is missing"
    assert report.below_floor == []


def test_table_and_file_tell_the_same(tmp_path):
    report = Report(quick=False, rounds=5)
    report.add(result("W1", 0.5))
    report.tell_slope("W1", 1.01)
    report.keep({"cordee": [1.0, 2.0]}, under="100 MB")
    shown = io.StringIO()
    report.show(Console(file=shown, width=250))
    report.write(tmp_path / "results" / "r.json")
    written = json.loads((tmp_path / "results" / "r.json").read_text())

    assert "BELOW FLOOR" in shown.getvalue()
    assert "1.01" in shown.getvalue()
    assert written["results"][0]["verdict"] == "BELOW FLOOR"
    assert written["results"][0]["slope"] == 1.01
    assert written["seconds"] == {"100 MB: cordee": [1.0, 2.0]}


def test_a_quick_run_is_not_held_against_goals_of_other_sizes():
    report = Report(quick=True, rounds=1)
    report.add(result("W1", 0.1))
    assert [each.verdict for each in report.results] == ["works"]
    assert report.below_floor == []


def test_results_are_told_in_the_order_of_the_goals():
    report = Report(quick=False, rounds=1)
    for row in ("W4", "W3a", "W1"):
        report.add(result(row, 1))
    assert [each.goal.id for each in report.results] == ["W1", "W3a", "W4"]


def test_a_run_is_published_between_the_marks_of_the_page_and_again_in_their_place(tmp_path):
    page, file = tmp_path / "page.md", tmp_path / "run.json"
    page.write_text("before\n<!-- results: begin -->\n<!-- results: end -->\nafter\n")
    for value in (0.5, 0.9):
        report = Report(quick=False, rounds=5)
        report.add(result("W1", value))
        report.write(file)
        publish(file, page)
    text = page.read_text()
    assert "| W1 |" in text
    assert "0.90 ×" in text
    assert "0.50 ×" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_a_line_to_read_by_is_told_in_table_file_and_page_and_is_never_below_a_floor(tmp_path):
    page, file = tmp_path / "page.md", tmp_path / "run.json"
    page.write_text("<!-- results: begin -->\n<!-- results: end -->\n")
    report = Report(
        quick=False, rounds=2, lines=[Line("W4 ceiling", "this to that", Spread.of([0.4, 0.6]), "9 cases/s")]
    )
    told = "W4 ceiling (this to that): 0.50 × (0.40 … 0.60), 9 cases/s"
    shown = io.StringIO()
    report.show(Console(file=shown, width=250))
    report.write(file)
    publish(file, page)

    assert told in shown.getvalue()
    assert told in page.read_text()
    (line,) = json.loads(file.read_text())["lines"]
    assert (line["name"], line["ratio"]["median"], line["told"]) == ("W4 ceiling", 0.5, told)
    assert report.below_floor == []


def test_w4_is_read_by_what_the_cryptography_leaves_and_by_what_we_make_of_that():
    ceiling, ours = lines(ours=[20.0, 40.0], hollow=[1.0, 2.0], ceiling=[2.0, 4.0], cases=100)
    assert (ceiling.name, ceiling.spread.each) == ("W4 ceiling", (0.5, 0.5))
    assert (ours.name, ours.spread.each) == ("W4 against its ceiling", (0.1, 0.1))
    assert (ceiling.told, ours.told) == ("33.3 cases/s", "3.3 cases/s")


def test_a_quick_run_is_not_published(tmp_path):
    Report(quick=True, rounds=1).write(tmp_path / "run.json")
    with pytest.raises(ValueError, match="quick"):
        publish(tmp_path / "run.json", tmp_path / "page.md")


def test_rows_are_named_one_by_one_or_all_of_a_kind():
    assert _rows("W1,W3b") == {"W1", "W3b"}
    assert _rows("W3") == {"W3a", "W3b", "W3c"}


@pytest.mark.parametrize("text", ["", "W99", "W1,W99", "W"])
def test_a_row_that_does_not_exist_is_refused(text):
    with pytest.raises(Exception, match="rows are"):
        _rows(text)
