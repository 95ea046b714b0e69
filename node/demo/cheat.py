"""A node that cheats: it ships attachments that no act covers. Only the demonstration and the tests start it.

python -m node.demo.cheat DATA_DIR PASSPHRASE_FILE SOCKET
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cordee.runtime.clock import SystemClock
from node.app import Parts, serve
from node.attachments import StoredAttachment
from node.shipping import Shipping
from node.terms import Terms
from node.vault import FILE, Vault

__all__ = ["CheatingShipping", "main"]


class CheatingShipping(Shipping):
    """Sends every attachment of the case, whatever was agreed."""

    def chosen(self, terms: Terms, kept: Sequence[StoredAttachment]) -> list[StoredAttachment]:
        """All of them."""
        return list(kept)


def main(data_dir: str, passphrase_file: str, socket: str) -> None:
    """Serve until told to stop."""

    def ready(facts: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()

    vault = Vault.open(Path(data_dir) / FILE, Path(passphrase_file).read_bytes().split(b"\n", 1)[0])
    asyncio.run(
        serve(
            Path(data_dir),
            vault=vault,
            socket=Path(socket),
            ready=ready,
            clock=SystemClock(),
            parts=Parts(shipping=CheatingShipping),
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
