"""How large a real transfer's messages are, so that the skeleton's are as large."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

from cordee.ids import KeyId
from cordee.v1 import statements_pb2

__all__ = ["Sizes"]

_NAMES = ("offer", "answer", "shipment", "receipt")


@dataclass(frozen=True)
class Sizes:
    """Bytes of each statement's body, and of the ciphertext."""

    offer: int
    answer: int
    shipment: int
    receipt: int
    ciphertext: int

    @classmethod
    def of(cls, statements: Iterable[statements_pb2.Signed]) -> Self:
        """From a transfer's four statements. Raises: KeyError where one of them is missing."""
        bodies = {signed.type.rpartition(".")[2].lower(): signed.body for signed in statements}
        shipment = statements_pb2.Shipment.FromString(bodies["shipment"])
        return cls(**{name: len(bodies[name]) for name in _NAMES}, ciphertext=shipment.ciphertext_size)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` gave."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """For a command line."""
        return json.dumps(asdict(self))

    def body(self, name: str, transfer_id: bytes, *parts: bytes) -> bytes:
        """A body of that size: whose transfer it is, then the parts, then noise. Raises: ValueError without room."""
        size: int = getattr(self, name)
        told = transfer_id + b"".join(parts)
        if len(told) > size:
            raise ValueError(f"{len(told)} bytes do not fit into a body of {size}")
        return told + os.urandom(size - len(told))

    def statement(self, name: str, transfer_id: bytes) -> statements_pb2.Signed:
        """A statement of that size that says nothing but whose transfer it is."""
        return statements_pb2.Signed(
            type=f"cordee.v1.{name.capitalize()}",
            body=self.body(name, transfer_id),
            signer=bytes(KeyId.length),
            ed25519_signature=bytes(64),
            mldsa65_signature=bytes(3309),
        )
