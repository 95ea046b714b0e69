"""What is ticked of a workflow that is begun a second time."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from cordee.ids import MemberId, TransferId
from cordee.transfer import State
from node.people import Handler, Role
from node.practice.facts import Attempt, Facts
from node.practice.guide import Told, overview
from node.practice.town import Practice
from node.transfers import TransferLine

NOW = datetime(2026, 3, 2, tzinfo=UTC)
RELAY, SHELTER = MemberId(b"r" * 16), MemberId(b"s" * 16)
FIRST, SECOND = (TransferId(each * 16) for each in (b"1", b"2"))


def practice(*attempts: Attempt) -> Practice:
    """With nothing behind it but what a guide names."""
    clock = SimpleNamespace(now=lambda: NOW)
    profile = SimpleNamespace(org_id="own")
    roster = SimpleNamespace(card=lambda _member, *, now: SimpleNamespace(profile=profile))
    node: Any = SimpleNamespace(member=MemberId(b"o" * 16), clock=clock, roster=roster)
    relay, shelter = (SimpleNamespace(name=name) for name in ("Rive", "Lucioles"))
    person = Handler("me", "camille", frozenset({Role.HANDLER}), bound_by_secrecy=True)
    partners: tuple[Any, Any] = (relay, shelter)
    return Practice(node, *partners, person, "", list(attempts))


def given_back(transfer: TransferId) -> TransferLine:
    """A case that came and was given back, heard of by both."""
    return TransferLine(
        transfer_id=transfer,
        direction="in",
        peer=RELAY,
        peer_name="Rive",
        state=State.RECEIVED,
        kind="transfer",
        purpose="specialised_support",
        case_id=None,
        opened_at=NOW,
        updated_at=NOW,
        expires_at=NOW,
        bytes_done=0,
        bytes_total=0,
        sentence="",
        reason_code="",
        erasure="returned",
        waits=False,
        held=False,
        still=False,
    )


def told(attempts: list[Attempt], *lines: TransferLine) -> Told:
    facts = Facts("me", RELAY, SHELTER, cases={}, acts={}, transfers=lines, lines=(), accounts={})
    return next(each for each in overview(practice(*attempts), facts) if each.workflow.id == "w8")


def test_what_was_done_before_a_workflow_was_begun_again_ticks_nothing() -> None:
    attempts = [Attempt("w8", NOW, transfer=each.hex()) for each in (FIRST, SECOND)]
    before = told(attempts[:1], given_back(FIRST))
    assert [each.done for each in before.steps] == [True] * 4
    again = told(attempts, given_back(FIRST))
    assert [each.done for each in again.steps] == [False] * 4
    assert again.begun
    assert not again.over


def test_a_workflow_that_was_done_once_counts_as_done_also_when_it_is_begun_again() -> None:
    attempts = [Attempt("w8", NOW, transfer=each.hex()) for each in (FIRST, SECOND)]
    assert not told(attempts).once
    assert told(attempts, given_back(FIRST)).once
    assert not told([]).once
