"""Moments and spans on the pages: to the minute, and time left never longer than it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cordee.web.times import exact_moment, moment_text, span_text

MOMENT = datetime(2026, 11, 26, 22, 51, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "told"), [("fr", "26 nov. 2026, 23:51"), ("en", "Nov 26, 2026, 11:51\N{NARROW NO-BREAK SPACE}PM")]
)
def test_a_moment_is_told_to_the_minute_on_the_clock_on_the_wall(language: str, told: str) -> None:
    assert moment_text(MOMENT, language) == told
    assert moment_text(MOMENT.replace(tzinfo=None), language) == told
    assert moment_text("2026-11-26T23:51:03+01:00", language) == told


def test_an_exact_moment_has_its_seconds() -> None:
    assert exact_moment(MOMENT, "fr") == "26 nov. 2026, 23:51:03"


@pytest.mark.parametrize(
    ("span", "french", "english"),
    [
        (timedelta(seconds=59), "moins d’une minute", "less than a minute"),
        (timedelta(seconds=119), "1 minute", "1 minute"),
        (timedelta(hours=2, minutes=13, seconds=5), "2 h 13 min", "2 hr 13 min"),
        (timedelta(hours=1, minutes=59, seconds=59), "1 h 59 min", "1 hr 59 min"),
        (timedelta(hours=23), "23 heures", "23 hours"),
        (timedelta(hours=71, minutes=59), "71 heures", "71 hours"),
        (timedelta(days=9, hours=20), "9 jours", "9 days"),
    ],
)
def test_a_span_is_told_without_seconds_and_never_longer_than_it_is(span: timedelta, french: str, english: str) -> None:
    assert span_text(span, "fr").replace("\xa0", " ").replace("\u202f", " ") == french
    assert span_text(span, "en").replace("\xa0", " ") == english
