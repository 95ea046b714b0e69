"""A card whose answer was lost: nobody knows who has seen it, so its number is never another card's."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import CardRefused, CordeeError, Unreachable
from cordee.runtime.tls import TransportKey
from cordee.signing import Signed, SigningKey, parse_body
from cordee.v1 import statements_pb2 as v1
from node.publishing import Publishing
from tests.node.halves.stage import Stage, staged


class LostAnswers:
    """A directory that may have heard everything, and of which nothing is heard."""

    def __init__(self) -> None:
        self.sent: list[Signed] = []
        self.answer: CordeeError = Unreachable(peer="directory")

    async def publish_card(self, card: Signed, *, profile: bytes) -> None:
        self.sent.append(card)
        raise self.answer

    @property
    def numbers(self) -> list[int]:
        return [parse_body(each, v1.Card).number for each in self.sent]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with staged(tmp_path, "Paris", "Lyon") as made:
        await made.look()
        yield made


async def tries(publishing: Publishing, *, profile: bytes | None = None, refused: bool = False) -> None:
    with pytest.raises(CardRefused if refused else Unreachable):
        await publishing.publish(profile)


def publishing_of(stage: Stage, client: Any, folder: Path) -> Publishing:
    return Publishing(stage.halves[0].node.house, client, TransportKey.generate(), folder / "certificate.der")


async def test_the_very_same_card_is_sent_again(stage: Stage, tmp_path: Path) -> None:
    directory = LostAnswers()
    publishing = publishing_of(stage, directory, tmp_path)
    await tries(publishing)
    stage.clock.advance(timedelta(hours=1))
    await tries(publishing)
    assert directory.numbers == [2, 2]
    assert directory.sent[0] == directory.sent[1]


async def test_another_card_has_another_number(stage: Stage, tmp_path: Path) -> None:
    """Found by the simulation: the directory came back from a backup, and another member had seen the first one."""
    directory, house = LostAnswers(), stage.halves[0].node.house
    publishing = publishing_of(stage, directory, tmp_path)
    await tries(publishing)
    house.keys.identity = SigningKey.generate(os.urandom)
    await tries(publishing)
    await tries(publishing, profile=b"{}")
    stage.clock.advance(timedelta(days=2))
    await tries(publishing, profile=b"{}")
    await tries(publishing_of(stage, directory, tmp_path))  # another process, which knows only what was kept
    assert directory.numbers == [2, 3, 4, 5, 6]
    keys = [parse_body(each, v1.Card).sealing_key for each in directory.sent]
    assert len(set(keys)) == 5
    assert keys == [house.keys.sealing[number].public for number in directory.numbers]


async def test_a_card_that_was_refused_is_not_sent_again(stage: Stage, tmp_path: Path) -> None:
    directory = LostAnswers()
    directory.answer = CardRefused(member="", problem="it is dated in the future")
    publishing = publishing_of(stage, directory, tmp_path)
    await tries(publishing, refused=True)
    await tries(publishing, refused=True)
    assert directory.numbers == [2, 3]
