from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from cordee.ids import Digest
from cordee.statements import Offer, Recall, Shipment


@dataclass(frozen=True)
class Kept:
    """As much of a signed statement as is asked for."""

    digest: Digest


def signed(number: int) -> Any:
    return Kept(Digest(bytes([number]) * 32))


def statement(kind: type[Any], number: int) -> Any:
    made = kind.__new__(kind)
    object.__setattr__(made, "signed", signed(number))
    return made


def never() -> Any:
    raise AssertionError("it was read again")


def test_what_was_read_once_is_not_read_again() -> None:
    recall, offer = Recall(), statement(Offer, 1)
    assert recall.recall(signed(1), Offer, lambda: offer) is offer
    assert recall.recall(signed(1), Offer, never) is offer


def test_a_statement_is_never_taken_for_one_of_another_kind() -> None:
    recall, shipment = Recall(), statement(Shipment, 1)
    recall.remember(statement(Offer, 1))
    assert recall.recall(signed(1), Shipment, lambda: shipment) is shipment


def test_what_cannot_be_read_is_not_remembered() -> None:
    recall = Recall()
    for _ in range(2):
        with pytest.raises(AssertionError):
            recall.recall(signed(1), Offer, never)


def test_the_oldest_goes_first() -> None:
    recall = Recall(size=2)
    for number in (1, 2, 1, 3):  # 1 was remembered again before 3 came
        recall.remember(statement(Offer, number))
    recall.recall(signed(1), Offer, never)
    recall.recall(signed(3), Offer, never)
    with pytest.raises(AssertionError):
        recall.recall(signed(2), Offer, never)
