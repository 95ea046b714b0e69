from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cordee.act import ROWS, Act, RecipientFacts, decide, outweighs, parse_act
from cordee.case import PURPOSES, Case
from cordee.errors import InvalidInput, NotCovered, filled
from tests.samples import acts_in, cases, facts_of, scenario, time, transfers

ORG = "80716a2b-ed7a-4ebd-b8f7-bb0a4f3a2f16"
OTHER = "bc2f07a7-fa12-496c-a745-ba1caccd0d48"
NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
MOTHER, FATHER = "1ec16688-0000-4000-8000-000000000001", "7a667472-0000-4000-8000-000000000002"
BASE = acts_in(scenario("W5"))[0].to_dict()
RECIPIENT = RecipientFacts(
    org_id=ORG,
    active=True,
    card_valid=True,
    bound_by_secrecy=True,
    categories=frozenset({"emergency_shelter", "association"}),
    departement="63",
)


def person(person_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "role": "mother",
        "parental_authority": "joint",
        "contact_allowed": "yes",
        "implicated": "no",
    } | changes


def a_case(*family: dict[str, Any], born: str | None = "2011-03-14", avoid: tuple[str, ...] = ()) -> Case:
    case = scenario("W5").with_section("family", list(family) or [person(MOTHER)])
    identity = {key: value for key, value in case.section("identity").items() if key != "birth_date"}
    case = case.with_section("identity", identity | ({"birth_date": born} if born else {}))
    return case.with_section("housing", case.section("housing") | {"areas_to_avoid": list(avoid)})


def minor(answer: str, discernment: str = "able") -> dict[str, Any]:
    return {
        "role": "minor",
        "answer": answer,
        "discernment": {"result": discernment, "assessed_by_role": "éducatrice"},
    }


def holder(answer: str, person_id: str = MOTHER) -> dict[str, Any]:
    return {"role": "parental_authority_holder", "person_id": person_id, "answer": answer}


def information(minor: str = "done", parents: str = "done", reason: str | None = None) -> dict[str, Any]:
    return {"minor": minor, "parents": parents} | ({} if reason is None else {"reason_not_informed": reason})


def agreement(*deciders: dict[str, Any], **changes: Any) -> Act:
    document = BASE | {
        "purposes": ["specialised_support", "relocation"],
        "decided_at": "2026-08-20T10:00:00+02:00",
        "valid_from": "2026-08-20T10:00:00+02:00",
        "valid_until": "2026-11-18T10:00:00+01:00",
        "decided_by": list(deciders) or [minor("agrees"), holder("agrees")],
        "recipients": [{"kind": "organisation", "org_id": ORG}],
        "information": information(),
    }
    return parse_act(document | changes)


def refusal(*deciders: dict[str, Any], **changes: Any) -> Act:
    given = {"act_id": "0d675815-c48b-480d-b46f-2c4183184595", "kind": "refusal", "status": "refused"} | changes
    return agreement(*(deciders or (minor("refuses"),)), **given)


def sharing(*deciders: dict[str, Any], **changes: Any) -> Act:
    given = {
        "kind": "information_only",
        "legal_basis": "shared_secrecy_l226_2_2",
        "justification": "évaluer et protéger",
        "purposes": ["joint_followup"],
    } | changes
    return agreement(*(deciders or (minor("informed"), holder("informed"))), **given)


def duty(*deciders: dict[str, Any], **changes: Any) -> Act:
    given = {
        "kind": "override",
        "legal_basis": "vital_interest",
        "justification": "danger immédiat",
        "validated_by_role": "cadre d’astreinte",
        "review_due_at": "2026-09-02T12:00:00Z",
        "decided_at": "2026-09-01T11:00:00Z",
        "valid_from": "2026-09-01T11:00:00Z",
        "valid_until": "2026-09-04T11:00:00Z",
        "purposes": ["emergency_shelter", "missing_child", "specialised_support"],
    } | changes
    return agreement(*(deciders or (minor("not_reached", "not_assessed"), holder("not_reached"))), **given)


@dataclass(frozen=True)
class Given:
    """One situation, and what the table must say of it."""

    says: str
    act: Act | None
    rule: int
    allowed: bool
    purpose: str = "specialised_support"
    case: Case = field(default_factory=a_case)
    record: tuple[Act, ...] = ()
    recipient: RecipientFacts = RECIPIENT
    now: datetime = NOW
    missing: str = ""
    flags: frozenset[str] = frozenset()
    update: bool = False


TOLD = frozenset({"notify_referent", "notify_manager"})
TWO = a_case(person(MOTHER), person(FATHER, role="father"))

TABLE = [
    # row 1
    Given("suspended", agreement(), 1, False, recipient=replace(RECIPIENT, active=False), missing="active member"),
    Given("key expired", agreement(), 1, False, recipient=replace(RECIPIENT, card_valid=False), missing="key"),
    Given("suspended, even in danger", duty(), 1, False, "missing_child", recipient=replace(RECIPIENT, active=False)),
    Given(
        "suspended, even for a question", None, 1, False, "capacity_query", recipient=replace(RECIPIENT, active=False)
    ),
    Given("moving into an area to avoid", agreement(), 1, False, "relocation", a_case(avoid=("63",)), missing="avoid"),
    Given(
        "nothing is known of areas to avoid",
        agreement(),
        7,
        True,
        "relocation",
        a_case().with_section("housing", {"shelter_need": "tonight"}),
    ),
    Given(
        "support in an area to avoid is told",
        agreement(),
        7,
        True,
        case=a_case(avoid=("63",)),
        flags=frozenset({"recipient_in_area_to_avoid"}),
    ),
    # row 2
    Given("a question of capacity", None, 2, True, "capacity_query"),
    Given("statistics", None, 2, True, "statistics"),
    Given("a question after a refusal", None, 2, True, "capacity_query", record=(refusal(),)),
    # row 3
    Given("danger, complete", duty(), 3, True, "emergency_shelter", flags=TOLD),
    Given("danger against a refusal on record", duty(), 3, True, record=(refusal(),), flags=TOLD),
    Given("danger, the minor says no", duty(minor("refuses")), 3, True, flags=TOLD),
    Given(
        "the judge orders",
        duty(minor("informed"), {"role": "judge", "answer": "orders"}, legal_basis="court_order"),
        3,
        True,
        flags=TOLD,
    ),
    Given(
        "a report to the département",
        duty(legal_basis="ip_l226_2_1", purposes=["crip_ip"]),
        3,
        True,
        "crip_ip",
        flags=TOLD,
    ),
    Given(
        "parents not told, with the reason",
        duty(information=information(parents="against_child_interest", reason="beau-père cité")),
        3,
        True,
        flags=TOLD,
    ),
    # row 4
    Given(
        "at night, no manager yet",
        duty(validated_by_role=" "),
        4,
        True,
        "emergency_shelter",
        flags=TOLD | {"complete_within_24h"},
    ),
    Given(
        "missing child, no reason written yet",
        duty(justification=""),
        4,
        True,
        "missing_child",
        flags=TOLD | {"complete_within_24h"},
    ),
    Given("support, no manager", duty(validated_by_role=""), 4, False, missing="manager"),
    Given("support, no reason", duty(justification="  "), 4, False, missing="written reason"),
    Given(
        "not completed within the day",
        duty(validated_by_role="", decided_at="2026-08-31T11:59:00Z"),
        4,
        False,
        "emergency_shelter",
        missing="manager",
    ),
    Given(
        "not completed when just a day has passed",
        duty(validated_by_role="", decided_at="2026-08-31T12:00:00Z"),
        4,
        False,
        "emergency_shelter",
        missing="manager",
    ),
    Given(
        "to be completed in the day's last second",
        duty(validated_by_role="", decided_at="2026-08-31T12:00:01Z"),
        4,
        True,
        "emergency_shelter",
        flags=TOLD | {"complete_within_24h"},
    ),
    Given(
        "past its review, a duty is no agreement though a parent agrees for a minor who cannot",
        duty(minor("not_reached", "not_able"), holder("agrees"), review_due_at="2026-09-01T12:00:00Z"),
        10,
        False,
        missing="review",
    ),
    Given(
        "parents not told, an empty reason",
        duty(information=information(parents="not_possible", reason=" ")),
        4,
        False,
        missing="parents were not informed",
    ),
    Given(
        "minor not told, no reason",
        duty(information=information(minor="against_interest")),
        4,
        False,
        missing="minor was not informed",
    ),
    Given("court order without its order", duty(legal_basis="court_order"), 4, False, missing="order of the judge"),
    # row 5
    Given("refused for this recipient", agreement(), 5, False, record=(refusal(),), missing="by: minor, on 2026-08-20"),
    Given("refused, and no act", None, 5, False, record=(refusal(),), missing="refusal"),
    Given("the act is the refusal", refusal(), 5, False, missing="refusal"),
    Given(
        "refused by a parent",
        agreement(),
        5,
        False,
        record=(refusal(holder("refuses")),),
        missing="by: parental_authority_holder",
    ),
    Given(
        "refusal to a category",
        agreement(),
        5,
        False,
        record=(refusal(recipients=[{"kind": "category", "category": "emergency_shelter"}]),),
    ),
    Given(
        "a refusal that ran out outweighs what was said before it",
        agreement(),
        5,
        False,
        record=(refusal(decided_at="2026-08-21T10:00:00Z", valid_until="2026-08-25T10:00:00Z"),),
    ),
    Given(
        "a refusal that ran out, of the same moment as the agreement",
        agreement(),
        5,
        False,
        record=(refusal(valid_until="2026-08-25T10:00:00Z"),),
    ),
    Given(
        "a refusal that ran out, and no act",
        None,
        10,
        False,
        record=(refusal(valid_until="2026-08-25T10:00:00Z"),),
        missing="an act",
    ),
    Given(
        "the minor cannot, and the holders disagree",
        agreement(minor("not_reached", "not_able"), holder("agrees"), holder("refuses", FATHER)),
        9,
        False,
        case=TWO,
        flags=frozenset({"propose_ase_or_judge", "propose_path_b", "propose_path_c"}),
    ),
    Given(
        "a refusal that ran out before the agreement",
        agreement(),
        7,
        True,
        record=(
            refusal(
                decided_at="2026-05-01T10:00:00Z", valid_from="2026-05-01T10:00:00Z", valid_until="2026-08-01T10:00:00Z"
            ),
        ),
    ),
    Given("a refusal for another purpose", agreement(), 7, True, record=(refusal(purposes=["health_care"]),)),
    Given(
        "a refusal for another recipient",
        agreement(),
        7,
        True,
        record=(refusal(recipients=[{"kind": "organisation", "org_id": OTHER}]),),
    ),
    Given("a refusal taken back", agreement(), 7, True, record=(refusal(status="superseded"),)),
    # row 6
    Given("informed", sharing(), 6, True, "joint_followup"),
    Given(
        "recipient not bound by secrecy",
        sharing(),
        10,
        False,
        "joint_followup",
        recipient=replace(RECIPIENT, bound_by_secrecy=False),
        missing="bound by professional secrecy",
    ),
    Given("necessity not written", sharing(justification=" "), 10, False, "joint_followup", missing="necessity"),
    Given(
        "minor not informed, no reason",
        sharing(information=information(minor="not_possible")),
        10,
        False,
        "joint_followup",
        missing="information of the minor",
    ),
    Given(
        "minor not informed, with the reason",
        sharing(information=information(minor="not_possible", reason="en fugue")),
        6,
        True,
        "joint_followup",
    ),
    Given(
        "parents not informed, an empty reason",
        sharing(information=information(parents="against_child_interest", reason=" ")),
        10,
        False,
        "joint_followup",
        missing="information of the parents",
    ),
    Given(
        "the minor refuses, one person decides",
        sharing(minor("refuses"), holder("informed")),
        10,
        False,
        "joint_followup",
        missing="second person",
    ),
    Given(
        "the minor refuses, two decide",
        sharing(minor("dissents"), holder("informed"), validated_by_role="cheffe de service"),
        6,
        True,
        "joint_followup",
        flags=frozenset({"minor_refused"}),
    ),
    Given(
        "the minor's refusal stands on record",
        sharing(),
        10,
        False,
        "joint_followup",
        record=(refusal(purposes=["joint_followup"]),),
        missing="second person",
    ),
    # row 7
    Given("all agree", agreement(), 7, True),
    Given("the minor assents", agreement(minor("assents", "partly"), holder("agrees")), 7, True),
    Given(
        "one parent agrees, the other is presumed to",
        agreement(),
        7,
        True,
        case=TWO,
        flags=frozenset({"other_holder_presumed"}),
    ),
    Given(
        "one parent agrees, the other was not reached",
        agreement(minor("agrees"), holder("agrees"), holder("not_reached", FATHER)),
        7,
        True,
        case=TWO,
        flags=frozenset({"other_holder_presumed", "holder_not_reached"}),
    ),
    Given(
        "both parents agree", agreement(minor("agrees"), holder("agrees"), holder("agrees", FATHER)), 7, True, case=TWO
    ),
    Given(
        "secret care",
        agreement(
            minor("agrees"),
            holder("not_asked"),
            information=information(parents="not_required_minor_asked_secrecy", reason="soins secrets"),
        ),
        7,
        True,
        flags=frozenset({"holders_not_asked"}),
    ),
    Given(
        "the only parent is implicated",
        agreement(minor("agrees"), holder("not_asked")),
        7,
        True,
        case=a_case(person(MOTHER, implicated="yes")),
        flags=frozenset({"holders_not_asked"}),
    ),
    Given(
        "no parent is known",
        agreement(minor("agrees"), information=information(parents="none_known")),
        7,
        True,
        case=a_case(person(MOTHER, parental_authority="none")),
        flags=frozenset({"holders_not_asked"}),
    ),
    Given(
        "decided after the 18th birthday",
        agreement(minor("agrees")),
        7,
        True,
        case=a_case(born="2008-08-20"),
    ),
    Given("no birth date", agreement(), 7, True, case=a_case(born=None)),
    Given(
        "named by category and département",
        agreement(recipients=[{"kind": "category", "category": "emergency_shelter", "departement": "63"}]),
        7,
        True,
    ),
    Given(
        "named in words",
        agreement(recipients=[{"kind": "category", "category": "associations hors du Rhône"}]),
        7,
        True,
        flags=frozenset({"recipient_named_in_words"}),
    ),
    Given("used, for several", agreement(status="used", single_use=False), 7, True),
    Given("used, for an update", agreement(status="used"), 7, True, update=True),
    Given(
        "the guardian agrees",
        agreement(minor("agrees"), {"role": "guardian", "answer": "agrees"}),
        7,
        True,
        flags=frozenset({"other_holder_presumed"}),
    ),
    # row 8
    Given(
        "too young to discern, the mother agrees",
        agreement(minor("not_asked", "not_able"), holder("agrees")),
        8,
        True,
        flags=frozenset({"minor_not_able"}),
    ),
    Given(
        "too young to discern, and says no",
        agreement(minor("dissents", "not_able"), holder("agrees")),
        8,
        True,
        flags=frozenset({"minor_not_able", "minor_refused"}),
    ),
    Given(
        "too young to discern, nobody agrees",
        agreement(
            minor("not_asked", "not_able"),
            holder("not_asked"),
            information=information(parents="not_possible", reason="injoignables"),
        ),
        10,
        False,
        missing="agreement or assent of the minor",
    ),
    # row 9
    Given("the mother refuses", agreement(minor("agrees"), holder("refuses")), 9, False, missing="between the minor"),
    Given("the minor refuses", agreement(minor("refuses"), holder("agrees")), 9, False, missing="between the minor"),
    Given(
        "the parents disagree",
        agreement(minor("agrees"), holder("agrees"), holder("refuses", FATHER)),
        9,
        False,
        case=TWO,
        flags=frozenset({"propose_ase_or_judge", "propose_path_b", "propose_path_c"}),
    ),
    # row 10
    Given("no act", None, 10, False, missing="an act"),
    Given("another purpose", agreement(purposes=["health_care"]), 10, False, missing="for this purpose"),
    Given(
        "another recipient",
        agreement(recipients=[{"kind": "organisation", "org_id": OTHER}]),
        10,
        False,
        missing="names this recipient",
    ),
    Given(
        "another category",
        agreement(recipients=[{"kind": "category", "category": "legal_support"}]),
        10,
        False,
        missing="names this recipient",
    ),
    Given(
        "another département",
        agreement(recipients=[{"kind": "category", "category": "dans le Nord", "departement": "59"}]),
        10,
        False,
        missing="names this recipient",
    ),
    Given("not yet valid", agreement(), 10, False, now=time("2026-08-20T09:59:59+02:00"), missing="valid already"),
    Given("valid from its first second", agreement(), 7, True, now=time("2026-08-20T10:00:00+02:00")),
    Given("over", agreement(), 10, False, now=time("2026-11-18T10:00:00+01:00"), missing="still valid"),
    Given("only requested", agreement(status="requested"), 10, False, missing="requested"),
    Given("expired", agreement(status="expired"), 10, False, missing="expired"),
    Given(
        "withdrawn",
        agreement(status="withdrawn", withdrawal={"at": "2026-08-21T10:00:00Z", "by_role": "minor"}),
        10,
        False,
        missing="withdrawn",
    ),
    Given("used up", agreement(status="used"), 10, False, missing="one transfer"),
    Given("about another case", agreement(case_id=scenario("W2").case_id), 10, False, missing="about this case"),
    Given("on the 18th birthday", agreement(), 10, False, case=a_case(born="2008-09-01"), missing="turned 18"),
    Given("on its eve", agreement(), 7, True, case=a_case(born="2008-09-02")),
    Given(
        "born on a leap day",
        agreement(valid_until="2030-03-18T10:00:00Z"),
        10,
        False,
        case=a_case(born="2012-02-29"),
        now=datetime(2030, 3, 1, tzinfo=UTC),
        missing="turned 18",
    ),
    Given("nobody asked the minor", agreement(holder("agrees")), 10, False, missing="the minor"),
    Given("the minor was not reached", agreement(minor("not_reached"), holder("agrees")), 10, False, missing="minor"),
    Given("the minor alone refuses", agreement(minor("refuses")), 10, False, missing="the minor"),
    Given(
        "the parent was not asked, no reason",
        agreement(minor("agrees"), holder("not_asked")),
        10,
        False,
        missing="holder of parental authority",
    ),
    Given(
        "no parent known, it says, but one is",
        agreement(minor("agrees"), information=information(parents="none_known")),
        10,
        False,
        missing="holder of parental authority",
    ),
    Given(
        "danger, the review is overdue",
        duty(review_due_at="2026-09-01T12:00:00Z"),
        10,
        False,
        "emergency_shelter",
        missing="review",
    ),
    Given("danger, but over", duty(), 10, False, now=NOW + timedelta(days=3), missing="still valid"),
    Given(
        "a report to the département carries no support",
        duty(legal_basis="ip_l226_2_1"),
        10,
        False,
        missing="for this purpose",
    ),
    Given(
        "sharing, another recipient",
        sharing(),
        10,
        False,
        "joint_followup",
        recipient=replace(RECIPIENT, org_id=OTHER),
        missing="names this recipient",
    ),
]


def ask(given: Given) -> Any:
    return decide(
        act=given.act,
        acts_on_record=given.record,
        case=given.case,
        purpose=given.purpose,
        recipient=given.recipient,
        now=given.now,
        update=given.update,
    )


@pytest.mark.parametrize("given", TABLE, ids=lambda given: given.says)
def test_the_table_decides(given: Given) -> None:
    decision = ask(given)
    assert (decision.rule, decision.allowed) == (given.rule, given.allowed), decision
    assert given.missing in filled(decision.missing, dict(decision.facts))
    assert bool(decision.missing) is not given.allowed
    if given.flags or given.allowed:
        assert decision.flags == given.flags


def test_the_table_has_ten_rows_in_order_and_each_was_tried() -> None:
    assert [row.number for row in ROWS] == list(range(1, 11))
    assert {given.rule for given in TABLE} == set(range(1, 11))


def test_a_block_can_be_raised_with_its_row_and_what_is_missing() -> None:
    with pytest.raises(NotCovered) as caught:
        ask(TABLE[0]).require()
    assert caught.value.facts["rule"] == "1"
    ask(Given("allowed", agreement(), 7, True)).require()


def test_an_update_goes_back_to_the_one_that_shared_where_the_act_names_the_one_that_sends_it() -> None:
    first = replace(RECIPIENT, org_id=OTHER, departement="13")

    def back(act: Act, named: RecipientFacts | None, **changes: Any) -> Any:
        given = {"acts_on_record": (), "case": a_case(), "purpose": "specialised_support", "now": NOW, "update": True}
        return decide(act=act, recipient=first, named=named, **given | changes)

    assert back(agreement(status="used"), RECIPIENT).allowed
    assert "names this recipient" in back(agreement(), None).missing
    assert "names this association" in back(agreement(), replace(RECIPIENT, org_id=MOTHER)).missing
    # What the recipient must be, it must be in this direction too; only nobody moves there.
    assert back(agreement(), RECIPIENT, case=a_case(avoid=("13",)), purpose="relocation").allowed
    assert not decide(
        act=agreement(recipients=[{"kind": "organisation", "org_id": OTHER}]),
        acts_on_record=(),
        case=a_case(avoid=("13",)),
        purpose="relocation",
        recipient=first,
        now=NOW,
        update=True,
    ).allowed
    told = refusal(recipients=[{"kind": "organisation", "org_id": OTHER}])
    assert back(agreement(), RECIPIENT, acts_on_record=[told]).rule == 5
    first = replace(first, bound_by_secrecy=False)
    assert "secrecy" in back(sharing(), RECIPIENT, purpose="joint_followup").missing
    first = replace(first, active=False)
    assert back(agreement(), RECIPIENT).rule == 1


def test_an_unknown_purpose_is_no_question_for_the_table() -> None:
    with pytest.raises(InvalidInput):
        ask(Given("", agreement(), 10, False, "curiosity"))


def test_without_an_act_nothing_leaves_for_any_purpose_that_needs_one() -> None:
    for name, purpose in PURPOSES.items():
        decision = ask(Given("", None, 0, False, name))
        assert decision.allowed is not purpose.needs_act


@pytest.mark.parametrize("legal_basis", ["vital_interest", "penal_226_14_signalement", "ip_l226_2_1", "court_order"])
def test_danger_is_never_blocked_for_want_of_agreement(legal_basis: str) -> None:
    purposes = {"penal_226_14_signalement": "prosecutor_report", "ip_l226_2_1": "crip_ip"}
    purpose = purposes.get(legal_basis, "emergency_shelter")
    judge = {"role": "judge", "answer": "orders"}
    for answer in ("refuses", "dissents", "not_reached", "not_asked"):
        act = duty(minor(answer), holder("refuses"), judge, legal_basis=legal_basis, purposes=[purpose])
        assert ask(Given("", act, 3, True, purpose, record=(refusal(purposes=[purpose]),))).allowed


SAID_NO = {
    "no": refusal(),
    "by a holder": refusal(holder("refuses")),
    "to another": refusal(recipients=[{"kind": "organisation", "org_id": OTHER}]),
    "for something else": refusal(purposes=["legal_support"]),
    "long ago, and run out": refusal(decided_at="2026-08-19T10:00:00Z", valid_until="2026-08-25T10:00:00Z"),
    "afterwards, and run out": refusal(decided_at="2026-08-21T10:00:00Z", valid_until="2026-08-25T10:00:00Z"),
    "of another case": refusal(case_id="00000000-0000-4000-8000-000000000000"),
    "no refusal": agreement(),
}


@pytest.mark.parametrize(
    "act", [agreement(), sharing(purposes=["specialised_support"]), duty()], ids=lambda act: act.path
)
@pytest.mark.parametrize("said", list(SAID_NO))
def test_what_is_under_way_is_stopped_by_what_would_block_it_now(act: Act, said: str) -> None:
    blocked = ask(Given("", act, 5, False, record=(SAID_NO[said],))).rule == 5
    stopped = outweighs(SAID_NO[said], act, purpose="specialised_support", recipient=RECIPIENT, now=NOW)
    assert stopped is blocked
    assert stopped is (act.path == "A" and said in ("no", "by a holder", "afterwards, and run out"))


# ---- the samples ----

BLOCKED = {
    "refusal must block": 5,
    "suspended member must block": 1,
    "no consent act must block": 10,
    "W6": 10,  # the record holds the act as it was after the withdrawal
    "W10": 1,  # the CRIP is no member: the report goes by its own channel
}


def scenario_of(transfer: dict[str, Any]) -> Case:
    return next(case for case in cases() if case.case_id == transfer["case_id"])


@pytest.mark.parametrize("transfer", transfers(), ids=lambda transfer: transfer["x_scenario"])
def test_the_sample_transfers_are_decided_as_they_went(transfer: dict[str, Any]) -> None:
    case = scenario_of(transfer)
    record = acts_in(case)
    act = next((each for each in record if each.act_id == transfer["act_id"]), None)
    decision = decide(
        act=act,
        acts_on_record=record,
        case=case,
        purpose=transfer["purpose"],
        recipient=facts_of(transfer["to_org_id"]),
        now=time(transfer["timeline"][0]["at"]),
    )
    rule = next((rule for start, rule in BLOCKED.items() if transfer["x_scenario"].startswith(start)), None)
    if rule is not None:
        assert (decision.allowed, decision.rule) == (False, rule), decision
    else:
        assert decision.allowed, decision
    if transfer["status"] == "blocked":
        assert not decision.allowed


SAMPLE_ACTS = [
    ("W1", 7),
    ("W2", 7),
    ("W3", 3),
    ("W4", 7),
    ("W5", 7),
    ("W6", 10),
    ("W8", 7),
    ("W10", 3),
    ("refusal", 5),
    ("boy", 7),
    ("path B", 6),
    ("path C: court", 3),
    ("path C: missing", 3),
]


@pytest.mark.parametrize(("start", "rule"), SAMPLE_ACTS)
def test_the_sample_acts_are_decided_by_their_row(start: str, rule: int) -> None:
    case = scenario(start)
    (act,) = acts_in(case)
    for purpose in act.purposes:
        recipient = act.recipients[0].get("org_id", ORG)
        decision = decide(
            act=act,
            acts_on_record=[act],
            case=case,
            purpose=purpose,
            recipient=facts_of(recipient, active=True),
            now=act.valid_from + timedelta(minutes=1),
        )
        assert decision.rule == rule, decision
        later = decide(
            act=act,
            acts_on_record=[act],
            case=case,
            purpose=purpose,
            recipient=facts_of(recipient, active=True),
            now=act.valid_until,
        )
        assert not later.allowed
