from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from node.figures import counts_of
from node.journal import JournalEntry

SPRING = datetime(2026, 4, 1, tzinfo=UTC)
COURSE = {
    "offered": ("transfer.offered", "done", {"rule": "7"}),
    "came": ("transfer.offer_came", "done", {}),
    "accepted": ("transfer.accepted", "done", {}),
    "received": ("transfer.received", "done", {}),
    "declined": ("transfer.declined", "done", {}),
    "no place": ("transfer.declined", "no_capacity", {}),
    "refused": ("transfer.refused", "OUT_OF_SCOPE", {}),
    "withdrawn": ("transfer.withdrawn", "done", {}),
    "withdrawal": ("transfer.withdrawal_came", "done", {}),
    "expired": ("transfer.expired", "done", {}),
    "erased": ("transfer.erasure", "done", {}),
    "kept": ("transfer.erasure", "legal_obligation", {}),
    "kept there": ("transfer.erasure", "refused", {}),
    "returned": ("transfer.returned", "returned", {}),
    "not taken": ("statement.offer", "NOT_A_MEMBER", {}),
    "too late": ("statement.withdrawal", "overtaken", {}),
    "refusal late": ("statement.refusal", "overtaken", {}),
    "alarm": ("roster.alarm", "ROSTER_FORKED", {}),
    "mended": ("roster.alarm", "mended", {}),
    "erased here": ("case.erased", "done", {}),
    "erased again": ("case.erased", "tombstone", {}),
    "opened": ("case.opened_for_reason", "done", {}),
    "wrong": ("transfer.wrong_recipient", "done", {}),
    "message": ("event.refused", "BAD_SIGNATURE", {}),
}


def lines(*names: str, subject: str = "11", at: datetime = SPRING) -> Iterator[JournalEntry]:
    for number, name in enumerate(names):
        action, outcome, facts = COURSE[name]
        yield JournalEntry(number, at + timedelta(minutes=number), "node", action, subject, outcome, facts, b"")


def counted(*names: str) -> dict[str, dict[str, int]]:
    counts = counts_of(lines(*names), 2026)
    return {table: dict(rows) for table, rows in counts.items() if rows}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("offered",), {}),
        (("offered", "accepted", "received"), {"sent": {"received": 1}}),
        (("offered", "declined"), {"sent": {"declined": 1}}),
        (("offered", "accepted", "refused"), {"sent": {"not_received": 1}}),
        (("offered", "withdrawn"), {"sent": {"withdrawn": 1}}),
        (("offered", "expired"), {"sent": {"not_received": 1}}),
        (("offered", "expired", "received"), {"sent": {"received": 1}}),
        (("offered", "withdrawn", "received"), {"sent": {"received": 1}, "asked": {"unanswered": 1}}),
        (("offered", "withdrawn", "received", "erased"), {"sent": {"received": 1}, "asked": {"erased": 1}}),
        (("offered", "received", "withdrawn", "kept there"), {"sent": {"received": 1}, "asked": {"kept": 1}}),
        (("offered", "received", "returned"), {"sent": {"received": 1}, "apart": {"got_back": 1}}),
        (("offered", "received", "withdrawn", "returned"), {"sent": {"received": 1}, "asked": {"erased": 1}}),
        (("offered", "not taken", "withdrawn"), {}),
        (
            ("offered", "received", "withdrawn", "returned", "too late"),
            {"sent": {"received": 1}, "apart": {"got_back": 1}},
        ),
    ],
)
def test_what_became_of_what_we_offered(names: tuple[str, ...], expected: dict[str, dict[str, int]]) -> None:
    found = counted(*names)
    assert found.pop("grounds", {}) == ({"agreement": 1} if "sent" in found else {})
    assert found == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("came",), {}),
        (("came", "accepted", "received"), {"came": {"received": 1}}),
        (("came", "no place"), {"came": {"declined": 1}}),
        (("came", "withdrawal"), {"came": {"withdrawn": 1}}),
        (("came", "received", "withdrawal"), {"came": {"received": 1}, "answered": {"unanswered": 1}}),
        (("came", "received", "withdrawal", "erased"), {"came": {"received": 1}, "answered": {"erased": 1}}),
        (("came", "received", "withdrawal", "kept"), {"came": {"received": 1}, "answered": {"kept": 1}}),
        (("came", "received", "returned"), {"came": {"received": 1}, "apart": {"gave_back": 1}}),
        (("came", "received", "returned", "withdrawal"), {"came": {"received": 1}, "answered": {"erased": 1}}),
        (("came", "no place", "withdrawal", "refusal late"), {"came": {"withdrawn": 1}}),
        (("came", "no place", "refusal late"), {}),
    ],
)
def test_what_became_of_what_was_offered_to_us(names: tuple[str, ...], expected: dict[str, dict[str, int]]) -> None:
    assert counted(*names) == expected


@pytest.mark.parametrize(
    ("rule", "ground"),
    [("3", "override"), ("4", "override"), ("6", "secrecy"), ("7", "agreement"), ("8", "agreement"), ("2", "")],
)
def test_an_offer_counts_under_the_row_of_the_decision_table_that_let_it_go(rule: str, ground: str) -> None:
    offered, declined = lines("offered", "declined")
    told = JournalEntry(**{**offered.__dict__, "facts": {"rule": rule}})
    assert counts_of([told, declined], 2026)["grounds"] == ({ground: 1} if ground else {})


def test_other_events_count_in_their_year_and_nothing_counts_twice() -> None:
    assert counted("erased here", "erased again", "opened", "wrong", "alarm", "mended", "message") == {
        "apart": {"cases_erased": 1, "opened": 1, "wrong": 1},
        "machine": {"alarms": 1, "messages": 1},
    }


def test_an_offer_counts_in_its_own_year_and_a_request_in_the_year_in_which_it_was_made() -> None:
    new_years_eve = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    told = [
        *lines("offered", at=new_years_eve),
        *lines("received", at=new_years_eve + timedelta(hours=2)),
        *lines("withdrawn", "erased", at=new_years_eve + timedelta(days=90)),
    ]
    in_2026, in_2027 = counts_of(told, 2026), counts_of(told, 2027)
    assert (in_2026["sent"], in_2027["sent"]) == ({"received": 1}, {})
    assert (in_2026["asked"], in_2027["asked"]) == ({}, {"erased": 1})
