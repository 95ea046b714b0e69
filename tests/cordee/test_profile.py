from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cordee.errors import InvalidRecord
from cordee.jsonform import package_data
from cordee.members import registration_digest
from cordee.profile import Match, Profile, Query, departement_name, search
from tests.samples import associations, profile_of

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LUCIOLES = "bc2f07a7-fa12-496c-a745-ba1caccd0d48"
HEURES_BLEUES = "4ed721c7-afd4-41f1-98d6-623e929bf5a2"
MARK = "Marqueur"


def parsed(org_id: str = LUCIOLES, *, registered: tuple[str, str] | None = None, **changes: Any) -> Profile:
    document = profile_of(org_id, **changes)
    name, number = registered or (document["legal_name"], document["siret"])
    return Profile.parse(json.dumps(document).encode(), registration_digest(name, number))


def with_service(org_id: str = LUCIOLES, **changes: Any) -> Profile:
    services = [profile_of(org_id)["services"][0] | changes]
    return parsed(org_id, services=services)


def names(matches: list[Match]) -> list[str]:
    return [match.profile.display_name for match in matches]


ALL = [parsed(entry["org_id"]) for entry in associations()]


def test_every_sample_entry_is_a_profile() -> None:
    assert len(ALL) == 25
    assert {profile.departement_name for profile in ALL} >= {"Nord", "La Réunion", "Corse-du-Sud"}


def test_a_profile_tells_who_it_is() -> None:
    profile = parsed()
    assert profile.org_id == LUCIOLES
    assert profile.display_name == "Les Lucioles du Ponant"
    assert profile.registration_number == "00097228100034"
    assert (profile.departement, profile.commune) == ("59", "")
    assert profile.professional_secrecy
    assert "street_outreach" in profile.specialities
    assert {"association", "street_outreach"} < profile.categories
    assert profile.warnings == ()
    assert json.loads(profile.to_bytes())["org_id"] == LUCIOLES


def test_spelling_of_the_registered_name_and_number_does_not_count() -> None:
    profile = parsed(registered=("ASSOCIATION  les lucioles du ponant", "000 972 281 00034"))
    assert profile.org_id == LUCIOLES


def test_the_number_that_was_registered_may_be_the_rna() -> None:
    profile = parsed(registered=("Association Les Lucioles du Ponant", "W598693030"))
    assert profile.org_id == LUCIOLES


@pytest.mark.parametrize(
    "registered", [("Association Halte Camomille", "00097228100034"), ("Association Les Lucioles du Ponant", "1")]
)
def test_a_profile_under_another_name_or_number_is_refused(registered: tuple[str, str]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parsed(registered=registered)
    assert caught.value.facts["path"] == "legal_name"


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"siret": "60487647500499", "siren": None}, {"siret_checksum"}),
        ({"siret": "00097228100035"}, {"siret_checksum"}),
        ({"siren": "000972282"}, {"siren_checksum", "siren_mismatch"}),
        ({"rna": "W2A0001234"}, {"rna_form"}),
        ({"siret": "35600000000048", "siren": "356000000"}, set()),
    ],
)
def test_a_doubtful_number_is_a_warning_and_no_refusal(changes: dict[str, Any], warning: set[str]) -> None:
    document = {key: value for key, value in profile_of(LUCIOLES, **changes).items() if value is not None}
    number = registration_digest(document["legal_name"], document["siret"])
    assert warning <= set(Profile.parse(json.dumps(document).encode(), number).warnings)
    if not warning:
        assert Profile.parse(json.dumps(document).encode(), number).warnings == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"node": {"endpoint": MARK}},
        {"display_name": ""},
        {"head_office": {"departement": MARK}},
        {"services": []},
        {"updated_at": MARK},
        {"updated_at": "0000-01-01T00:00:00Z"},
        {"last_verified_on": "0000-01-01"},
        {"siret": MARK},
    ],
)
def test_a_profile_that_breaks_its_form_is_refused_without_its_values(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parsed(registered=("Association Les Lucioles du Ponant", "W598693030"), **changes)
    assert MARK not in repr(caught.value.problems)


def test_a_shelter_cannot_publish_an_address() -> None:
    service = profile_of(HEURES_BLEUES)["services"][0]
    with pytest.raises(InvalidRecord):
        with_service(HEURES_BLEUES, shelter=service["shelter"] | {"address": "1 rue"})
    with pytest.raises(InvalidRecord):
        with_service(HEURES_BLEUES, shelter=service["shelter"] | {"address_confidential": False})


def test_a_profile_without_any_number_is_refused() -> None:
    document = {key: value for key, value in profile_of(LUCIOLES).items() if key not in ("siret", "rna", "siren")}
    with pytest.raises(InvalidRecord):
        Profile.parse(json.dumps(document).encode(), registration_digest("x", "1"))


def test_a_profile_has_a_bound() -> None:
    with pytest.raises(InvalidRecord):
        parsed(legal_name="a" * 70_000)


def test_departements_have_names() -> None:
    assert (departement_name("2A"), departement_name("976"), departement_name("abroad")) == (
        "Corse-du-Sud",
        "Mayotte",
        "abroad",
    )


# ---- the search ----


def test_without_a_wish_everybody_is_found_once() -> None:
    assert sorted(names(search(ALL, Query(), NOW))) == sorted(profile.display_name for profile in ALL)


def test_the_order_does_not_depend_on_the_order_given() -> None:
    query = Query(departement="13", language="ar")
    assert names(search(ALL, query, NOW)) == names(search(list(reversed(ALL)), query, NOW))


def test_tonight_finds_shelters_that_open_now_and_shows_how_old_their_places_are() -> None:
    query = Query(speciality="emergency_shelter", tonight=True, free_places=True, age=15, gender="girl", runaways=True)
    matches = search(ALL, query, NOW)
    assert matches
    for match in matches:
        assert match.service.emergency_24_7 or match.service.accepts_same_day
        assert match.service.shelter is not None
        assert match.service.shelter.places_available > 0
        assert match.service.accepts_runaways
        assert match.capacity_age == NOW - match.service.shelter.updated_at
        assert match.stale == (match.capacity_age > timedelta(hours=24)) == ("stale" in match.reasons)
    assert {"open_24_7", "free_places", "age", "gender"} <= set(matches[0].reasons)


def test_places_are_stale_after_a_day_and_other_services_after_thirty() -> None:
    shelter = profile_of(HEURES_BLEUES)["services"][0]["shelter"]
    for told, stale in (("2026-11-23T09:00:00Z", False), ("2026-11-23T08:59:59Z", True)):
        profile = with_service(HEURES_BLEUES, shelter=shelter | {"updated_at": told})
        assert search([profile], Query(), NOW)[0].stale is stale
    for told, stale in (("2026-10-25T09:00:00Z", False), ("2026-10-25T08:59:59Z", True)):
        assert search([parsed(updated_at=told)], Query(), NOW)[0].stale is stale


def test_a_clock_ahead_makes_no_negative_age() -> None:
    assert search([parsed(updated_at="2026-11-25T09:00:00Z")], Query(), NOW)[0].capacity_age == timedelta()


def test_what_nobody_verified_for_six_months_sinks() -> None:
    fresh, old, never = (
        parsed(last_verified_on="2026-11-01", display_name="Zinnia"),
        parsed(last_verified_on="2026-05-01", display_name="Aster"),
        Profile.parse(
            json.dumps(
                {k: v for k, v in profile_of(LUCIOLES, display_name="Bleuet").items() if k != "last_verified_on"}
            ).encode(),
            registration_digest("Association Les Lucioles du Ponant", "00097228100034"),
        ),
    )
    matches = search([never, old, fresh], Query(), NOW)
    assert names(matches) == ["Zinnia", "Aster", "Bleuet"]
    assert ["unverified" in match.reasons for match in matches] == [False, True, True]


def test_far_from_leaves_out_the_departements_to_avoid() -> None:
    matches = search(ALL, Query(speciality="secure_relocation_shelter", far_from=("69", "63")), NOW)
    assert matches
    assert {"69", "63"}.isdisjoint(match.profile.departement for match in matches)
    assert all("far" in match.reasons for match in matches)


def test_the_nearest_come_first() -> None:
    local = with_service(territory={"scope": "departements", "departements": ["13"], "accepts_from_elsewhere": False})
    national = with_service(territory={"scope": "national", "departements": [], "accepts_from_elsewhere": True})
    elsewhere = with_service(
        territory={"scope": "departements", "departements": ["59"], "accepts_from_elsewhere": True}
    )
    closed_off = with_service(
        territory={"scope": "departements", "departements": ["59"], "accepts_from_elsewhere": False}
    )
    matches = search([closed_off, elsewhere, national, local], Query(departement="13"), NOW)
    assert [match.profile for match in matches] == [local, national, elsewhere]
    assert [match.reasons[0] for match in matches] == ["in_departement", "national", "from_elsewhere"]


@pytest.mark.parametrize(
    ("service", "query", "found"),
    [
        ({"age_min": 12, "age_max": 17}, Query(age=12), True),
        ({"age_min": 12, "age_max": 17}, Query(age=17), True),
        ({"age_min": 12, "age_max": 17}, Query(age=11), False),
        ({"age_min": 12, "age_max": 17}, Query(age=18), False),
        ({"genders_accepted": ["girl"]}, Query(gender="boy"), False),
        ({"genders_accepted": ["girl", "trans_girl"]}, Query(gender="trans_girl"), True),
        ({"languages": ["fr", "pt"]}, Query(language="pt-BR"), True),
        ({"languages": ["fr"], "interpreter_on_request": False}, Query(language="ar"), False),
        ({"languages": ["fr"], "interpreter_on_request": True}, Query(language="ar"), True),
        ({"accepts_runaways": False}, Query(runaways=True), False),
        ({"shelter": None}, Query(free_places=True), False),
        ({"emergency_24_7": True, "intake_status": "closed"}, Query(tonight=True), False),
        ({"emergency_24_7": False, "accepts_same_day": True, "intake_status": "open"}, Query(tonight=True), True),
        ({"emergency_24_7": False, "accepts_same_day": False}, Query(tonight=True), False),
        ({"specialities": ["prevention"]}, Query(speciality="addictions"), False),
        ({}, Query(authority_type="ase"), False),
        ({}, Query(authority_type="association"), True),
    ],
)
def test_a_service_that_says_it_cannot_is_not_found(service: dict[str, Any], query: Query, found: bool) -> None:
    assert bool(search([with_service(**service)], query, NOW)) is found


def test_one_association_is_listed_by_its_best_service() -> None:
    base = profile_of(LUCIOLES)["services"][0]
    closed = base | {"service_id": "11111111-1111-4111-8111-111111111111", "intake_status": "closed"}
    still_open = base | {"service_id": "22222222-2222-4222-8222-222222222222", "intake_status": "open"}
    match = search([parsed(services=[closed, still_open])], Query(), NOW)[0]
    assert match.service.service_id == still_open["service_id"]
    assert "intake_closed" not in match.reasons


def _without_limit(node: Any, path: str = "") -> Iterator[str]:
    """Texts and lists of a schema that may be as long as one likes."""
    if isinstance(node, list):
        for each in node:
            yield from _without_limit(each, path)
    if not isinstance(node, dict):
        return
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds and not {"maxLength", "pattern", "enum", "const", "format"} & set(node):
        yield path
    if "array" in kinds and not {"maxItems", "uniqueItems"} & set(node):
        yield path
    for name, inner in node.items():
        yield from _without_limit(inner, f"{path}/{name}")


def test_every_text_and_every_list_of_a_profile_has_a_limit() -> None:
    schema = package_data("directory_entry.schema.json")
    alternatives = {"/anyOf/properties/rna", "/anyOf/properties/finess_et"}  # limited where they are described
    assert set(_without_limit(schema)) <= alternatives


def test_free_text_is_not_longer_than_its_limit() -> None:
    service = profile_of(LUCIOLES)["services"][0]
    with_service(LUCIOLES, opening_hours="x" * 300)
    with pytest.raises(InvalidRecord) as caught:
        with_service(LUCIOLES, **(service | {"opening_hours": "x" * 301}))
    assert "opening_hours" in caught.value.problems[0].path


def test_an_edit_of_the_profile_does_not_make_its_intake_look_fresh() -> None:
    told = {"intake_told_at": (NOW - timedelta(days=40)).isoformat()}
    services = [{**profile_of(LUCIOLES)["services"][0], **told}]
    services[0].pop("shelter", None)
    edited = parsed(services=services, updated_at=NOW.isoformat())
    (match,) = search([edited], Query(), NOW)
    assert (match.stale, match.capacity_age) == (True, timedelta(days=40))
