"""What a hollow node does between the calls: nothing, here. `bench.skeleton.protected` does the cryptography."""

from __future__ import annotations

import os
from typing import Protocol

from bench.skeleton.sizes import Sizes
from cordee.ids import TransferId
from cordee.v1 import statements_pb2

__all__ = ["Bare", "Work", "kind_of"]


class Work(Protocol):
    """A party's part in each step, in the order in which a transfer takes them. It raises where a check fails."""

    def offer(self, transfer_id: TransferId, /) -> statements_pb2.Signed:
        """The sender's first statement."""
        ...

    def answer(self, transfer_id: TransferId, /) -> statements_pb2.Signed:
        """The recipient's acceptance of an offer that it heard."""
        ...

    def pack(self, transfer_id: TransferId, /) -> bytes:
        """The ciphertext for the mailbox, once the answer was heard."""
        ...

    def shipment(self, transfer_id: TransferId, /) -> statements_pb2.Signed:
        """The sender's statement that the ciphertext lies there."""
        ...

    def unpack(self, transfer_id: TransferId, ciphertext: bytes, /) -> None:
        """What came out of the mailbox, once the shipment was heard."""
        ...

    def receipt(self, transfer_id: TransferId, /) -> statements_pb2.Signed:
        """The recipient's last statement."""
        ...

    def hear(self, transfer_id: TransferId, statement: statements_pb2.Signed, /) -> None:
        """A statement of the other party has come."""
        ...


class Bare:
    """Messages of the right size, and no work."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._ciphertext = os.urandom(sizes.ciphertext)

    def offer(self, transfer_id: TransferId) -> statements_pb2.Signed:
        """Says nothing, as all of them."""
        return self._sizes.statement("offer", transfer_id)

    def answer(self, transfer_id: TransferId) -> statements_pb2.Signed:
        """Says nothing."""
        return self._sizes.statement("answer", transfer_id)

    def pack(self, transfer_id: TransferId) -> bytes:
        """The same for every transfer."""
        return self._ciphertext

    def shipment(self, transfer_id: TransferId) -> statements_pb2.Signed:
        """Says nothing."""
        return self._sizes.statement("shipment", transfer_id)

    def unpack(self, transfer_id: TransferId, ciphertext: bytes) -> None:
        """It is not looked at."""

    def receipt(self, transfer_id: TransferId) -> statements_pb2.Signed:
        """Says nothing."""
        return self._sizes.statement("receipt", transfer_id)

    def hear(self, transfer_id: TransferId, statement: statements_pb2.Signed) -> None:
        """It is not looked at."""


def kind_of(statement: statements_pb2.Signed) -> str:
    """Offer, Answer, Shipment or Receipt."""
    return statement.type.rpartition(".")[2]
