"""Everything that a page shows of a case, an act, a profile or a transfer has words, in both languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cordee.case import PURPOSES, SECTIONS
from cordee.case.labels import field_label, hint_of, section_label, value_label, values_of
from cordee.case.labels.hints import HINTS
from cordee.jsonform import package_data
from cordee.runtime.texts import text
from cordee.summary import DECLINE_REASONS, KEEPING_REASONS, KINDS, RECEIPT_REASONS
from cordee.transfer import State

CASE = package_data("case.schema.json")
PROFILE = package_data("directory_entry.schema.json")
DEPARTEMENTS = package_data("departements.json")
REASONS = {
    "decline_reason": DECLINE_REASONS,
    "receipt_reason": RECEIPT_REASONS,
    "keeping_reason": KEEPING_REASONS,
}

SAME = {"Affection", "Allergies", "Association", "Cannabis", "Commune", "Contact possible", "Date", "Dissociation"}
SAME |= {
    "Département",
    "Exploitation",
    "MDMA (ecstasy)",
    "Message",
    "Position",
    "Protection",
    "Signal",
    "Type",
    "Version",
}
"""Labels that are alike in both languages."""

PLAIN_FIELDS = """
    absent_since ad_hoc_administrator address age_at_opening age_group alleged_exploiters allergies answer
    assessed_on attachments category commune cost date disability discernment distinguishing_features
    do_not_contact effect email exploitation file_name finess_category first_name form frequency gender
    head_office health immediate_danger informed_on interpreter_needed interpreter_on_request kind label
    language languages last_name last_verified_on lawyer legal_basis legal_form legal_name level local_number
    may_be_sent minor_informed needed observed_on online_traces opening_hours parental_authority people_to_call
    phone places_available places_closed places_occupied platform preferred_channel pregnancy
    professional_secrecy protective_factors public_contact purposes read_aloud reason recipient recipients
    recorded_by reference rental_platform_involved reported_on reported_to role safe_places safety_plan
    schooling sent_on signal since specialities state substances territory text valid_from valid_until version
    visibility volunteers_may_see_cases weak_signals website withdrawal words_used
"""
PLAIN_VALUES = """
    abroad absent accepted ad_hoc_administrator administrative_measure advert affection aggressiveness agrees
    alcohol ambivalent anxiety archived asks_for_help association attachments blackmail_with_images boy bullying
    cancelled cannabis closed cocaine cooperative court_document court_order death debt declined delegated
    depression detention digital_outreach disability dissociation document_seen done draft drugs duplicate
    eating_disorder electronic_signature email emergency_shelter emotional_hold estimated expired exploitation
    family_involved father female forbidden forced_marriage foster_family friend girl grandparent group
    guardianship health health_care health_facility high homelessness hospital identity_document immediate
    in_exchange_for_lodging in_person injuries_or_marks intake isolation judge legal_guardian lodging low
    low_mood male medical_certificate medicines message messaging_app moderate money mother neglect
    neglected_appearance neighbourhood new_belongings nitrous_oxide no no_safe_adult not_applicable not_assessed
    not_done offered on_call on_hold once one_parent online_advert online_contact_with_strangers online_grooming
    online_traces open opioids opposed organised_group other payment_account phone_call phone_number
    physical_violence planned pregnancy prevention professional profile protection psychological_violence
    public_authority reached_adulthood received referral refusal refused refuses rental_platform
    repeated_running_away requested residence_permit reviewed running_away safety_plan same_alleged_exploiter
    school school_document schooling second_phone secretiveness sexual_exploitation sexual_violence
    sexualised_dress shipped sleep_disorder social_network soon street_outreach substance_use suspected
    suspended threats tonight trans_boy trans_girl transfer transferred trusted_adult unexplained_money
    unusual_hygiene update used weak_signals with_caution withdrawn witness yes
"""
"""Codes that are what an English handler would say anyway."""

OTHERWISE = {
    "consents": "Accords, refus et autres bases",
    "health.care_consent_holder": "Qui peut donner son accord aux soins",
}
"""French names that are not the schema's titles, which say a word that the project does not use."""


def nodes(schema: Mapping[str, Any], node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each named place of a schema, with its path and what the schema says of it; lists share their entries' path."""
    reference = node.get("$ref", "").removeprefix("#/$defs/")
    node = schema["$defs"].get(reference, {}) | node
    yield path, node
    for each in [node.get("items"), *node.get("oneOf", [])]:
        if each:
            yield from nodes(schema, each, path)
    for name, child in node.get("properties", {}).items():
        yield from nodes(schema, child, f"{path}.{name}".lstrip("."))


NODES = [*nodes(CASE, CASE, ""), *nodes(PROFILE, PROFILE, "profile")]
FIELDS = sorted({path for path, _ in NODES if "." in path})
LISTS = {path: tuple(node["enum"]) for path, node in NODES if "enum" in node}
LISTS |= {path: ("yes", "no") for path, node in NODES if node.get("type") == "boolean"}
LISTS |= {name: tuple(table) for name, table in REASONS.items()}
LISTS |= {
    "purpose": tuple(PURPOSES),
    "legal_basis": tuple(package_data("legal_bases.json")["bases"]),
    "speciality": LISTS["profile.services.specialities"],
    "authority_type": LISTS["profile.authority_type"],
    "intake_status": LISTS["profile.services.intake_status"],
    "gender": LISTS["identity.gender"],
    "departement": LISTS["housing.departement"],
    "transfer.kind": KINDS,
    "transfer.state": tuple(State),
    "yes_no_unknown": ("yes", "no", "unknown"),
}


def french(label: str) -> str:
    return text(label, "fr")


def plain(typeset: str) -> str:
    """Without what distinguishes typography from typing."""
    return typeset.replace("’", "'").replace("\u00a0", " ")


def test_the_schemas_were_read_whole() -> None:
    own = {path for path in FIELDS if not path.startswith(("profile.", "consents."))}
    assert (len(SECTIONS), len(own)) == (20, 226)
    assert len(LISTS["profile.services.specialities"]) == 21
    assert len(PURPOSES) == 13


def test_every_section_has_a_name() -> None:
    labels = [section_label(name) for name in SECTIONS]
    assert len(set(labels)) == len(set(map(french, labels))) == len(SECTIONS)
    assert {french(label) for label in labels} & set(SECTIONS) == set()


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_has_a_name_in_both_languages(path: str) -> None:
    label, code = field_label(path), path.rpartition(".")[2]
    assert label != code
    assert french(label) != label or label in SAME
    assert label.casefold() != code.replace("_", " ") or code in PLAIN_FIELDS.split()


def test_two_fields_of_one_form_never_have_the_same_name() -> None:
    for path in {path.rpartition(".")[0] for path in FIELDS}:
        labels = [field_label(each) for each in FIELDS if each.rpartition(".")[0] == path]
        assert len(set(labels)) == len(set(map(french, labels))) == len(labels), path


@pytest.mark.parametrize("path", LISTS)
def test_every_value_has_words_in_both_languages(path: str) -> None:
    assert values_of(path) == LISTS[path]
    for code in LISTS[path]:
        label = value_label(path, code)
        assert code not in (label, french(label))
        if code not in DEPARTEMENTS:
            assert french(label) != label or label in SAME, code
            assert label.casefold() != code.replace("_", " ") or code in PLAIN_VALUES.split(), code


@pytest.mark.parametrize("path", LISTS)
def test_two_values_of_one_field_never_have_the_same_words(path: str) -> None:
    labels = [value_label(path, code) for code in LISTS[path]]
    assert len(set(labels)) == len(labels)
    assert len(set(map(french, labels))) == len(labels)


def test_in_french_fields_and_sections_are_called_as_in_the_schema() -> None:
    titles = {path: node["title"] for path, node in NODES if "title" in node and path in FIELDS}
    titles |= {name: CASE["properties"][name]["title"] for name in SECTIONS}
    titles = {path: title for path, title in titles.items() if not path.startswith("consents.")} | OTHERWISE
    told = {path: french(field_label(path) if "." in path else section_label(path)) for path in titles}
    assert {path: plain(label) for path, label in told.items()} == {path: plain(each) for path, each in titles.items()}


def test_in_french_purposes_are_called_as_in_the_matrix() -> None:
    told = {name: plain(french(value_label("purpose", name))) for name in PURPOSES}
    assert told == {name: plain(purpose.title) for name, purpose in PURPOSES.items()}


def test_reasons_and_states_have_the_words_that_they_have_elsewhere() -> None:
    for name, table in REASONS.items():
        assert {code: value_label(name, code) for code in table} == table
    for state in State:
        assert french(value_label("transfer.state", state)).casefold() == french(state)


def test_sections_of_an_act_are_called_as_those_of_the_case() -> None:
    assert [value_label("consents.sections", name) for name in SECTIONS] == list(map(section_label, SECTIONS))


def test_a_recipient_is_named_by_any_category_that_a_profile_has() -> None:
    for path in ("profile.kind", "profile.authority_type", "profile.services.specialities"):
        for code in LISTS[path]:
            assert value_label("consents.recipients.category", code) == value_label(path, code)


def test_departements_have_their_names() -> None:
    assert value_label("situation.departement_of_exploitation", "13") == "Bouches-du-Rhône"
    assert value_label("departement", "21") == "Côte-d’Or"
    assert french(value_label("departement", "abroad")) == "À l’étranger"


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("contact.preferred_channel", "none", "No safe channel"),
        ("housing.shelter_need", "none", "No need"),
        ("judicial.measures.kind", "none", "No measure"),
        ("judicial.alerts.parents_informed", "pending", "Still to be done"),
        ("judicial.alerts.outcome", "pending", "No answer yet"),
        ("attachments.may_be_sent", "yes", "Yes"),
        ("risk.immediate_danger", "unknown", "Not known"),
    ],
)
def test_what_a_code_means_depends_on_its_field(path: str, code: str, words: str) -> None:
    assert value_label(path, code) == words


def test_indices_in_a_path_say_nothing() -> None:
    assert field_label("family[1].role") == field_label("family.role")
    assert value_label("judicial.measures[0].kind", "aed") == value_label("judicial.measures.kind", "aed")
    assert hint_of("weak_signals[].description") == hint_of("weak_signals.description")


def test_some_fields_have_a_hint_and_most_have_none() -> None:
    assert set(HINTS) <= set(FIELDS)
    assert hint_of("exploitation.minor_account") == "In the minor's own words, without leading questions."
    assert hint_of("identity.last_name") is None
    assert all(french(hint) != hint for hint in HINTS.values())


def test_no_word_blames_the_child() -> None:
    labels = [*map(section_label, SECTIONS), *map(field_label, FIELDS), *HINTS.values()]
    labels += [value_label(path, code) for path, codes in LISTS.items() for code in codes]
    told = " ".join((*labels, *map(french, labels))).casefold()
    assert [word for word in ("prostitu", "passe ", "client", "consenting") if word in told] == []


@pytest.mark.parametrize("path", ["meta", "identity.shoe_size", "judicial.measures.colour", "profile", ""])
def test_a_field_that_is_none_has_no_name(path: str) -> None:
    for asked in (field_label, hint_of, values_of):
        with pytest.raises(KeyError):
            asked(path)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("identity.gender", "yes"),
        ("identity.last_name", "other"),
        ("risk.level", "unknown"),
        ("risk.level", "13"),
        ("nothing", "yes"),
        ("attachments.may_be_sent", "unknown"),
    ],
)
def test_a_value_that_is_none_has_no_words(path: str, code: str) -> None:
    with pytest.raises(KeyError):
        value_label(path, code)


def test_a_section_that_is_none_has_no_name() -> None:
    with pytest.raises(KeyError):
        section_label("shoes")


def test_a_field_without_closed_list_has_no_values() -> None:
    assert values_of("identity.last_name") == ()
