"""A directory that says “once more” for ever takes neither a node's processor nor its line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import NotFound
from cordee.ids import TransferId
from cordee.transfer import State
from node.directory_client import DirectoryClient
from node.giving_back import GivingBack
from node.worker import Worker
from tests.journeys.test_outcomes import accept, cut_off, offered
from tests.neighbours import eventually, neighbourhood


async def test_given_back_is_believed_once_for_each_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        await cut_off(paris)
        record = await paris.case()
        await paris.offer(record, marseille, await paris.act(record, marseille))
        tries = 0

        async def submit(*_: Any) -> str:
            nonlocal tries
            tries += 1
            raise NotFound(what="transfer")

        async def transfer(*_: Any) -> int:
            return 1

        monkeypatch.setattr(DirectoryClient, "submit", submit)
        monkeypatch.setattr(GivingBack, "transfer", transfer)
        assert not await paris.here.outbox.flush()
        assert tries == 2


class Attempts:
    """How often the worker has begun, and how often it asked the mailbox."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.asked = 0
        step = Worker._step

        async def counted(worker: Worker, transfer: TransferId) -> None:
            self.begun += 1
            await step(worker, transfer)

        monkeypatch.setattr(Worker, "_step", counted)


async def test_an_upload_that_takes_nothing_is_begun_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        _, _, (transfer,) = await offered(paris, marseille)
        seen, real = Attempts(monkeypatch), DirectoryClient.put

        async def put(*_: Any, pieces: AsyncIterator[bytes], **__: Any) -> int:
            seen.asked += 1
            async for _piece in pieces:
                pass
            return 0

        monkeypatch.setattr(DirectoryClient, "put", put)
        await accept(marseille, transfer)
        await eventually(lambda: seen.begun > 4, what="several attempts")
        assert seen.asked <= 2 * seen.begun, "what is sent along, and once more"
        monkeypatch.setattr(DirectoryClient, "put", real)
        await paris.reaches(transfer, State.RECEIVED)


async def test_empty_pieces_without_end_are_one_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        _, _, (transfer,) = await offered(paris, marseille)
        seen, real = Attempts(monkeypatch), DirectoryClient.get

        async def get(*_: Any, **__: Any) -> AsyncIterator[bytes]:
            for _number in range(1000):  # as good as without end
                seen.asked += 1
                yield b""

        monkeypatch.setattr(DirectoryClient, "get", get)
        await accept(marseille, transfer)
        await eventually(lambda: seen.asked > 3, what="several attempts")
        assert seen.asked <= seen.begun
        monkeypatch.setattr(DirectoryClient, "get", real)
        await marseille.reaches(transfer, State.RECEIVED)
