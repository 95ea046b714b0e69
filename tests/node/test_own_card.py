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


async def test_a_member_whose_last_card_a_former_key_signed_comes_in_after_a_restore_of_the_directory(
    tmp_path: Path,
) -> None:
    country = Country(folder=tmp_path, seed="former key", clock=ManualClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC)))
    await country.found("Anne", "Bea", threshold=2)
    try:
        paris = await country.join("Paris")
        backup = country.back_up("backup")
        marseille = await country.join("Marseille")
        await marseille.rotate_identity()  # and the directory dies before the next card is published
        for each in (paris, marseille):
            assert await each.follow() == ""
        country.clock.advance(timedelta(hours=2))
        await country.restore(backup)
        assert await marseille.follow() == "DIRECTORY_BEHIND"
        assert not country.directory.rosters.behind
        assert await marseille.follow() == "NOT_A_MEMBER"
        assert await marseille.follow() == ""
        assert await paris.follow() == ""
        known = paris.roster.card(marseille.id, now=country.clock.now()).card
        assert (known.number, known.signed.signer) == (2, marseille.identity.public.key_id)
    finally:
        for each in country.associations:
            await each.stop()
        await country.close()
