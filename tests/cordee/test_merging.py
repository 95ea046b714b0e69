from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.case import CASE_LIMIT, LIST_SECTIONS, Case, case_of, come_back, received_case, told_of, with_entries
from cordee.errors import InvalidRecord
from cordee.ids import TransferId
from tests.samples import scenario

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
HERE, THERE = "80716a2b-ed7a-4ebd-b8f7-bb0a4f3a2f16", "bc2f07a7-fa12-496c-a745-ba1caccd0d48"
TRANSFER = TransferId(b"t" * 16)
OURS = scenario("W2")


def came(sections: dict[str, Any]) -> Case:
    return received_case(
        sections, case_id=OURS.case_id, owner_org_id=HERE, received_from=THERE, transfer=TRANSFER, now=NOW
    )


def back(sections: dict[str, Any], ours: Case = OURS) -> Case:
    return come_back(ours, came(sections), sections)


def action(number: int, **changes: Any) -> dict[str, Any]:
    entry = {"action_id": f"{number:08}-0000-4000-8000-000000000000", "kind": "call", "date": "2026-08-01"}
    return entry | {"kind": OURS.section("actions")[0]["kind"]} | changes


def test_of_what_comes_back_an_object_is_theirs_and_what_did_not_come_stays() -> None:
    risk = {"immediate_danger": "no", "level": "low", "assessed_on": "2026-08-30"}
    merged = back({"risk": risk})
    assert merged.section("risk") == risk
    ours = OURS.to_dict()
    assert {name: merged.section(name) for name in ours if name not in ("risk", "meta")} == {
        name: value for name, value in ours.items() if name not in ("risk", "meta")
    }


def test_lists_that_come_back_are_joined_by_the_id_of_each_entry() -> None:
    ours = OURS.with_section("actions", [action(1), action(2, summary="as it was")])
    merged = back({"actions": [action(2, summary="as it is"), action(3)]}, ours)
    assert merged.section("actions") == [action(1), action(2, summary="as it is"), action(3)]
    runaway = {"started_on": "2026-07-01"}
    ours = OURS.with_section("runaways", [runaway])
    ended = runaway | {"ended_on": "2026-07-02"}
    assert back({"runaways": [runaway, ended]}, ours).section("runaways") == [runaway, ended]


def test_our_own_references_stay_and_a_closed_follow_up_is_open_again() -> None:
    meta = OURS.section("meta") | {"status": "closed", "closed_on": "2026-08-01"}
    merged = back({"meta": {"pseudonym": "Another", "opened_on": "2020-01-01"}}, OURS.with_section("meta", meta))
    new = merged.section("meta")
    assert {key: new[key] for key in ("local_number", "pseudonym", "owner_user_id", "opened_on", "created_at")} == {
        key: meta[key] for key in ("local_number", "pseudonym", "owner_user_id", "opened_on", "created_at")
    }
    assert (new["status"], new["version"], new["received_from_org_id"]) == ("open", meta["version"] + 1, THERE)
    assert "closed_on" not in new
    assert merged.case_id == OURS.case_id


def test_of_a_file_that_both_list_ours_is_the_entry_that_stays() -> None:
    entry = {
        "attachment_id": "6a2a5317-d5ed-4df3-b4a2-5e257086f9f0",
        "kind": "report",
        "file_name": "rapport.pdf",
        "media_type": "application/pdf",
        "size_bytes": 12,
        "sha256": "0" * 64,
        "section": "judicial",
        "third_party_data": False,
        "may_be_sent": True,
        "added_at": "2026-11-01T10:00:00+01:00",
    }
    other = entry | {"attachment_id": THERE}
    ours = OURS.with_section("attachments", [entry])
    merged = back({"attachments": [entry | {"kind": "other"}, other]}, ours).section("attachments")
    assert merged == [entry, other | {"may_be_sent": False}]


def test_what_the_other_wrote_is_told_without_its_own_references() -> None:
    sections = {
        "risk": {"immediate_danger": "yes", "level": "high"},
        "meta": {"pseudonym": "Another", "status": "closed", "owner_org_id": THERE},
    }
    told = told_of(came(copy.deepcopy(sections)), sections)
    assert told == {"risk": sections["risk"], "meta": {"status": "closed"}}
    with pytest.raises(InvalidRecord):
        told_of(came({"meta": {}}), {"meta": {"status": "over and done"}})


def test_entries_are_added_at_the_end_and_checked() -> None:
    added = with_entries(OURS, "actions", [action(9)])
    assert added.section("actions") == [*OURS.section("actions"), action(9)]
    with pytest.raises(InvalidRecord):
        with_entries(OURS, "actions", [{"action_id": "no id"}])


def test_two_records_that_are_too_long_together_are_refused() -> None:
    half = [action(number, summary="x" * 1_900) for number in range(CASE_LIMIT // 4_000)]
    ours = OURS.with_section("actions", half)
    theirs = [action(10_000 + number, summary="x" * 1_900) for number in range(CASE_LIMIT // 4_000)]
    with pytest.raises(InvalidRecord):
        back({"actions": theirs}, ours)


ENTRIES = st.lists(st.builds(action, st.integers(0, 6), summary=st.text("ab", max_size=2)), max_size=6)


@given(ENTRIES, ENTRIES)
def test_no_entry_is_lost_and_coming_back_twice_is_once(ours: list[Any], theirs: list[Any]) -> None:
    merged = back({"actions": theirs}, OURS.with_section("actions", ours or None))
    ids = [each["action_id"] for each in merged.section("actions") or []]
    assert len(ids) == len(set(ids))
    assert set(ids) == {each["action_id"] for each in (*ours, *theirs)}
    again = come_back(merged, came({"actions": theirs}), ["actions"])
    assert again.section("actions") == merged.section("actions")
    assert case_of(again.to_dict()) == again


def test_every_list_section_can_come_back() -> None:
    for name in LIST_SECTIONS - {"consents", "notes"}:
        entries = OURS.section(name) or []
        assert back({name: entries}).section(name) == OURS.section(name) or not entries
