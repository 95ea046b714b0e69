from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cordee.act import ACT_LIMIT, Act, Path, RecipientFacts, check_act, commitment, parse_act
from cordee.errors import ActRefused, InvalidRecord
from cordee.frame import Label, blake2b_256
from cordee.runtime.texts import problems
from tests.samples import acts_in, cases, scenario

MARK = "Marqueur"
NONCE = bytes(range(32))
ACT = acts_in(scenario("W1"))[0]
SHARING = acts_in(scenario("path B"))[0]
SENDER = "efc8ca2b-f7ce-405a-b4b5-b6a1da649397"
NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
US = RecipientFacts(
    org_id=ACT.recipients[0]["org_id"],
    active=True,
    card_valid=True,
    bound_by_secrecy=True,
    categories=frozenset(),
    departement="59",
)


def problems_of(**changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidRecord) as caught:
        parse_act(ACT.to_dict() | changes)
    assert MARK not in repr(caught.value.problems)
    return {problem.path: problem.problem for problem in problems(caught.value)}


def test_every_sample_act_is_read_with_its_path() -> None:
    paths = {act.legal_basis: act.path for case in cases() for act in acts_in(case)}
    assert paths == {
        "consent": Path.AGREEMENT,
        "shared_secrecy_l226_2_2": Path.SHARED_SECRECY,
        "accueil_72h_l223_2": Path.DUTY,
        "ip_l226_2_1": Path.DUTY,
        "court_order": Path.DUTY,
        "vital_interest": Path.DUTY,
    }


def test_the_bytes_that_were_recorded_are_kept_as_they_are() -> None:
    data = json.dumps(ACT.to_dict(), indent=3, ensure_ascii=True).encode()
    assert parse_act(data).to_bytes() == data
    assert Act.parse(data).to_dict() == ACT.to_dict()


def test_an_act_given_as_a_mapping_has_one_form_of_bytes() -> None:
    backwards = dict(reversed(list(ACT.to_dict().items())))
    assert parse_act(backwards).to_bytes() == ACT.to_bytes()


def test_what_is_read_from_an_act_cannot_change_it() -> None:
    act = parse_act(ACT.to_bytes())
    act.to_dict()["sections"].append("notes")
    act.recipients[0]["org_id"] = MARK  # type: ignore[index]  # a copy, and read-only for the type checker
    assert act.recipients[0]["org_id"] == US.org_id
    assert "notes" not in act.sections


def test_an_act_shows_only_its_id_when_it_is_printed() -> None:
    assert repr(ACT) == f"Act({ACT.act_id})"


def test_an_act_travels_without_the_handlers_id() -> None:
    act = parse_act(ACT.to_dict() | {"recorded_by": "u-515", "x_local": MARK}).for_travel()
    assert b"u-515" not in act.to_bytes()
    assert MARK.encode() not in act.to_bytes()
    assert act.to_dict() | {"recorded_by": ACT.to_dict()["recorded_by"]} == ACT.to_dict()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"kind": "override"}, "legal_basis"),
        ({"kind": "override", "legal_basis": "vital_interest"}, "review_due_at"),
        ({"kind": "information_only", "legal_basis": "shared_secrecy_l226_2_2"}, "justification"),
        ({"kind": "refusal"}, "status"),
        ({"status": "withdrawn"}, "withdrawal"),
        ({"information": {"minor": "done", "parents": "not_possible"}}, "information.reason_not_informed"),
        ({"legal_basis": "vital_interest"}, "legal_basis"),
        ({"purposes": [MARK]}, "purposes[0]"),
        ({"purposes": []}, "purposes"),
        ({"sections": [MARK]}, "sections[0]"),
        ({"valid_from": "2026-04-29"}, "valid_from"),
        ({"valid_from": "2026-04-29T12:00:00"}, "valid_from"),
        ({"valid_until": ACT.to_dict()["valid_from"]}, "valid_until"),
        ({"decided_at": "0000-01-01T00:00:00Z"}, "decided_at"),
        ({"recipients": [{"kind": "organisation"}]}, "recipients[0]"),
        ({"decided_by": [{"role": MARK, "answer": "agrees"}]}, "decided_by[0].role"),
        ({MARK: 1}, "the document"),
    ],
)
def test_an_act_that_breaks_a_rule_is_refused(changes: dict[str, Any], path: str) -> None:
    assert path in problems_of(**changes)


def test_a_field_to_be_held_back_must_exist() -> None:
    found = problems_of(excluded_fields=["identity.last_name", "identity.lastname", "family.phone", "x.y"])
    assert set(found) == {"excluded_fields[1]", "excluded_fields[3]"}


def test_fields_with_digits_in_their_name_can_be_held_back() -> None:
    act = parse_act(ACT.to_dict() | {"excluded_fields": ["online_traces.content_sha256"]})
    assert act.excluded_fields == {"online_traces.content_sha256"}


def test_a_72_hour_reception_lasts_72_hours() -> None:
    document = acts_in(scenario("W3"))[0].to_dict()
    assert parse_act(document).valid_until - parse_act(document).valid_from == timedelta(hours=72)
    with pytest.raises(InvalidRecord):
        parse_act(document | {"valid_until": "2026-07-20T09:00:01+02:00"})


def test_an_act_has_a_bound() -> None:
    with pytest.raises(InvalidRecord):
        parse_act(ACT.to_dict() | {"x_long": "a" * ACT_LIMIT})
    with pytest.raises(InvalidRecord):
        parse_act(b" " * (ACT_LIMIT + 1))


# ---- the commitment ----


def test_the_commitment_is_the_framed_hash_of_nonce_and_act() -> None:
    assert commitment(b"act", NONCE) == blake2b_256(Label.ACT, NONCE, b"act")


def test_another_nonce_or_another_act_gives_another_commitment() -> None:
    own = commitment(ACT.to_bytes(), NONCE)
    assert commitment(ACT.to_bytes() + b" ", NONCE) != own
    assert commitment(ACT.to_bytes(), bytes(32)) != own
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(ACT.to_bytes(), b"short")


# ---- the recipient's checks ----


@dataclass(frozen=True)
class AToken:
    not_before: datetime
    expires: datetime
    commitment: bytes


def a_token(act: Act, **changes: Any) -> AToken:
    token = AToken(act.valid_from, act.valid_until, commitment(act.to_bytes(), NONCE))
    return replace(token, **changes)


def check(act: Act = ACT, *, data: bytes | None = None, nonce: bytes = NONCE, **changes: Any) -> Act:
    given: dict[str, Any] = {
        "token": a_token(act),
        "purpose": "specialised_support",
        "sender_org": SENDER,
        "recipient": US,
        "now": NOW,
    }
    return check_act(act.to_bytes() if data is None else data, nonce, **given | changes)


def variant(**changes: Any) -> Act:
    return parse_act(ACT.to_dict() | changes)


def test_the_act_that_the_token_commits_to_is_accepted() -> None:
    assert check() == ACT
    assert check(token=a_token(ACT, not_before=NOW, expires=NOW + timedelta(days=3))) == ACT


def test_an_act_marked_used_still_carries_an_update() -> None:
    assert check(variant(status="used")).status == "used"


def test_an_act_may_name_us_by_category() -> None:
    act = variant(recipients=[{"kind": "category", "category": "emergency_shelter"}])
    assert check(act, recipient=replace(US, categories=frozenset({"emergency_shelter"}))) == act
    refused(act, "does not name")


def test_what_comes_back_under_our_own_act_comes_from_the_one_it_names() -> None:
    owner = replace(US, org_id=SENDER)
    back = {"sender_org": US.org_id, "recipient": owner}
    assert check(named=US, **back) == ACT
    refused(told="does not name", **back)
    refused(told="does not name", named=replace(US, org_id="6a2a5317-d5ed-4df3-b4a2-5e257086f9f0"), **back)
    own = back | {"recipient": replace(owner, bound_by_secrecy=False), "purpose": "joint_followup"}
    named = replace(US, org_id=SHARING.recipients[0]["org_id"])
    refused(SHARING, "secrecy", named=named, now=SHARING.valid_from, **own)


def refused(act: Act = ACT, told: str = "", **changes: Any) -> None:
    with pytest.raises(ActRefused) as caught:
        check(act, **changes)
    assert told in caught.value.facts["problem"]


def test_another_act_or_another_nonce_is_refused() -> None:
    refused(told="commits to", data=ACT.to_bytes() + b" ")
    refused(told="commits to", nonce=bytes(32))
    refused(told="commits to", nonce=b"")
    refused(told="commits to", token=a_token(ACT, commitment=bytes(32)))


def test_an_act_that_is_no_act_is_refused_without_its_values() -> None:
    data = json.dumps({"kind": MARK}).encode()
    token = AToken(ACT.valid_from, ACT.valid_until, commitment(data, NONCE))
    with pytest.raises(ActRefused) as caught:
        check(data=data, token=token)
    assert MARK not in str(caught.value)


@pytest.mark.parametrize(
    "act",
    [
        variant(kind="refusal", status="refused"),
        variant(status="requested"),
        variant(status="expired"),
        variant(status="superseded"),
        variant(status="withdrawn", withdrawal={"at": "2026-05-01T00:00:00Z", "by_role": "minor"}),
    ],
    ids=lambda act: act.status,
)
def test_an_act_that_allows_nothing_is_refused(act: Act) -> None:
    refused(act, "allows nothing")


def test_the_tokens_times_lie_within_those_of_the_act() -> None:
    early, late = ACT.valid_from - timedelta(minutes=6), ACT.valid_until + timedelta(seconds=1)
    refused(told="times", token=a_token(ACT, not_before=early))
    refused(told="times", token=a_token(ACT, expires=late))


def test_an_act_that_is_over_or_not_begun_is_refused() -> None:
    refused(told="in force", now=ACT.valid_until)
    refused(told="in force", now=ACT.valid_from - timedelta(minutes=6))


def test_another_purpose_or_another_recipient_is_refused() -> None:
    refused(told="purpose", purpose="relocation")
    refused(told="does not name", recipient=replace(US, org_id=SENDER))
    refused(told="does not name", sender_org=US.org_id)


def test_sharing_under_secrecy_needs_a_recipient_bound_by_it() -> None:
    us = replace(US, org_id=SHARING.recipients[0]["org_id"])
    now = SHARING.valid_from + timedelta(hours=1)
    assert check(SHARING, purpose="joint_followup", recipient=us, now=now) == SHARING
    lay = replace(us, bound_by_secrecy=False)
    refused(SHARING, "secrecy", purpose="joint_followup", recipient=lay, now=now)
