"""Those who watch transfers hear of every change, and of progress now and then."""

from __future__ import annotations

import asyncio

import pytest

from cordee.ids import TransferId
from node.house import Changes

ONE, OTHER = TransferId(bytes(16)), TransferId(bytes([1]) * 16)


async def test_however_much_changes_no_transfer_goes_untold() -> None:
    changes = Changes()
    watcher = changes.listen()
    many = {TransferId(number.to_bytes(16, "big")) for number in range(5000)}
    for transfer in many:
        changes.tell(transfer)
        changes.tell(transfer)
    assert await watcher.changed() == many


async def test_progress_is_told_at_once_and_then_only_now_and_then() -> None:
    changes = Changes()
    watcher = changes.listen()
    changes.moved(ONE, 1)
    assert await watcher.changed() == {ONE}
    changes.moved(ONE, 2)
    changes.moved(OTHER, 1)
    assert await watcher.changed() == {OTHER}
    assert changes.progress == {ONE: 2, OTHER: 1}
    await asyncio.sleep(0.26)
    changes.moved(ONE, 3)
    assert await watcher.changed() == {ONE}


async def test_a_new_state_is_told_right_after_progress_was() -> None:
    changes = Changes()
    watcher = changes.listen()
    changes.moved(ONE, 1)
    assert await watcher.changed() == {ONE}
    changes.tell(ONE)
    assert await watcher.changed() == {ONE}


async def test_who_left_hears_nothing() -> None:
    changes = Changes()
    watcher = changes.listen()
    changes.leave(watcher)
    changes.tell(ONE)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watcher.changed(), 0.02)
