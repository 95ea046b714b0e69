"""Shipping an accepted case, step by step (node/shipping.py)."""

from __future__ import annotations

from cordee.transfer import Kind, State

from .stage import Half, Stage


async def test_a_case_with_files_goes_all_the_way(stage: Stage, paris: Half, marseille: Half) -> None:
    made = await stage.received(paris, marseille, files=2)
    assert (paris.state(made.transfer), marseille.state(made.transfer)) == (State.RECEIVED, State.RECEIVED)
    assert (paris.holder(made.case_id), marseille.holder(made.case_id)) == ("handed_over", "here")
    assert len(marseille.files()) == 2
    assert Kind.RECEIPT_TAKEN in paris.kinds(made.transfer)
