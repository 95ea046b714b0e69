"""What a recipient has to say reaches a sender who was suspended, whose card has run out, or whose key was replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cordee.errors import CardExpired, OutOfScope
from cordee.ids import MemberId, TransferId
from cordee.transfer import Kind, State
from node import transfer_store
from node.fetching import Fetching
from node.roster_sync import RosterSync
from tests.journeys.aftermath import one_holder
from tests.journeys.test_found_by_the_model import handed_over, remove
from tests.journeys.test_outcomes import accept, erasure_is, offered
from tests.neighbours import Neighbour, Street, eventually, neighbourhood


@pytest_asyncio.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (town, _):
        yield town


def has_no_card_in_force(monkeypatch: pytest.MonkeyPatch, sender: Neighbour) -> None:
    """As after months in which it could not renew it."""
    real = RosterSync.card

    def card(roster: RosterSync, member: MemberId, *, now: object) -> object:
        if member == sender.member:
            raise CardExpired()
        return real(roster, member, now=now)  # type: ignore[arg-type]

    monkeypatch.setattr(RosterSync, "card", card)


async def withdrawn_after_receipt(paris: Neighbour, marseille: Neighbour) -> tuple[str, TransferId]:
    case_id, transfer = await handed_over(paris, marseille)
    await paris.here.sending.withdraw(paris.person, transfer)
    await erasure_is(marseille, transfer, "asked")
    return case_id, transfer


def waits(neighbour: Neighbour) -> list[TransferId]:
    return neighbour.here.db.look(transfer_store.waiting)


async def test_a_request_to_erase_is_carried_out_though_the_card_of_who_asked_has_run_out(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = street.neighbours.values()
    case_id, transfer = await withdrawn_after_receipt(paris, marseille)
    has_no_card_in_force(monkeypatch, paris)
    await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
    await erasure_is(paris, transfer, "done")
    assert await one_holder(case_id, paris, marseille) is paris


async def test_a_request_to_erase_is_carried_out_though_who_asked_was_removed_and_nothing_waits_for_ever(
    street: Street,
) -> None:
    paris, marseille = street.neighbours.values()
    _, transfer = await withdrawn_after_receipt(paris, marseille)
    await paris.stop()
    await remove(street, paris)
    await marseille.here.roster.sync()
    await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
    await erasure_is(marseille, transfer, "done")
    assert waits(marseille) == []


async def test_a_shipment_is_refused_though_its_senders_card_has_run_out(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = street.neighbours.values()
    _, _, (transfer,) = await offered(paris, marseille, hold=True)
    await accept(marseille, transfer)
    await paris.reaches(transfer, State.ACCEPTED)

    def crooked(*_: object) -> None:
        raise OutOfScope(item="health")

    monkeypatch.setattr(Fetching, "_check", crooked)
    await paris.here.sending.ship(paris.person, transfer)
    has_no_card_in_force(monkeypatch, paris)
    await marseille.reaches(transfer, State.REFUSED)
    await paris.reaches(transfer, State.REFUSED)


@pytest.mark.parametrize("code", ["wrong_recipient", "minor_refuses"])
async def test_a_case_comes_back_though_the_key_to_the_reason_is_gone(street: Street, code: str) -> None:
    paris, marseille = street.neighbours.values()
    case_id, transfer = await handed_over(paris, marseille)
    paris.here.house.keys.sealing.clear()  # of a card that was replaced long ago, while the answer was under way
    await marseille.here.receiving.give_back(marseille.person, transfer, code=code)
    await erasure_is(paris, transfer, "returned")
    assert await one_holder(case_id, paris, marseille) is paris


async def test_what_was_said_while_the_sender_was_away_is_opened_after_its_card_was_renewed(street: Street) -> None:
    paris, marseille = street.neighbours.values()
    case_id, transfer = await withdrawn_after_receipt(paris, marseille)
    await paris.stop()
    await marseille.here.receiving.answer_erasure(marseille.person, transfer, erase=True)
    await eventually(lambda: not waits(marseille), what="the answer at the directory")
    await paris.start()
    await paris.here.publishing.publish()
    await erasure_is(paris, transfer, "done")
    assert await one_holder(case_id, paris, marseille) is paris
    assert Kind.ERASURE in {kind for kind, _ in paris.here.db.look(lambda tx: transfer_store.kinds(tx, transfer))}
