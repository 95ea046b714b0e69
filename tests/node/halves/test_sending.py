"""Offering a case, letting it go and taking it back, step by step (node/sending.py)."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cordee.act import Act, parse_act
from cordee.errors import (
    AnotherStatement,
    CordeeError,
    InvalidInput,
    NeedToKnow,
    NotCovered,
    NotFound,
    NotInThisState,
    OfferAlreadyOpen,
    RecordClosed,
    RoleMissing,
    StaleRecord,
    TooLarge,
)
from cordee.ids import MemberId, TransferId
from cordee.transfer import Kind, State
from node import records, transfer_store
from node.demo import cases as synthetic

from .stage import NOBODY, PERSON, REFERRAL, Half, Stage

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CONTENT: dict[str, Any] = {
    "case_id": str(uuid.UUID(int=7)),
    "recipient": MemberId(bytes(16)),
    "purpose": "relocation",
    "act_id": str(uuid.UUID(int=8)),
}
UNKNOWN = TransferId(bytes(16))

_STEPS: dict[str, Callable[[Half], Any]] = {
    "preview": lambda half: half.sending.preview(NOBODY, **CONTENT),
    "offer": lambda half: half.sending.offer(NOBODY, **CONTENT),
    "update": lambda half: half.sending.update(NOBODY, UNKNOWN),
    "preview_update": lambda half: half.sending.preview_update(NOBODY, UNKNOWN),
    "ship": lambda half: half.sending.ship(NOBODY, UNKNOWN),
    "withdraw": lambda half: half.sending.withdraw(NOBODY, UNKNOWN),
    "withdraw_act": lambda half: half.sending.withdraw_act(NOBODY, CONTENT["act_id"], by_role="minor", reason="—"),
}


@pytest.mark.parametrize("step", list(_STEPS))
async def test_only_a_handler_sends(paris: Half, step: str) -> None:
    with pytest.raises(RoleMissing):
        await _STEPS[step](paris)


# ---- offering ----


@pytest.mark.parametrize(
    ("purpose", "kind", "field"),
    [
        ("tourism", "transfer", "purpose"),
        ("tourism", "referral", "purpose"),
        ("statistics", "transfer", "purpose"),
        ("statistics", "referral", "purpose"),
        ("relocation", "loan", "kind"),
        ("joint_followup", "transfer", "kind"),
    ],
)
async def test_what_nobody_may_offer_is_told_by_its_field(paris: Half, purpose: str, kind: str, field: str) -> None:
    for step in (paris.sending.preview, paris.sending.offer):
        with pytest.raises(InvalidInput) as refused:
            await step(PERSON, **(CONTENT | {"purpose": purpose, "kind": kind}))
        assert refused.value.facts["field"] == field


async def test_an_offer_is_kept_before_it_leaves_and_told(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offer(paris, marseille)
    row = paris.row(made.transfer)
    assert (row.outgoing, row.state, row.hands_over, row.job) == (True, State.OFFERED, True, None)
    assert (row.peer, row.case_id, row.act_id) == (marseille.keys.id, made.case_id, made.act_id)
    assert paris.kinds(made.transfer) == {Kind.OFFER: True}
    assert paris.told(made.transfer) == [("camille", "transfer.offered", "done")]
    assert paris.news == [made.transfer]
    assert paris.points == ["node.offer.before_write", "node.offer.after_write"]
    assert not paris.terms(made.transfer).hold
    with pytest.raises(OfferAlreadyOpen):
        await stage.again(paris, marseille, made.case_id, made.act_id)


async def test_what_is_shared_hands_nothing_over(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille, **REFERRAL)
    assert not paris.row(made.transfer).hands_over
    assert not marseille.row(made.transfer).hands_over
    assert "notes" not in paris.terms(made.transfer).package


async def test_what_only_the_new_holder_needs_leaves_where_the_case_is_handed_over(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    record = await stage.case(paris, contact={"code_phrase": "la marée monte"})
    act = await stage.act(paris, record, marseille)
    content: dict[str, Any] = {"case_id": record["meta"]["case_id"], "purpose": "relocation", "act_id": act}
    for kind, leaves in (("transfer", True), ("referral", False)):
        seen = await paris.sending.preview(PERSON, recipient=marseille.keys.id, kind=kind, **content)
        contact: Any = seen.package["contact"]
        assert ("code_phrase" in contact) is leaves


async def test_a_case_that_changed_since_it_was_looked_at_is_not_offered(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    record = await stage.case(paris)
    act = await stage.act(paris, record, marseille, lyon)
    case_id = record["meta"]["case_id"]
    content: dict[str, Any] = {"case_id": case_id, "purpose": "relocation", "act_id": act}
    seen = await paris.sending.preview(PERSON, recipient=marseille.keys.id, **content)
    for version in (seen.version - 1, seen.version + 1):
        with pytest.raises(StaleRecord) as refused:
            await paris.sending.offer(PERSON, recipient=marseille.keys.id, expected_version=version, **content)
        assert refused.value.facts == {"present": str(seen.version), "given": str(version)}
    assert paris.house.db.read_sync(transfer_store.all_transfers) == []
    await paris.sending.offer(PERSON, recipient=marseille.keys.id, expected_version=seen.version, **content)
    await paris.sending.offer(PERSON, recipient=lyon.keys.id, expected_version=None, **content)


async def test_a_preview_keeps_nothing_and_says_what_the_offer_will(stage: Stage, paris: Half, marseille: Half) -> None:
    record = await stage.case(paris)
    act = await stage.act(paris, record, marseille)
    content: dict[str, Any] = {"case_id": record["meta"]["case_id"], "purpose": "relocation", "act_id": act}
    seen = await paris.sending.preview(PERSON, recipient=marseille.keys.id, **content)
    assert paris.house.db.read_sync(transfer_store.all_transfers) == []
    transfer = await paris.sending.offer(PERSON, recipient=marseille.keys.id, **content)
    assert paris.terms(transfer).package == seen.package
    assert paris.row(transfer).total_bytes == seen.size_bound
    assert paris.row(transfer).expires_at == seen.expires == stage.clock.now() + 7 * DAY


async def test_only_the_files_that_are_named_leave(stage: Stage, paris: Half, marseille: Half) -> None:
    record = await stage.case(paris)
    case_id = record["meta"]["case_id"]
    one, other, gone = await paris.attach(case_id, b"un"), await paris.attach(case_id, b"deux"), str(uuid.uuid4())
    act = await stage.act(paris, record, marseille, attachments=[one, other, gone])
    content: dict[str, Any] = {"case_id": case_id, "purpose": "relocation", "act_id": act}
    for ids, left in (([one], [one]), ([], []), ([other, one, one], [one, other])):
        seen = await paris.sending.preview(PERSON, recipient=marseille.keys.id, attachments=ids, **content)
        assert [each.attachment_id for each in seen.attachments] == left
        assert seen.summary.attachments == len(left)
    with pytest.raises(CordeeError) as refused:
        await paris.sending.preview(PERSON, recipient=marseille.keys.id, attachments=[one, gone], **content)
    assert isinstance(refused.value, NotFound | NotCovered)


async def test_a_file_that_the_record_names_and_nobody_has_does_not_leave(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    record = await stage.case(paris)
    case_id = record["meta"]["case_id"]
    here, gone = await paris.attach(case_id, b"un"), await paris.attach(case_id, b"deux")
    act = await stage.act(paris, record, marseille, attachments=[here, gone])
    content: dict[str, Any] = {"case_id": case_id, "purpose": "relocation", "act_id": act}
    await paris.house.db.write(lambda tx: records.remove_files(tx, case_id, [gone]))
    with pytest.raises(NotFound):
        await paris.sending.preview(PERSON, recipient=marseille.keys.id, attachments=[here, gone], **content)


async def test_a_content_just_as_large_as_the_network_allows_leaves_and_a_larger_does_not(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    record = await stage.case(paris)
    file = await paris.attach(record["meta"]["case_id"], bytes(200_000))
    act = await stage.act(paris, record, marseille, attachments=[file])
    content: dict[str, Any] = {
        "case_id": record["meta"]["case_id"],
        "recipient": marseille.keys.id,
        "purpose": "relocation",
        "act_id": act,
        "attachments": [file],
    }
    bound = (await paris.sending.preview(PERSON, **content)).size_bound
    stage.network.change_policy(content_size_limit=bound)
    await stage.look()
    assert (await paris.sending.preview(PERSON, **content)).size_bound == bound
    stage.network.change_policy(content_size_limit=bound - 1)
    await stage.look()
    with pytest.raises(TooLarge) as refused:
        await paris.sending.preview(PERSON, **content)
    assert refused.value.facts["limit"] == str(bound - 1)


@pytest.mark.parametrize(
    ("asked", "purpose", "ends"),
    [
        (None, "joint_followup", 7 * DAY),
        (None, "emergency_shelter", 2 * HOUR),
        (HOUR, "joint_followup", HOUR),
        (6 * HOUR, "emergency_shelter", 6 * HOUR),
        (40 * DAY, "joint_followup", 14 * DAY),
    ],
)
async def test_how_long_an_offer_stands(
    stage: Stage, paris: Half, marseille: Half, asked: timedelta | None, purpose: str, ends: timedelta
) -> None:
    made = await stage.offer(paris, marseille, purpose=purpose, kind="referral", expires_in=asked)
    now = stage.clock.now()
    assert paris.row(made.transfer).expires_at == now + ends
    token = paris.chain(made.transfer).offer.token
    assert (token.not_before, token.expires) == (now - timedelta(minutes=5), now + ends + 72 * HOUR)


async def test_an_offer_ends_with_its_act_and_begins_with_it(stage: Stage, paris: Half, marseille: Half) -> None:
    now = stage.clock.now()
    begins, ends = now - timedelta(minutes=2), now + DAY
    act = {"valid_from": begins.isoformat(), "valid_until": ends.isoformat()}
    made = await stage.offer(paris, marseille, act=act)
    token = paris.chain(made.transfer).offer.token
    assert paris.row(made.transfer).expires_at == ends
    assert (token.not_before, token.expires) == (begins, ends)


async def test_an_offer_that_would_be_over_at_once_is_not_made(stage: Stage, paris: Half, marseille: Half) -> None:
    with pytest.raises(CordeeError):
        await stage.offer(paris, marseille, expires_in=timedelta(seconds=-1))
    assert paris.house.db.read_sync(transfer_store.all_transfers) == []


async def test_what_was_handed_over_is_not_offered(stage: Stage, paris: Half, marseille: Half, lyon: Half) -> None:
    made = await stage.received(paris, marseille, also=(lyon,), act={"single_use": False})
    with pytest.raises(RecordClosed):
        await stage.again(paris, lyon, made.case_id, made.act_id)


async def test_who_is_not_bound_by_secrecy_shares_no_secret(stage: Stage, paris: Half, marseille: Half) -> None:
    record = await stage.case(paris)
    said = {"answered_at": stage.clock.now().isoformat(), "answer": "informed", "channel": "in_person"}
    holders = [
        {"role": "parental_authority_holder", "person_id": each["person_id"], **said}
        for each in record.get("family", [])
        if each.get("parental_authority") in ("joint", "sole")
    ]
    act = await stage.act(
        paris,
        record,
        marseille,
        purpose="joint_followup",
        kind="information_only",
        legal_basis="shared_secrecy_l226_2_2",
        justification="évaluer et protéger",
        decided_by=[{"role": "minor", "discernment": {"result": "able", "assessed_by_role": "x"}, **said}, *holders],
    )
    content: dict[str, Any] = {
        "case_id": record["meta"]["case_id"],
        "recipient": marseille.keys.id,
        "act_id": act,
        **REFERRAL,
    }
    with pytest.raises(RoleMissing):
        await paris.sending.preview(replace(PERSON, bound_by_secrecy=False), **content)
    assert (await paris.sending.preview(PERSON, **content)).rule == 6


async def test_whoever_is_not_bound_by_secrecy_offers_under_an_agreement(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.offer(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    await paris.sending.preview(
        replace(PERSON, bound_by_secrecy=False),
        case_id=made.case_id,
        recipient=marseille.keys.id,
        purpose="relocation",
        act_id=made.act_id,
    )


async def test_to_a_suspended_member_nothing_is_offered(stage: Stage, paris: Half, marseille: Half) -> None:
    stage.network.suspend(marseille.keys)
    await stage.look()
    with pytest.raises(CordeeError):
        await stage.offer(paris, marseille)


async def test_an_act_that_was_used_leaves_as_the_first_time(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    act = {"single_use": False, "purposes": ["relocation", "joint_followup"]}
    made = await stage.received(paris, marseille, also=(lyon,), act=act, **REFERRAL)
    to_another = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    handed = await stage.again(paris, marseille, made.case_id, made.act_id)
    assert paris.terms(made.transfer).act == paris.terms(to_another).act == paris.terms(handed).act
    await stage.carry(handed, Kind.OFFER)
    await marseille.receiving.accept(PERSON, handed)
    await stage.carry(handed, Kind.ACCEPTANCE)
    await paris.shipping.run(handed)
    await stage.carry(handed, Kind.SHIPMENT)
    await marseille.fetching.run(handed)
    assert marseille.state(handed) is State.RECEIVED, "they know the act already, and it is the same"


# ---- who may ----


async def test_whoever_may_not_open_the_case_moves_nothing_of_it(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille, hold=True)
    await paris.keep_to(made.case_id, "Léa")
    for step in (
        lambda: paris.sending.ship(PERSON, made.transfer),
        lambda: paris.sending.withdraw(PERSON, made.transfer),
        lambda: paris.sending.withdraw_act(PERSON, made.act_id, by_role="minor", reason="—"),
        lambda: stage.again(paris, marseille, made.case_id, made.act_id),
    ):
        with pytest.raises(NeedToKnow):
            await step()
    assert paris.row(made.transfer).held
    assert list(paris.kinds(made.transfer)) == [Kind.OFFER, Kind.ACCEPTANCE]


# ---- letting go ----


async def test_what_is_held_is_let_go_once_when_it_is_accepted(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille, hold=True)
    with pytest.raises(NotInThisState):
        await paris.sending.ship(PERSON, made.transfer)
    await marseille.receiving.accept(PERSON, made.transfer)
    with pytest.raises(NotInThisState):
        await marseille.sending.ship(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    assert paris.row(made.transfer).held
    paris.news.clear()
    for _ in range(2):
        await paris.sending.ship(PERSON, made.transfer)
        assert paris.row(made.transfer).job == "ship"
    assert paris.news == [made.transfer] * 2
    assert [action for _, action, _ in paris.told(made.transfer)].count("transfer.let_go") == 1
    await paris.shipping.run(made.transfer)
    with pytest.raises(NotInThisState):
        await paris.sending.ship(PERSON, made.transfer)


# ---- withdrawing ----


async def test_a_withdrawn_offer_leaves_nothing_behind(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille)
    with pytest.raises(NotFound):
        await marseille.sending.withdraw(PERSON, made.transfer)
    assert marseille.state(made.transfer) is State.OFFERED
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"x")
    paris.news.clear()
    await paris.sending.withdraw(PERSON, made.transfer)
    assert paris.state(made.transfer) is State.WITHDRAWN
    assert paris.kinds(made.transfer) == {Kind.OFFER: False, Kind.WITHDRAWAL: True}
    assert paris.terms(made.transfer).package == {}
    assert paris.spools() == set()
    assert paris.news == [made.transfer]
    assert paris.told(made.transfer)[-1] == ("camille", "transfer.withdrawn", "done")
    assert paris.row(made.transfer).erasure is None
    with pytest.raises((NotInThisState, AnotherStatement)):
        await paris.sending.withdraw(PERSON, made.transfer)


async def test_a_shipment_that_is_withdrawn_is_not_sent_any_more(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    await paris.shipping.run(made.transfer)
    assert paris.kinds(made.transfer)[Kind.SHIPMENT]
    await paris.sending.withdraw(PERSON, made.transfer)
    assert paris.kinds(made.transfer) == {
        Kind.OFFER: False,
        Kind.ACCEPTANCE: False,
        Kind.SHIPMENT: False,
        Kind.WITHDRAWAL: True,
    }
    row = paris.row(made.transfer)
    assert (row.state, row.job, row.sealed_content_key) == (State.WITHDRAWN, None, None)


async def test_what_was_received_is_asked_for(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    assert (paris.state(made.transfer), paris.row(made.transfer).erasure) == (State.RECEIVED, "asked")
    assert paris.holder(made.case_id) == "handed_over"


async def test_an_act_that_is_withdrawn_takes_what_rests_on_it_and_nothing_else(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    purpose = REFERRAL["purpose"]
    made = await stage.received(paris, marseille, also=(lyon,), act={"single_use": False}, **REFERRAL)
    back = await marseille.sending.update(PERSON, made.transfer)
    await stage.carry(back, Kind.OFFER)
    await paris.receiving.accept_update(back, sections=marseille.terms(back).offered)
    await stage.carry(back, Kind.ACCEPTANCE)
    await marseille.shipping.run(back)
    await stage.carry(back, Kind.SHIPMENT)
    await paris.fetching.run(back)  # it came, and rests on the same act
    declined = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    await stage.carry(declined, Kind.OFFER)
    await lyon.receiving.decline(PERSON, declined, code="no_capacity")
    await stage.carry(declined, Kind.REFUSAL)
    open_ = await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)
    record = paris.house.db.read_sync(lambda tx: records.read_case(tx, paris.house.vault, made.case_id))
    another_act = await stage.act(paris, record.case.to_dict(), marseille, purpose=purpose)
    another = await stage.again(paris, marseille, made.case_id, another_act, **REFERRAL)
    paris.news.clear()

    withdrawn = await paris.sending.withdraw_act(PERSON, made.act_id, by_role="minor", reason="—")

    assert set(withdrawn) == {made.transfer, open_} == set(paris.news)
    assert len(withdrawn) == 2
    assert paris.row(made.transfer).erasure == "asked"
    assert paris.state(open_) is State.WITHDRAWN
    assert paris.state(declined) is State.DECLINED
    assert paris.state(another) is State.OFFERED
    assert Kind.WITHDRAWAL not in paris.kinds(back)
    assert paris.told(made.act_id)[-1] == ("camille", "act.withdrawn", "done")
    with pytest.raises(CordeeError):
        await stage.again(paris, lyon, made.case_id, made.act_id, **REFERRAL)


async def test_an_act_is_withdrawn_though_what_rests_on_it_was_before(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.received(paris, marseille)
    await paris.sending.withdraw(PERSON, made.transfer)
    assert await paris.sending.withdraw_act(PERSON, made.act_id, by_role="minor", reason="—") == []


def refusal(half: Half, case_id: str, *recipients: Half, **changes: Any) -> Act:
    """Somebody who was asked says no."""
    record = half.house.db.read_sync(lambda tx: records.read_case(tx, half.house.vault, case_id)).case
    organisations = [each.profile["org_id"] for each in recipients]
    now = half.house.clock.now()
    given: dict[str, Any] = {"purpose": "relocation", "recipients": organisations, "attachments": []}
    made = synthetic.act(record.to_dict(), now=now, random=os.urandom, **given)
    return parse_act(made | {"kind": "refusal", "status": "refused"} | changes)


@pytest.mark.parametrize("far", ["offered", "accepted", "shipped"])
async def test_a_refusal_takes_back_what_has_not_arrived_under_the_agreement(
    stage: Stage, paris: Half, marseille: Half, far: str
) -> None:
    made = await getattr(stage, far)(paris, marseille)
    paris.news.clear()
    said = refusal(paris, made.case_id, marseille)
    assert await paris.sending.record_act(PERSON, said) == [made.transfer] == paris.news
    assert paris.state(made.transfer) is State.WITHDRAWN
    assert paris.told(said.act_id) == [("camille", "act.recorded", "done")]
    assert paris.told(made.transfer)[-1] == ("camille", "transfer.withdrawn", "done")
    await paris.shipping.run(made.transfer)
    await stage.carry(made.transfer, Kind.WITHDRAWAL)
    assert marseille.state(made.transfer) is State.WITHDRAWN


async def test_a_refusal_in_the_midst_of_an_upload_keeps_the_key_here(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.accepted(paris, marseille)
    said = refusal(paris, made.case_id, marseille)
    told: list[asyncio.Task[Any]] = []
    paris.at("node.ship.uploaded", lambda: told.append(asyncio.ensure_future(paris.sending.record_act(PERSON, said))))
    await paris.shipping.run(made.transfer)
    await told[0]
    assert (paris.state(made.transfer), paris.row(made.transfer).sealed_content_key) == (State.WITHDRAWN, None)


async def test_a_refusal_leaves_alone_what_it_does_not_speak_of(
    stage: Stage, paris: Half, marseille: Half, lyon: Half
) -> None:
    made = await stage.accepted(paris, marseille, also=(lyon,), act={"single_use": False})
    arrived = await stage.received(paris, marseille)
    for case_id, recipient, changes in (
        (made.case_id, lyon, {}),
        (made.case_id, marseille, {"purposes": ["legal_support"]}),
        (arrived.case_id, marseille, {}),
    ):
        assert await paris.sending.record_act(PERSON, refusal(paris, case_id, recipient, **changes)) == []
    agreed = refusal(paris, made.case_id, marseille, kind="consent", status="active")
    assert await paris.sending.record_act(PERSON, agreed) == []
    assert (paris.state(made.transfer), paris.state(arrived.transfer)) == (State.ACCEPTED, State.RECEIVED)


async def test_a_refusal_is_recorded_though_who_it_names_is_gone(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    stage.network.remove(marseille.keys)
    await paris.house.roster.sync()
    said = refusal(paris, made.case_id, marseille)
    await paris.sending.record_act(PERSON, said)
    assert paris.told(said.act_id) == [("camille", "act.recorded", "done")]


async def test_only_whoever_may_open_the_case_records_a_refusal(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    said = refusal(paris, made.case_id, marseille)
    await paris.keep_to(made.case_id, "somebody else")
    with pytest.raises(NeedToKnow):
        await paris.sending.record_act(PERSON, said)
    assert (paris.told(said.act_id), paris.state(made.transfer)) == ([], State.ACCEPTED)


# ---- updates ----


async def test_an_update_is_offered_under_the_referrals_act(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    seen = await paris.sending.preview_update(PERSON, made.transfer, sections=["risk"])
    assert set(seen.sections) == {"risk"}
    assert len(paris.house.db.read_sync(transfer_store.all_transfers)) == 1
    paris.news.clear()
    transfer = await paris.sending.update(PERSON, made.transfer, sections=["risk"])
    row, terms = paris.row(transfer), paris.terms(transfer)
    assert (row.act_id, row.hands_over, row.state) == (made.act_id, False, State.OFFERED)
    assert (terms.kind, terms.offered, terms.first_transfer) == ("update", ("risk",), bytes(made.transfer))
    assert terms.act == paris.terms(made.transfer).act
    assert paris.news == [transfer]
    assert row.expires_at == stage.clock.now() + 7 * DAY


async def test_an_update_without_anything_in_it_is_not_offered(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, **REFERRAL)
    for step in (paris.sending.update, paris.sending.preview_update):
        with pytest.raises(InvalidInput) as refused:
            await step(PERSON, made.transfer, sections=[])
        assert refused.value.facts["field"] == "sections"
