"""What a host of mailboxes says that it holds, and whether it is ours."""

from __future__ import annotations

from typing import Any

import pytest

from cordee.ids import TransferId
from cordee.runtime.contract import BEGINNING
from cordee.v1 import mailbox_pb2
from node.mailbox_line import MailboxLine

TRANSFER = TransferId(bytes(16))
HEADER = bytes(range(BEGINNING))


class Host:
    """Answers Stat."""

    def __init__(self, size: int, begins: bytes) -> None:
        self.answer = mailbox_pb2.StatResponse(size=size, begins=begins)

    async def Stat(self, request: mailbox_pb2.StatRequest, **_: float) -> mailbox_pb2.StatResponse:
        return self.answer


@pytest.mark.parametrize(
    ("size", "begins", "ours"),
    [
        (0, b"", 0),
        (20, HEADER[:20], 20),
        (1_000, HEADER, 1_000),
        (20, bytes(20), 0),
        (1_000, bytes(BEGINNING), 0),
        (1_000, b"", 0),
    ],
    ids=["nothing", "a little", "all", "a little of another", "another", "of an older host, that does not say whose"],
)
async def test_only_what_begins_as_the_ciphertext_does_is_counted(size: int, begins: bytes, ours: int) -> None:
    line: Any = MailboxLine.__new__(MailboxLine)
    line._calls = Host(size, begins)
    assert await line.waiting_bytes(TRANSFER, begins=HEADER) == ours
    assert await line.waiting_bytes(TRANSFER) == size
