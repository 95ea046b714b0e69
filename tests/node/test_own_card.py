"""A node's own card that ran out: while it was away or suspended nobody could renew it, and the next one follows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cordee.errors import CardExpired
from cordee.runtime.clock import ManualClock
from cordee.v1 import statements_pb2 as v1
from tests.journeys.years_parts import Country


async def test_a_member_that_was_suspended_past_its_cards_life_publishes_the_next_one(tmp_path: Path) -> None:
    country = Country(folder=tmp_path, seed="own card", clock=ManualClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC)))
    await country.found("Anne", "Bea", threshold=2)
    try:
        paris, marseille = await country.join("Paris"), await country.join("Marseille")
        assert await country.about(v1.MemberSuspended, paris)
        country.clock.advance(timedelta(days=100))
        await country.directory.rosters.sign_if_due()
        assert await country.about(v1.MemberReinstated, paris)
        for restarted in (False, True):
            if restarted:
                await paris.start()
            assert await paris.follow() == ""
            assert paris.roster.own_card().card.number == 1
            with pytest.raises(CardExpired):
                paris.roster.card(paris.id, now=country.clock.now())
        await paris.publish()
        await marseille.publish()
        for each in (paris, marseille):
            assert await each.follow() == ""
            assert each.roster.card(paris.id, now=country.clock.now()).card.number == 2
        country.clock.advance(timedelta(days=100))
        await country.directory.rosters.sign_if_due()
        await marseille.start()
        assert await marseille.follow() == ""
        with pytest.raises(CardExpired):
            marseille.roster.card(paris.id, now=country.clock.now())
    finally:
        for each in country.associations:
            await each.stop()
        await country.close()
