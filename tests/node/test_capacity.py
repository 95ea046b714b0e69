from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cordee.errors import InvalidInput, NotFound
from cordee.jsonform import canonical
from node import capacity, journal
from node.secrets import secret_names
from tests.neighbours import Neighbour, eventually, neighbourhood

NOW = datetime(2026, 5, 1, 21, 0, tzinfo=UTC)
PROFILE = {
    "updated_at": "2026-04-01T08:00:00+00:00",
    "services": [
        {"service_id": "talk", "intake_status": "open", "shelter": None},
        {
            "service_id": "beds",
            "intake_status": "open",
            "shelter": {
                "places_total": 8,
                "places_closed": 2,
                "places_occupied": 6,
                "places_available": 0,
                "updated_at": "2026-04-01T08:00:00+00:00",
            },
        },
    ],
}
DATA = json.dumps(PROFILE).encode()


def test_free_places_change_the_occupied_ones_and_the_time() -> None:
    told = json.loads(capacity.with_places(DATA, "beds", 3, now=NOW))
    shelter = told["services"][1]["shelter"]
    assert (shelter["places_available"], shelter["places_occupied"]) == (3, 3)
    assert shelter["updated_at"] == told["updated_at"] == "2026-05-01T21:00:00+00:00"


def test_what_one_service_tells_makes_no_other_look_fresh() -> None:
    told = json.loads(capacity.with_places(DATA, "beds", 3, now=NOW))
    assert told["services"][0]["intake_told_at"] == "2026-04-01T08:00:00+00:00"
    told = json.loads(capacity.with_intake(canonical(told), "talk", "closed", now=NOW))
    assert [each["intake_told_at"] for each in told["services"]] == [
        "2026-05-01T21:00:00+00:00",
        "2026-04-01T08:00:00+00:00",
    ]


@pytest.mark.parametrize("free", [-1, 7])
def test_no_more_places_than_are_open(free: int) -> None:
    with pytest.raises(InvalidInput):
        capacity.with_places(DATA, "beds", free, now=NOW)


@pytest.mark.parametrize("service", ["talk", "nowhere"])
def test_a_service_without_beds_has_no_free_places(service: str) -> None:
    with pytest.raises(NotFound):
        capacity.with_places(DATA, service, 1, now=NOW)


def _services(neighbour: Neighbour, of: Neighbour) -> dict[str, str]:
    card = neighbour.here.roster.card(of.here.member, now=neighbour.here.clock.now())
    return {each.service_id: each.intake_status for each in card.profile.services}


async def test_what_is_told_is_read_by_the_others_and_offers_to_the_old_card_can_still_be_opened(
    tmp_path: Path,
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        node = paris.here
        before = node.roster.card(node.member, now=node.clock.now()).card.number
        (service, *_) = _services(paris, paris)
        await capacity.tell_intake(node, paris.person, service, "closed")
        await eventually(lambda: _services(marseille, paris)[service] == "closed", what="the new card")
        after = node.roster.card(node.member, now=node.clock.now()).card.number
        assert after == before + 1
        assert {before, after} <= set(node.house.keys.sealing)
        names = await node.db.read(lambda tx: secret_names(tx, prefix="sealing."))
        assert names == [f"sealing.{before}", f"sealing.{after}"]
        (line,) = await node.db.read(lambda tx: journal.latest(tx, action="card.published", limit=5))
        assert line.actor == paris.person.account_id
