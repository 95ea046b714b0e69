"""What the sender decided when it offered: sealed with the case's own key until the transfer is over."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace

from node.vault import DataKey

__all__ = ["Terms"]

_PLACE = "transfer.sealed_terms"


@dataclass(frozen=True)
class Terms:
    """The scope of one offer, fixed at that moment: what was previewed is what leaves."""

    kind: str  # "transfer", "referral" or "update"
    purpose: str
    offered: tuple[str, ...]
    ticked: frozenset[str]
    unticked: frozenset[str]
    attachments: tuple[str, ...]
    act: bytes
    nonce: bytes
    package: dict[str, object]  # the sections, as they leave; empty once the transfer is over
    first_transfer: bytes = b""
    hold: bool = False  # after the acceptance, wait for the handler's word before anything leaves

    def sealed(self, key: DataKey, transfer: bytes) -> bytes:
        """The row's field."""
        plain = {
            "kind": self.kind,
            "purpose": self.purpose,
            "offered": list(self.offered),
            "ticked": sorted(self.ticked),
            "unticked": sorted(self.unticked),
            "attachments": list(self.attachments),
            "act": self.act.decode(),
            "nonce": base64.b64encode(self.nonce).decode(),
            "package": self.package,
            "first_transfer": self.first_transfer.hex(),
            "hold": self.hold,
        }
        return key.seal(json.dumps(plain, ensure_ascii=False).encode(), place=_PLACE, row=transfer)

    @classmethod
    def unsealed(cls, sealed: bytes, key: DataKey, transfer: bytes) -> Terms:
        """Raises CannotOpen."""
        plain = json.loads(key.unseal(sealed, place=_PLACE, row=transfer))
        return cls(
            kind=plain["kind"],
            purpose=plain["purpose"],
            offered=tuple(plain["offered"]),
            ticked=frozenset(plain["ticked"]),
            unticked=frozenset(plain["unticked"]),
            attachments=tuple(plain["attachments"]),
            act=plain["act"].encode(),
            nonce=base64.b64decode(plain["nonce"]),
            package=plain["package"],
            first_transfer=bytes.fromhex(plain["first_transfer"]),
            hold=plain["hold"],
        )

    def emptied(self) -> Terms:
        """What remains once the transfer is over: what was sent in words, without the sections themselves."""
        return replace(self, package={})
