"""Referrals that two associations follow, and cases that come back: whole nodes, each writing its own record."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from cordee.case import Case
from cordee.errors import (
    InvalidInput,
    NotCovered,
    NotFound,
    NotInThisState,
    OfferAlreadyOpen,
    RecordClosed,
)
from cordee.ids import TransferId
from cordee.transfer import State
from node import acts, journal, placing, records, transfer_store, versions
from node.answering import Answering
from node.terms import Terms
from tests.journeys.aftermath import nothing_is_left
from tests.neighbours import Neighbour, Street, eventually, neighbourhood

pytestmark = pytest.mark.asyncio(loop_scope="module")

PURPOSE = "joint_followup"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path_factory.mktemp("updates"), "Paris", "Marseille") as (town, _):
        yield town


@pytest.fixture
def pair(street: Street) -> tuple[Neighbour, Neighbour]:
    paris, marseille = street.neighbours.values()
    return paris, marseille


class Shared:
    """A case that one association shares with another."""

    def __init__(self, record: dict[str, Any], act: str, first: TransferId, files: list[str]) -> None:
        self.record = record
        self.act = act
        self.first = first
        self.files = files

    @property
    def case_id(self) -> str:
        return str(self.record["meta"]["case_id"])


async def refer(
    sender: Neighbour,
    recipient: Neighbour,
    *,
    files: int = 0,
    sections: list[str] | None = None,
    purpose: str = PURPOSE,
    **changes: Any,
) -> Shared:
    record = await sender.case()
    case_id = record["meta"]["case_id"]
    attached = [await sender.attach(case_id, os.urandom(50_000)) for _ in range(files)]
    act = await sender.act(record, recipient, purpose=purpose, attachments=attached, **changes)
    first = await sender.offer(record, recipient, act, purpose=purpose, kind="referral", ticked={"health"})
    await recipient.reaches(first, State.OFFERED)
    await recipient.here.receiving.accept(recipient.person, first, sections=sections)
    await sender.reaches(first, State.RECEIVED)
    await recipient.reaches(first, State.RECEIVED)
    return Shared(record, act, first, attached)


async def stored(neighbour: Neighbour, case_id: str) -> records.StoredCase:
    node = neighbour.here
    return await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))


async def beside(neighbour: Neighbour, case_id: str) -> list[versions.Version]:
    node = neighbour.here
    return await node.db.read(lambda tx: versions.versions_of(tx, node.vault, case_id))


async def write(neighbour: Neighbour, case_id: str, change: Callable[[Case], Case]) -> Case:
    """A handler changes a case."""
    node, here = neighbour.here, await stored(neighbour, case_id)
    case = change(here.case)
    now = node.clock.now()
    await node.db.write(
        lambda tx: records.update_case(
            tx, node.vault, case_id, case, expected_version=here.version, by="camille", now=now
        )
    )
    return case


async def update(sender: Neighbour, recipient: Neighbour, first: TransferId, **options: Any) -> TransferId:
    """An update that arrives, nobody having pressed anything there."""
    transfer = await sender.here.sending.update(sender.person, first, **options)
    await sender.reaches(transfer, State.RECEIVED)
    await recipient.reaches(transfer, State.RECEIVED)
    return transfer


async def bytes_of(neighbour: Neighbour, case_id: str, attachment_id: str) -> bytes:
    here = await stored(neighbour, case_id)
    (file,) = [each for each in here.attachments if each.attachment_id == attachment_id]
    return await asyncio.to_thread(lambda: b"".join(neighbour.here.attachments.read(here.data_key, file)))


def with_level(level: str) -> Callable[[Case], Case]:
    return lambda case: case.with_section("risk", case.section("risk") | {"level": level})


# ---- updates ----


async def test_both_sides_send_updates_and_neither_overwrites_the_other(
    street: Street, pair: tuple[Neighbour, Neighbour]
) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille, single_use=True)
    ours = await write(paris, shared.case_id, with_level("moderate"))
    theirs = await write(marseille, shared.case_id, with_level("immediate"))

    there = await update(paris, marseille, shared.first)
    assert (await stored(marseille, shared.case_id)).case == theirs
    (version,) = await beside(marseille, shared.case_id)
    assert version.sections["risk"] == ours.section("risk")
    assert (version.transfer, version.author, version.ours) == (there, paris.here.member, False)
    assert not {"notes", "consents"} & version.sections.keys()

    back = await update(marseille, paris, shared.first, sections=["risk", "meta"])
    here = await stored(paris, shared.case_id)
    assert (here.case, here.holder) == (ours, "shared")
    (version,) = await beside(paris, shared.case_id)
    assert set(version.sections) == {"risk", "meta"}
    assert version.sections["risk"]["level"] == "immediate"
    assert version.sections["meta"]["status"] == "open"

    again = await update(paris, marseille, shared.first, sections=["risk"])
    assert [each.transfer for each in await beside(marseille, shared.case_id)] == [again, there]
    for transfer in (there, back, again):
        await nothing_is_left(street, transfer, paris, marseille)
    tokens = [
        (await paris.here.db.read(lambda tx, each=each: transfer_store.read_transfer(tx, each))).token_id
        for each in (shared.first, there, back, again)
    ]
    assert len(set(tokens)) == 4
    for neighbour, count in ((paris, 1), (marseille, 1)):
        node = neighbour.here
        found = await node.db.read(lambda tx, node=node: acts.acts_of(tx, node.vault, shared.case_id))
        assert [each.act_id for each in found] == [shared.act] * count
    lines = await marseille.here.db.read(lambda tx: journal.entries(tx, about=there.hex()))
    assert {"transfer.accepted": "node"}.items() <= {each.action: each.actor for each in lines}.items()


async def test_a_file_comes_once_and_can_be_read(pair: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille, files=2)
    first, second = shared.files
    assert (await stored(marseille, shared.case_id)).attachments == ()
    for named in ([first], [first, second]):
        await update(paris, marseille, shared.first, sections=["actions"], attachments=named)
    there = await stored(marseille, shared.case_id)
    assert [each.attachment_id for each in there.attachments] == [first, second]
    assert [each["attachment_id"] for each in there.case.attachments] == [first, second]
    for each in shared.files:
        assert await bytes_of(marseille, shared.case_id, each) == await bytes_of(paris, shared.case_id, each)
    assert [each.files for each in await beside(marseille, shared.case_id)] == [(second,), (first,)]
    on_disk = {path.name for path in (marseille.folder / "attachments").iterdir()}
    assert on_disk == await marseille.here.db.read(records.file_ids)


async def test_what_the_act_does_not_cover_is_no_update(pair: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = pair
    record = await paris.case()
    covered = ["identity", "contact", "family", "situation", "judicial", "risk", "housing", "actions"]
    act = await paris.act(record, marseille, purpose=PURPOSE, sections=covered)
    case_id = record["meta"]["case_id"]
    first = await paris.offer(record, marseille, act, purpose=PURPOSE, kind="referral")
    with pytest.raises(NotInThisState):
        await paris.here.sending.update(paris.person, first)
    await marseille.reaches(first, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, first)
    await paris.reaches(first, State.RECEIVED)
    await marseille.reaches(first, State.RECEIVED)
    own = await marseille.attach(case_id, b"a file of their own")
    for neighbour, options, error in (
        (paris, {"sections": ["schooling"]}, NotCovered),
        (marseille, {"sections": ["schooling"]}, NotCovered),
        (paris, {"sections": ["notes"]}, NotCovered),
        (paris, {"sections": ["no_such_section"]}, InvalidInput),
        (marseille, {"attachments": [own]}, NotCovered),
    ):
        with pytest.raises(error):
            await neighbour.here.sending.update(neighbour.person, first, **options)
    with pytest.raises(NotFound):
        await paris.here.sending.update(paris.person, TransferId(bytes(16)))


async def test_what_a_person_did_not_want_does_not_come_with_an_update(pair: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille, sections=["meta", "identity", "situation", "risk", "judicial"])
    await update(paris, marseille, shared.first, sections=["risk", "contact"])
    (version,) = await beside(marseille, shared.case_id)
    assert set(version.sections) == {"risk"}
    refused = await paris.here.sending.update(paris.person, shared.first, sections=["contact"])
    await paris.reaches(refused, State.DECLINED)


async def test_one_update_at_a_time_and_none_once_the_act_is_withdrawn(pair: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille, single_use=True)
    loops = marseille.here.loops
    loops[0].cancel()  # deaf for a while
    await asyncio.gather(loops[0], return_exceptions=True)
    waiting = await paris.here.sending.update(paris.person, shared.first)
    with pytest.raises(OfferAlreadyOpen):
        await paris.here.sending.update(paris.person, shared.first)
    await marseille.stop()
    await marseille.start()
    await marseille.reaches(waiting, State.RECEIVED)
    await paris.reaches(waiting, State.RECEIVED)
    back = await update(marseille, paris, shared.first, sections=["risk"])
    assert len(await beside(paris, shared.case_id)) == 1

    withdrawn = await paris.here.sending.withdraw_act(paris.person, shared.act, by_role="minor", reason="")
    assert set(withdrawn) == {shared.first, waiting}
    with pytest.raises(NotInThisState):
        await paris.here.sending.update(paris.person, shared.first)

    async def asked() -> bool:
        found = await marseille.here.db.read(transfer_store.all_transfers)
        return {each.id for each in found if each.erasure == "asked"} >= {shared.first, waiting}

    await eventually(asked, what="both requests to erase")
    with pytest.raises(NotInThisState):
        await marseille.here.sending.update(marseille.person, shared.first)

    # What the update brought can be erased alone, before or after the case that it belongs to.
    await marseille.here.receiving.answer_erasure(marseille.person, waiting, erase=True)
    assert await beside(marseille, shared.case_id) == []
    assert (await stored(marseille, shared.case_id)).case.section("risk")
    await marseille.here.receiving.answer_erasure(marseille.person, shared.first, erase=True)
    with pytest.raises(NotFound):
        await stored(marseille, shared.case_id)

    async def answered() -> bool:
        found = await paris.here.db.read(transfer_store.all_transfers)
        return {each.id for each in found if each.erasure == "done"} >= {shared.first, waiting}

    await eventually(answered, what="both reports of erasure")
    # The other direction: our own record stays where they ask us to erase what they sent.
    assert (await paris.here.db.read(lambda tx: transfer_store.read_transfer(tx, back))).erasure is None


async def test_erasing_an_update_leaves_our_own_record_and_an_old_backup_does_not_bring_it_back(
    pair: tuple[Neighbour, Neighbour],
) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille, files=1)
    await update(paris, marseille, shared.first, sections=["actions"], attachments=shared.files)
    ours = (await stored(paris, shared.case_id)).case
    with pytest.raises(NotCovered):  # whether a file goes on is decided anew where it came
        await update(marseille, paris, shared.first, attachments=shared.files)
    await write(marseille, shared.case_id, with_all_files)
    back = await update(marseille, paris, shared.first, sections=["risk"], attachments=shared.files)
    await marseille.here.sending.withdraw(marseille.person, back)

    async def asked() -> bool:
        return (await paris.here.db.read(lambda tx: transfer_store.read_transfer(tx, back))).erasure == "asked"

    await eventually(asked, what="the request to erase")
    (version,) = await beside(paris, shared.case_id)
    await paris.here.receiving.answer_erasure(paris.person, back, erase=True)
    here = await stored(paris, shared.case_id)
    assert here.case == ours
    assert [each.attachment_id for each in here.attachments] == shared.files
    assert await bytes_of(paris, shared.case_id, shared.files[0])
    assert await beside(paris, shared.case_id) == []

    node = paris.here
    now = node.clock.now()
    await node.db.write(lambda tx: versions.keep_version(tx, here.data_key, version))
    await node.db.write(lambda tx: placing.take_out_again(tx, node.vault, node.house.tombstones, now=now))
    assert await beside(paris, shared.case_id) == []


async def test_an_update_of_a_closed_or_handed_over_case_is_declined(pair: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille)
    node, now = marseille.here, marseille.here.clock.now()
    version = (await stored(marseille, shared.case_id)).version
    await node.db.write(
        lambda tx: records.close_case(tx, shared.case_id, expected_version=version, by="camille", now=now)
    )
    declined = await paris.here.sending.update(paris.person, shared.first)
    await paris.reaches(declined, State.DECLINED)
    assert await beside(marseille, shared.case_id) == []
    await node.db.write(lambda tx: records.hand_over(tx, shared.case_id, transfer=declined, now=now))
    with pytest.raises(RecordClosed):
        await marseille.here.sending.update(marseille.person, shared.first)


async def test_a_case_that_was_handed_over_has_no_updates(pair: tuple[Neighbour, Neighbour]) -> None:
    paris, marseille = pair
    record = await paris.case()
    act = await paris.act(record, marseille)
    transfer = await paris.offer(record, marseille, act)
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.RECEIVED)
    with pytest.raises(RecordClosed):
        await paris.here.sending.update(paris.person, transfer)
    with pytest.raises(InvalidInput):
        await marseille.here.sending.update(marseille.person, transfer)


async def test_an_answer_that_a_stop_prevented_is_given_after_the_start(
    pair: tuple[Neighbour, Neighbour], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille)
    started = asyncio.Event()

    async def never(self: Answering, transfer: TransferId) -> None:
        started.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as stuck:
        stuck.setattr(Answering, "run", never)  # as if the power went just after the offer was kept
        transfer = await paris.here.sending.update(paris.person, shared.first)
        await asyncio.wait_for(started.wait(), 20)
        await marseille.stop()
    assert await paris.state(transfer) is State.OFFERED
    await marseille.start()
    await paris.reaches(transfer, State.RECEIVED)
    assert len(await beside(marseille, shared.case_id)) == 1


# ---- handed over, and back ----


async def test_a_case_comes_back_to_its_former_holder_and_nothing_is_lost(
    street: Street, pair: tuple[Neighbour, Neighbour]
) -> None:
    paris, marseille = pair
    record = await paris.case()
    case_id = record["meta"]["case_id"]
    old = await paris.attach(case_id, os.urandom(30_000))
    act = await paris.act(record, marseille, attachments=[old])
    there = await paris.offer(record, marseille, act, attachments=[old])
    await marseille.reaches(there, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, there)
    await paris.reaches(there, State.RECEIVED)
    await marseille.reaches(there, State.RECEIVED)
    before = (await stored(paris, case_id)).case

    new = await marseille.attach(case_id, os.urandom(40_000))
    await write(marseille, case_id, lambda case: with_all_files(with_level("immediate")(case)))
    held = (await stored(marseille, case_id)).case
    returning = await marseille.act(held.to_dict(), paris, attachments=[old, new])
    back = await marseille.offer(held.to_dict(), paris, returning, attachments=[old, new])
    await paris.reaches(back, State.OFFERED)
    await paris.here.receiving.accept(paris.person, back)
    await marseille.reaches(back, State.RECEIVED)
    await paris.reaches(back, State.RECEIVED)

    here = await stored(paris, case_id)
    assert (here.holder, here.state, here.read_only) == ("here", "open", False)
    assert (await stored(marseille, case_id)).holder == "handed_over"
    assert here.case.section("risk") == held.section("risk")
    assert here.case.section("notes") == before.section("notes")
    assert here.case.value("meta.local_number") == before.value("meta.local_number")
    assert [each.attachment_id for each in here.attachments] == [old, new]
    for each in (old, new):
        assert await bytes_of(paris, case_id, each) == await bytes_of(marseille, case_id, each)
    (version,) = await beside(paris, case_id)
    assert (version.ours, version.author, version.sections) == (True, paris.here.member, before.to_dict())
    await write(paris, case_id, with_level("low"))
    await nothing_is_left(street, back, paris, marseille)


def with_all_files(case: Case) -> Case:
    """Every file marked as fit to be sent."""
    entries = [each | {"may_be_sent": True} for each in case.attachments]
    return case.with_section("attachments", entries)


async def test_a_case_that_is_shared_can_be_handed_over_to_the_same_association(
    pair: tuple[Neighbour, Neighbour],
) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille)
    theirs = await write(marseille, shared.case_id, with_level("immediate"))
    act = await paris.act(shared.record, marseille)
    transfer = await paris.offer(shared.record, marseille, act)
    await marseille.reaches(transfer, State.OFFERED)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.RECEIVED)
    await marseille.reaches(transfer, State.RECEIVED)
    assert (await stored(paris, shared.case_id)).holder == "handed_over"
    there = await stored(marseille, shared.case_id)
    assert (there.holder, there.case) == ("here", theirs)
    assert [each.transfer for each in await beside(marseille, shared.case_id)] == [transfer]


# ---- cheating ----


@pytest.mark.parametrize("kind", ["referral", "transfer", "update"])
async def test_a_sender_that_names_a_case_of_ours_is_refused_whole(
    pair: tuple[Neighbour, Neighbour], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = pair
    target = await marseille.case(1)
    target_id = target["meta"]["case_id"]
    before = await stored(marseille, target_id)
    acts_before = await marseille.here.db.read(lambda tx: acts.acts_of(tx, marseille.here.vault, target_id))
    shared = await refer(paris, marseille)
    cheat_on(monkeypatch, target_id, kind)
    if kind == "update":
        transfer = await paris.here.sending.update(paris.person, shared.first)
    else:
        purpose = PURPOSE if kind == "referral" else "relocation"
        record = await paris.case(2)
        act = await paris.act(record, marseille, purpose=purpose)
        transfer = await paris.offer(record, marseille, act, purpose=purpose, kind=kind)
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.REFUSED)
    line = await paris.here.transfers.get(paris.person, transfer)
    assert line.reason_code == "invalid_record"
    assert await stored(marseille, target_id) == before
    assert await beside(marseille, target_id) == []
    after = await marseille.here.db.read(lambda tx: acts.acts_of(tx, marseille.here.vault, target_id))
    assert after == acts_before
    files = {path.name for path in (marseille.folder / "attachments").iterdir()}
    assert files == await marseille.here.db.read(records.file_ids)


def cheat_on(monkeypatch: pytest.MonkeyPatch, target: str, kind: str) -> None:
    """From now on what this kind of transfer ships says that it is the target's case."""
    from node import shipping

    honest = shipping.manifest_of

    def lying(terms: Terms, attachments: Any, **facts: Any) -> Any:
        if terms.kind == kind:
            facts["case_id"] = target
        return honest(terms, attachments, **facts)

    monkeypatch.setattr(shipping, "manifest_of", lying)


async def test_an_update_under_another_act_is_refused(
    pair: tuple[Neighbour, Neighbour], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = pair
    shared = await refer(paris, marseille)
    node = paris.here
    wider = (await node.db.read(lambda tx: acts.travelling_act(tx, node.vault, shared.act))).to_dict()
    wider["sections"] = [*wider["sections"], "schooling"]
    from cordee.act import parse_act

    honest = acts.travelling_act

    def lying(tx: Any, vault: Any, act_id: str) -> Any:
        return parse_act(wider) if vault is node.vault else honest(tx, vault, act_id)

    monkeypatch.setattr(acts, "travelling_act", lying)
    transfer = await paris.here.sending.update(paris.person, shared.first)
    await paris.reaches(transfer, State.REFUSED)
    assert (await paris.here.transfers.get(paris.person, transfer)).reason_code == "act_refused"
    assert await beside(marseille, shared.case_id) == []
