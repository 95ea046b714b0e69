"""An offer that nobody answers ends by itself: the practice network's policy makes that a matter of minutes."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from cordee.act import parse_act
from cordee.runtime.clock import SystemClock
from cordee.transfer import State
from node import acts
from node.demo import cases as synthetic
from node.practice.facts import Attempt
from node.practice.guide import guide_of
from node.practice.network import staged
from node.practice.town import Practice, practising
from node.practice.workflows import BY_ID
from tests.neighbours import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


async def offered_to_who_does_not_answer(practice: Practice, attempt: Attempt) -> None:
    node, now = practice.node, practice.node.clock.now()
    stored = (await practice.facts()).cases[attempt.cases[0]]
    there = practice.shelter.node
    org_id = there.roster.card(there.member, now=now).profile.org_id
    act = parse_act(
        synthetic.act(
            stored.case.to_dict(),
            purpose="emergency_shelter",
            recipients=[org_id],
            attachments=[],
            now=now,
            random=os.urandom,
        )
    )
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by=practice.person.account_id, now=now))
    await node.sending.offer(
        practice.person,
        case_id=attempt.cases[0],
        recipient=there.member,
        purpose="emergency_shelter",
        act_id=act.act_id,
        kind="referral",
    )


async def test_an_offer_without_an_answer_ends_and_the_guide_goes_on(tmp_path: Path) -> None:
    stage = staged(tmp_path, random=os.urandom, offer_minutes=1)
    try:
        async with practising(stage, clock=SystemClock(), random=os.urandom) as practice:
            assert practice.node.roster.roster.policy.offer_life_limit == timedelta(minutes=1)
            attempt = await practice.begin("w3")
            await offered_to_who_does_not_answer(practice, attempt)

            async def ticks() -> list[bool]:
                told = guide_of(practice, await practice.facts(), BY_ID["w3"])
                return [each.done for each in told.steps]

            await eventually(lambda: _are(ticks, [True, True, False, False, False]), what="an offer that waits")
            [line] = (await practice.facts()).transfers
            assert line.state is State.OFFERED
            ended = [True, True, True, False, False]
            await eventually(lambda: _are(ticks, ended, pause=1), seconds=180, what="its end")
            [line] = (await practice.facts()).transfers
            assert line.state is State.EXPIRED
    finally:
        stage.close()


async def _are(ticks, wanted: list[bool], *, pause: float = 0) -> bool:  # type: ignore[no-untyped-def]  # as above
    await asyncio.sleep(pause)  # a whole minute of looks takes half a processor
    return bool(await ticks() == wanted)
