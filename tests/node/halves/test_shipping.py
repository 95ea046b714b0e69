"""Shipping an accepted case, step by step (node/shipping.py)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cordee import content
from cordee.errors import ContentDamaged, CordeeError, NotFound, RosterStale, TooLarge, Unreachable
from cordee.ids import TransferId
from cordee.transfer import Kind, State
from node import records, spool
from node.sending import KEY_PLACE
from node.shipping import _spooled

from .stage import PERSON, Half, Stage


@pytest.fixture
def spooled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is fast: all goes through the spool."""
    monkeypatch.setattr(spool, "FAST", 0.0)


async def test_a_case_with_files_goes_all_the_way(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, files=2)
    assert (paris.state(made.transfer), marseille.state(made.transfer)) == (State.RECEIVED, State.RECEIVED)
    assert (paris.holder(made.case_id), marseille.holder(made.case_id)) == ("handed_over", "here")
    assert len(marseille.files()) == 2
    assert Kind.RECEIPT_TAKEN in paris.kinds(made.transfer)


async def test_what_was_shipped_is_kept_as_one(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    paris.news.clear()
    await paris.shipping.run(made.transfer)
    row = paris.row(made.transfer)
    assert (row.state, row.job) == (State.SHIPPED, None)
    assert paris.kinds(made.transfer)[Kind.SHIPMENT] is True
    assert paris.line.held[made.transfer][: content.HEADER_SIZE] == row.ciphertext_header
    assert row.total_bytes == len(paris.line.held[made.transfer])
    assert paris.chain(made.transfer).shipment.ciphertext_size == row.total_bytes
    assert paris.told(made.transfer)[-1] == ("node", "transfer.shipped", "done")
    assert paris.news == [made.transfer]
    assert paris.line.puts == [(0, True)]
    for point in ("key_kept", "packed", "uploading", "uploaded", "before_write", "after_write"):
        assert f"node.ship.{point}" in paris.points


async def test_what_is_no_job_of_ours_does_nothing(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille, hold=True)
    await paris.shipping.run(made.transfer)
    assert (paris.state(made.transfer), paris.line.puts) == (State.ACCEPTED, [])
    assert paris.row(made.transfer).sealed_content_key is None


async def test_what_was_held_has_its_key_when_it_is_let_go(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille, hold=True)
    await paris.sending.ship(PERSON, made.transfer)
    await paris.shipping.run(made.transfer)
    row = paris.row(made.transfer)
    assert row.state is State.SHIPPED
    assert len(paris.house.in_flight.unseal(row.sealed_content_key or b"", place=KEY_PLACE, row=row.id)) == 32
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.RECEIVED


async def test_the_key_is_the_one_that_was_kept_with_the_acceptance(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    kept = paris.row(made.transfer).sealed_content_key
    await paris.shipping.run(made.transfer)
    assert paris.row(made.transfer).sealed_content_key == kept


async def test_nothing_is_shipped_while_the_list_of_members_is_old(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    stage.clock.advance(timedelta(hours=25).total_seconds())
    with pytest.raises(RosterStale):
        await paris.shipping.run(made.transfer)
    assert paris.line.puts == []


async def test_nothing_is_shipped_to_a_suspended_member(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    stage.network.suspend(marseille.keys)
    await paris.house.roster.sync()
    with pytest.raises(CordeeError):
        await paris.shipping.run(made.transfer)
    assert paris.line.puts == []


# ---- cut off ----


async def test_a_line_that_broke_goes_on_where_the_mailbox_ends(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille, files=1)
    paris.line.put_breaks = [30_000, 50_000]
    with pytest.raises(Unreachable):
        await paris.shipping.run(made.transfer)
    row = paris.row(made.transfer)
    assert (row.state, row.job) == (State.ACCEPTED, "ship")
    packed = row.ciphertext_header
    assert packed is not None
    await paris.shipping.run(made.transfer)
    assert paris.line.puts == [(0, True), (30_000, False), (50_000, False)]
    assert paris.row(made.transfer).ciphertext_header == packed, "it was packed once"
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.RECEIVED


async def test_a_host_that_takes_nothing_is_not_asked_without_a_pause(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.line.put_breaks = [0, 0, 0]
    with pytest.raises(Unreachable):
        await paris.shipping.run(made.transfer)
    assert len(paris.line.puts) == 2
    assert paris.state(made.transfer) is State.ACCEPTED


async def test_a_packed_file_that_is_gone_before_anything_left_is_packed_anew(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.line.put_breaks = [0, 0]
    with pytest.raises(Unreachable):
        await paris.shipping.run(made.transfer)
    before = paris.row(made.transfer)
    assert paris.spools() == {".out"}
    paris.house.drop_spool(made.transfer)
    paris.news.clear()
    with pytest.raises(ContentDamaged):
        await paris.shipping.run(made.transfer)
    row = paris.row(made.transfer)
    assert (row.state, row.job) == (State.ACCEPTED, "ship")
    assert (row.sealed_content_key, row.ciphertext_header, row.manifest_digest) == (None, None, None)
    assert paris.news == [made.transfer]
    await paris.shipping.run(made.transfer)
    after = paris.row(made.transfer)
    assert after.state is State.SHIPPED
    assert after.sealed_content_key != before.sealed_content_key, "never twice under one key"


async def test_a_packed_file_that_is_gone_when_a_part_has_left_ends_in_a_withdrawal(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.line.put_breaks = [1000, 1]
    with pytest.raises(Unreachable):
        await paris.shipping.run(made.transfer)
    paris.house.spool(made.transfer, outgoing=True).write_bytes(b"shorter")
    paris.news.clear()
    with pytest.raises(ContentDamaged):
        await paris.shipping.run(made.transfer)
    assert paris.state(made.transfer) is State.WITHDRAWN
    assert paris.told(made.transfer)[-1] == ("node", "transfer.withdrawn", "done")
    assert made.transfer in paris.news


async def test_what_lies_whole_in_the_mailbox_needs_no_spool(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.at("node.ship.before_write", _cut_off)
    with pytest.raises(Unreachable):
        await paris.shipping.run(made.transfer)
    paris.house.drop_spool(made.transfer)
    await paris.shipping.run(made.transfer)
    assert paris.state(made.transfer) is State.SHIPPED
    assert len(paris.line.puts) == 1


def _cut_off() -> None:
    raise Unreachable(peer="directory")


async def test_where_a_fast_line_breaks_the_next_time_all_is_spooled(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 20.0)
    made = await stage.accepted(paris, marseille, files=1)
    paris.line.put_breaks = [30_000]
    await paris.shipping.run(made.transfer)  # what is small was kept, and is spooled after all
    assert paris.line.puts == [(0, True), (30_000, False)]
    assert "node.ship.spooled" in paris.points
    assert paris.state(made.transfer) is State.SHIPPED


async def test_what_was_kept_nowhere_is_packed_anew_and_spooled(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 20.0)
    monkeypatch.setattr(spool, "FIRST", 0)  # as what is larger than six pieces
    made = await stage.accepted(paris, marseille, files=1)
    paris.line.put_breaks = [30_000]
    with pytest.raises(Unreachable):
        await paris.shipping.run(made.transfer)
    assert (paris.row(made.transfer).ciphertext_header, paris.spools()) == (None, set())
    assert "node.ship.spooled" not in paris.points
    monkeypatch.setattr(spool, "FIRST", 6)
    await paris.shipping.run(made.transfer)
    assert "node.ship.spooled" in paris.points
    assert paris.line.puts[:2] == [(0, True), (0, True)]
    assert paris.state(made.transfer) is State.SHIPPED
    assert paris.shipping._broke == set()


async def test_what_an_earlier_process_sent_is_not_taken_for_what_was_packed_since(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille, files=1)
    paris.line.held[made.transfer] = bytes(30_000)  # it was killed before it was known here what it had packed
    paris.line.put_breaks = [Unreachable(peer="mailbox")]  # before anything is replaced there
    for _ in range(2):
        with contextlib.suppress(Unreachable):
            await paris.shipping.run(made.transfer)
    assert paris.state(made.transfer) is State.SHIPPED
    assert paris.line.held[made.transfer][: content.HEADER_SIZE] == paris.row(made.transfer).ciphertext_header
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    assert marseille.state(made.transfer) is State.RECEIVED


@pytest.mark.parametrize("part", ["a part", "all of it"])
async def test_what_an_earlier_process_sent_and_is_counted_only_now_is_not_taken_for_it_either(
    stage: Stage, paris: Half, marseille: Half, spooled: None, part: str
) -> None:
    """The directory still closed that upload when this one began, and broke."""
    made = await stage.accepted(paris, marseille, files=1)
    paris.line.put_breaks = [Unreachable(peer="mailbox")]

    def counted() -> None:
        size = paris.row(made.transfer).total_bytes if part == "all of it" else 30_000
        paris.line.held[made.transfer] = bytes(size)

    paris.at("node.ship.packed", counted)
    await paris.shipping.run(made.transfer)
    assert paris.line.puts == [(0, True), (0, True)]
    assert paris.line.held[made.transfer][: content.HEADER_SIZE] == paris.row(made.transfer).ciphertext_header


async def test_what_was_kept_in_memory_is_spooled_as_it_is(tmp_path: Path) -> None:
    packed = spool.Packed(5, b"abcde", spooled=False, kept=(b"abc", b"de"))
    assert _spooled(tmp_path / "out", packed) == spool.Packed(5, b"abcde", spooled=True)
    assert (tmp_path / "out").read_bytes() == b"abcde"


async def test_what_is_withdrawn_while_it_is_packed_is_not_sent_on(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.line.put_breaks = [0]
    paris.at("node.ship.packed", lambda: paris.withdraw_at_once(made.transfer))
    await paris.shipping.run(made.transfer)
    assert len(paris.line.puts) <= 1
    assert "node.ship.uploaded" not in paris.points


async def test_what_is_no_matter_of_the_line_is_told_as_it_is(
    stage: Stage, paris: Half, marseille: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAST", 20.0)
    made = await stage.accepted(paris, marseille)
    paris.line.put_breaks = [TooLarge(what="content", size=2, limit=1)]
    with pytest.raises(TooLarge):
        await paris.shipping.run(made.transfer)
    assert paris.state(made.transfer) is State.ACCEPTED
    paris.points.clear()
    await paris.shipping.run(made.transfer)
    assert paris.state(made.transfer) is State.SHIPPED


async def test_a_mailbox_that_knows_it_no_more_is_asked_anew(
    stage: Stage, paris: Half, marseille: Half, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.line.put_breaks = [NotFound(what="transfer")]
    await paris.shipping.run(made.transfer)
    assert paris.line.puts == [(0, True), (0, True)]
    assert paris.state(made.transfer) is State.SHIPPED


# ---- overtaken ----


@pytest.mark.parametrize(
    "at", ["node.ship.key_kept", "node.ship.packed", "node.ship.uploaded", "node.ship.before_write"]
)
async def test_what_is_withdrawn_meanwhile_is_not_shipped(
    stage: Stage, paris: Half, marseille: Half, at: str, spooled: None
) -> None:
    made = await stage.accepted(paris, marseille)
    paris.at(at, lambda: paris.withdraw_at_once(made.transfer))
    await paris.shipping.run(made.transfer)
    row = paris.row(made.transfer)
    assert (row.state, row.job, row.sealed_content_key) == (State.WITHDRAWN, None, None)
    assert Kind.SHIPMENT not in paris.kinds(made.transfer)
    assert "transfer.shipped" not in [action for _, action, _ in paris.told(made.transfer)]


async def test_no_key_is_chosen_for_what_is_withdrawn_meanwhile(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille, hold=True)
    await paris.sending.ship(PERSON, made.transfer)
    job = paris.row(made.transfer)
    await paris.sending.withdraw(PERSON, made.transfer)
    await paris.shipping._choose_key(job)
    assert paris.row(made.transfer).sealed_content_key is None


async def test_a_key_that_was_chosen_is_kept(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    before = paris.row(made.transfer)
    await paris.shipping._choose_key(before)
    assert paris.row(made.transfer).sealed_content_key == before.sealed_content_key


async def test_a_file_that_was_deleted_since_is_not_left_out_silently(
    stage: Stage, paris: Half, marseille: Half
) -> None:
    made = await stage.accepted(paris, marseille, files=2)
    (one, _) = paris.terms(made.transfer).attachments
    await paris.house.db.write(lambda tx: records.remove_files(tx, made.case_id, [one]))
    with pytest.raises(NotFound):
        await paris.shipping.run(made.transfer)
    assert paris.state(made.transfer) is State.ACCEPTED


async def test_only_the_files_of_the_offer_are_shipped(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.offered(paris, marseille, files=1)
    await paris.attach(made.case_id, b"another")
    await marseille.receiving.accept(PERSON, made.transfer)
    await stage.carry(made.transfer, Kind.ACCEPTANCE)
    await paris.shipping.run(made.transfer)
    await stage.carry(made.transfer, Kind.SHIPMENT)
    await marseille.fetching.run(made.transfer)
    assert (marseille.state(made.transfer), len(marseille.files())) == (State.RECEIVED, 1)


async def test_its_progress_is_told(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.accepted(paris, marseille)
    moved: list[int] = []
    paris.house.changes.moved = lambda transfer, done: moved.append(done)  # type: ignore[method-assign]
    await paris.shipping.run(made.transfer)
    assert moved[-1] == len(paris.line.held[made.transfer])


async def _pieces(*each: bytes) -> AsyncIterator[bytes]:
    for piece in each:
        yield piece


async def test_progress_counts_from_where_it_goes_on(paris: Half) -> None:
    moved: list[int] = []
    paris.house.changes.moved = lambda transfer, done: moved.append(done)  # type: ignore[method-assign]
    counted = paris.shipping._counted(TransferId(bytes(16)), _pieces(b"abc", b"de"), 10)
    assert [piece async for piece in counted] == [b"abc", b"de"]
    assert moved == [13, 15]
