"""Who can bring the node back is said on the administrators' first page, for ever, and how it is on the node's page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from node import journal
from node.app import Node
from node.recovery import make_kit, rehearse

from .browser import Browser

Browse = Callable[..., Awaitable[Browser]]
NOT_OVER, CAN = "Setting up is not over", "People who can bring this node back: 2."


def kit(node: Node, folder: Path, *, tried: bool) -> None:
    now = node.clock.now()
    sheets = make_kit(folder, passphrase=b"correct horse", needed=2, count=3, now=now, random=node.random)
    if tried:
        rehearse(folder, sheets[:2], now=now)


async def test_setting_up_is_not_over_until_a_kit_was_tried(association: Node, browse: Browse) -> None:
    folder, administrator = association.data_dir, await browse("Adrien")
    assert NOT_OVER in (await administrator.get("/")).text
    kit(association, folder, tried=False)
    assert NOT_OVER in (await administrator.get("/")).text
    kit(association, folder, tried=True)
    shown = (await administrator.get("/")).text
    assert NOT_OVER not in shown
    assert CAN in shown


async def test_it_is_said_for_ever_and_after_a_year_that_it_is_time_to_try_again(
    association: Node, browse: Browse
) -> None:
    kit(association, association.data_dir, tried=True)
    administrator = await browse("Adrien")
    assert "It is time to try it again." not in (await administrator.get("/")).text
    association.clock.advance(timedelta(days=400).total_seconds())  # type: ignore[attr-defined]  # a clock of tests
    again = await browse("Adrien")
    shown = (await again.get("/")).text
    assert CAN in shown
    assert "It is time to try it again." in shown


async def test_only_administrators_are_told_on_the_first_page(association: Node, browse: Browse) -> None:
    for name in ("Hélène", "Léa", "Aude"):
        assert NOT_OVER not in (await (await browse(name)).get("/")).text


async def test_the_nodes_page_says_how_it_is_with_backup_and_kit(association: Node, browse: Browse) -> None:
    kit(association, association.data_dir, tried=True)
    now = association.clock.now()
    await association.db.write(
        lambda tx: journal.append(tx, now=now, actor="node", action="node.backed_up", subject="")
    )
    shown = (await (await browse("Adrien")).get("/node")).text
    assert "People: 2. Sheets needed: 2 of 3." in shown
    assert "The last one was made on" in shown
    assert "cordee node backup" not in shown  # nothing is asked for
    association.clock.advance(timedelta(days=9).total_seconds())  # type: ignore[attr-defined]  # a clock of tests
    shown = (await (await browse("Adrien")).get("/node")).text
    assert "Make one a week" in shown


async def test_cases_that_went_elsewhere_after_the_backup_are_told_with_whom_to_ask(
    association: Node, browse: Browse
) -> None:
    now, peer = association.clock.now(), next(iter(association.roster.roster.members)).hex()
    await association.db.write(
        lambda tx: journal.append(
            tx, now=now, actor="node", action="restored.handed_on", subject="ab" * 16, facts={"peer": peer}
        )
    )
    administrator = await browse("Adrien")
    assert "that this node does not know of: 1." in (await administrator.get("/")).text
    assert "ask them which" in (await administrator.get("/journal?topic=restored.")).text
