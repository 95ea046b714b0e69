"""The program of a node that cheats. Only the demonstration starts it.

python -m node.demo.cheating DATA_DIR PASSPHRASE_FILE SOCKET
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from cordee.runtime.memory import keep_few_arenas
from node.vault import FILE, Vault


def main(data_dir: str, passphrase_file: str, socket: str) -> None:
    """Serve until told to stop."""
    keep_few_arenas()
    # Before the node itself is imported: Argon2id takes its memory while little else is there.
    vault = Vault.open(Path(data_dir) / FILE, Path(passphrase_file).read_bytes().split(b"\n", 1)[0])

    from cordee.runtime.clock import SystemClock
    from node.app import Parts, serve
    from node.demo.cheat import CheatingShipping

    def ready(facts: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()

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
