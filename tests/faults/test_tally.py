"""The table of faults does not call good what is not."""

from __future__ import annotations

from pathlib import Path

from tests.faults.tally import EXPECTED, LEAST, Row, count, kept, wrong_with


def test_rows_of_one_fault_are_summed(tmp_path: Path) -> None:
    for row in (Row("kill", 3), Row("flood", 1, served="9 of 9"), Row("kill", 4, stuck=1)):
        count(row, folder=tmp_path)
    assert kept(tmp_path) == [Row("kill", 7, stuck=1), Row("flood", 1, served="9 of 9")]


def test_anything_but_zero_is_wrong() -> None:
    for bad in (Row("a", 1, lost=1), Row("a", 1, twice=1), Row("a", 1, leaked=1), Row("a", 1, stuck=1), Row("a", 0)):
        assert wrong_with([bad], expected=frozenset())
    assert not wrong_with([Row("a", 1)], expected=frozenset({"a"}))


def test_a_flood_while_which_nobody_was_answered_is_wrong() -> None:
    for silent in (Row("flood: a", 1, served="9 of 9"), Row("flood: a", 1, served="9 of 9", during=0)):
        assert wrong_with([silent], expected=frozenset()) == ["flood: a: while it went on 0 were answered, and not 1"]
    assert not wrong_with([Row("flood: a", 1, served="9 of 9", during=1), Row("a", 1)], expected=frozenset())


def test_of_a_flood_that_was_tried_twice_the_worse_is_kept(tmp_path: Path) -> None:
    for row in (Row("flood: a", 1, during=7), Row("flood: a", 1, during=2), Row("flood: a", 1)):
        count(row, folder=tmp_path)
    assert kept(tmp_path) == [Row("flood: a", 3, during=2)]


def test_what_was_not_run_is_named() -> None:
    assert wrong_with([Row("a", 1)], expected=frozenset({"a", "b"})) == ["b: it was not run"]


def test_fewer_tries_than_were_promised_are_wrong() -> None:
    least = {"a": 3}
    assert wrong_with([Row("a", 2)], expected=frozenset(), least=least) == ["a: 2 tries, and not 3"]
    assert not wrong_with([Row("a", 3), Row("b", 1)], expected=frozenset(), least=least)
    assert LEAST.keys() <= EXPECTED
