"""What a person looks for, out of an address and into a query; and the map of the départements."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.datastructures import QueryParams

from cordee.case import case_of
from node.web.choice import Choice, address
from node.web.criteria import DEPARTEMENTS, Criteria, departement_code
from node.web.france import COLUMNS, ROWS, tiles

from ..association import case_body

TODAY = datetime(2026, 5, 1, tzinfo=UTC).date()


def asked(typed: str) -> Criteria:
    return Criteria.read(QueryParams(typed))


def test_every_departement_has_one_square_of_its_own() -> None:
    drawn = tiles({"13": 2})
    assert {each.code for each in drawn} == set(DEPARTEMENTS)
    assert len({(each.column, each.row) for each in drawn}) == len(drawn)
    assert all(each.column < COLUMNS and each.row < ROWS for each in drawn)
    assert {each.code: each.count for each in drawn if each.count} == {"13": 2}


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("13", "13"),
        ("1", "01"),
        ("2a", "2A"),
        ("Bouches du Rhone", "13"),
        ("côte-d’or", "21"),
        ("973", "973"),
        ("20", ""),
        ("", ""),
        ("Paname", ""),
    ],
)
def test_a_departement_is_known_by_its_number_or_its_name(typed: str, code: str) -> None:
    assert departement_code(typed) == code


def test_far_from_takes_several_departements() -> None:
    query, mistakes = asked("q=1&far=13, 83 2a").query()
    assert query.far_from == ("13", "2A", "83")
    assert mistakes == ()


@pytest.mark.parametrize(
    ("typed", "anchor"), [("q=1&age=fifteen", "age"), ("q=1&age=999", "age"), ("q=1&far=xx", "far")]
)
def test_what_cannot_be_used_is_told_at_its_field(typed: str, anchor: str) -> None:
    _, mistakes = asked(typed).query()
    assert [each.anchor for each in mistakes] == [anchor]


def test_a_case_says_already_what_is_looked_for() -> None:
    body = case_body()
    body["identity"] |= {"birth_date": "2011-01-15", "gender": "girl", "languages": ["pt-BR"]}
    body["situation"]["departement_of_residence"] = "13"
    own = Criteria.of_case(case_of(body), today=TODAY, purpose="relocation")
    assert (own.age, own.gender, own.departement, own.language) == ("15", "girl", "13", "pt")
    assert not own.tonight


def test_for_a_shelter_at_night_a_free_place_tonight_is_looked_for() -> None:
    own = Criteria.of_case(case_of(case_body()), today=TODAY, purpose="emergency_shelter")
    assert (own.need, own.tonight, own.free) == ("emergency_shelter", True, True)


def test_departements_to_avoid_count_only_where_that_is_asked_for() -> None:
    assert asked("q=1&avoid=1&far=13").query(avoided=["48"])[0].far_from == ("13", "48")
    assert asked("q=1&far=13").query(avoided=["48"])[0].far_from == ("13",)


def test_departements_to_avoid_never_stand_in_an_address() -> None:
    assert address(QueryParams("q=1&avoid=1&areas=48&surname=X"), to="aa") == "q=1&avoid=1&to=aa"


def test_sections_are_taken_out_only_where_somebody_chose() -> None:
    usual = Choice.read(QueryParams("purpose=relocation"))
    assert (usual.ticked, usual.unticked) == (frozenset(), frozenset())
    chosen = Choice.read(QueryParams("purpose=relocation&own=1&s=family&s=health&s=notes&x=identity.last_name"))
    assert chosen.ticked == {"health"}
    assert "family" not in chosen.unticked
    assert {"contact", "identity.last_name"} <= chosen.unticked
