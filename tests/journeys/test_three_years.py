"""Three years of a network's government: thirty associations come, change and go, and in the end all agree.

What happens is chosen by a seed, which a failure prints with the whole story. Everything that people and nodes did is
told to a model in plain Python; at the end every node's copy of the roster must say what the model says, and every log
must verify from its genesis.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cordee.runtime.clock import ManualClock
from tests.journeys.years_events import Years
from tests.journeys.years_parts import Country

pytestmark = pytest.mark.journey

SEED = os.environ.get("CORDEE_YEARS_SEED", "2026")
BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


async def test_three_years_of_government_end_in_one_roster_that_everybody_holds(tmp_path: Path) -> None:
    country = Country(folder=tmp_path, seed=SEED, clock=ManualClock(BEGIN))
    years = Years(country)
    try:
        await years.begin()
        while country.clock.now() < BEGIN + timedelta(days=3 * 365):
            await years.week()
        await years.end()
    except BaseException as failed:
        story = "\n".join(country.told)
        failed.add_note(f"CORDEE_YEARS_SEED={SEED}\n{story}")
        raise
    finally:
        for each in country.associations:
            await each.stop()
        await country.close()
    years.went_through_all_of_it()
