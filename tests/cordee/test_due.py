"""What a case asks for, and when: each rule at its edges."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cordee.act import Act, parse_act
from cordee.case import Case, case_of
from cordee.case.due import CLOCK, END, NOTED, RISK, Due, Needs, due_of_acts, due_of_case, needs_of
from tests.samples import acts_in, cases

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPENED = date(2026, 11, 2)


def a_case(**sections: Any) -> Case:
    """A case that asks for nothing but what is given here."""
    document = copy.deepcopy(cases()[0].to_dict())
    kept = {"meta": document["meta"] | {"opened_on": OPENED.isoformat(), "status": "open"}}
    kept["meta"].pop("retention_review_on", None)
    kept["situation"] = document["situation"]
    kept["risk"] = {"immediate_danger": "no", "level": "low", "reassess_on": "2030-01-01"}
    return case_of(kept | {name: value for name, value in sections.items() if value is not None})


def asked(case: Case, *, needs: Needs | None = None) -> dict[str, Due]:
    found = due_of_case(case, needs or needs_of(case, Needs(), NOW))
    return {each.what: each for each in found if each.at != date(2030, 1, 1)}


# ---- risk ----


def test_a_date_to_assess_again_is_what_was_noted_and_is_told_three_days_before() -> None:
    risk = {"immediate_danger": "no", "level": "high", "assessed_on": "2026-11-20", "reassess_on": "2026-12-04"}
    due = asked(a_case(risk=risk))["reassess"]
    assert (due.kind, due.at, due.tell_from, due.about) == (RISK, date(2026, 12, 4), date(2026, 12, 1), "risk")


@pytest.mark.parametrize(("level", "days"), [("immediate", 1), ("high", 7), ("moderate", 30), ("low", 90)])
def test_without_a_date_a_level_stands_for_its_own_time(level: str, days: int) -> None:
    risk = {"immediate_danger": "no", "level": level, "assessed_on": "2026-11-20"}
    due = asked(a_case(risk=risk))["assessment_old"]
    assert due.at == date(2026, 11, 20) + days * DAY


def test_a_risk_that_nobody_assessed_is_asked_for_from_the_opening_on() -> None:
    due = asked(a_case(risk={"immediate_danger": "unknown", "level": "not_assessed"}))["never_assessed"]
    assert due.at == OPENED + 7 * DAY


def test_a_level_without_the_day_of_its_assessment_counts_from_the_opening() -> None:
    due = asked(a_case(risk={"immediate_danger": "yes", "level": "immediate"}))["never_assessed"]
    assert due.at == OPENED + DAY


# ---- clocks ----


def test_a_place_within_72_hours_counts_from_when_it_was_first_written_and_goes_on_when_the_case_is_written_again() -> (
    None
):
    case = a_case(housing={"shelter_need": "within_72h"})
    first = needs_of(case, Needs(), NOW)
    again = needs_of(case, first, NOW + 10 * HOUR)
    due = asked(case, needs=again)["shelter_within_72h"]
    assert (due.kind, due.at, due.since) == (CLOCK, NOW + 72 * HOUR, NOW)
    assert due.tell_from == NOW.date()


def test_a_need_that_becomes_another_begins_anew_and_one_that_is_met_is_not_told() -> None:
    first = needs_of(a_case(housing={"shelter_need": "within_72h"}), Needs(), NOW)
    tonight = a_case(housing={"shelter_need": "tonight"})
    due = asked(tonight, needs=needs_of(tonight, first, NOW + HOUR))["shelter_tonight"]
    assert due.at == NOW + 13 * HOUR
    met = a_case(housing={"shelter_need": "none"})
    assert asked(met, needs=needs_of(met, first, NOW)) == {}


def test_care_that_is_needed_now_is_late_at_once_and_within_72_hours_has_72() -> None:
    assert asked(a_case(health={"urgent_need": "now"}))["care_now"].at == NOW
    assert asked(a_case(health={"urgent_need": "within_72h"}))["care_within_72h"].at == NOW + 72 * HOUR
    assert asked(a_case(health={"urgent_need": "soon"})) == {}


def test_a_runaway_is_late_at_once_where_the_police_may_not_know_and_after_three_days_where_they_do() -> None:
    begun = {"started_on": "2026-11-23"}
    assert asked(a_case(runaways=[begun]))["runaway_not_reported"].at == date(2026, 11, 23)
    told = asked(a_case(runaways=[begun | {"reported_to_police": "yes"}]))["runaway"]
    assert (told.kind, told.at, told.tell_until) == (CLOCK, date(2026, 11, 26), None)
    assert asked(a_case(runaways=[begun | {"ended_on": "2026-11-24"}])) == {}


def test_a_72_hour_reception_ends_three_days_after_its_beginning_and_is_told_until_its_end_is_written() -> None:
    measure = {"kind": "accueil_72h", "starts_on": "2026-11-23"}
    due = asked(a_case(judicial={"measures": [measure]}))["accueil_72h"]
    assert (due.at, due.since, due.tell_until) == (date(2026, 11, 26), date(2026, 11, 23), None)
    ended = asked(a_case(judicial={"measures": [measure | {"ends_on": "2026-11-25"}]}))["accueil_72h"]
    assert (ended.at, ended.tell_until) == (date(2026, 11, 25), date(2026, 12, 2))


def test_a_report_without_an_answer_is_told_after_15_days_and_again_after_three_months() -> None:
    alert = {
        "kind": "information_preoccupante",
        "sent_on": "2026-11-01",
        "recipient": "CRIP 13",
        "parents_informed": "pending",
    }
    found = asked(a_case(judicial={"alerts": [alert]}))
    assert found["no_answer_15_days"].tell_from == date(2026, 11, 16)
    assert found["no_answer_15_days"].tell_until == date(2027, 1, 30)
    assert found["no_answer_3_months"].tell_from == date(2027, 1, 31)
    assert found["parents_to_be_told"].at == date(2026, 11, 1)
    answered = alert | {"outcome": "evaluation", "parents_informed": "yes"}
    assert asked(a_case(judicial={"alerts": [answered]})) == {}


# ---- what ends, and what was noted ----


def test_a_measure_is_told_fourteen_days_before_its_end_and_a_week_after() -> None:
    measure = {"kind": "placement", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    due = asked(a_case(judicial={"measures": [measure]}))["measure"]
    assert (due.kind, due.tell_from, due.at, due.tell_until) == (
        END,
        date(2026, 12, 17),
        date(2026, 12, 31),
        date(2027, 1, 7),
    )


@pytest.mark.parametrize(("born", "birthday"), [("2008-12-03", date(2026, 12, 3)), ("2008-02-29", date(2026, 3, 1))])
def test_the_eighteenth_birthday_is_told_a_month_before(born: str, birthday: date) -> None:
    due = asked(a_case(identity={"birth_date": born}))["birthday"]
    assert (due.at, due.tell_from) == (birthday, birthday - 30 * DAY)


def test_dates_that_were_noted_are_told() -> None:
    case = a_case(
        safety_plan={"review_on": "2026-12-01"},
        actions=[
            {
                "action_id": "0b0e5f3c-6d53-4f6e-9d0e-6f6f0e7b1c11",
                "kind": "phone_call",
                "date": "2026-11-01",
                "next_due_on": "2026-11-30",
            }
        ],
    )
    found = asked(case)
    assert {each.kind for each in found.values()} == {NOTED}
    assert found["safety_plan"].at == date(2026, 12, 1)
    assert (found["action"].at, found["action"].tell_until) == (date(2026, 11, 30), date(2026, 12, 30))


@pytest.mark.parametrize("status", ["closed", "archived", "duplicate", "transferred"])
def test_a_case_that_is_over_asks_for_nothing(status: str) -> None:
    case = a_case(housing={"shelter_need": "tonight"})
    meta = case.section("meta") | {"status": status, "closed_on": "2026-11-20", "closure_reason": "goals_met"}
    assert due_of_case(case.with_section("meta", meta), needs_of(case, Needs(), NOW)) == ()


def test_a_year_that_is_a_slip_of_the_pen_breaks_nothing() -> None:
    risk = {"immediate_danger": "no", "level": "low", "reassess_on": "9999-12-31"}
    assert asked(a_case(risk=risk, identity={"birth_date": "9999-01-01"})).keys() <= {"never_assessed"}


def test_every_sample_can_be_read() -> None:
    found = {each.what for case in cases() for each in due_of_case(case, needs_of(case, Needs(), NOW))}
    assert {"reassess", "safety_plan", "birthday"} <= found


# ---- acts ----


def an_act(**changes: Any) -> Act:
    found = next(
        each for case in cases() for each in acts_in(case) if each.status == "active" and each.kind == "consent"
    )
    document = found.to_dict() | {
        "decided_at": "2026-11-24T09:00:00Z",
        "valid_from": "2026-11-24T09:00:00Z",
        "valid_until": "2027-02-22T09:00:00Z",
    }
    document.pop("review_due_at", None)
    return parse_act(document | changes)


def an_override(**changes: Any) -> Act:
    """A decision for 72 hours, complete."""
    act = next(
        each for case in cases() for each in acts_in(case) if each.kind == "override" and each.status == "active"
    )
    document = act.to_dict() | {
        "legal_basis": "accueil_72h_l223_2",
        "purposes": ["emergency_shelter"],
        "decided_at": "2026-11-24T09:00:00Z",
        "valid_from": "2026-11-24T09:00:00Z",
        "valid_until": "2026-11-27T09:00:00Z",
        "review_due_at": "2026-11-26T09:00:00Z",
        "justification": "Danger.",
        "validated_by_role": "cheffe de service",
        "information": {"minor": "done", "parents": "done"},
    }
    return parse_act(document | changes)


def of_act(act: Act, *others: Act) -> dict[str, Due]:
    return {each.what: each for each in due_of_acts([act, *others])[act.act_id]}


def test_an_act_is_told_fourteen_days_before_it_ends() -> None:
    due = of_act(an_act())["act"]
    assert (due.kind, due.tell_from, due.tell_until) == (END, date(2027, 2, 8), date(2027, 3, 1))
    assert due.at == datetime(2027, 2, 22, 9, tzinfo=UTC)


def test_an_act_for_72_hours_is_a_clock_from_its_first_moment_and_one_hour_longer_is_none() -> None:
    found = of_act(an_override())
    assert (found["act_72h"].at, found["act_72h"].tell_from) == (NOW + 72 * HOUR, NOW.date())
    longer = an_override(legal_basis="vital_interest", valid_until="2026-11-27T10:00:00Z")
    assert "act_72h" not in of_act(longer)
    assert of_act(longer)["act"].kind == END


def test_a_72_hour_reception_is_looked_at_after_24_hours_and_an_override_at_its_review() -> None:
    found = of_act(an_override())
    assert found["shelter_review"].at == NOW + 24 * HOUR
    assert found["override_review"].at == NOW + 48 * HOUR
    assert all(each.kind == CLOCK for each in found.values())


def test_a_decision_that_is_incomplete_is_asked_for_within_24_hours_until_a_later_one_completes_it() -> None:
    hasty = an_override(validated_by_role="")
    assert of_act(hasty)["act_incomplete"].at == NOW + 24 * HOUR
    complete = an_override(act_id="0b0e5f3c-6d53-4f6e-9d0e-6f6f0e7b1c12", decided_at="2026-11-24T10:00:00Z")
    assert "act_incomplete" not in of_act(hasty, complete)
    earlier = an_override(act_id="0b0e5f3c-6d53-4f6e-9d0e-6f6f0e7b1c12", decided_at="2026-11-24T08:00:00Z")
    assert "act_incomplete" in of_act(hasty, earlier)


def test_a_refusal_and_what_was_withdrawn_ask_for_nothing() -> None:
    assert of_act(an_act(kind="refusal", status="refused")) == {}
    assert of_act(an_act(status="superseded")) == {}
