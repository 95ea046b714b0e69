from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordee.act import Act, parse_act
from cordee.case import LIST_SECTIONS, PURPOSES, SECTIONS, Case, case_of, check_scope, mandatory_sections, minimise
from cordee.errors import InvalidInput, NotCovered, NotFound, OutOfScope, filled
from tests.samples import acts_in, cases, scenario

MATRIX = json.loads((Path(__file__).parent.parent / "data" / "minimisation_matrix.json").read_text())
WITH_ACT = tuple(name for name, purpose in PURPOSES.items() if purpose.needs_act)
FIRST, SECOND = "6a2a5317-d5ed-4df3-b4a2-5e257086f9f0", "80716a2b-ed7a-4ebd-b8f7-bb0a4f3a2f16"


def attachment(attachment_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "attachment_id": attachment_id,
        "kind": "report",
        "file_name": "rapport.pdf",
        "media_type": "application/pdf",
        "size_bytes": 12,
        "sha256": "0" * 64,
        "section": "judicial",
        "third_party_data": False,
        "may_be_sent": True,
        "added_at": "2026-11-01T10:00:00+01:00",
    } | changes


def full_case() -> Case:
    """A case with something in every section, and something of everything that must stay."""
    document = scenario("W2").to_dict()
    document["x_local"] = "stays"
    document["identity"] |= {"x_note": "stays", "photo_attachment_id": FIRST}
    document["contact"]["code_phrase"] = "le chat est gris"
    document["housing"] |= {"address": "3 rue des Lilas", "address_protected": True}
    document["meta"] |= {"co_handler_ids": ["u-1", "u-2"]}
    document["exploitation"]["alleged_exploiters"] = [
        {"person_id": FIRST, "alias": "Loup", "age_group": "18_25", "x_guess": "stays"}
    ]
    document["judicial"]["measures"] = [{"kind": "placement", "reference": "R-1", "decided_by": "juge_des_enfants"}]
    document["judicial"]["alerts"] = [
        {
            "kind": "information_preoccupante",
            "sent_on": "2026-10-01",
            "recipient": "CRIP",
            "parents_informed": "yes",
            "outcome": "pending",
        }
    ]
    document["family"].append({"person_id": SECOND, "role": "father", "phone": "+33199000000", "x_a": 1})
    document["weak_signals"] = [{"signal": "isolation", "source": "school", "description": "seule"}]
    document["online_traces"] = [
        {"trace_id": FIRST, "kind": "advert", "seen_at": "2026-10-01T10:00:00Z", "sexual_image_present": False}
    ]
    document["runaways"] = [{"started_on": "2026-10-02", "report_reference": "PV 1"}]
    document["actions"] = [{"action_id": FIRST, "kind": "interview", "date": "2026-10-01", "summary": "vu"}]
    document["notes"] = [
        {
            "note_id": FIRST,
            "created_at": "2026-10-01T10:00:00Z",
            "author_id": "u-1",
            "visibility": "team",
            "text": "stays",
        }
    ]
    document["attachments"] = [attachment(FIRST), attachment(SECOND, may_be_sent=False)]
    document["links"] = [
        {"linked_case_id": FIRST, "org_id": SECOND, "relation": "sibling", "may_be_mentioned": False},
        {"linked_case_id": SECOND, "org_id": SECOND, "relation": "friend", "may_be_mentioned": True},
    ]
    document["health"] |= {"injuries": "aucune", "allergies": "arachides", "suicide_risk": "low"}
    document["safety_plan"] = {"needed": "yes", "people_to_call": "tante"}
    return case_of(document)


CASE = full_case()
BASE = acts_in(CASE)[0].to_dict()


def an_act(**changes: Any) -> Act:
    everything = {"purposes": list(WITH_ACT), "sections": list(SECTIONS), "excluded_fields": [], "attachment_ids": []}
    return parse_act(BASE | everything | changes)


# ---- the data ----


def test_the_matrix_says_what_the_design_says_or_less() -> None:
    for name, sections in MATRIX["purposes"].items():
        purpose = PURPOSES[name]
        for section, rule in sections.items():
            if section == "consents":
                assert purpose.modes[section] == "X"
                continue
            assert purpose.modes[section] == rule["mode"]
            listed = {field.partition(".")[0] for field in purpose.fields.get(section, ())}
            assert listed == set(rule.get("fields", ()))


def test_three_purposes_move_the_responsibility_and_two_need_no_act() -> None:
    assert {name for name, purpose in PURPOSES.items() if purpose.moves_responsibility} == {
        "specialised_support",
        "relocation",
        "ase_handover",
    }
    assert {name for name, purpose in PURPOSES.items() if not purpose.needs_act} == {"capacity_query", "statistics"}


def test_mandatory_sections_are_those_marked_so() -> None:
    assert mandatory_sections("relocation") == {"meta", "identity", "situation", "housing", "judicial", "risk"}
    with pytest.raises(InvalidInput):
        mandatory_sections("curiosity")


# ---- what leaves ----


@pytest.mark.parametrize("purpose", WITH_ACT)
def test_what_must_never_leave_stays_for_every_purpose(purpose: str) -> None:
    ticked = [name for name, mode in PURPOSES[purpose].modes.items() if mode == "C"]
    package = minimise(CASE, purpose=purpose, act=an_act(), ticked=ticked)
    assert "notes" not in package
    assert "consents" not in package
    assert {"owner_user_id", "co_handler_ids", "local_number"}.isdisjoint(package["meta"])
    assert "address" not in package.get("housing", {})
    assert "x_" not in json.dumps([list(_keys(package))])
    assert all(link["may_be_mentioned"] for link in package.get("links", []))
    assert "attachments" not in package
    takes_over = PURPOSES[purpose].moves_responsibility
    assert ("code_phrase" in package.get("contact", {})) is (takes_over and "contact" in package)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *itertools.chain.from_iterable(_keys(each) for each in value.values())]
    if isinstance(value, list):
        return list(itertools.chain.from_iterable(_keys(each) for each in value))
    return []


def test_a_referral_keeps_the_agreed_code_phrase() -> None:
    package = minimise(CASE, purpose="relocation", act=an_act(), hands_over=False)
    assert "code_phrase" not in package["contact"]


def test_the_address_leaves_only_where_it_was_said_not_to_be_protected() -> None:
    housing = CASE.section("housing")
    for protected, leaves in ((False, True), (True, False), (None, False)):
        changed = {key: value for key, value in housing.items() if key != "address_protected"}
        if protected is not None:
            changed["address_protected"] = protected
        package = minimise(CASE.with_section("housing", changed), purpose="relocation", act=an_act())
        assert ("address" in package["housing"]) is leaves


def test_the_address_stays_where_the_answer_about_it_is_held_back() -> None:
    case = CASE.with_section("housing", CASE.section("housing") | {"address_protected": False})
    act = an_act(excluded_fields=["housing.address_protected"])
    assert "address" not in minimise(case, purpose="relocation", act=act)["housing"]


def test_an_emergency_shelter_gets_the_listed_fields_only() -> None:
    package = minimise(CASE, purpose="emergency_shelter", act=an_act())
    assert set(package["health"]) <= {
        "urgent_need",
        "suicide_risk",
        "self_harm",
        "pregnancy",
        "treatments",
        "allergies",
        "disability",
        "substances",
    }
    assert "injuries" not in package["health"]
    assert package["judicial"] == {"measures": CASE.value("judicial.measures")}
    assert "online_traces" not in package


def test_sections_outside_the_act_stay_but_for_meta() -> None:
    act = an_act(sections=["identity", "situation", "risk", "housing", "judicial"])
    assert set(minimise(CASE, purpose="relocation", act=act)) == {
        "meta",
        "identity",
        "situation",
        "risk",
        "housing",
        "judicial",
    }


def test_fields_held_back_by_the_act_or_by_the_handler_stay() -> None:
    act = an_act(excluded_fields=["identity.last_name", "family.phone", "exploitation.alleged_exploiters"])
    package = minimise(CASE, purpose="relocation", act=act, unticked={"identity.first_name", "weak_signals"})
    assert {"last_name", "first_name"}.isdisjoint(package["identity"])
    assert all("phone" not in person for person in package["family"])
    assert "alleged_exploiters" not in package["exploitation"]
    assert "weak_signals" not in package


def test_entries_inside_a_section_lose_their_own_keys_too() -> None:
    package = minimise(CASE, purpose="relocation", act=an_act())
    assert package["exploitation"]["alleged_exploiters"] == [
        {"person_id": FIRST, "alias": "Loup", "age_group": "18_25"}
    ]


def test_a_section_of_mode_c_leaves_only_when_ticked_and_named() -> None:
    assert "health" not in minimise(CASE, purpose="relocation", act=an_act())
    assert "health" in minimise(CASE, purpose="relocation", act=an_act(), ticked={"health"})
    without = an_act(sections=[name for name in SECTIONS if name != "health"])
    with pytest.raises(NotCovered) as caught:
        minimise(CASE, purpose="relocation", act=without, ticked={"health"})
    assert caught.value.facts["section"] == "health"


def test_ticking_what_never_leaves_is_refused() -> None:
    for name in ("notes", "consents"):
        with pytest.raises(NotCovered):
            minimise(CASE, purpose="relocation", act=an_act(), ticked={name})


@pytest.mark.parametrize("section", sorted(mandatory_sections("relocation") - {"meta"}))
def test_a_package_without_a_mandatory_section_is_refused(section: str) -> None:
    others = [name for name in SECTIONS if name != section]
    for case, act, more in (
        (CASE, an_act(sections=others), {}),
        (CASE, an_act(), {"unticked": {section}}),
        (CASE, an_act(), {"taken": set(others)}),
        (_emptied(section), an_act(), {}),
    ):
        if case is None:
            continue
        with pytest.raises(NotCovered) as caught:
            minimise(case, purpose="relocation", act=act, **more)
        assert caught.value.facts["section"] == section


def test_an_update_may_leave_out_what_the_other_has_already_and_adds_nothing() -> None:
    whole = minimise(CASE, purpose="relocation", act=an_act())
    assert minimise(CASE, purpose="relocation", act=an_act(), taken={"risk"}, update=True) == {"risk": whole["risk"]}
    assert minimise(CASE, purpose="relocation", act=an_act(), update=True) == whole
    with pytest.raises(NotCovered):
        minimise(CASE, purpose="relocation", act=an_act(sections=["risk"]), ticked={"contact"}, update=True)


def _emptied(section: str) -> Case | None:
    return None if section in ("situation", "risk") else CASE.with_section(section, None)


def test_a_recipient_may_take_fewer_sections() -> None:
    wanted = mandatory_sections("relocation") | {"contact"}
    package = minimise(CASE, purpose="relocation", act=an_act(), taken=wanted)
    assert set(package) == wanted


def test_without_an_act_only_a_projection_that_names_nobody_leaves() -> None:
    package = minimise(CASE, purpose="capacity_query", act=None)
    assert package["identity"].keys() <= {"gender", "age_at_opening", "languages", "interpreter_needed"}
    assert package["judicial"] == {"measures": [{"kind": "placement"}]}
    assert package["meta"].keys() == {"schema_version"}
    assert "contact" not in package
    assert "R-1" not in json.dumps(package)
    statistics = minimise(CASE, purpose="statistics", act=None)
    assert statistics["judicial"] == {
        "measures": [{"kind": "placement", "decided_by": "juge_des_enfants"}],
        "alerts": [{"kind": "information_preoccupante", "sent_on": "2026-10-01", "outcome": "pending"}],
    }
    with pytest.raises(NotCovered):
        minimise(CASE, purpose="relocation", act=None)


def test_an_act_for_another_purpose_lets_nothing_leave() -> None:
    with pytest.raises(NotCovered):
        minimise(CASE, purpose="relocation", act=an_act(purposes=["health_care"]))


def test_what_does_not_exist_cannot_be_chosen() -> None:
    for choice in (
        {"ticked": {"diary"}},
        {"ticked": {"identity.first_name"}},
        {"unticked": {"identity.no_such"}},
        {"unticked": {"diary"}},
    ):
        with pytest.raises(InvalidInput):
            minimise(CASE, purpose="relocation", act=an_act(), **choice)
    with pytest.raises(InvalidInput):
        minimise(CASE, purpose="curiosity", act=an_act())


# ---- attachments ----


def test_an_attachment_leaves_when_chosen_named_and_marked() -> None:
    package = minimise(CASE, purpose="relocation", act=an_act(attachment_ids=[FIRST]), attachments=[FIRST])
    assert [entry["attachment_id"] for entry in package["attachments"]] == [FIRST]


@pytest.mark.parametrize(
    ("act", "chosen", "error"),
    [
        (an_act(), FIRST, NotCovered),
        (an_act(attachment_ids=[SECOND]), SECOND, NotCovered),
        (an_act(attachment_ids=[FIRST], sections=["identity"]), FIRST, NotCovered),
        (an_act(attachment_ids=[FIRST]), "11111111-1111-4111-8111-111111111111", NotFound),
    ],
)
def test_an_attachment_that_is_not_covered_is_refused(act: Act, chosen: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        minimise(CASE, purpose="relocation", act=act, attachments=[chosen])


def test_no_attachment_leaves_for_a_purpose_that_takes_none() -> None:
    with pytest.raises(NotCovered):
        minimise(CASE, purpose="parent_support", act=an_act(attachment_ids=[FIRST]), attachments=[FIRST])


def test_attachments_that_came_must_be_in_scope_and_described() -> None:
    act = an_act(attachment_ids=[FIRST])
    package = minimise(CASE, purpose="relocation", act=act, attachments=[FIRST])
    taken = tuple(package)
    check_scope(package, [FIRST], purpose="relocation", act=act, taken=taken)
    for came in ([], [FIRST, SECOND], [SECOND], [FIRST, FIRST], ["Marqueur"]):
        with pytest.raises(OutOfScope) as caught:
            check_scope(package, came, purpose="relocation", act=act, taken=taken)
        assert "Marqueur" not in str(caught.value)
    without = {name: value for name, value in package.items() if name != "attachments"}
    with pytest.raises(OutOfScope):
        check_scope(without, [FIRST], purpose="relocation", act=act, taken=taken)
    twice = package | {"attachments": package["attachments"] * 2}
    with pytest.raises(OutOfScope):
        check_scope(twice, [FIRST], purpose="relocation", act=act, taken=taken)


@pytest.mark.parametrize(("extra", "told"), [(SECOND, f"attachment {SECOND}"), ("Marqueur", "an attachment")])
def test_an_attachment_that_the_act_does_not_name_is_refused_though_it_is_described(extra: str, told: str) -> None:
    act = an_act(attachment_ids=[FIRST])
    package = minimise(CASE, purpose="relocation", act=act, attachments=[FIRST])
    described = package["attachments"] + [package["attachments"][0] | {"attachment_id": extra}]
    with pytest.raises(OutOfScope) as caught:
        check_scope(
            package | {"attachments": described}, [FIRST, extra], purpose="relocation", act=act, taken=tuple(package)
        )
    assert filled(caught.value.facts["item"], caught.value.facts) == told


def test_an_attachment_that_came_twice_is_refused_though_it_is_described_twice() -> None:
    act = an_act(attachment_ids=[FIRST])
    package = minimise(CASE, purpose="relocation", act=act, attachments=[FIRST])
    twice = package | {"attachments": package["attachments"] * 2}
    with pytest.raises(OutOfScope) as caught:
        check_scope(twice, [FIRST, FIRST], purpose="relocation", act=act, taken=tuple(package))
    assert filled(caught.value.facts["item"], caught.value.facts) == f"attachment {FIRST}"


# ---- the recipient's check ----


def refused(package: dict[str, Any], act: Act, *, purpose: str = "relocation", taken: Any = SECTIONS) -> str:
    with pytest.raises(OutOfScope) as caught:
        check_scope(package, [], purpose=purpose, act=act, taken=taken)
    return filled(caught.value.facts["item"], caught.value.facts)


def test_the_refusal_names_the_place_and_no_value() -> None:
    act = an_act(excluded_fields=["identity.last_name"], sections=[name for name in SECTIONS if name != "contact"])
    package = minimise(CASE, purpose="relocation", act=act)
    assert refused(package | {"contact": {"phone": "Marqueur"}}, act) == "contact"
    assert refused(package | {"Marqueur": {}}, act) == "an unknown section"
    assert refused(package | {"identity": package["identity"] | {"last_name": "Marqueur"}}, act) == "identity.last_name"
    assert refused(package | {"identity": package["identity"] | {"Marqueur": 1}}, act) == "identity: an unlisted field"
    listed = next(name for name in package if name in LIST_SECTIONS)
    assert refused(package | {listed: [*package[listed], {"Marqueur": 1}]}, act) == listed
    assert refused(package | {"housing": package["housing"] | {"address": "Marqueur"}}, act) == "housing.address"
    family = copy.deepcopy(package["family"])
    family[1]["x_secret"] = "Marqueur"
    assert refused(package | {"family": family}, act) == "family[1]: an unlisted field"
    assert refused(package, act, taken=["meta"]) == "identity"
    assert refused(package, act, purpose="capacity_query") == "the purpose"
    assert refused(package, act, purpose="Marqueur") == "the purpose"


@pytest.mark.parametrize("malformed", ["Marqueur", 3, None, [], {}, ["Marqueur"], [[]], {"measures": "Marqueur"}])
@pytest.mark.parametrize("section", ["identity", "family", "judicial", "links"])
def test_a_section_of_the_wrong_shape_never_passes_and_never_breaks(section: str, malformed: Any) -> None:
    act = an_act()
    package = minimise(CASE, purpose="relocation", act=act) | {section: malformed}
    assert "Marqueur" not in refused(package, act)


# ---- for any case, act and purpose ----

PURPOSE = st.sampled_from(WITH_ACT)
NAMES = st.sets(st.sampled_from(SECTIONS))
FIELDS = tuple(
    f"{name}.{field}"
    for name in SECTIONS
    for field in (CASE.section(name)[0] if name in LIST_SECTIONS else CASE.section(name))
    if not field.startswith("x_") and name != "consents"
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Case, Act, str, set[str], set[str]]:
    purpose = draw(PURPOSE)
    modes = PURPOSES[purpose].modes
    sections = draw(NAMES) | mandatory_sections(purpose)
    act = an_act(
        sections=sorted(sections),
        excluded_fields=draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=6)),
        attachment_ids=[FIRST],
    )
    case = draw(st.sampled_from([CASE, *cases()]))
    ticked = {name for name in draw(NAMES) if modes[name] == "C" and name in sections}
    unticked = {name for name in draw(NAMES) if modes[name] != "R"}
    return case, act, purpose, ticked, unticked


@settings(max_examples=250, deadline=None)
@given(situations(), st.data())
def test_what_leaves_lies_within_every_bound_and_anything_more_is_refused(
    situation: tuple[Case, Act, str, set[str], set[str]], data: st.DataObject
) -> None:
    case, act, purpose, ticked, unticked = situation
    try:
        package = minimise(case, purpose=purpose, act=act, ticked=ticked, unticked=unticked)
    except NotCovered:
        lacking = {name for name in mandatory_sections(purpose) if not case.section(name)}
        held_back = {field.partition(".")[0] for field in act.excluded_fields}
        assert mandatory_sections(purpose) & (lacking | held_back)
        return
    modes = PURPOSES[purpose].modes
    for name, value in package.items():
        assert name in act.sections or name == "meta"
        assert name not in unticked
        assert modes[name] in ("R", "D", "M") or (modes[name] == "C" and name in ticked)
        entries = value if name in LIST_SECTIONS else [value]
        for field in set().union(*entries):
            assert f"{name}.{field}" not in act.excluded_fields
            assert not field.startswith("x_")
            if modes[name] == "M":
                assert field in {each.partition(".")[0] for each in PURPOSES[purpose].fields[name]}
        assert all(entry in _loosened(case, name) for entry in entries) or name == "exploitation"
    check_scope(package, [], purpose=purpose, act=act, taken=tuple(package))

    extra = data.draw(st.sampled_from(["section", "field", "attachment"]))
    worse = copy.deepcopy(package)
    came: list[str] = []
    if extra == "section":
        name = data.draw(st.sampled_from([each for each in SECTIONS if each not in package]))
        worse[name] = CASE.section(name)
    elif extra == "field":
        name = data.draw(st.sampled_from(sorted(worse)))
        entry = worse[name][0] if name in LIST_SECTIONS else worse[name]
        banned = sorted(each for each in act.excluded_fields if each.startswith(f"{name}."))
        field = data.draw(st.sampled_from([*(each.partition(".")[2] for each in banned), "x_extra", "unheard_of"]))
        entry[field] = "more"
    else:
        came = [data.draw(st.sampled_from([FIRST, SECOND]))]
    with pytest.raises(OutOfScope):
        check_scope(worse, came, purpose=purpose, act=act, taken=tuple(package))


def _loosened(case: Case, name: str) -> Any:
    """Matches an entry whose every value stands in the case under the same key."""
    content = case.section(name)
    originals = content if name in LIST_SECTIONS else [content]

    class Part:
        def __contains__(self, entry: object) -> bool:
            assert isinstance(entry, dict)
            return any(all(original.get(key) == value for key, value in entry.items()) for original in originals)

    return Part()


@pytest.mark.parametrize(
    "start", ["W1", "W2", "W3", "W4", "W5", "W8", "W10", "boy", "path B", "path C: c", "path C: m"]
)
def test_each_sample_act_lets_its_case_leave_and_the_other_side_accepts_it(start: str) -> None:
    case = scenario(start)
    for act in acts_in(case):
        for purpose in act.purposes:
            package = minimise(case, purpose=purpose, act=act)
            assert set(package) <= act.sections | {"meta"}
            check_scope(package, [], purpose=purpose, act=act, taken=tuple(package))
