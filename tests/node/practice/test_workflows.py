"""Each of the ten workflows, done on the pages of a real practice server. A tick comes when it happened, not before."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape

import pytest

from node.practice.workflows import WORKFLOWS
from tests.node.practice.newcomer import Newcomer, until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def relay(newcomer: Newcomer) -> str:
    return member(newcomer, "Rive d")


@pytest.fixture(scope="module")
def shelter(newcomer: Newcomer) -> str:
    return member(newcomer, "Lucioles")


def member(newcomer: Newcomer, name: str) -> str:
    listed = newcomer.get("/members")
    return next(
        each for each, told in re.findall(r'href="/members/([0-9a-f]{32})"[^>]*>(.*?)</a>', listed) if name in told
    )


def happens(newcomer: Newcomer, workflow: str, step: int, act: Callable[[], object] | None = None) -> None:
    """Step number `step` (from 1) is not ticked before `act`, and is afterwards; so is all that came before it."""
    before = newcomer.ticks(workflow)
    assert before[: step - 1] == [True] * (step - 1), before
    if act is not None:
        assert not before[step - 1], f"{workflow}: step {step} was ticked before it happened"
        act()
    until(lambda: newcomer.ticks(workflow)[step - 1], what=f"{workflow}: step {step}")


def is_done(newcomer: Newcomer, workflow: str) -> None:
    assert all(newcomer.ticks(workflow))
    assert "every step of this workflow has really happened" in newcomer.beside()


def record(newcomer: Newcomer, **answers: str) -> Callable[[], None]:
    return lambda: newcomer.record(newcomer.next_address(), **answers)


def test_nothing_is_ticked_by_saying_so(newcomer: Newcomer) -> None:
    newcomer.begin("w10")
    form = newcomer.form("/practice")
    for name in ("done", "step", "tick"):
        form.put(name, "w10")
    newcomer.submit(form.put("follow", "w10"))
    assert newcomer.ticks("w10") == [False] * 3
    assert newcomer.client.post("/practice", data={"begin": "w10"}).status_code == 403, (
        "a form of ours alone begins one"
    )
    unknown = newcomer.submit(newcomer.form("/practice").put("begin", "w11"))
    assert unknown.headers["location"] == "/practice"


def test_1_a_call_and_a_relay(newcomer: Newcomer, relay: str) -> None:
    newcomer.begin("w1")
    assert newcomer.ticks("w1") == [False] * 5

    def opened() -> None:
        form = newcomer.form("/cases/new")
        newcomer.submit(form.fill(pseudonym="Mimosa", channel="phone", summary="Une mère appelle.", danger="no"))

    happens(newcomer, "w1", 1, opened)
    case = newcomer.case()

    def filled() -> None:
        today = datetime.now(UTC).date().isoformat()
        for section, values in (
            ("identity", {"identity_verified": "declared", "gender": "girl", "age_at_opening": "15"}),
            ("situation", {"minor_position": "accepts", "minor_knows_case": "yes", "exploitation_status": "suspected"}),
            ("risk", {"level": "moderate", "assessed_on": today, "reassess_on": today}),
        ):
            newcomer.press(f"/cases/{case}/sections/{section}", f"/cases/{case}/sections/{section}", **values)

    happens(newcomer, "w1", 2, filled)
    happens(newcomer, "w1", 3, record(newcomer))
    happens(newcomer, "w1", 4, lambda: newcomer.send(case, relay, "specialised_support", departement="13"))
    happens(newcomer, "w1", 5)
    is_done(newcomer, "w1")


def test_2_a_move_far_away(newcomer: Newcomer, shelter: str) -> None:
    newcomer.begin("w2")
    case = newcomer.case()
    happens(newcomer, "w2", 1, record(newcomer))
    happens(newcomer, "w2", 2, lambda: newcomer.send(case, shelter, "relocation", departement="59"))
    happens(newcomer, "w2", 3)
    is_done(newcomer, "w2")


def test_3_nobody_answers_tonight_and_another_shelter_takes_her(newcomer: Newcomer, relay: str, shelter: str) -> None:
    newcomer.begin("w3")
    case = newcomer.case()
    happens(newcomer, "w3", 1, record(newcomer))
    sent: list[str] = []
    happens(
        newcomer,
        "w3",
        2,
        lambda: sent.append(newcomer.send(case, shelter, "emergency_shelter", kind="referral", departement="59")),
    )
    assert "(10 minutes)" in newcomer.confirmed, "as long as it waits here for an answer"
    happens(newcomer, "w3", 3, lambda: newcomer.press(f"{sent[0]}/withdraw", f"{sent[0]}/withdraw"))
    happens(
        newcomer, "w3", 4, lambda: newcomer.send(case, relay, "emergency_shelter", kind="referral", departement="13")
    )
    happens(newcomer, "w3", 5)
    is_done(newcomer, "w3")


def test_4_a_case_that_both_follow(newcomer: Newcomer, relay: str) -> None:
    newcomer.begin("w4")
    case = newcomer.case()
    happens(newcomer, "w4", 1, record(newcomer, duration="180d"))
    sent: list[str] = []
    happens(
        newcomer,
        "w4",
        2,
        lambda: sent.append(newcomer.send(case, relay, "joint_followup", kind="referral", departement="13")),
    )
    happens(newcomer, "w4", 3)
    happens(newcomer, "w4", 4)
    happens(newcomer, "w4", 5, lambda: newcomer.get(f"/cases/{case}/versions"))
    assert newcomer.next_address() == f"{sent[0]}/update"
    happens(newcomer, "w4", 6, lambda: newcomer.press(f"{sent[0]}/update", f"{sent[0]}/update"))
    is_done(newcomer, "w4")


def test_5_no_place_there_so_the_next_is_asked(newcomer: Newcomer, relay: str, shelter: str) -> None:
    newcomer.begin("w5")
    case = newcomer.case()
    happens(newcomer, "w5", 1, record(newcomer))
    happens(newcomer, "w5", 2, lambda: newcomer.send(case, relay, "relocation", departement="13"))
    happens(newcomer, "w5", 3)
    happens(newcomer, "w5", 4, lambda: newcomer.send(case, shelter, "relocation", departement="59"))
    happens(newcomer, "w5", 5)
    is_done(newcomer, "w5")


def test_6_the_agreement_is_withdrawn(newcomer: Newcomer) -> None:
    newcomer.begin("w6")
    case = newcomer.case()
    happens(newcomer, "w6", 1)

    def withdrawn() -> None:
        found = re.search(rf"/cases/{case}/acts/[0-9a-f-]{{36}}", newcomer.get(f"/cases/{case}/acts"))
        assert found
        newcomer.press(f"{found[0]}/withdraw", f"{found[0]}/withdraw", by_role="minor", reason="")

    happens(newcomer, "w6", 2, withdrawn)
    happens(newcomer, "w6", 3)
    is_done(newcomer, "w6")


def test_7_a_colleague_leaves(newcomer: Newcomer) -> None:
    newcomer.begin("w7")
    person = newcomer.next_address()
    happens(newcomer, "w7", 1, lambda: newcomer.press(person, f"{person}/change", do="disabled"))
    first = newcomer.case()
    listed = newcomer.get("/cases")
    cases = [
        each
        for each, told in re.findall(r'href="/cases/([0-9a-f-]{36})"[^>]*>(.*?)</a>', listed, re.S)
        if "Exercice 7" in told
    ]
    assert first in cases
    assert len(cases) == 2

    def given() -> None:
        for case in cases:
            shown = newcomer.get(f"/cases/{case}/team")
            me = re.search(r'<option value="([0-9a-f]{32})"[^>]*>\s*camille', shown)
            assert me
            newcomer.press(f"/cases/{case}/team", f"/cases/{case}/team", owner=me[1])

    happens(newcomer, "w7", 2, given)

    def read() -> None:
        for case in cases:
            for section in ("risk", "safety_plan"):
                newcomer.get(f"/cases/{case}/sections/{section}")

    happens(newcomer, "w7", 3, read)
    is_done(newcomer, "w7")


def test_8_a_case_that_was_meant_for_others(newcomer: Newcomer) -> None:
    newcomer.begin("w8")
    happens(newcomer, "w8", 1)
    transfer = newcomer.next_address()

    def accepted() -> None:
        form = newcomer.form(transfer, action=f"{transfer}/accept")
        newcomer.submit(form.fill(conflict="no", areas="no"))

    happens(newcomer, "w8", 2, accepted)
    fields = {"code": "wrong_recipient", "sure": "on"}
    happens(newcomer, "w8", 3, lambda: newcomer.press(f"{transfer}/return", f"{transfer}/return", **fields))
    happens(newcomer, "w8", 4)
    is_done(newcomer, "w8")


def test_9_two_sisters(newcomer: Newcomer, relay: str) -> None:
    newcomer.begin("w9")
    case = newcomer.case()
    told = unescape(newcomer.beside())
    ids = re.search(r"case ([0-9a-f-]{36}), association ([0-9a-f-]{36})", told)
    assert ids

    def linked() -> None:
        path = f"/cases/{case}/sections/links"
        newcomer.press(path, path, new__linked_case_id=ids[1], new__org_id=ids[2], new__relation="sibling")

    happens(newcomer, "w9", 1, linked)
    happens(newcomer, "w9", 2, record(newcomer))
    happens(newcomer, "w9", 3, lambda: newcomer.send(case, relay, "specialised_support", departement="13"))
    happens(newcomer, "w9", 4)
    is_done(newcomer, "w9")


def test_10_to_the_departement(newcomer: Newcomer) -> None:
    newcomer.begin("w10")
    case = newcomer.case()
    answers = {
        "minor_answer": "informed",
        "justification": "Danger pour elle.",
        "validated_by": "cheffe de service",
        "basis": "ip_l226_2_1",
    }
    happens(newcomer, "w10", 1, record(newcomer, **answers))
    judicial, actions = (f"/cases/{case}/sections/{each}" for each in ("judicial", "actions"))
    today = datetime.now(UTC).date().isoformat()

    def alerted() -> None:
        newcomer.press(
            judicial,
            judicial,
            alerts__new__kind="information_preoccupante",
            alerts__new__sent_on=today,
            alerts__new__recipient="CRIP 13",
            alerts__new__parents_informed="yes",
        )

    happens(newcomer, "w10", 2, alerted)
    happens(newcomer, "w10", 3, lambda: newcomer.press(actions, actions, new__kind="ip_sent", new__date=today))
    is_done(newcomer, "w10")


def test_in_the_end_all_ten_are_done_and_stay_so_when_one_begins_again(newcomer: Newcomer) -> None:
    all_ten = f"Done so far: {len(WORKFLOWS)} of {len(WORKFLOWS)}."
    assert all_ten in newcomer.get("/practice")
    for workflow in [each for each in WORKFLOWS if each.id not in ("w6", "w8")]:  # these two begin by themselves
        newcomer.begin(workflow.id)
        assert newcomer.ticks(workflow.id) == [False] * len(workflow.steps), workflow.id
    assert all_ten in newcomer.get("/practice")
