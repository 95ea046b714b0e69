"""What the model of a transfer has found (docs/faults.md), once each with whole nodes and a real directory."""

from __future__ import annotations

import io
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from cordee import statements
from cordee.errors import StatementRefused, Unreachable
from cordee.ids import TransferId
from cordee.signing import Signed
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2 as v1
from node import journal, transfer_store
from node.directory_client import DirectoryClient
from node.restoring import opened_by_passphrase, restore
from tests.journeys.aftermath import holder, one_holder
from tests.journeys.test_outcomes import accept, case_id_of, cut_off, erasure_is, offered, restart, row_of
from tests.journeys.test_restored_nodes import burn_and_restore, save
from tests.neighbours import PASSPHRASE, Neighbour, Street, eventually, neighbourhood

SHIPPING_LIMIT = timedelta(hours=2)


async def imported_and_not_told(sender: Neighbour, recipient: Neighbour, **options: object) -> tuple[str, TransferId]:
    """The recipient has stored the case, and its receipt cannot get out."""
    record, _, (transfer,) = await offered(sender, recipient, hold=True)
    await accept(recipient, transfer)
    await recipient.reaches(transfer, State.ACCEPTED)
    await sender.reaches(transfer, State.ACCEPTED)
    recipient.here.loops[1].cancel()
    await sender.here.sending.ship(sender.person, transfer)

    async def imported() -> bool:
        return await recipient.state(transfer) is State.RECEIVED

    await eventually(imported, what="the import")
    await sender.reaches(transfer, State.SHIPPED)
    return case_id_of(record), transfer


async def handed_over(sender: Neighbour, recipient: Neighbour) -> tuple[str, TransferId]:
    record, _, (transfer,) = await offered(sender, recipient)
    await accept(recipient, transfer)
    await sender.reaches(transfer, State.RECEIVED)
    return case_id_of(record), transfer


async def actions(neighbour: Neighbour) -> list[str]:
    return [each.action for each in await neighbour.here.db.read(journal.entries)]


async def remove(street: Street, neighbour: Neighbour) -> None:
    network, member = street.town.network, neighbour.member
    network.now = street.clock.now()
    assert member is not None
    statement = v1.MemberRemoved(**network.roster.head(member, street.clock.now()), member=member)
    await street.town.append(network.append(network.signed_entry(statement)))


async def test_an_offer_that_ends_within_minutes_while_it_waits_does_not_stand_for_ever(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await cut_off(paris)
        record = await paris.case()
        act = await paris.act(record, marseille)
        transfer = await paris.offer(record, marseille, act, expires_in=timedelta(minutes=2))
        street.clock.advance(timedelta(minutes=3))  # it is no older than the broker takes, and over
        await restart(paris)
        await paris.reaches(transfer, State.EXPIRED)
        again = await paris.offer(record, marseille, act)
        await marseille.reaches(again, State.OFFERED)


async def test_an_offer_to_an_association_that_was_removed_meanwhile_ends(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await cut_off(paris)
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.stop()
        await remove(street, marseille)
        await restart(paris)
        await paris.reaches(transfer, State.WITHDRAWN)
        assert paris.here.db.look(transfer_store.waiting) == []


async def test_a_withdrawal_that_an_expiry_overtook_asks_to_erase_once_the_receipt_comes(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", shipping_limit=SHIPPING_LIMIT) as (street, nodes):
        paris, marseille = nodes
        case_id, transfer = await imported_and_not_told(paris, marseille)
        await cut_off(paris)
        await paris.here.sending.withdraw(paris.person, transfer)
        street.clock.advance(SHIPPING_LIMIT + timedelta(seconds=1))
        await restart(paris)
        await paris.reaches(transfer, State.EXPIRED)  # what the directory took
        await restart(marseille)
        await erasure_is(marseille, transfer, "asked")
        await paris.reaches(transfer, State.RECEIVED)
        await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
        await erasure_is(paris, transfer, "done")
        assert await one_holder(case_id, paris, marseille) is paris


async def test_a_receipt_still_follows_a_shipment_that_the_directory_would_not_take_again(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        case_id, transfer = await imported_and_not_told(paris, marseille)
        refused = StatementRefused(what="Shipment", problem="no bytes wait in the mailbox")  # restored without them
        answers = paris.here.listener._answers
        await answers.dropped(transfer, Kind.SHIPMENT, refused, at_broker=State.ACCEPTED)
        await paris.reaches(transfer, State.WITHDRAWN)
        await restart(marseille)
        await erasure_is(paris, transfer, "asked")
        assert await paris.state(transfer) is State.RECEIVED
        assert await one_holder(case_id, paris, marseille) is marseille


async def test_a_declined_offer_that_has_run_out_does_not_stand_again(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        _, _, (transfer,) = await offered(paris, marseille, expires_in=timedelta(hours=1))
        await cut_off(marseille)
        await marseille.here.receiving.decline(marseille.person, transfer, code="other")
        street.clock.advance(timedelta(hours=2))
        arrivals = marseille.here.listener._arrivals  # as where a restored directory does not end it yet
        await arrivals.dropped(transfer, Kind.REFUSAL, None, at_broker=State.OFFERED)
        assert await marseille.state(transfer) is State.EXPIRED


async def test_a_request_to_erase_that_waits_in_a_backup_is_sent_after_the_restore(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        case_id, transfer = await handed_over(paris, marseille)
        await cut_off(paris)
        await paris.here.sending.withdraw(paris.person, transfer)
        await burn_and_restore(paris, save(paris))
        await erasure_is(marseille, transfer, "asked")
        await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
        await erasure_is(paris, transfer, "done")
        assert await one_holder(case_id, paris, marseille) is paris


async def test_what_a_restored_sender_may_have_sent_is_journalled_with_whom_to_ask(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        data = save(paris)
        _, transfer = await imported_and_not_told(paris, marseille)
        await burn_and_restore(paris, data)
        lines = await paris.here.db.read(journal.entries)
        told = next(each for each in lines if each.action == "restored.handed_on")
        assert (told.subject, told.facts["peer"]) == (transfer.hex(), marseille.here.member.hex())


async def test_what_was_declined_after_the_backup_is_not_open_again(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        data = save(marseille)
        _, _, (transfer,) = await offered(paris, marseille)
        await marseille.here.receiving.decline(marseille.person, transfer, code="other")
        await paris.reaches(transfer, State.DECLINED)
        await burn_and_restore(marseille, data)  # the directory tells of the offer once more
        assert await marseille.state(transfer) is State.DECLINED
        assert (await row_of(marseille, transfer)).job is None


async def test_what_a_tombstone_erases_again_is_given_back_where_the_signature_was_lost(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        case_id, transfer = await handed_over(paris, marseille)
        data = save(marseille)
        await cut_off(marseille)
        await marseille.here.receiving.give_back(marseille.person, transfer, code="other", text="x")
        stones = tmp_path / "saved-tombstones"
        shutil.copyfile(marseille.folder / "tombstones", stones)
        await marseille.stop()
        shutil.rmtree(marseille.folder)
        restore(
            io.BytesIO(data),
            marseille.folder,
            opener=opened_by_passphrase(PASSPHRASE),
            passphrase=None,
            now=street.clock.now(),
            random=os.urandom,
            tombstones=stones,
        )
        await marseille.start()
        await erasure_is(paris, transfer, "returned")
        assert await holder(marseille, case_id) == "none"
        assert await one_holder(case_id, paris, marseille) is paris


async def test_a_case_that_was_to_be_kept_and_is_lost_with_the_machine_is_journalled(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        data = save(marseille)
        _, transfer = await handed_over(paris, marseille)
        await paris.here.sending.withdraw(paris.person, transfer)
        await erasure_is(marseille, transfer, "asked")
        await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=False, code="legal_claims")
        await erasure_is(paris, transfer, "refused")
        await burn_and_restore(marseille, data)
        assert "restored.lost" in await actions(marseille)
        assert (await row_of(marseille, transfer)).erasure == "refused"


async def test_an_answer_shows_that_what_it_answers_was_taken_though_the_brokers_own_word_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DirectoryClient.submit

    async def lost(self: DirectoryClient, signed: Signed) -> str:
        state = await real(self, signed)
        if statements.peek(signed).kind in (Kind.OFFER, Kind.SHIPMENT):
            raise Unreachable(peer="the directory")  # it took it, and nobody hears that
        return state

    monkeypatch.setattr(DirectoryClient, "submit", lost)
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        await accept(marseille, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        assert not any(waits for _, waits in paris.here.db.look(lambda tx: transfer_store.kinds(tx, transfer)))
        assert paris.here.db.look(transfer_store.waiting) == []
