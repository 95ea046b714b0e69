"""Weak signals that are ticked, and the order of what was done."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from starlette.datastructures import FormData

from cordee.case.labels import values_of
from node.web.forms import is_hidden
from node.web.glance import SIGNALS, TIMELINE, signals_to_tick, ticked_signals, timeline


def done(day: str | None, **more: Any) -> dict[str, Any]:
    return {"kind": "interview", **({"date": day} if day else {}), **more}


def test_what_is_noted_is_not_offered_again_and_all_else_is() -> None:
    offered = [code for code, _ in signals_to_tick([{"signal": "low_mood", "source": "school"}])]
    assert set(offered) == set(values_of(f"{SIGNALS}.signal")) - {"low_mood"}
    assert len(signals_to_tick(None)) == len(values_of(f"{SIGNALS}.signal"))


def test_each_ticked_signal_becomes_an_entry_with_who_saw_it() -> None:
    form = FormData([("tick", "isolation"), ("tick", "low_mood"), ("tick:source", "minor")])
    assert {(each["signal"], each["source"]) for each in ticked_signals(form)} == {
        ("isolation", "minor"),
        ("low_mood", "minor"),
    }


@pytest.mark.parametrize("source", ["", "nobody"])
def test_where_nobody_says_who_saw_it_we_did_and_what_is_no_signal_says_nothing(source: str) -> None:
    form = FormData([("tick", "isolation"), ("tick", "isolation"), ("tick", "nonsense"), ("tick:source", source)])
    assert ticked_signals(form) == [{"signal": "isolation", "source": "handler"}]


def test_what_was_done_last_comes_first_and_what_has_no_date_at_the_end() -> None:
    told = timeline(
        [done("2026-03-01"), done(None), done("2026-05-02", summary="one"), done("2026-05-02", summary="two")]
    )
    assert [each.day for each in told] == [date(2026, 5, 2), date(2026, 5, 2), date(2026, 3, 1), None]
    assert [each.summary for each in told[:2]] == ["two", "one"]


def test_what_the_record_refused_does_not_break_the_timeline() -> None:
    told = timeline([done("yesterday", outcome="nonsense", next_due_on="soon")])
    assert (told[0].day, told[0].outcome, told[0].next_on) == (None, "", None)


def test_nothing_that_is_shown_only_on_request_stands_in_the_timeline() -> None:
    shown = ("kind", "date", "by_role", "partner_org", "summary", "outcome", "next_due_on")
    assert not [each for each in shown if is_hidden(f"{TIMELINE}.{each}")]
