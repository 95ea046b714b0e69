from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from cordee.case import (
    CASE_LIMIT,
    LIST_SECTIONS,
    SECTIONS,
    Case,
    capacity_summary,
    case_of,
    decode_sections,
    encode_sections,
    label_of,
    minimise,
    missing_for,
    parse_case,
    received_case,
)
from cordee.errors import InvalidInput, InvalidRecord
from cordee.ids import TransferId
from cordee.runtime.texts import problems
from tests.samples import acts_in, cases, scenario

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MARK = "Zélie-Marqueur"


def changed(section: str, change: Any) -> dict[str, Any]:
    document = scenario("W1").to_dict()
    change(document[section])
    return document


def problems_of(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidRecord) as caught:
        case_of(document)
    return {problem.path: problem.problem for problem in problems(caught.value)}


def test_there_are_twenty_sections_of_which_nine_are_lists() -> None:
    assert len(SECTIONS) == 20
    assert len(LIST_SECTIONS) == 9
    assert {"family", "actions", "attachments", "consents"} < LIST_SECTIONS


def test_every_sample_case_is_read_and_gives_its_bytes_back() -> None:
    for case in cases():
        assert parse_case(case.to_bytes()) == case


def test_a_case_shows_only_its_id_when_it_is_printed() -> None:
    case = scenario("W1")
    assert repr(case) == f"Case({case.case_id})"


def test_what_is_read_from_a_case_cannot_change_it() -> None:
    case = scenario("W1")
    before = case.to_bytes()
    case.section("family")[0]["role"] = "other"
    case.to_dict()["identity"]["first_name"] = MARK
    case.value("identity.languages").append("xx")
    assert case.to_bytes() == before


def test_a_section_can_be_replaced_and_taken_out() -> None:
    case = scenario("W1")
    assert case.with_section("notes", None).section("notes") is None
    assert case.with_section("health", {"urgent_need": "now"}).value("health.urgent_need") == "now"
    with pytest.raises(InvalidRecord):
        case.with_section("risk", None)


def test_all_problems_are_told_with_path_and_rule() -> None:
    def break_it(identity: dict[str, Any]) -> None:
        identity["birth_date"] = "2011-02-30"
        identity["gender"] = "femme"
        identity["age_at_opening"] = -1

    found = problems_of(changed("identity", break_it))
    assert set(found) == {"identity.birth_date", "identity.gender", "identity.age_at_opening"}
    assert "girl, boy" in found["identity.gender"]


def test_a_missing_field_is_told_by_its_own_path() -> None:
    document = changed("family", lambda family: family[0].pop("role"))
    assert problems_of(document) == {"family[0].role": "missing"}


def test_a_misspelt_key_is_not_repeated_but_a_close_one_is_proposed() -> None:
    found = problems_of(changed("identity", lambda identity: identity.update(last_nam=MARK)))
    assert found == {"identity": "holds 1 unknown key(s); did you mean last_name"}


def test_no_problem_ever_holds_a_value() -> None:
    document = scenario("W1").to_dict()

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoil(each) for key, each in value.items()} | {MARK: MARK}
        if isinstance(value, list):
            return [spoil(each) for each in value]
        return {MARK: MARK} if isinstance(value, str) else MARK

    with pytest.raises(InvalidRecord) as caught:
        case_of({name: spoil(section) for name, section in document.items()})
    told = [*caught.value.problems, *caught.value.facts.values(), str(caught.value)]
    assert len(caught.value.problems) == 50
    assert MARK not in repr(told)


def test_words_that_are_no_code_are_not_repeated() -> None:
    document = scenario("W1").to_dict()
    for section in ("situation", "risk", "housing", "schooling", "exploitation"):
        document[section] = dict.fromkeys(document[section], MARK)
    document["consents"][0] |= {"kind": MARK, "legal_basis": MARK, "schema_version": MARK, "valid_from": MARK}
    document["consents"][0]["excluded_fields"] = [MARK, MARK]
    assert MARK not in repr(problems_of(document))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{", "not JSON"),
        (b'{"meta": 1, "meta": 2}', "twice"),
        (b'{"meta": NaN}', "NaN"),
        (b'{"meta": -Infinity}', "NaN"),
        (b'{"meta": 1e999}', "out of range"),
        (b"[" * 200_000, "deeper"),
        (b'"' + b'\\"' * 1_000_000, "not JSON"),
        (b"[" + b"1," * 60_000 + b"1]", "values"),
        (b'{"meta": "\xff"}', "UTF-8"),
        (b'{"meta": "\\ud800"}', "UTF-8"),
        ("{}".encode("utf-16"), "JSON"),
        (b'{"meta": ' + b"9" * 5000 + b"}", "too long"),
        (b" " * (CASE_LIMIT + 1), "longer than"),
        (b"null", "object"),
        (b"{}", "missing"),
    ],
)
def test_what_is_no_strict_json_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parse_case(data)
    assert told in str(caught.value)


def test_marks_in_a_text_are_neither_depth_nor_values() -> None:
    text = '["\\,' * 4_000
    document = changed("situation", lambda situation: situation.update(request_summary=text, minor_words=text))
    assert parse_case(json.dumps(document).encode()).value("situation.request_summary") == text


@pytest.mark.timeout(20)
def test_a_hostile_document_is_refused_within_seconds() -> None:
    document = scenario("W1").to_dict()
    document["identity"] |= {f"last_nam{number}": 1 for number in range(40_000)}
    document["identity"]["languages"] = list(range(5_000))
    with pytest.raises(InvalidRecord) as caught:
        parse_case(json.dumps(document).encode())
    assert len(caught.value.problems) <= 50


def test_keys_of_ones_own_are_kept() -> None:
    document = changed("identity", lambda identity: identity.update(x_local={"any": ["thing"]}))
    assert case_of(document).value("identity.x_local") == {"any": ["thing"]}


def test_one_attachment_id_twice_is_refused() -> None:
    entry = {
        "attachment_id": "6a2a5317-d5ed-4df3-b4a2-5e257086f9f0",
        "kind": "report",
        "file_name": "a.pdf",
        "media_type": "application/pdf",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "section": "judicial",
        "third_party_data": False,
        "may_be_sent": True,
        "added_at": "2026-11-01T10:00:00+01:00",
    }
    document = scenario("W1").to_dict() | {"attachments": [entry, dict(entry)]}
    assert problems_of(document) == {"attachments[1].attachment_id": "stands twice in this list"}


def test_an_act_about_another_case_is_refused() -> None:
    document = scenario("W1").to_dict()
    document["consents"][0]["case_id"] = scenario("W2").case_id
    assert problems_of(document) == {"consents[0].case_id": "names another case"}


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("identity.birth_date", "Date de naissance"),
        ("family[1].role", "Lien avec le mineur"),
        ("exploitation.alleged_exploiters[0].alias", "Surnom ou nom connu"),
        ("housing", "Hébergement et localisation"),
        ("housing.no_such_field", "Hébergement et localisation"),
        ("no_such_section.field", "no_such_section.field"),
    ],
)
def test_labels_are_french(path: str, label: str) -> None:
    assert label_of(path) == label


# ---- what is missing ----


def test_the_minimal_record_may_be_opened_and_lacks_what_a_transfer_needs() -> None:
    case = scenario("minimal record")
    assert missing_for(case, "open") == ()
    lacking = missing_for(case, "transfer")
    assert {"identity.identity_verified", "risk.reassess_on"} < set(lacking)
    assert not any(path.startswith("family") for path in lacking)


def test_what_is_missing_can_be_asked_of_the_sections_that_leave() -> None:
    lacking = missing_for(scenario("minimal record"), "transfer", sections={"risk"})
    assert set(lacking) == {"risk.assessed_on", "risk.reassess_on"}


def test_each_entry_of_a_list_is_looked_at() -> None:
    document = scenario("W1").to_dict()
    document["family"].append({"person_id": "6a2a5317-d5ed-4df3-b4a2-5e257086f9f0", "role": "father"})
    lacking = missing_for(case_of(document), "transfer", sections={"family"})
    assert lacking == ("family[1].parental_authority", "family[1].contact_allowed")


def test_closing_needs_a_date_and_a_reason() -> None:
    assert missing_for(scenario("W1"), "close") == ("meta.closed_on", "meta.closure_reason")
    assert missing_for(scenario("closed"), "close") == ()


# ---- on the way ----


def received(case: Case, **changes: Any) -> Case:
    act = acts_in(case)[0]
    package = minimise(case, purpose=next(iter(act.purposes)), act=act)
    sent = decode_sections(encode_sections(package))
    arguments: dict[str, Any] = {
        "case_id": case.case_id,
        "owner_org_id": "bc2f07a7-fa12-496c-a745-ba1caccd0d48",
        "received_from": "efc8ca2b-f7ce-405a-b4b5-b6a1da649397",
        "transfer": TransferId(bytes(range(240, 256))),
        "now": NOW,
    }
    return received_case(sent, **arguments | changes)


@pytest.mark.parametrize(
    "start", ["W1", "W2", "W3", "W4", "W5", "W8", "W10", "boy", "path B", "path C: c", "path C: m"]
)
def test_what_leaves_for_any_purpose_becomes_a_record_that_can_be_kept(start: str) -> None:
    case = received(scenario(start))
    assert parse_case(case.to_bytes()) == case
    assert case.received


def test_a_received_case_is_the_recipients_own() -> None:
    sent = scenario("W3")
    case = received(sent)
    meta = case.section("meta")
    assert case.case_id == sent.case_id
    assert meta["owner_org_id"] == "bc2f07a7-fa12-496c-a745-ba1caccd0d48"
    assert meta["received_transfer_id"] == bytes(range(240, 256)).hex()
    assert meta["pseudonym"] == sent.pseudonym
    assert meta["local_number"] != sent.value("meta.local_number")
    assert meta["owner_user_id"] == "-"


def test_what_a_sender_held_back_is_listed_for_completion() -> None:
    lacking = missing_for(received(scenario("W3")), "open")
    assert "situation.first_contact_on" in lacking


def test_a_received_case_must_be_the_one_that_the_manifest_names() -> None:
    with pytest.raises(InvalidRecord) as caught:
        received(scenario("W1"), case_id=scenario("W2").case_id)
    assert caught.value.facts["path"] == "meta.case_id"


def test_unknown_sections_and_unknown_fields_are_not_imported() -> None:
    with pytest.raises(InvalidRecord):
        decode_sections({"sequel": b"{}"})
    with pytest.raises(InvalidRecord):
        received_case(
            {"identity": {MARK: 1}},
            case_id=scenario("W1").case_id,
            owner_org_id="bc2f07a7-fa12-496c-a745-ba1caccd0d48",
            received_from="efc8ca2b-f7ce-405a-b4b5-b6a1da649397",
            transfer=TransferId(bytes(16)),
            now=NOW,
        )


# ---- the summary ----


def test_the_summary_holds_codes_and_numbers_only() -> None:
    document = scenario("W2").to_dict()

    for section, field in (
        ("identity", "first_name"),
        ("identity", "last_name"),
        ("identity", "used_name"),
        ("situation", "request_summary"),
        ("situation", "minor_words"),
        ("housing", "reception_constraints"),
        ("housing", "address"),
        ("risk", "narrative"),
        ("meta", "pseudonym"),
    ):
        document[section][field] = MARK
    document["judicial"]["measures"] = [{"kind": "placement", "reference": MARK, "service_in_charge": MARK}]
    summary = capacity_summary(
        case_of(document), purpose="relocation", kind="transfer", sections=("meta", "identity"), attachments=2, now=NOW
    )
    assert MARK.encode() not in summary.SerializeToString()
    assert summary.age == 17
    assert summary.departement == document["housing"]["departement"]
    assert "areas_to_avoid=13,83,06" in summary.constraints
    assert "measures=placement" in summary.constraints
    assert (summary.attachments, summary.urgency) == (2, document["housing"]["shelter_need"])


def test_the_summary_of_a_minimal_record_says_little() -> None:
    summary = capacity_summary(
        scenario("minimal record"), purpose="emergency_shelter", kind="transfer", sections=("meta",)
    )
    assert summary.age == 0
    assert summary.need == ""


def test_the_age_changes_on_the_birthday() -> None:
    case = scenario("W1")
    born = case.birth_date
    assert born == date(2011, 2, 7)
    for now, age in ((datetime(2026, 2, 6, tzinfo=UTC), 14), (datetime(2026, 2, 7, tzinfo=UTC), 15)):
        assert capacity_summary(case, purpose="relocation", kind="transfer", sections=(), now=now).age == age


def test_the_summary_never_outgrows_its_bounds() -> None:
    document = copy.deepcopy(scenario("W2").to_dict())
    document["housing"]["areas_to_avoid"] = (
        [f"{number:02}" for number in range(1, 20)] + ["2A", "2B"] + [str(number) for number in range(21, 96)]
    )
    document["identity"]["languages"] = [chr(97 + i % 26) + chr(97 + i // 26) for i in range(60)]
    summary = capacity_summary(case_of(document), purpose="relocation", kind="transfer", sections=SECTIONS)
    assert len(summary.constraints) <= 800
    assert len(summary.languages) == 32


def test_a_summary_asks_for_known_things() -> None:
    case = scenario("W1")
    with pytest.raises(InvalidInput):
        capacity_summary(case, purpose="curiosity", kind="transfer", sections=())
    with pytest.raises(InvalidInput):
        capacity_summary(case, purpose="relocation", kind="transfer", sections=("diary",))
    with pytest.raises(InvalidInput):
        capacity_summary(case, purpose="relocation", kind="transfer", sections=(), need="magic")
